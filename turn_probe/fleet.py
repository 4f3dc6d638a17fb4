"""All servers together: who is probed when, which are handed out in which order, and when it is we who are cut off."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from .ranking import Ranking
from .report import Report, Verdict
from .standing import Pace, Standing
from .urls import Server

# So far apart we may notice of two servers that they stopped to answer at once: two intervals, and a probe that lasted.
TOGETHER, LONGEST_PROBE = 2.0, 5.0  # intervals; seconds


@dataclass(frozen=True, slots=True)
class Offer:
    """A server to hand out. `login` is the number of the account that it accepts."""

    server: Server
    login: int = 0


@dataclass(frozen=True, slots=True)
class Offered:
    """What clients are told, the best first. `reason` says why there is no TURN server although some are configured."""

    turn: tuple[Offer, ...]
    stun: tuple[Offer, ...]
    reason: str = ""

    @property
    def lacks_turn(self) -> bool:
        """Whether there should be TURN servers and are none."""
        return bool(self.reason)


class Fleet:
    """Tell it each report; `offered` is what follows. Times as in Standing."""

    def __init__(self, servers: Sequence[Server], pace: Pace, random: Callable[[], float], now: float) -> None:
        self.standings = {server: Standing(server, pace, random, now) for server in dict.fromkeys(servers)}
        self.changes = 0  # of the list
        self._pace = pace
        self.cut_off = False  # nothing answers any more, so that the last list is kept
        self._dark_since: float | None = None
        self._turn = Ranking([server for server in self.standings if server.relays])
        self._stun = Ranking([server for server in self.standings if not server.relays])
        self._addresses: dict[Server, str] = {}  # where each was found last
        self.offered = self._list()

    # ----------------------------------------------------------------------------------------------- when to probe

    @property
    def next_due(self) -> float:
        """When somebody is due next."""
        return min((standing.due for standing in self.standings.values()), default=float("inf"))

    def due(self, now: float) -> list[Server]:
        """Whom to probe now; they are not due again before their report."""
        found = [standing for standing in self.standings.values() if standing.due <= now]
        for standing in found:
            standing.due = float("inf")
        return [standing.server for standing in found]

    # ---------------------------------------------------------------------------------------------- what is learned

    def take(self, report: Report, now: float, *, network: bool = True) -> bool:
        """Learn from a probe that ended now; True if another list is handed out from now on.

        `network`: whether this machine has a way to the network at all.
        """
        standing = self.standings[report.server]
        if report.address is not None:
            self._addresses[report.server] = report.address[0]
        if report.was_reached and (self._dark_since is None or now - report.quiet > self._dark_since):
            self._see_again(now)
        elif report.server.relays and not (network and self._is_always_so(report, standing)):
            self._look_around(standing, now, certain=report.verdict is Verdict.OWN_NETWORK_BROKEN or not network)
        rounds = standing.measured
        standing.take(report, now, condemn=not self._doubts(standing, now))
        if standing.measured > rounds:
            ranking = self._turn if report.server.relays else self._stun
            times = {s: known.round_trip for s, known in self.standings.items() if known.round_trip is not None}
            ranking.measured(report.server, times)
        if standing.in_trouble_since == now:
            self._ask(self.standings, now)
        elif standing.is_falling and report.server.relays:
            self._ask(self._neutral, now)
        return self._look_again()

    def _ask(self, servers: Iterable[Server], now: float) -> None:
        """Is it the one that fails, or is it we? Whoever else can tell is probed before it falls."""
        for server in servers:
            if self.standings[server].due < float("inf"):  # not being probed just now
                self.standings[server].hurry(now)

    def _look_again(self) -> bool:
        if self.cut_off:
            return False
        fresh = self._list()
        if (fresh.turn, fresh.stun, fresh.lacks_turn) == (
            self.offered.turn,
            self.offered.stun,
            self.offered.lacks_turn,
        ):
            return False
        self.offered = fresh
        self.changes += 1
        return True

    # ------------------------------------------------------------------------------------------------ is it we?

    def _doubts(self, standing: Standing, now: float) -> bool:
        """Whether a failure is held against nobody; of STUN servers, which are a small loss, as soon as it might be."""
        if self.cut_off or standing.server.relays or not self._turn.order:
            return self.cut_off
        return self._nothing_answers(standing, now, certain=True)

    def _look_around(self, standing: Standing, now: float, *, certain: bool) -> None:
        """A TURN server fails: does anything else answer? `certain`: our own machine says that we are cut off."""
        if not self._nothing_answers(standing, now, certain=certain):
            self.cut_off, self._dark_since = False, None
        elif self.cut_off or certain or standing.is_about_to_fall:
            self._dark_since = now if self._dark_since is None else self._dark_since
            # Whoever hears of a relay from us may reach it all the same, so the list is kept. But not for ever on mere
            # suspicion: perhaps relays and neutral servers have died together.
            self.cut_off = certain or now - self._dark_since < self._pace.keep

    def _is_always_so(self, report: Report, standing: Standing) -> bool:
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
        if None in others or self.offered.lacks_turn:
            return False
        if any(one.reached_at is not None and one.reached_at >= began for one in self.standings.values()):
            return False
        return certain or any(self._fell_silent_too(self.standings[server], began) for server in self._neutral)

    def _others_in_trouble_since(self, standing: Standing) -> list[float | None]:
        """Of the other TURN servers; None for one that works."""
        return [self.standings[server].in_trouble_since for server in self._turn.order if server != standing.server]

    @property
    def _together(self) -> float:
        return TOGETHER * self._pace.interval + LONGEST_PROBE

    @property
    def _neutral(self) -> list[Server]:
        """STUN servers where no TURN server is, so that one machine that is down does not look like a whole network."""
        taken = {server.host for server in self._turn.order}
        taken |= {self._addresses[server] for server in self._turn.order if server in self._addresses}
        return [s for s in self._stun.order if s.host not in taken and self._addresses.get(s) not in taken]

    def _fell_silent_too(self, neutral: Standing, began: float) -> bool:
        """What never answered, or had stopped before, tells nothing by being silent now."""
        if neutral.reached_at is None:
            return False
        return neutral.in_trouble_since is None or neutral.in_trouble_since >= began - self._together

    def _see_again(self, now: float) -> None:
        """Something answers. What failed in the dark is asked once more before anything is held against it."""
        if self.cut_off:
            self.cut_off = False
            for standing in self.standings.values():
                standing.forgive()
                if standing.due < float("inf"):
                    standing.hurry(now)
        self._dark_since = None

    def _list(self) -> Offered:
        turn = [self.standings[server] for server in self._turn.order if self.standings[server].usable]
        turn.sort(key=lambda one: one.second_choice or one.is_out_of_sight)
        if all(one.is_out_of_sight for one in turn):
            turn = []  # what nobody can see is no hope for people who have nothing else
        stun = [server for server in self._stun.order if self.standings[server].usable]
        reason = ""
        if self._turn.order and not turn:
            found = [self.standings[server].last for server in self._turn.order]
            reason = "; ".join(f"{one.server}: {one.reason}" for one in found[:3] if one) or "unknown"
        return Offered(
            tuple(Offer(one.server, one.login) for one in turn),
            # STUN costs nothing: if all seem to be down, clients may still try.
            tuple(Offer(server) for server in stun or self._stun.order),
            reason,
        )
