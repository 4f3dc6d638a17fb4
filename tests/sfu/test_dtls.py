"""Promises of the DTLS endpoint: two of them, or one and aiortc's own, joined in memory."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Literal

import pytest
from aiortc.rtcdtlstransport import RTCCertificate, RTCDtlsFingerprint, RTCDtlsParameters, RTCDtlsTransport
from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL

from sfu import dtls, rtp, srtp
from tests.support.waiting import in_time

# Making keys takes longer than a handshake.
CLIENT, SERVER = dtls.Certificate(), dtls.Certificate()
OTHER = ("sha-256", ":".join(["00"] * 32))

Wire = Callable[[Callable[[bytes], None], bytes], None]


class Link:
    """A client and a server whose datagrams pass through `wire`."""

    def __init__(self, wire: Wire | None = None) -> None:
        self.closed: list[str] = []
        self.datagrams: list[bytes] = []
        self._wire = wire
        self.client = self._endpoint(CLIENT, "client", lambda: self.server)
        self.server = self._endpoint(SERVER, "server", lambda: self.client)

    def _endpoint(
        self, certificate: dtls.Certificate, role: Literal["client", "server"], peer: Callable[[], dtls.DtlsEndpoint]
    ) -> dtls.DtlsEndpoint:
        def send(datagram: bytes) -> None:
            self.datagrams.append(datagram)
            if self._wire is None:
                peer().feed(datagram)
            else:
                self._wire(peer().feed, datagram)

        return dtls.DtlsEndpoint(certificate, role, send, lambda: self.closed.append(role))

    async def connect(self) -> tuple[srtp.Keys, srtp.Keys]:
        """Run both handshakes; the keys of the client and of the server."""
        async with asyncio.timeout(5):
            return await asyncio.gather(
                self.client.handshake([SERVER.fingerprint]), self.server.handshake([CLIENT.fingerprint])
            )

    async def close(self) -> None:
        await self.client.close()
        await self.server.close()


async def settle() -> None:
    """Let everything that is queued be handled."""
    for _ in range(50):
        await asyncio.sleep(0)


def only_this_task() -> bool:
    return asyncio.all_tasks() == {asyncio.current_task()}


# --------------------------------------------------------------------------------------------------------- handshake


async def test_both_ends_get_the_same_keys_and_choose_gcm_128() -> None:
    link = Link()
    client, server = await link.connect()
    assert client.profile == server.profile == "SRTP_AEAD_AES_128_GCM"
    assert (client.outbound, client.inbound) == (server.inbound, server.outbound)
    assert client.outbound != client.inbound
    assert len(client.outbound) == len(client.inbound) == 28
    await link.close()
    assert only_this_task()


async def test_the_keys_open_what_an_independent_client_protects_and_the_reverse() -> None:
    certificate = RTCCertificate.generateCertificate()
    pipe = dtls._Pipe(lambda datagram: server.feed(datagram), "controlled")
    theirs = RTCDtlsTransport(pipe, [certificate])  # type: ignore[arg-type]
    theirs._set_role("client")
    server = dtls.DtlsEndpoint(SERVER, "server", pipe.feed, lambda: None)
    (fingerprint,) = (each for each in certificate.getFingerprints() if each.algorithm == "sha-256")
    remote = RTCDtlsFingerprint(*SERVER.fingerprint)
    keys, _ = await asyncio.gather(
        server.handshake([(fingerprint.algorithm, fingerprint.value)]), theirs.start(RTCDtlsParameters([remote]))
    )
    packet = rtp.pack(rtp.Packet(0, 96, 1, 2, 3, {}, b"payload"))
    session = srtp.Session(keys)
    assert session.unprotect_rtp(theirs._tx_srtp.protect(packet)) == packet
    assert theirs._rx_srtp.unprotect(session.protect_rtp(packet)) == packet
    await theirs.stop()
    await settle()
    await server.close()


@pytest.mark.parametrize(
    "fingerprints",
    [[], [OTHER], [SERVER.fingerprint, OTHER], [("md5", SERVER.fingerprint[1])], [("sha-256", "")]],
    ids=["none", "another", "one of two", "unknown algorithm", "empty"],
)
async def test_a_server_whose_fingerprint_does_not_match_is_refused(fingerprints: list[tuple[str, str]]) -> None:
    link = Link()
    results = await asyncio.gather(
        in_time(link.client.handshake(fingerprints), 5),
        in_time(link.server.handshake([CLIENT.fingerprint]), 5 if fingerprints else 0.01),
        return_exceptions=True,
    )
    assert isinstance(results[0], dtls.DtlsError)
    await link.close()
    assert only_this_task()


async def test_a_client_whose_fingerprint_does_not_match_is_refused() -> None:
    link = Link()
    _, refused = await asyncio.gather(
        link.client.handshake([SERVER.fingerprint]), link.server.handshake([OTHER]), return_exceptions=True
    )
    assert isinstance(refused, dtls.DtlsError)
    assert link.closed == []
    await link.close()


async def test_a_fingerprint_in_lower_case_is_the_same() -> None:
    link = Link()
    await asyncio.gather(
        link.client.handshake([("SHA-256", SERVER.fingerprint[1].lower())]), link.server.handshake([CLIENT.fingerprint])
    )
    await link.close()


async def test_lost_datagrams_are_sent_again() -> None:
    # OpenSSL waits one second of real time, so that all losses wait together.
    links = [Link(wire=_drop(place)) for place in range(4)]
    for client, server in await asyncio.gather(*(link.connect() for link in links)):
        assert client.outbound == server.inbound
    await asyncio.gather(*(link.close() for link in links))


def _drop(place: int) -> Wire:
    """A wire on which the datagram number `place` gets lost."""
    count = 0

    def wire(feed: Callable[[bytes], None], datagram: bytes) -> None:
        nonlocal count
        count += 1
        if count != place + 1:
            feed(datagram)

    return wire


# ----------------------------------------------------------------------------------------------------------- closing


@pytest.mark.parametrize("role", ["client", "server"])
async def test_closing_one_end_tells_the_other_once(role: str) -> None:
    link = Link()
    await link.connect()
    one, other = (link.client, link.server) if role == "client" else (link.server, link.client)
    await one.close()
    await one.close()
    await settle()
    assert link.closed == ["server" if role == "client" else "client"]
    await other.close()
    assert len(link.closed) == 1
    assert only_this_task()


async def test_a_farewell_behind_other_records_in_one_datagram_is_heard() -> None:
    link = Link()
    await link.connect()
    raw = link.client._transport._ssl
    assert raw is not None
    datagram = b""
    for _ in range(3):
        raw.send(b"data")
        datagram += raw.bio_read(1500)
    raw.shutdown()
    link.server.feed(datagram + raw.bio_read(1500))
    await settle()
    assert link.closed == ["server"]
    await link.close()


async def test_records_of_an_authentic_peer_do_not_pile_up() -> None:
    link = Link()
    await link.connect()
    raw, theirs = link.client._transport._ssl, link.server._transport._ssl
    assert raw is not None
    assert theirs is not None
    for _ in range(10):
        datagram = b""
        for _ in range(20):
            raw.send(b"x")
            datagram += raw.bio_read(1500)
        link.server.feed(datagram)
        await settle()
    with pytest.raises(SSL.WantReadError):
        theirs.recv(1500)
    await link.close()


async def test_an_endpoint_that_never_began_may_be_closed() -> None:
    link = Link()
    await link.close()
    await link.close()
    assert link.datagrams == []


@pytest.mark.parametrize("steps", [0, 1, 2, 5, 20])
async def test_a_cancelled_handshake_leaves_no_task(steps: int) -> None:
    link = Link(wire=_drop(3))  # without the last flight neither end is done at once
    both = asyncio.gather(link.client.handshake([SERVER.fingerprint]), link.server.handshake([CLIENT.fingerprint]))
    for _ in range(steps):
        await asyncio.sleep(0)
    both.cancel()
    with pytest.raises(asyncio.CancelledError):
        await both
    await link.close()
    await settle()
    assert only_this_task()
    assert link.closed == []


async def test_after_closing_nothing_is_sent() -> None:
    link = Link()
    await link.connect()
    await link.client.close()
    sent = len(link.datagrams)
    for datagram in link.datagrams[:]:
        link.client.feed(datagram)
    await settle()
    assert len(link.datagrams) == sent
    await link.close()


# ----------------------------------------------------------------------------------------------------------- garbage


def forged(content_type: int, body: bytes, length: int | None = None) -> bytes:
    """A plaintext DTLS 1.2 record of epoch 0."""
    size = len(body) if length is None else length
    return bytes([content_type, 0xFE, 0xFD]) + bytes(8) + size.to_bytes(2, "big") + body


garbage = st.one_of(
    st.binary(min_size=1, max_size=1),
    st.binary(min_size=1, max_size=60),
    # A record that is longer than its datagram. (A whole plaintext record is another matter, see below.)
    st.tuples(st.integers(20, 24), st.binary(max_size=60)).map(lambda r: forged(r[0], r[1], length=0xFFFF)),
    st.integers(20, 63).map(lambda first: bytes([first]) + bytes(1400)),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(garbage, max_size=12), st.integers(0, 1 << 32))
def test_garbage_before_during_and_after_the_handshake_does_not_matter(junk: list[bytes], seed: int) -> None:
    source = random.Random(seed)

    def wire(feed: Callable[[bytes], None], datagram: bytes) -> None:
        if junk:
            feed(source.choice(junk))
        feed(datagram[: source.randrange(1, 13)])  # a record that ends inside its header
        feed(datagram)
        feed(datagram[:-1] if datagram[0] == 23 else datagram)

    async def scenario() -> None:
        link = Link(wire)
        for data in junk:
            link.client.feed(data)
            link.server.feed(data)
        client, server = await link.connect()
        assert client.outbound == server.inbound
        for data in [*junk, *link.datagrams, *(each[: len(each) // 2] for each in link.datagrams)]:
            link.client.feed(data)
            link.server.feed(data)
            await asyncio.sleep(0)
        await settle()
        assert link.closed == []
        await link.client.close()
        await settle()
        assert link.closed == ["server"]
        await link.close()
        assert only_this_task()

    asyncio.run(scenario())


FORGERIES = {
    "empty": forged(22, b""),
    "half a handshake header": forged(22, b"\0"),
    "hello request": forged(22, bytes(12)),
    "unknown handshake": forged(22, b"\x63" + bytes(11)),
    "fatal alert": forged(21, b"\x02\x28"),
    "farewell": forged(21, b"\x01\x00"),
    "change cipher spec": forged(20, b"\x01"),
    "data": forged(23, b"data"),
}


@pytest.mark.parametrize("record", FORGERIES.values(), ids=FORGERIES.keys())
async def test_a_forged_record_can_at_worst_fail_the_handshake(record: bytes) -> None:
    """Handshake messages are not authenticated until the last: who can inject them can prevent it, and no more."""

    def wire(feed: Callable[[bytes], None], datagram: bytes) -> None:
        feed(record)
        feed(datagram)

    link = Link(wire)
    results = await asyncio.gather(
        in_time(link.client.handshake([SERVER.fingerprint]), 0.05),
        in_time(link.server.handshake([CLIENT.fingerprint]), 0.05),
        return_exceptions=True,
    )
    assert all(isinstance(result, srtp.Keys | dtls.DtlsError | TimeoutError) for result in results)
    await link.close()
    assert only_this_task()


@pytest.mark.parametrize("record", FORGERIES.values(), ids=FORGERIES.keys())
async def test_a_forged_record_after_the_handshake_changes_nothing(record: bytes) -> None:
    link = Link()
    await link.connect()
    for _ in range(5):
        link.client.feed(record)
        link.server.feed(record)
    await settle()
    assert link.closed == []
    await link.client.close()
    await settle()
    assert link.closed == ["server"]
    await link.close()


async def test_a_flood_is_bounded_and_what_follows_is_read() -> None:
    link = Link()
    for number in range(10_000):
        link.server.feed(b"\x16" + number.to_bytes(2, "big") * 500)
    assert link.server._pipe._queue.qsize() == 32
    server, _ = await asyncio.gather(
        link.server.handshake([CLIENT.fingerprint]), link.client.handshake([SERVER.fingerprint])
    )
    for number in range(10_000):
        link.server.feed(b"\x17" + number.to_bytes(2, "big") * 500)
    assert link.server._pipe._queue.qsize() == 32
    assert server.is_gcm
    await settle()
    await link.client.close()
    await settle()
    assert link.closed == ["server"]
    await link.close()


def test_a_fingerprint_is_a_sha_256_in_upper_case_hex() -> None:
    algorithm, value = SERVER.fingerprint
    assert algorithm == "sha-256"
    assert [len(part) for part in value.split(":")] == [2] * 32
    assert value == value.upper()


async def test_the_private_corner_of_aiortc_is_as_we_know_it() -> None:
    """The transport takes from its ICE transport four names; a fifth would be an AttributeError here."""
    link = Link()
    assert set(vars(dtls._Pipe)) >= {"state", "_recv", "_send"}
    for name in ("_set_role", "_setup_srtp", "_recv_next", "_write_ssl", "_set_state", "stop", "start"):
        assert callable(getattr(link.server._transport, name))
    await link.close()
