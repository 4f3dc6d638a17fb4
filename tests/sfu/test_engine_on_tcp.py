"""A call on TCP is a call like any other: media flows, paths change to UDP and back, and what ends leaves nothing."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace

import pytest

from sfu import ice_lite, stun
from sfu.engine import Engine
from sfu.framing import Deframer, framed
from sfu.media_plane import PeerId, TrackId
from sfu.rtp import Packet
from sfu.transport import _MAX_CONNECTIONS
from tests.support.clock import FakeClock
from tests.support.waiting import eventually

from .client import ANN, BOB, OPTIONS, Client, connected, state_of
from .media import audio, video
from .tcp_client import tcp_client

LOW, HIGH = 80 << 24, 126 << 24 | 65535 << 8 | 255  # what a client gives a pair on TCP, and its best


async def all_arrived(client: Client, number: int) -> list[list[Packet]]:
    """What came in the two slots after two publications, when `number` packets have come in each."""
    assert client.answer is not None
    ssrcs = [client.answer.sections[mid].ssrc or 0 for mid in ("2", "3")]
    await eventually(lambda: all(len(client.received.get(ssrc, ())) == number for ssrc in ssrcs), every=0.005)
    return [client.received[ssrc] for ssrc in ssrcs]


def is_on_tcp(media: Engine, peer: PeerId) -> bool:
    found = media._board.members[peer].peer
    assert found is not None
    path = found.transport.path
    return path is not None and path.on_tcp


class Way:
    """One more connection of a client: it sends checks, answers those of the server, and keeps all else."""

    def __init__(self, media: Engine, client: Client) -> None:
        self._client = client
        self._deframer = Deframer(2, 1500)
        self.answers: list[stun.Binding] = []
        self.heard: list[bytes] = []
        self.ended = False
        self.asked = 0
        self._socket = socket.create_connection(("127.0.0.1", media.port), timeout=2)
        self._socket.setblocking(False)
        asyncio.get_running_loop().add_reader(self._socket, self._readable)

    def check(self, priority: int, *, nominate: bool = True) -> None:
        local, answer = self._client.transport.local, self._client.answer
        assert answer is not None
        name = f"{answer.ice_ufrag}:{local.ice_ufrag}"
        tid = len(self.answers).to_bytes(12, "big")
        self._send(stun.binding_request(tid, name, answer.ice_pwd, priority, 1, nominate=nominate))

    def _send(self, datagram: bytes) -> None:
        self._socket.sendall(framed(datagram))

    def _readable(self) -> None:
        try:
            data = self._socket.recv(65536)
        except ConnectionError:
            data = b""
        if not data:
            self.close()
        self._deframer.feed(data)
        while (datagram := self._deframer.next()) is not None:
            if datagram[0] > 3:
                self.heard.append(datagram)
                continue
            binding = stun.parse(datagram)
            if binding.is_request:
                self.asked += 1
                assert binding.is_authentic(self._client.transport.local.ice_pwd)
                self._send(
                    stun.success_response(binding, ("127.0.0.1", 9), self._client.transport.local.ice_pwd),
                )
            else:
                self.answers.append(binding)

    async def until_answered(self) -> None:
        await eventually(lambda: self.answers, every=0.005)

    async def until_ended(self) -> None:
        await eventually(lambda: self.ended, every=0.005)

    def close(self) -> None:
        if not self.ended:
            self.ended = True
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()


async def test_media_flows_between_somebody_on_tcp_and_somebody_on_udp_both_ways(media: Engine) -> None:
    ann = await connected(tcp_client(media, ANN), publish="av", audio=1, video=1)
    bob = await connected(Client(media, BOB), publish="av", audio=1, video=1)
    assert (is_on_tcp(media, ANN), is_on_tcp(media, BOB)) == (True, False)
    await media.subscribe(BOB, [TrackId("ann-a"), TrackId("ann-v")])
    await media.subscribe(ANN, [TrackId("bob-a"), TrackId("bob-v")])
    for sequence in range(50):
        for client in (ann, bob):
            client.send(client.sections[0], audio(sequence, b"sound %d" % sequence))
            client.send(client.sections[1], video(sequence, key=sequence == 0, body=bytes(1000)))
        await asyncio.sleep(0)
    for client in (ann, bob):
        sound, picture = await all_arrived(client, 50)
        # In which order is not promised: on its way by UDP, one may pass another even on loopback.
        assert {packet.payload for packet in sound} == {b"sound %d" % number for number in range(50)}
        assert all(len(packet.payload) > 1000 for packet in picture)
    await eventually(lambda: media.ports.gauges()["media_own_queues"] == 1, every=0.005)
    stats = await media.stats()
    assert (stats.gauges["media_peers_on_tcp"], stats.gauges["media_tcp_connections"]) == (1, 1)
    assert stats.counters["tcp_bytes_dropped_total"] == stats.counters["media_internal_errors_total"] == 0
    for client in (ann, bob):
        await client.transport.close()


async def test_udp_wins_while_both_work(media: Engine) -> None:
    ann = await connected(Client(media, ANN), publish="a")
    way = Way(media, ann)
    way.check(LOW)
    await eventually(lambda: way.answers, every=0.005)
    assert not is_on_tcp(media, ANN)
    assert way.asked == 0
    way.close()
    bob = await connected(tcp_client(media, BOB), publish="a")
    assert is_on_tcp(media, BOB)
    for client in (ann, bob):
        await client.transport.close()


async def test_media_moves_to_tcp_when_udp_falls_silent_and_back_when_udp_is_nominated_again(
    media: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ice_lite, "SILENT_AFTER", 0.02)
    ann = await connected(Client(media, ANN), publish="a", audio=1)
    bob = await connected(Client(media, BOB), publish="a")
    await media.subscribe(ANN, [TrackId("bob-a")])
    way = Way(media, ann)

    async def nominated_again() -> bool:
        way.check(LOW)
        await asyncio.sleep(0.01)
        return is_on_tcp(media, ANN)

    await eventually(nominated_again, every=0)
    assert way.asked >= 1, "media moved after an answer to a check of ours"
    assert (await media.stats()).counters["paths_moved_total"] == 1
    bob.send(bob.sections[0], audio(1))
    await eventually(lambda: any(127 < datagram[0] < 192 for datagram in way.heard), every=0.005)
    ann.transport._send_check()
    await eventually(lambda: not is_on_tcp(media, ANN), every=0.005)
    way.check(LOW, nominate=False)
    await eventually(lambda: way.answers, every=0.005)
    way.close()
    await eventually(lambda: media.ports.gauges()["media_tcp_connections"] == 0)
    assert not is_on_tcp(media, ANN)
    for client in (ann, bob):
        await client.transport.close()


async def test_when_a_connection_breaks_the_next_one_takes_its_place_at_once(
    media: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ice_lite, "SILENT_AFTER", 1000.0)
    ann = await connected(tcp_client(media, ANN), publish="a")
    peer = media._board.members[ANN].peer
    assert peer is not None
    ann.transport._close_socket()
    await eventually(lambda: not peer.transport.paths, every=0.005)
    before = peer.transport.path
    way = Way(media, ann)
    way.check(0, nominate=False)
    await eventually(lambda: peer.transport.path not in (None, before), every=0.005)
    assert list(peer.transport.paths) == [peer.transport.path]
    assert state_of(media, ANN) == "connected"
    way.close()
    await ann.transport.close()


async def test_a_connection_for_somebody_unknown_or_with_a_wrong_password_is_closed(media: Engine) -> None:
    ann = await connected(Client(media, ANN), publish="a")
    assert ann.answer is not None
    right = ann.answer
    for wrong in (replace(right, ice_ufrag="0" * 12), replace(right, ice_pwd="0" * 32)):
        ann.answer = wrong
        way = Way(media, ann)
        way.check(HIGH)
        await way.until_ended()
        assert not way.answers
    stats = await media.stats()
    assert stats.counters["tcp_connections_refused_total{reason=no_authentic_check}"] == 2
    assert stats.counters["datagrams_dropped_total{reason=stun_unknown_ufrag}"] == 1
    assert stats.counters["datagrams_dropped_total{reason=stun_unauthentic}"] == 1
    await ann.transport.close()


async def test_one_participant_holds_only_some_connections(media: Engine) -> None:
    ann = await connected(Client(media, ANN), publish="a")
    ways = [Way(media, ann) for _ in range(_MAX_CONNECTIONS + 4)]
    for way in ways:
        way.check(LOW, nominate=False)
        await way.until_answered()
    await eventually(lambda: sum(way.ended for way in ways) >= 4, within=5)
    assert [way.ended for way in ways][-1] is False, "the newest stays"
    assert media.ports.gauges()["media_tcp_connections"] <= _MAX_CONNECTIONS
    for way in ways:
        way.close()
    await ann.transport.close()


async def test_silence_ends_a_call_on_tcp_as_on_udp_and_its_connection_with_it() -> None:
    clock = FakeClock()
    async with Engine(OPTIONS, clock=clock) as media:
        ann = await connected(tcp_client(media, ANN), publish="a")

        def pass_time(seconds: float) -> str:
            clock.advance(seconds)
            for _ in range(50):
                media.tick(clock())
            return state_of(media, ANN)

        assert [pass_time(14.9), pass_time(0.2)] == ["connected", "disconnected"]
        ann.transport._send_check()
        await eventually(lambda: state_of(media, ANN) == "connected", every=0.005)
        assert [pass_time(15.1), pass_time(15.0)] == ["disconnected", "closed"]
        assert media.ports.gauges()["media_tcp_connections"] == 0
        await ann.transport.close()


async def test_who_leaves_is_told_so_before_the_connection_ends(media: Engine) -> None:
    ann = await connected(tcp_client(media, ANN), publish="a")
    await media.close_peer(ANN)
    await eventually(lambda: ann.transport.closed_by_server, every=0.005)
    await eventually(lambda: media.ports.gauges()["media_tcp_connections"] == 0, within=5)
    assert not any(media._connections.demux._routes.values())
    await ann.transport.close()


async def test_without_tcp_nobody_is_told_of_it() -> None:
    async with Engine(replace(OPTIONS, tcp=False)) as media:
        ann = await connected(Client(media, ANN), publish="a")
        assert ann.accepted is not None
        assert " tcp " not in ann.accepted.sdp
        await ann.transport.close()
