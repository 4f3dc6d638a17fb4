"""All servers together: who is probed when, which are handed out in which order, and when it is we who are cut off."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .ranking import Ranking
from .report import Report, Verdict
from .standing import Pace, Standing
from .urls import Server


@dataclass(frozen=True, slots=True)
class Offer:
    """A server to hand out. `login` is the number of the secret that it accepts."""

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
        self.counts: Counter[Verdict] = Counter()  # of probes, by what they found
        self.changes = 0  # of the list
        self.cut_off = False  # everything failed at once, so that the last list is kept
        self._turn = Ranking([server for server in self.standings if server.relays])
        self._stun = Ranking([server for server in self.standings if not server.relays])
        hosts = {server.host for server in self._turn.order}
        # Where no TURN server is, so that one machine that is down does not look like a network that is.
        self._neutral = [server for server in self._stun.order if server.host not in hosts]
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
        self.counts[report.verdict] += 1
        standing = self.standings[report.server]
        rounds = standing.measured
        standing.take(report, now)
        if standing.measured > rounds:
            ranking = self._turn if report.server.relays else self._stun
            times = {s: known.round_trip for s, known in self.standings.items() if known.round_trip is not None}
            ranking.measured(report.server, times)
        if report.server.relays and standing.failing_since is not None:
            self._ask_the_others(now, all_of_them=standing.failing_since == now)
        return self._look_again(network=network)

    def _ask_the_others(self, now: float, *, all_of_them: bool) -> None:
        """Is it the server, or is it we? Whoever else can tell is probed before it falls."""
        for server in self.standings if all_of_them else self._neutral:
            if self.standings[server].due < float("inf"):  # not being probed just now
                self.standings[server].hurry(now)

    def _look_again(self, *, network: bool) -> bool:
        turn = [self.standings[server] for server in self._turn.order]
        all_fail = bool(turn) and all(one.failing_since is not None for one in turn)
        self.cut_off = all_fail and not self.offered.lacks_turn and not self._others_are_reached(network=network)
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

    def _others_are_reached(self, *, network: bool) -> bool:
        """Whether something neutral answered after the last TURN server began to fail."""
        if not network:
            return False
        began = max(self.standings[server].failing_since or 0.0 for server in self._turn.order)
        neutral = [self.standings[server] for server in self._neutral]
        return not neutral or any(one.succeeded_at is not None and one.succeeded_at >= began for one in neutral)

    def _list(self) -> Offered:
        turn = [self.standings[server] for server in self._turn.order if self.standings[server].usable]
        turn.sort(key=lambda one: one.state in (Verdict.OVERLOADED, Verdict.OPEN_RELAY))
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
