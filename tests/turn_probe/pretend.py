"""A pretended TURN server without sockets, and a clock that jumps: a probe against it takes no time at all."""

from __future__ import annotations

import heapq
import itertools
import random
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from aioice import stun

from turn_probe import turn
from turn_probe.credentials import Credentials
from turn_probe.events import (
    Action,
    Broken,
    Connect,
    Connected,
    EchoFound,
    Event,
    FindEcho,
    Received,
    Resolve,
    Resolved,
    Send,
    TimeUp,
)
from turn_probe.exchange import Timing
from turn_probe.probe import Probe
from turn_probe.report import Report
from turn_probe.urls import Server, parse

UDP = parse("turn:turn.example:3478")
TCP = parse("turn:turn.example:3478?transport=tcp")
STUN = parse("stun:stun.example:3478")
REALM = "example.org"
PEER = ("203.0.113.9", 7882)
PEER6 = ("2001:db8::9", 7882)
LOGIN = Credentials("1:probe", "right")
WRONG = Credentials("1:probe", "wrong")
ECHO_PASSWORD = "the media port's"


@dataclass
class Pretended:
    """A server that does what it should, except for what a test changes; `refusals` are error codes by method."""

    passwords: Sequence[str] = ("right",)
    relayed: tuple[str, int] = ("198.51.100.1", 50_000)
    open: bool = False
    silent: bool = False
    deaf_to: int = 0  # so many datagrams are lost before the first that arrives
    relays: Callable[[int], bool] = lambda number: True  # which of the echoes come through
    stale_after_login: bool = False
    signs: bool = True
    forbidden: Sequence[str] = ()
    ignored: Sequence[str] = ()  # peers: who asks for them is not answered
    refusals: dict[int, int] = field(default_factory=dict)
    alternates: list[bytes] = field(default_factory=list)  # attributes of the 300 to each of the first questions
    sends_on_late: bool = False  # not before who asks has logged in
    delay: float = 0.010
    asked: list[stun.Message] = field(default_factory=list)
    heard: list[bytes] = field(default_factory=list)  # the same, with what aioice does not know
    allocations: int = 0
    nonce: bytes = b"n1"
    channels: dict[int, tuple[str, int]] = field(default_factory=dict)
    echoes: int = 0

    def answers(self, data: bytes) -> list[bytes]:
        """What it says to what arrived."""
        if self.deaf_to or self.silent:
            self.deaf_to = max(0, self.deaf_to - 1)
            return []
        if data[0] >> 6 == 1:
            return self._relay(data)
        request = stun.parse_message(data)
        self.asked.append(request)
        self.heard.append(data)
        if request.attributes.get("XOR-PEER-ADDRESS", ("",))[0] in self.ignored:
            return []
        if self.alternates and (not self.sends_on_late or "USERNAME" in request.attributes):
            return [_sent_on(request, self.alternates.pop(0))]
        code = self._refusal(request)
        response = stun.Message(
            request.message_method, stun.Class.ERROR if code else stun.Class.RESPONSE, request.transaction_id
        )
        if code:
            response.attributes["ERROR-CODE"] = (code, "Refused")
            if code in (401, 438):
                response.attributes |= {"REALM": REALM, "NONCE": self.nonce}
        else:
            self._serve(request, response)
            if self.signs and "USERNAME" in request.attributes:
                response.add_message_integrity(self._key(request, self.passwords[0]))
        return [bytes(response)]

    def _refusal(self, request: stun.Message) -> int:
        if request.message_method == stun.Method.BINDING:
            return 0
        if not self.open:
            if "USERNAME" not in request.attributes:
                return self.refusals.get(0, 401)
            if request.attributes["NONCE"] != self.nonce:
                return 438
            if not any(request.check_message_integrity(self._key(request, known)) for known in self.passwords):
                return 401
        code = self.refusals.get(request.message_method, 0)
        peer = request.attributes.get("XOR-PEER-ADDRESS")
        return code or (403 if peer and peer[0] in self.forbidden else 0)

    def _serve(self, request: stun.Message, response: stun.Message) -> None:
        match request.message_method:
            case stun.Method.BINDING:
                response.attributes["XOR-MAPPED-ADDRESS"] = ("192.0.2.7", 4000)
            case stun.Method.ALLOCATE:
                self.allocations += 1
                response.attributes["XOR-RELAYED-ADDRESS"] = self.relayed
                response.attributes["XOR-MAPPED-ADDRESS"] = ("192.0.2.7", 4000)
                if self.stale_after_login:
                    self.nonce = b"n2"
            case stun.Method.CHANNEL_BIND:
                self.channels[request.attributes["CHANNEL-NUMBER"]] = request.attributes["XOR-PEER-ADDRESS"]
            case stun.Method.REFRESH:
                assert request.attributes["LIFETIME"] == 0
                self.allocations -= 1

    def _key(self, request: stun.Message, password: str) -> bytes:
        name = request.attributes["USERNAME"]
        return turn.Key(name, password, REALM, b"").secret

    def _relay(self, data: bytes) -> list[bytes]:
        sent = turn.parse(data)
        assert isinstance(sent, turn.ChannelData)
        self.echoes += 1
        if sent.channel not in self.channels or not self.relays(self.echoes):
            return []
        answer = turn.answer_binding(sent.payload, self.relayed, ECHO_PASSWORD)
        return [turn.channel_data(sent.channel, answer)] if answer else []


def alternate(host: str, port: int, domain: str = "") -> bytes:
    """The attributes that name another server."""
    address = attribute(0x8023, stun.pack_address((host, port)))
    return address + (attribute(0x8003, domain.encode()) if domain else b"")


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute of a STUN message."""
    return struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)


def _sent_on(request: stun.Message, attributes: bytes) -> bytes:
    response = stun.Message(request.message_method, stun.Class.ERROR, request.transaction_id)
    response.attributes["ERROR-CODE"] = (300, "Try Alternate")
    message = bytes(response)
    return message[:2] + struct.pack("!H", len(message) - 20 + len(attributes)) + message[4:] + attributes


class Drive:
    """Carries a probe out against a server that only pretends; `now` is its clock."""

    def __init__(self, probe: Probe, server: Pretended, *, echo: EchoFound | None = None) -> None:
        self.now = 100.0
        self.probe = probe
        self._server = server
        self._echo = echo or EchoFound([PEER], "echo", ECHO_PASSWORD)
        self._coming: list[tuple[float, int, Event]] = []
        self._numbers = itertools.count()
        self._latest = self.now
        self.connects: Callable[[Connect], Event] = lambda connect: Connected()
        self.resolved: Event = Resolved([("192.0.2.1", 3478)])

    def run(self) -> Report:
        """To the end, which comes in time whatever the server does."""
        self.run_until(lambda: self.probe.report is not None)
        return self.go_on()

    def run_until(self, enough: Callable[[], bool]) -> None:
        """No further than that."""
        self._latest = self.now + 5.001
        self._do(self.probe.begin(self.now))
        self._go_on_until(enough)

    def go_on(self) -> Report:
        """To the end from there."""
        self._go_on_until(lambda: self.probe.report is not None)
        assert self.probe.report
        return self.probe.report

    def _go_on_until(self, enough: Callable[[], bool]) -> None:
        while not enough():
            if self._coming and self._coming[0][0] <= self.probe.wake_at:
                self.now, _, event = heapq.heappop(self._coming)
            else:
                self.now, event = max(self.now, self.probe.wake_at), TimeUp()
            self._do(self.probe.handle(event, self.now))
            assert self.now < self._latest, "a probe has an end"

    def _do(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Resolve():
                    self.come(0.001, self.resolved)
                case Connect():
                    self.come(0.001, self.connects(action))
                case FindEcho():
                    self.come(0.0, self._echo)
                case Send(data):
                    for answer in self._server.answers(data):
                        self.come(self._server.delay, Received(answer))

    def come(self, delay: float, event: Event) -> None:
        """Let something happen `delay` seconds from now."""
        heapq.heappush(self._coming, (self.now + delay, next(self._numbers), event))


def drive_of(
    pretended: Pretended,
    *,
    server: Server = UDP,
    logins: Sequence[Credentials] = (LOGIN,),
    echo: EchoFound | None = None,
    connects: Callable[[Connect], Event] | None = None,
    resolved: Event | None = None,
    ipv6: bool | None = False,
) -> Drive:
    """A probe of a pretended server that is about to begin."""
    drive = Drive(Probe(server, logins, Timing(), random.Random(7).randbytes, ipv6=ipv6), pretended, echo=echo)
    drive.connects = connects or drive.connects
    drive.resolved = resolved or drive.resolved
    return drive


def probed(pretended: Pretended, **differences: Any) -> Report:
    """What a probe finds of a pretended server; `differences` as for `drive_of`."""
    return drive_of(pretended, **differences).run()


def broken(verdict: object, reason: str = "broken") -> Broken:
    """A connection that ended."""
    return Broken(verdict, reason)  # type: ignore[arg-type]
