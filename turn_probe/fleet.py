"""All servers together: who is probed when, and which are handed out in which order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from .own_network import OwnNetwork
from .ranking import Ranking
from .report import Report
from .standing import Pace, Standing
from .urls import Server


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
        self._own_network = OwnNetwork(self.standings, pace)
        self._turn = Ranking([server for server in self.standings if server.relays])
        self._stun = Ranking([server for server in self.standings if not server.relays])
        self.offered = self._list()

    @property
    def cut_off(self) -> bool:
        """Whether nothing answers any more, so that the last list is kept."""
        return self._own_network.cut_off

    # ----------------------------------------------------------------------------------------------- when to probe

    @property
    def next_due(self) -> float:
        """When somebody is due next."""
        return min((standing.due for standing in self.standings.values()), default=float("inf"))

    def due(self, now: float, most: int | None = None) -> list[Server]:
        """Whom to probe now, `most` of them at most; they are not due again before their report.

        Those that clients are told of come first: who has fallen can wait.
        """
        waiting = [standing for standing in self.standings.values() if standing.due <= now]
        found = sorted(waiting, key=lambda standing: (not standing.usable, standing.due))[:most]
        for standing in found:
            standing.due = float("inf")
        return [standing.server for standing in found]

    # ---------------------------------------------------------------------------------------------- what is learned

    def take(self, report: Report, now: float, *, network: bool = True) -> bool:
        """Learn from a probe that ended now; True if another list is handed out from now on.

        `network`: whether this machine has a way to the network at all.
        """
        standing, lacks_turn = self.standings[report.server], self.offered.lacks_turn
        self._own_network.hear(report, now, network=network, lacks_turn=lacks_turn)
        rounds = standing.measured
        standing.take(report, now, condemn=not self._own_network.is_suspect(standing, now, lacks_turn=lacks_turn))
        if standing.measured > rounds:
            ranking = self._turn if report.server.relays else self._stun
            times = {s: known.round_trip for s, known in self.standings.items() if known.round_trip is not None}
            ranking.measured(report.server, times)
        if standing.in_trouble_since == now:
            self._ask(self.standings, now)
        elif standing.is_falling and report.server.relays:
            self._ask(self._own_network.neutral, now)
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
