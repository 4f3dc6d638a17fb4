"""One probe of one server: what a client does there to talk through a relay, from top to bottom."""

from __future__ import annotations

import ipaddress
import math
import statistics
from collections.abc import Callable, Sequence

from . import turn
from .alternate import TRY_ALTERNATE, SentOn
from .credentials import Credentials
from .events import EchoFound, FindEcho, Mirroring, Received, Send, TimeUp
from .exchange import Failed, Talk, Timing, parsed
from .report import Verdict
from .turn import Address
from .urls import Server
from .visit import Visit, refusal

MAX_PEERS = 4  # that are tried
MAX_DENIED = 12  # and so many more may be denied, which takes no time
SEARCHES = 3  # how often we send to all of them until one answers
FORBIDDEN = 403


class Probe(Visit):
    """`mirror`: be the far end for another probe, whose relay is the peer: answer its checks until told `TimeUp`."""

    def __init__(
        self,
        server: Server,
        logins: Sequence[Credentials],
        timing: Timing,
        random: Callable[[int], bytes],
        *,
        ipv6: bool | None = False,
        mirror: bool = False,
    ) -> None:
        super().__init__(server, logins, timing, random, ipv6=ipv6)
        self._mirror = mirror

    def _use(self) -> Talk[None]:
        if not self._server.relays:
            yield from self._bind_once()
            return
        yield from self._get_relay()
        with self._step("bind"):
            channels, echo = yield from self._bind_channels()
        with self._step("echo"):
            yield from self._mirror_checks(channels, echo) if self._mirror else self._echo(channels, echo)

    def _bind_once(self) -> Talk[None]:
        with self._step("binding"):
            asked = self._now
            reply = yield from self._ask(turn.binding, None, self._first_patience)
            if reply.code == TRY_ALTERNATE:
                raise SentOn(reply)
            if reply.code:
                raise refusal(reply)
            if reply.mapped is None:
                raise Failed(Verdict.DOWN, "it does not say how it sees us")
            self._mapped, self._round_trip = reply.mapped, self._now - asked

    def _bind_channels(self) -> Talk[tuple[list[int], EchoFound]]:
        if self._relayed is None:
            raise Failed(Verdict.DOWN, "there is no relay")
        self._actions.append(FindEcho(self._relayed, self._mapped))
        echo = yield from self._wait_for(EchoFound, self._timing.whole, "there is nobody to send something back")
        peers = peers_for(echo.peers, ipv6=":" in self._relayed[0])
        if not peers:
            raise Failed(Verdict.OWN_NETWORK_BROKEN, "we have no address of the relay's family")
        bound, failure, tried = list[int](), None, 0
        patience = self._timing.exchange / min(len(peers), MAX_PEERS)  # one without an answer leaves time for others
        for channel, peer in enumerate(peers[: MAX_PEERS + MAX_DENIED], turn.FIRST_CHANNEL):
            if tried == MAX_PEERS:
                break
            tried += 1
            try:
                reply = yield from self._ask_again_when_stale(
                    lambda id, channel=channel, peer=peer: turn.bind(id, self._key, channel, peer),  # type: ignore[misc]
                    patience,
                )
            except Failed as failed:
                if self._gone or self._now >= self._ends_at:
                    raise
                failure = failure or failed
                continue
            if not reply.code:
                bound.append(channel)
            elif reply.code == FORBIDDEN:
                failure = Failed(Verdict.PEER_FORBIDDEN, f"it does not relay to {peer[0]} (403)")
                tried -= 1
            else:
                failure = failure or refusal(reply)
        if failure and not bound:
            raise failure
        return bound, echo

    def _echo(self, channels: Sequence[int], echo: EchoFound) -> Talk[None]:
        """Send a check to all peers, and the others to the one that answers first, as ICE does."""
        sent: dict[bytes, tuple[int, float]] = {}
        times: dict[int, list[float]] = {channel: [] for channel in channels}
        wanted = self._timing.echoes
        for number in range(wanted):
            searches = len(channels) > 1
            for channel in channels:
                id = self._random(12)
                sent[id] = channel, self._now
                check = turn.binding(id, f"{echo.ufrag}:probe", echo.password)
                self._actions.append(Send(turn.channel_data(channel, check)))
            is_last = number == (SEARCHES if searches else wanted) - 1
            pause = self._timing.echo if is_last else self._timing.resend if searches else self._timing.pace
            until = self._now + pause
            while self._now < min(until, self._ends_at) and max(map(len, times.values())) < wanted:
                event = yield from self._next(until)
                if isinstance(event, Received) and (id := _answered(event.data, echo)) in sent:
                    channel, at = sent.pop(id)
                    times[channel].append(max(0.0, self._now - at))
                    if searches:
                        channels = [channel]
                        break
            if is_last and len(channels) > 1:
                break
        best = max(times.values(), key=lambda found: (len(found), -sum(found)))
        self._loss = 1 - len(best) / wanted
        self._round_trip = statistics.median(best) if best else None
        if len(best) * 2 <= wanted:
            lost = "nothing" if not best else f"only {len(best)} of {wanted}"
            raise Failed(Verdict.RELAY_SILENT, f"{lost} came back through the relay")

    def _mirror_checks(self, channels: Sequence[int], echo: EchoFound) -> Talk[None]:
        if self._relayed is not None:
            self._actions.append(Mirroring(self._relayed))
        while self._now < self._ends_at:
            event = yield from self._next(math.inf)
            if isinstance(event, TimeUp):
                return
            if isinstance(event, Received) and isinstance(data := parsed(event.data), turn.ChannelData):
                answer = turn.answer_binding(data.payload, echo.peers[0], echo.password)
                if answer is not None and data.channel in channels:
                    self._actions.append(Send(turn.channel_data(data.channel, answer)))


def peers_for(peers: Sequence[Address], *, ipv6: bool) -> list[Address]:
    """Those of that family, first those that can be reached from everywhere."""
    family = [peer for peer in peers if (":" in peer[0]) is ipv6]
    return sorted(family, key=lambda peer: not ipaddress.ip_address(peer[0]).is_global)


def left_out_of(peers: Sequence[Address]) -> list[Address]:
    """Those that no relay is tried with unless it denies others."""
    return [peer for ipv6 in (False, True) for peer in peers_for(peers, ipv6=ipv6)[MAX_PEERS:]]


def _answered(data: bytes, echo: EchoFound) -> bytes:
    """Which check is answered by what came through the relay; empty if none."""
    found = parsed(data)
    if not isinstance(found, turn.ChannelData):
        return b""
    if not echo.signed and (id := turn.transaction_of(found.payload)) is not None:
        return id
    reply = parsed(found.payload)
    if isinstance(reply, turn.Reply) and (not echo.signed or reply.is_signed_with(echo.password)):
        return reply.transaction
    return b""
