"""STUN binding messages: the only file here that imports aioice, behind one strict parser and one exception."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from aioice import stun

BINDING_REQUEST = 0x0001
BINDING_RESPONSE = 0x0101
ROLE_CONFLICT = 487
_MAGIC_COOKIE = b"\x21\x12\xa4\x42"
_HEADER_BYTES = 20
_USERNAME = b"\x00\x06"
# Browsers send it first. A larger number would let strangers have us walk further.
_MOST_BEFORE_USERNAME = 8


class StunError(Exception):
    """The bytes are no STUN message that we can use."""


@dataclass(frozen=True, slots=True)
class Binding:
    """A parsed binding request or success response. `username` is "local:remote" from the receiver's view."""

    is_request: bool
    transaction_id: bytes
    username: str
    priority: int
    use_candidate: bool
    controlled: bool
    _message: stun.Message

    def is_authentic(self, password: str) -> bool:
        """Whether MESSAGE-INTEGRITY is there and made with `password`."""
        return self._message.check_message_integrity(password.encode())


def username_of(datagram: bytes) -> str:
    """The ufrag of ours that a binding request names; "" if it is another message. Raises StunError.

    This is what a flood of strangers costs, so it looks at a few bytes: nothing is decoded and nothing verified.
    """
    # RFC 8489 section 5: the field "MUST contain the fixed value 0x2112A442"; aioice does not look.
    if datagram[4:8] != _MAGIC_COOKIE:
        raise StunError("no magic cookie")
    size = len(datagram)
    if size < _HEADER_BYTES or datagram[2] << 8 | datagram[3] != size - _HEADER_BYTES:
        raise StunError("not as long as it says")
    if datagram[:2] != b"\x00\x01":
        return ""
    at = _HEADER_BYTES
    for _ in range(_MOST_BEFORE_USERNAME):
        if at + 4 > size:
            return ""
        length = datagram[at + 2] << 8 | datagram[at + 3]
        if datagram[at : at + 2] == _USERNAME:
            return datagram[at + 4 : at + 4 + length].partition(b":")[0].decode("ascii", "replace")
        at += 4 + length + -length % 4
    return ""


def parse(datagram: bytes) -> Binding:
    """Parse a binding request or response. Raises StunError on anything else; checks no integrity."""
    if datagram[4:8] != _MAGIC_COOKIE:
        raise StunError("no magic cookie")
    try:
        message = stun.parse_message(datagram)
    # aioice documents ValueError; broken attributes also leak these (found by fuzzing aioice 0.13).
    except (ValueError, struct.error, IndexError, KeyError) as error:
        raise StunError(str(error)) from None
    kind = message.message_method | message.message_class
    if kind not in (BINDING_REQUEST, BINDING_RESPONSE):
        raise StunError(f"message type {kind:#06x}")
    attributes = message.attributes
    return Binding(
        is_request=kind == BINDING_REQUEST,
        transaction_id=message.transaction_id,
        username=attributes.get("USERNAME", ""),
        priority=attributes.get("PRIORITY", 0),
        use_candidate="USE-CANDIDATE" in attributes,
        controlled="ICE-CONTROLLED" in attributes,
        _message=message,
    )


def success_response(request: Binding, source: tuple[str, int], password: str) -> bytes:
    """The answer to an authentic request that came from `source` (address, port)."""
    response = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, request.transaction_id)
    response.attributes["XOR-MAPPED-ADDRESS"] = source
    response.add_message_integrity(password.encode())
    return bytes(response)


def role_conflict_response(request: Binding, password: str) -> bytes:
    """RFC 8445 section 7.3.1.1: we are lite, so always controlled; a peer that also is must switch."""
    response = stun.Message(stun.Method.BINDING, stun.Class.ERROR, request.transaction_id)
    response.attributes["ERROR-CODE"] = (ROLE_CONFLICT, "Role Conflict")
    response.add_message_integrity(password.encode())
    return bytes(response)


def binding_request(
    transaction_id: bytes,
    username: str,
    password: str,
    priority: int,
    tie_breaker: int,
    *,
    nominate: bool = False,
    controlling: bool = True,
) -> bytes:
    """A connectivity check (RFC 8445 section 7.2.2); `username` is "remote:local" from the sender's view."""
    request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST, transaction_id)
    request.attributes["USERNAME"] = username
    request.attributes["PRIORITY"] = priority
    request.attributes["ICE-CONTROLLING" if controlling else "ICE-CONTROLLED"] = tie_breaker
    if nominate:
        request.attributes["USE-CANDIDATE"] = None
    request.add_message_integrity(password.encode())
    return bytes(request)
