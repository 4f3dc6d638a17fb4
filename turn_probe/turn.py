"""STUN and TURN messages: the only file of the package that imports aioice, behind strict parsers and one exception."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, field

from aioice import stun

Address = tuple[str, int]  # an IP address as text, and a port

FIRST_CHANNEL = 0x4000  # RFC 8656 section 12 leaves 0x4000 to 0x4FFF to clients
_UDP = 17 << 24
_COOKIE = b"\x21\x12\xa4\x42"
_HEADER_BYTES = 20
# No message that we cause is larger; a server that announces more would have us buffer it.
MAX_MESSAGE_BYTES = 4096
# aioice does not know these (RFC 8489 sections 14.15 and 14.16), nor the next (RFC 8656 section 18.6).
_ALTERNATE_SERVER, _ALTERNATE_DOMAIN = 0x8023, 0x8003
_FAMILY: stun.AttributeEntry = (0x0017, "REQUESTED-ADDRESS-FAMILY", lambda value: bytes([value, 0, 0, 0]), bytes)
stun.ATTRIBUTES_BY_NAME.setdefault(_FAMILY[1], _FAMILY)


class TurnError(Exception):
    """The bytes are not what a STUN or TURN server sends."""


@dataclass(frozen=True, slots=True)
class Key:
    """A login at a realm, and the nonce that the server wants to see next."""

    username: str
    password: str = field(repr=False)
    realm: str
    nonce: bytes

    @property
    def secret(self) -> bytes:
        """RFC 8489 section 9.2.2: what signs messages under long-term credentials."""
        text = f"{self.username}:{self.realm}:{self.password}"
        return hashlib.md5(text.encode(), usedforsecurity=False).digest()


@dataclass(frozen=True, slots=True)
class Reply:
    """A response. `code` is 0 for a success; what the server did not say is None or empty."""

    transaction: bytes
    code: int
    phrase: str
    realm: str
    nonce: bytes
    relayed: Address | None
    mapped: Address | None
    alternate: Address | None  # of the server to ask instead
    domain: str  # for which the alternate's certificate is, if another one than ours
    _message: stun.Message

    def is_signed_by(self, key: Key) -> bool:
        """Whether MESSAGE-INTEGRITY is there and made with `key`."""
        return self._message.check_message_integrity(key.secret)

    def is_signed_with(self, password: str) -> bool:
        """The same for short-term credentials, as ICE has them."""
        return self._message.check_message_integrity(password.encode())


@dataclass(frozen=True, slots=True)
class ChannelData:
    """What a peer sent to the relay, on a channel of ours."""

    channel: int
    payload: bytes


# ------------------------------------------------------------------------------------------------------------ reading


def parse(frame: bytes) -> Reply | ChannelData | None:
    """Read one message; None for one that is neither a response nor channel data. Raises TurnError."""
    if len(frame) >= 4 and frame[0] >> 6 == 1:
        channel, length = struct.unpack_from("!HH", frame)
        if len(frame) < 4 + length:
            raise TurnError("channel data is cut short")
        return ChannelData(channel, frame[4 : 4 + length])
    message = _parse(frame)
    if message.message_class not in (stun.Class.RESPONSE, stun.Class.ERROR):
        return None
    found = message.attributes
    code, phrase = found.get("ERROR-CODE", (0, ""))
    if (message.message_class is stun.Class.ERROR) is not bool(code):
        raise TurnError("an error without a code, or a code without an error")
    return Reply(
        transaction=message.transaction_id,
        code=code,
        phrase="".join(char for char in phrase[:80] if char.isprintable()),
        realm=found.get("REALM", ""),
        nonce=found.get("NONCE", b""),
        relayed=found.get("XOR-RELAYED-ADDRESS"),
        mapped=found.get("XOR-MAPPED-ADDRESS") or found.get("MAPPED-ADDRESS"),
        alternate=_address(_attribute(frame, _ALTERNATE_SERVER)),
        domain=_attribute(frame, _ALTERNATE_DOMAIN).decode("ascii", "replace"),
        _message=message,
    )


def _attribute(frame: bytes, wanted: int) -> bytes:
    """The value of the first attribute of this type; empty if there is none. `frame` is one that could be parsed."""
    at = _HEADER_BYTES
    while at + 4 <= len(frame):
        kind, length = struct.unpack_from("!HH", frame, at)
        if kind == wanted:
            return frame[at + 4 : at + 4 + length]
        at += 4 + length + -length % 4
    return b""


def _address(value: bytes) -> Address | None:
    try:
        return stun.unpack_address(value) if value else None
    except ValueError as error:
        raise TurnError(str(error)) from None


def transaction_of(datagram: bytes) -> bytes | None:
    """The transaction id of a binding request, as an echo server sends it back; None if it is something else."""
    whole = len(datagram) >= _HEADER_BYTES and datagram[4:8] == _COOKIE
    return datagram[8:20] if whole and datagram[:2] == b"\0\1" else None


def answer_binding(datagram: bytes, source: Address, password: str) -> bytes | None:
    """The answer to a binding request that is signed with `password`; None for anything else."""
    try:
        request = _parse(datagram)
    except TurnError:
        return None
    kind = request.message_method | request.message_class
    if kind != stun.Method.BINDING or not request.check_message_integrity(password.encode()):
        return None
    response = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, request.transaction_id)
    response.attributes["XOR-MAPPED-ADDRESS"] = source
    response.add_message_integrity(password.encode())
    return bytes(response)


def _parse(frame: bytes) -> stun.Message:
    if frame[4:8] != _COOKIE:
        raise TurnError("no STUN message")
    try:
        return stun.parse_message(frame)
    # aioice documents ValueError; broken attributes also leak these.
    except (ValueError, struct.error, IndexError, KeyError) as error:
        raise TurnError(str(error)) from None


class Frames:
    """Cuts what arrives over TCP into messages (RFC 8656 section 12.5: channel data is padded to four bytes)."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that are complete now. Raises TurnError for what can be none."""
        self._buffer += data
        found = []
        while len(self._buffer) >= 4:
            kind, length = self._buffer[0] >> 6, struct.unpack_from("!H", self._buffer, 2)[0]
            if kind > 1 or length > MAX_MESSAGE_BYTES:
                raise TurnError("what it sends is no TURN")
            size = 4 + length + -length % 4 if kind else _HEADER_BYTES + length
            if len(self._buffer) < size:
                break
            found.append(self._buffer[:size])
            self._buffer = self._buffer[size:]
        return found


# ------------------------------------------------------------------------------------------------------------ writing


def allocate(transaction: bytes, key: Key | None, *, ipv6: bool = False) -> bytes:
    """Ask for a relay, with credentials or without."""
    request = stun.Message(stun.Method.ALLOCATE, stun.Class.REQUEST, transaction)
    request.attributes["REQUESTED-TRANSPORT"] = _UDP
    if ipv6:
        request.attributes["REQUESTED-ADDRESS-FAMILY"] = stun.IPV6_PROTOCOL
    return _signed(request, key)


def bind(transaction: bytes, key: Key | None, channel: int, peer: Address) -> bytes:
    """Give `peer` leave to send to the relay, and a channel."""
    request = stun.Message(stun.Method.CHANNEL_BIND, stun.Class.REQUEST, transaction)
    request.attributes["CHANNEL-NUMBER"] = channel
    request.attributes["XOR-PEER-ADDRESS"] = peer
    return _signed(request, key)


def release(transaction: bytes, key: Key | None) -> bytes:
    """Give the relay back."""
    request = stun.Message(stun.Method.REFRESH, stun.Class.REQUEST, transaction)
    request.attributes["LIFETIME"] = 0
    return _signed(request, key)


def binding(transaction: bytes, username: str = "", password: str = "") -> bytes:
    """Ask how we are seen; with a username it is a check as ICE has them, which the media port answers."""
    request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST, transaction)
    if username:
        request.attributes["USERNAME"] = username
        request.add_message_integrity(password.encode())
    return bytes(request)


def channel_data(channel: int, payload: bytes) -> bytes:
    """Have the relay send `payload` to the peer of `channel`. The padding is wanted over TCP and harmless over UDP."""
    return struct.pack("!HH", channel, len(payload)) + payload + bytes(-len(payload) % 4)


def _signed(request: stun.Message, key: Key | None) -> bytes:
    if key is not None:
        request.attributes["USERNAME"] = key.username
        request.attributes["REALM"] = key.realm
        request.attributes["NONCE"] = key.nonce
        request.add_message_integrity(key.secret)
    return bytes(request)
