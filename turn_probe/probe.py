"""One probe of one server: each step that a client takes to talk through a relay, from top to bottom."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from . import turn
from .alternate import TRY_ALTERNATE, SentOn, Way
from .events import (
    Action,
    Connect,
    Connected,
    EchoFound,
    FindEcho,
    Mirroring,
    Received,
    Resolve,
    Resolved,
    Send,
    TimeUp,
)
from .exchange import Conversation, Failed, Talk, Timing, parsed
from .report import Report, Verdict
from .turn import Address, Key
from .urls import Server, Transport

MAX_PEERS = 4
MAX_ADDRESSES = 3
FULL = (486, 508)  # RFC 8656: allocation quota reached, insufficient capacity
WRONG_LOGIN = (401, 441)
FORBIDDEN = 403
MISMATCH = 437
MORE_ATTEMPTS = 2  # RFC 8656 section 7.4: from other ports, and not without end


@dataclass(frozen=True, slots=True)
class Login:
    """Credentials to try."""

    username: str
    password: str


class Probe(Conversation[Report]):
    """`ipv6`: the family of the relay to ask for; None: that of the server's own address.

    `mirror`: be the far end for another probe, whose relay is the peer: answer its checks until told `TimeUp`.
    """

    def __init__(
        self,
        server: Server,
        logins: Sequence[Login],
        timing: Timing,
        random: Callable[[int], bytes],
        *,
        ipv6: bool | None = False,
        mirror: bool = False,
    ) -> None:
        super().__init__(timing, random, streams=server.transport is not Transport.UDP)
        self._server, self._logins = server, logins
        self._asked = server  # the one that is asked now
        self._ipv6, self._mirror = ipv6, mirror
        self._address: Address | None = None
        self._login = 0
        self._open = False
        self._mapped: Address | None = None
        self._relayed: Address | None = None
        self._round_trip: float | None = None
        self._loss: float | None = None

    def abandon(self) -> list[Action]:
        """What is still to be sent if nobody has time for the rest: the relay is given back."""
        self._talk.close()
        self.wake_at = math.inf
        return [self._goodbye()] if self._relayed and self.report is None else []

    def _from_top_to_bottom(self) -> Talk[Report]:
        verdict, reason = Verdict.UP, ""
        try:
            yield from self._reach()
            yield from self._use()
            if self._open:
                verdict, reason = Verdict.OPEN_RELAY, "it relays for people without credentials"
        except Failed as failed:
            verdict, reason = failed.verdict, failed.reason
        if self._relayed and not self._gone:
            yield from self._release()
        return Report(
            self._server,
            verdict,
            reason,
            tuple(self._steps),
            self._address,
            self._mapped,
            self._relayed,
            self._login,
            self._round_trip,
            self._loss,
        )

    def _reach(self) -> Talk[None]:
        with self._step("resolve"):
            self._actions.append(Resolve(self._server.host, self._server.port))
            resolved = yield from self._wait_for(Resolved, self._timing.resolve, "the name was not resolved")
            if not resolved.addresses:
                raise Failed(Verdict.DOWN, "the name has no address")
        with self._step("connect"):
            tried = [*resolved.addresses[:MAX_ADDRESSES]]
            for address in tried:
                self._actions.append(Connect(address, self._asked))
                self._address = address
                try:
                    yield from self._wait_for(Connected, self._timing.connect, "no connection")
                except Failed:
                    if address == tried[-1] or self._now >= self._ends_at:
                        raise
                else:
                    break

    def _use(self) -> Talk[None]:
        """Do what it is for, wherever it sends us."""
        if self._address is None:
            raise Failed(Verdict.DOWN, "it has no address")
        way = Way(self._server, self._address)
        while True:
            try:
                yield from self._relay() if self._server.relays else self._bind_once()
                return
            except SentOn as sent_on:
                with self._step("redirect"):
                    way.follow(sent_on.reply)
                    self._asked, self._address = way.server, way.address
                    self._key = None  # a realm and a nonce are one server's
                    yield from self._connect_anew(way.address)

    def _connect_anew(self, address: Address) -> Talk[None]:
        self._forget_frames()
        self._actions.append(Connect(address, self._asked))
        yield from self._wait_for(Connected, self._timing.connect, "no connection")

    def _bind_once(self) -> Talk[None]:
        with self._step("binding"):
            asked = self._now
            reply = yield from self._ask(turn.binding, None)
            if reply.code == TRY_ALTERNATE:
                raise SentOn(reply)
            if reply.code:
                raise _refusal(reply)
            if reply.mapped is None:
                raise Failed(Verdict.DOWN, "it does not say how it sees us")
            self._mapped, self._round_trip = reply.mapped, self._now - asked

    def _relay(self) -> Talk[None]:
        with self._step("challenge"):
            reply = yield from self._ask_for_relay()
            if not reply.code:
                self._open = True
                self._allocated(reply)
            elif reply.code not in WRONG_LOGIN:
                raise _refusal(reply)
            elif not reply.realm or not reply.nonce:
                raise Failed(Verdict.DOWN, "it asks for credentials without a realm or a nonce")
        if not self._open:
            with self._step("allocate"):
                yield from self._log_in(reply)
        with self._step("bind"):
            channels = yield from self._bind_channels()
        with self._step("echo"):
            yield from self._mirror_checks(*channels) if self._mirror else self._echo(*channels)

    def _log_in(self, challenge: turn.Reply) -> Talk[None]:
        realm, nonce = challenge.realm, challenge.nonce
        refused = "there are no credentials for it"
        for number, login in enumerate(self._logins):
            self._key = Key(login.username, login.password, realm, nonce)
            reply = yield from self._ask_for_relay()
            if not reply.code:
                self._login = number
                self._allocated(reply)
                return
            if reply.code not in WRONG_LOGIN:
                raise _refusal(reply)
            refused, nonce = f"it refuses our credentials ({reply.code})", reply.nonce or nonce
        raise Failed(Verdict.CREDENTIAL_ERROR, refused)

    def _allocate(self, id: bytes) -> bytes:
        ipv6 = self._address is not None and ":" in self._address[0] if self._ipv6 is None else self._ipv6
        return turn.allocate(id, self._key, ipv6=ipv6)

    def _ask_for_relay(self) -> Talk[turn.Reply]:
        reply = yield from self._ask_again_when_stale(self._allocate)
        for _ in range(MORE_ATTEMPTS):
            if reply.code != MISMATCH or self._address is None:
                break
            # The kernel gave us the port of an earlier probe, which the server has not forgotten yet.
            yield from self._connect_anew(self._address)
            reply = yield from self._ask_again_when_stale(self._allocate)
        if reply.code == TRY_ALTERNATE:
            raise SentOn(reply)
        return reply

    def _allocated(self, reply: turn.Reply) -> None:
        if reply.relayed is None:
            raise Failed(Verdict.DOWN, "it allocates a relay without an address")
        self._relayed, self._mapped = reply.relayed, reply.mapped

    def _bind_channels(self) -> Talk[tuple[list[int], EchoFound]]:
        if self._relayed is None:
            raise Failed(Verdict.DOWN, "there is no relay")
        self._actions.append(FindEcho(self._relayed, self._mapped))
        echo = yield from self._wait_for(EchoFound, self._timing.whole, "there is nobody to send something back")
        peers = [peer for peer in echo.peers if (":" in peer[0]) is (":" in self._relayed[0])][:MAX_PEERS]
        if not peers:
            raise Failed(Verdict.OWN_NETWORK_BROKEN, "we have no address of the relay's family")
        bound, refusal = [], None
        patience = self._timing.exchange / len(peers)  # so that one that gets no answer leaves time for the others
        for channel, peer in enumerate(peers, turn.FIRST_CHANNEL):
            try:
                reply = yield from self._ask_again_when_stale(
                    lambda id, channel=channel, peer=peer: turn.bind(id, self._key, channel, peer),  # type: ignore[misc]
                    patience,
                )
            except Failed as failed:
                if self._gone or self._now >= self._ends_at:
                    raise
                refusal = refusal or failed
                continue
            if not reply.code:
                bound.append(channel)
            elif reply.code == FORBIDDEN:
                refusal = Failed(Verdict.PEER_FORBIDDEN, f"it does not relay to {peer[0]} (403)")
            else:
                refusal = refusal or _refusal(reply)
        if refusal and not bound:
            raise refusal
        return bound, echo

    def _echo(self, channels: Sequence[int], echo: EchoFound) -> Talk[None]:
        """Send checks to all peers and believe the one that answers best, as ICE does."""
        sent: dict[bytes, tuple[int, float]] = {}
        times: dict[int, list[float]] = {channel: [] for channel in channels}
        wanted = self._timing.echoes
        for number in range(wanted):
            for channel in channels:
                id = self._random(12)
                sent[id] = channel, self._now
                check = turn.binding(id, f"{echo.ufrag}:probe", echo.password)
                self._actions.append(Send(turn.channel_data(channel, check)))
            until = self._now + (self._timing.pace if number < wanted - 1 else self._timing.echo)
            while self._now < min(until, self._ends_at) and max(map(len, times.values())) < wanted:
                event = yield from self._next(until)
                if isinstance(event, Received) and (id := _answered(event.data, echo)) in sent:
                    channel, at = sent.pop(id)
                    times[channel].append(max(0.0, self._now - at))
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

    def _release(self) -> Talk[None]:
        """However it went: a relay that is not given back counts against a quota for ten minutes."""
        self._ends_at = self._now + self._timing.release
        try:
            with self._step("release"):
                reply = yield from self._ask_again_when_stale(lambda id: turn.release(id, self._key))
                if reply.code:
                    raise _refusal(reply)
        except Failed:
            return  # told in the step; the server will do it by itself

    def _goodbye(self) -> Send:
        return Send(turn.release(self._random(12), self._key))


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


def _refusal(reply: turn.Reply) -> Failed:
    said = f"{reply.code} {reply.phrase}".strip()
    if reply.code in FULL:
        return Failed(Verdict.OVERLOADED, f"it has no room for one more ({said})")
    return Failed(Verdict.DOWN, f"it refuses ({said})")
