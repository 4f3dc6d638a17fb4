"""Is it the servers or is it we: while nothing answers, nothing is held against anybody."""

from __future__ import annotations

from collections.abc import Mapping

from .report import Report, Verdict
from .standing import Pace, Standing
from .urls import Server

# So far apart we may notice of two servers that they stopped to answer at once: two intervals, and a probe that lasted.
TOGETHER, LONGEST_PROBE = 2.0, 5.0  # intervals; seconds


class OwnNetwork:
    """Of each report let it `hear` first, then ask whether it `is_suspect`, then let the standing take the report.

    `standings` are those of all servers. `lacks_turn`: whether no TURN server is handed out, so that there is no list
    worth keeping. Times as in Standing.
    """

    def __init__(self, standings: Mapping[Server, Standing], pace: Pace) -> None:
        self.cut_off = False  # nothing answers any more
        self._standings, self._pace = standings, pace
        self._relays = [server for server in standings if server.relays]
        self._dark_since: float | None = None
        self._addresses: dict[Server, str] = {}  # where each was found last

    def hear(self, report: Report, now: float, *, network: bool, lacks_turn: bool) -> None:
        """A probe ended now; `network`: whether this machine has a way to the network at all."""
        if report.address is not None:
            self._addresses[report.server] = report.address[0]
        standing = self._standings[report.server]
        if report.was_reached and (self._dark_since is None or now - report.quiet > self._dark_since):
            self._lighten(now)
        elif report.server.relays and not (network and self._had_no_way_before(report, standing)):
            certain = report.verdict is Verdict.OWN_NETWORK_BROKEN or not network
            self._darken(standing, now, certain=certain, lacks_turn=lacks_turn)

    def is_suspect(self, standing: Standing, now: float, *, lacks_turn: bool) -> bool:
        """Whether a failure is held against nobody; of STUN servers, which are a small loss, as soon as it might be."""
        if self.cut_off or standing.server.relays or not self._relays:
            return self.cut_off
        return not lacks_turn and self._nothing_answers(standing, now, certain=True)

    @property
    def neutral(self) -> list[Server]:
        """STUN servers where no TURN server is, so that one machine that is down does not look like a whole network."""
        taken = {server.host for server in self._relays}
        taken |= {self._addresses[server] for server in self._relays if server in self._addresses}
        return [
            server
            for server in self._standings
            if not server.relays and server.host not in taken and self._addresses.get(server) not in taken
        ]

    # -------------------------------------------------------------------------------------------- dark and light again

    def _darken(self, standing: Standing, now: float, *, certain: bool, lacks_turn: bool) -> None:
        """A TURN server fails. Unless something else answers, it is dark; `certain`: our own machine says so."""
        if lacks_turn or not self._nothing_answers(standing, now, certain=certain):
            self.cut_off, self._dark_since = False, None
        elif self.cut_off or certain or standing.is_about_to_fall:
            self._dark_since = now if self._dark_since is None else self._dark_since
            # Whoever hears of a relay from us may reach it all the same, so the list is kept. But not for ever on mere
            # suspicion: perhaps relays and neutral servers have died together.
            self.cut_off = certain or now - self._dark_since < self._pace.keep

    def _lighten(self, now: float) -> None:
        """Something answers. What failed in the dark is asked once more before anything is held against it."""
        if self.cut_off:
            self.cut_off = False
            for standing in self._standings.values():
                standing.forgive()
                if standing.due < float("inf"):
                    standing.hurry(now)
        self._dark_since = None

    # ------------------------------------------------------------------------------------------------------ questions

    def _had_no_way_before(self, report: Report, standing: Standing) -> bool:
        """Whether our machine never had a way to this one, or had none already when the others were still reached."""
        if report.verdict is not Verdict.OWN_NETWORK_BROKEN:
            return False
        if standing.reached_at is None or standing.refused_since is None:
            return standing.reached_at is None
        others = self._others_in_trouble_since(standing)
        began = max((other for other in others if other is not None), default=standing.refused_since)
        return standing.refused_since < began - self._together

    def _nothing_answers(self, standing: Standing, now: float, *, certain: bool) -> bool:
        others = self._others_in_trouble_since(standing)
        since = now if standing.in_trouble_since is None else standing.in_trouble_since
        began = max([since, *(other for other in others if other is not None)])
        if None in others:
            return False
        if any(one.reached_at is not None and one.reached_at >= began for one in self._standings.values()):
            return False
        return certain or any(self._fell_silent_too(self._standings[server], began) for server in self.neutral)

    def _others_in_trouble_since(self, standing: Standing) -> list[float | None]:
        """Of the other TURN servers; None for one that works."""
        return [self._standings[server].in_trouble_since for server in self._relays if server != standing.server]

    def _fell_silent_too(self, neutral: Standing, began: float) -> bool:
        """What never answered, or had stopped before, tells nothing by being silent now."""
        if neutral.reached_at is None:
            return False
        return neutral.in_trouble_since is None or neutral.in_trouble_since >= began - self._together

    @property
    def _together(self) -> float:
        return TOGETHER * self._pace.interval + LONGEST_PROBE
