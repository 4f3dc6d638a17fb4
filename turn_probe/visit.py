"""A visit to a server: one address after the other, on to where it sends us, a relay from it, and that given back."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from . import turn
from .alternate import TRY_ALTERNATE, SentOn, Way
from .credentials import Credentials
from .events import Action, Connect, Connected, Resolve, Resolved, Send
from .exchange import Conversation, Failed, Talk, Timing
from .report import Report, Step, Verdict
from .turn import Address, Key
from .urls import Server, Transport

MAX_ADDRESSES = 3
FULL = (486, 508)  # RFC 8656: allocation quota reached, insufficient capacity
WRONG_LOGIN = (401, 441)
MISMATCH = 437
MORE_ATTEMPTS = 2  # RFC 8656 section 7.4: from other ports, and not without end
# Of addresses of which none is of use the one counts that says most about the server: the last of these.
TELLING = (Verdict.OWN_NETWORK_BROKEN, Verdict.DOWN, Verdict.TLS_ERROR, Verdict.CERTIFICATE_EXPIRED)


@dataclass(frozen=True, slots=True)
class _Attempt:
    """What became of one address."""

    failed: Failed
    address: Address
    steps: list[Step]


class Visit(Conversation[Report]):
    """`ipv6`: the family of the relay to ask for; None: that of the server's own address."""

    def __init__(
        self,
        server: Server,
        logins: Sequence[Credentials],
        timing: Timing,
        random: Callable[[int], bytes],
        *,
        ipv6: bool | None = False,
    ) -> None:
        super().__init__(timing, random, streams=server.transport is not Transport.UDP)
        self._server, self._logins, self._ipv6 = server, logins, ipv6
        self._asked = server  # the one that is asked now
        self._address: Address | None = None
        self._first_patience = math.inf  # with the first question at an address
        self._login: int | None = None
        self._open = False
        self._owes = False  # there may be a relay to give back, even if we were not told of it
        self._mapped: Address | None = None
        self._relayed: Address | None = None
        self._round_trip: float | None = None
        self._loss: float | None = None

    def abandon(self) -> list[Action]:
        """What is still to be sent if nobody has time for the rest: the relay is given back."""
        self._talk.close()
        self.wake_at = math.inf
        return [self._goodbye()] if self._owes and self.report is None else []

    @abstractmethod
    def _use(self) -> Talk[None]:
        """Do at the server what it is for. Raises Failed, and SentOn."""

    def _from_top_to_bottom(self) -> Talk[Report]:
        verdict, reason = Verdict.UP, ""
        try:
            addresses = yield from self._resolve()
            yield from self._try_each(addresses)
            if self._open:
                verdict, reason = Verdict.OPEN_RELAY, "it relays for people without credentials"
        except Failed as failed:
            verdict, reason = failed.verdict, failed.reason
        if self._owes and not self._gone:
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
            0.0 if self._heard_at is None else self._now - self._heard_at,
        )

    # ------------------------------------------------------------------------------------------------ to get there

    def _resolve(self) -> Talk[Sequence[Address]]:
        with self._step("resolve"):
            self._actions.append(Resolve(self._server.host, self._server.port))
            resolved = yield from self._wait_for(Resolved, self._timing.resolve, "the name was not resolved")
            if not resolved.addresses:
                raise Failed(Verdict.DOWN, "the name has no address")
        return resolved.addresses[:MAX_ADDRESSES]

    def _try_each(self, addresses: Sequence[Address]) -> Talk[None]:
        """Go to the first address where somebody answers; over UDP nothing else shows that there is somebody."""
        before, attempts = list(self._steps), list[_Attempt]()
        for address in addresses:
            share = 1 if address == addresses[-1] else len(addresses)  # so that a silent one leaves time for the others
            self._first_patience = self._timing.exchange / share
            self._steps, self._heard, self._address = list(before), False, address
            try:
                with self._step("connect"):
                    yield from self._connect(address, self._timing.connect / share)
                yield from self._go_where_it_sends_us(address)
                return
            except Failed as failed:
                if self._heard:
                    raise
                attempts.append(_Attempt(failed, address, self._steps))
                if self._now >= self._ends_at:
                    break
        told = max(attempts, key=lambda attempt: TELLING.index(attempt.failed.verdict))
        self._address, self._steps = told.address, told.steps
        raise told.failed

    def _connect(self, address: Address, patience: float) -> Talk[None]:
        self._forget_frames()
        self._actions.append(Connect(address, self._asked))
        yield from self._wait_for(Connected, patience, "no connection")

    def _go_where_it_sends_us(self, address: Address) -> Talk[None]:
        way = Way(self._server, address)
        while True:
            try:
                yield from self._use()
                return
            except SentOn as sent_on:
                with self._step("redirect"):
                    way.follow(sent_on.reply)
                    self._asked, self._address = way.server, way.address
                    self._key = None  # a realm and a nonce are one server's
                    yield from self._connect(way.address, self._timing.connect)

    # ------------------------------------------------------------------------------------------------- to get a relay

    def _get_relay(self) -> Talk[None]:
        with self._step("challenge"):
            reply = yield from self._ask_for_relay(self._first_patience)
            if not reply.code:
                self._open = True
                self._allocated(reply)
            elif reply.code not in WRONG_LOGIN:
                raise refusal(reply)
            elif not reply.realm or not reply.nonce:
                raise Failed(Verdict.DOWN, "it asks for credentials without a realm or a nonce")
        if not self._open:
            with self._step("allocate"):
                yield from self._log_in(reply)

    def _log_in(self, challenge: turn.Reply) -> Talk[None]:
        realm, nonce = challenge.realm, challenge.nonce
        refused = "there are no credentials for it"
        for number, login in enumerate(self._logins):
            self._key = Key(login.username, login.password, realm, nonce)
            self._owes = True  # over UDP whatever we hear, or do not hear
            reply = yield from self._ask_for_relay()
            self._owes = not reply.code
            if reply.code not in WRONG_LOGIN:
                self._login = number  # it looks at the login first (RFC 8656 section 7.2)
                if reply.code:
                    raise refusal(reply)
                self._allocated(reply)
                return
            refused, nonce = f"it refuses our credentials ({reply.code})", reply.nonce or nonce
        raise Failed(Verdict.CREDENTIAL_ERROR, refused)

    def _allocate(self, id: bytes) -> bytes:
        ipv6 = self._address is not None and ":" in self._address[0] if self._ipv6 is None else self._ipv6
        return turn.allocate(id, self._key, ipv6=ipv6)

    def _ask_for_relay(self, patience: float = math.inf) -> Talk[turn.Reply]:
        reply = yield from self._ask_again_when_stale(self._allocate, patience)
        for _ in range(MORE_ATTEMPTS):
            if reply.code != MISMATCH or self._address is None:
                break
            # The kernel gave us the port of an earlier probe, which the server has not forgotten yet.
            yield from self._connect(self._address, self._timing.connect)
            reply = yield from self._ask_again_when_stale(self._allocate)
        if reply.code == TRY_ALTERNATE:
            self._owes = False
            raise SentOn(reply)
        return reply

    def _allocated(self, reply: turn.Reply) -> None:
        self._owes = True
        if reply.relayed is None:
            raise Failed(Verdict.DOWN, "it allocates a relay without an address")
        self._relayed, self._mapped = reply.relayed, reply.mapped

    def _release(self) -> Talk[None]:
        """However it went: a relay that is not given back counts against a quota for ten minutes."""
        if self._relayed is None or self._now >= self._ends_at:
            self._actions.append(self._goodbye())  # and what is said to it is nothing to wait for
            return
        try:
            with self._step("release"):
                reply = yield from self._ask_again_when_stale(
                    lambda id: turn.release(id, self._key), self._timing.release
                )
                if reply.code:
                    raise refusal(reply)
        except Failed:
            return  # told in the step; the server will do it by itself

    def _goodbye(self) -> Send:
        return Send(turn.release(self._random(12), self._key))


def refusal(reply: turn.Reply) -> Failed:
    """What an error says about the server."""
    said = f"{reply.code} {reply.phrase}".strip()
    if reply.code in FULL:
        return Failed(Verdict.OVERLOADED, f"it has no room for one more ({said})")
    return Failed(Verdict.DOWN, f"it refuses ({said})")
