"""Promises of the STUN binding messages."""

from __future__ import annotations

import contextlib

import pytest
from aioice import stun as aioice_stun
from hypothesis import given
from hypothesis import strategies as st

from sfu import stun

from .hostile import FEW, MANY, U32, U64, datagrams

TRANSACTION = bytes(range(12))
PASSWORD = "VOkJxbRl1RmTxUk/WvJxBt"
# RFC 5769 section 2.1, the sample request (from "evtj:h6vY", with the attribute SOFTWARE).
RFC_REQUEST = bytes.fromhex(
    "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74"
    "002400046e0001ff80290008932ff9b151263b36000600096576746a3a68367659202020"
    "000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004e57a3bcf"
)
REQUEST = stun.binding_request(TRANSACTION, "local:remote", PASSWORD, 0x6E7F1EFF, 7, nominate=True)
RESPONSE = stun.success_response(stun.parse(REQUEST), ("192.0.2.1", 32853), PASSWORD)
CONFLICT = stun.role_conflict_response(stun.parse(REQUEST), PASSWORD)


def test_the_request_of_rfc_5769_is_read_and_authentic() -> None:
    request = stun.parse(RFC_REQUEST)
    assert request.is_request
    assert request.transaction_id == bytes.fromhex("b7e7a701bc34d686fa87dfae")
    assert (request.username, request.priority) == ("evtj:h6vY", 0x6E0001FF)
    assert request.controlled
    assert not request.use_candidate
    assert request.is_authentic(PASSWORD)
    assert not request.is_authentic(PASSWORD + "x")


@FEW
@given(
    st.binary(min_size=12, max_size=12).filter(any),
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=30),
    st.text(st.characters(codec="ascii"), min_size=1, max_size=30),
    U32,
    U64,
    st.booleans(),
)
def test_a_request_survives_the_round_trip(
    transaction: bytes, username: str, password: str, priority: int, tie_breaker: int, nominate: bool
) -> None:
    request = stun.parse(
        stun.binding_request(transaction, username, password, priority, tie_breaker, nominate=nominate)
    )
    assert request.is_request
    assert (request.transaction_id, request.username, request.priority) == (transaction, username, priority)
    assert request.use_candidate is nominate
    assert not request.controlled
    assert request.is_authentic(password)


def aioice_request() -> aioice_stun.Message:
    """A connectivity check as the client of another library makes it."""
    message = aioice_stun.Message(aioice_stun.Method.BINDING, aioice_stun.Class.REQUEST)
    message.attributes["USERNAME"] = "local:remote"
    message.attributes["PRIORITY"] = 12345
    message.attributes["ICE-CONTROLLING"] = 1
    message.attributes["USE-CANDIDATE"] = None
    return message


@pytest.mark.parametrize("source", [("192.0.2.1", 32853), ("2001:db8::1", 1)])
def test_another_client_is_understood_and_understands_the_answer(source: tuple[str, int]) -> None:
    theirs = aioice_request()
    theirs.add_message_integrity(PASSWORD.encode())
    ours = stun.parse(bytes(theirs))
    assert (ours.username, ours.priority, ours.use_candidate) == ("local:remote", 12345, True)
    assert ours.is_authentic(PASSWORD)
    answer = aioice_stun.parse_message(stun.success_response(ours, source, PASSWORD))
    assert answer.check_message_integrity(PASSWORD.encode())
    assert answer.transaction_id == theirs.transaction_id
    assert answer.attributes["XOR-MAPPED-ADDRESS"] == source


def test_an_answer_is_parsed_as_no_request() -> None:
    answer = stun.parse(RESPONSE)
    assert not answer.is_request
    assert answer.transaction_id == TRANSACTION
    assert answer.is_authentic(PASSWORD)


def test_a_role_conflict_is_a_signed_error_487() -> None:
    answer = aioice_stun.parse_message(CONFLICT)
    assert answer.message_class == aioice_stun.Class.ERROR
    assert answer.error_code == 487
    assert answer.transaction_id == TRANSACTION
    assert answer.check_message_integrity(PASSWORD.encode())


def test_a_request_without_integrity_is_not_authentic() -> None:
    assert not stun.parse(bytes(aioice_request())).is_authentic(PASSWORD)


def test_attributes_behind_the_integrity_do_not_count() -> None:
    message = aioice_request()
    del message.attributes["USE-CANDIDATE"]
    message.add_message_integrity(PASSWORD.encode())
    del message.attributes["FINGERPRINT"]
    message.attributes["USE-CANDIDATE"] = None
    request = stun.parse(bytes(message))
    assert request.is_authentic(PASSWORD)
    assert not request.use_candidate


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        REQUEST[:19],
        REQUEST[:-1],
        REQUEST + b"\0",
        b"\x00\x01" + bytes.fromhex("0000 2112a443") + TRANSACTION,  # another cookie
        REQUEST[:-1] + bytes([REQUEST[-1] ^ 1]),  # another fingerprint
        b"\x00\x03" + bytes.fromhex("0000 2112a442") + TRANSACTION,  # Allocate
        b"\x00\x11" + bytes.fromhex("0000 2112a442") + TRANSACTION,  # Binding indication
        b"\x01\x01" + bytes.fromhex("0008 2112a442") + TRANSACTION + bytes.fromhex("0024 0002 00010000"),
        b"\x00\x01" + bytes.fromhex("0008 2112a442") + TRANSACTION + bytes.fromhex("0006 0002 fffe0000"),
        CONFLICT,
    ],
)
def test_anything_but_a_binding_request_or_response_is_a_stun_error(datagram: bytes) -> None:
    with pytest.raises(stun.StunError):
        stun.parse(datagram)


@MANY
@given(datagrams([REQUEST, RESPONSE, CONFLICT, RFC_REQUEST, bytes(aioice_request())]))
def test_any_bytes_are_parsed_or_a_stun_error(datagram: bytes) -> None:
    with contextlib.suppress(stun.StunError):
        assert stun.parse(datagram).is_authentic(PASSWORD) in (True, False)


_KINDS = [kind for kind, *_ in aioice_stun.ATTRIBUTES]


@MANY
@given(st.lists(st.tuples(st.sampled_from(_KINDS), st.binary(max_size=24)), max_size=4), st.sampled_from([1, 0x101]))
def test_known_attributes_with_any_value_are_parsed_or_a_stun_error(
    attributes: list[tuple[int, bytes]], kind: int
) -> None:
    body = b"".join(
        number.to_bytes(2, "big") + len(value).to_bytes(2, "big") + value + bytes(-len(value) % 4)
        for number, value in attributes
    )
    datagram = kind.to_bytes(2, "big") + len(body).to_bytes(2, "big") + b"\x21\x12\xa4\x42" + TRANSACTION + body
    with contextlib.suppress(stun.StunError):
        assert stun.parse(datagram).is_authentic(PASSWORD) is False


@MANY
@given(st.integers(20, len(REQUEST) - 33), st.integers(1, 255))
def test_no_signed_byte_can_be_changed(at: int, change: int) -> None:
    # The 32 bytes at the end are integrity and fingerprint; the fingerprint is made anew, as an attacker would.
    forged = bytearray(REQUEST[:-8])
    forged[at] ^= change
    forged += b"\x80\x28\x00\x04" + aioice_stun.message_fingerprint(bytes(forged)).to_bytes(4, "big")
    try:
        request = stun.parse(bytes(forged))
    except stun.StunError:
        return
    assert not request.is_authentic(PASSWORD)
