"""The engine on loopback: what its verbs cause, in which order it tells of it, and that it leaves nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TypeVar

import pytest

from loadtest.sdp import LocalTransport
from sfu.dtls import Certificate
from sfu.engine import Engine
from sfu.media_plane import (
    MediaError,
    MediaEvent,
    NegotiationNeeded,
    PeerId,
    PeerStateChanged,
    SlotsChanged,
    TrackId,
)
from tests.support.clock import FakeClock
from tests.support.waiting import eventually

from .client import OPTIONS, Client
from .media import audio, video

ANN, BOB, ROOM = PeerId("ann"), PeerId("bob"), "room"
E = TypeVar("E", bound=MediaEvent)


@pytest.fixture
async def media() -> AsyncIterator[Engine]:
    async with Engine(OPTIONS) as engine:
        yield engine


async def client_of(media: Engine, peer: PeerId, *, audio: int = 0, video: int = 0, publish: str = "") -> Client:
    """A connected client; `publish` is "a", "v" or both, and names its tracks like `ann-v`."""
    await media.open_peer(peer, ROOM)
    client = Client(media, peer)
    for kind in publish:
        client.publish("audio" if kind == "a" else "video", f"{peer}-{kind}")
    client.receive(audio, video)
    await client.connect()
    await eventually(lambda: state_of(media, peer) == "connected", every=0.005)
    return client


def state_of(media: Engine, peer: PeerId) -> str:
    found = media._board.members[peer].peer
    return found.transport.state if found else ""


def told(media: Engine, kind: type[E]) -> list[E]:
    """The events of one kind up to now."""
    events: list[MediaEvent] = []
    while (event := media._events.take()) is not None:
        events.append(event)
    return [event for event in events if isinstance(event, kind)]


async def test_a_packet_travels_from_the_one_who_publishes_to_the_one_who_subscribes(media: Engine) -> None:
    ann = await client_of(media, ANN, publish="av")
    bob = await client_of(media, BOB, audio=1, video=1)
    await media.subscribe(BOB, [TrackId("ann-a"), TrackId("ann-v")])
    assert told(media, SlotsChanged)[-1] == SlotsChanged(BOB, {"0": TrackId("ann-a"), "1": TrackId("ann-v")})
    assert bob.answer is not None
    ssrcs = [bob.answer.sections[mid].ssrc or 0 for mid in ("0", "1")]
    for sequence in range(10):
        ann.send(ann.sections[0], audio(sequence, b"sound %d" % sequence))
        ann.send(ann.sections[1], video(sequence, key=sequence == 0))
    await eventually(lambda: all(len(bob.received.get(ssrc, ())) == 10 for ssrc in ssrcs), every=0.005)
    assert [packet.payload for packet in bob.received[ssrcs[0]]] == [b"sound %d" % n for n in range(10)]
    await media.unsubscribe(BOB, [TrackId("ann-a")])
    assert told(media, SlotsChanged) == [SlotsChanged(BOB, {"0": None, "1": TrackId("ann-v")})]
    for client in (ann, bob):
        await client.transport.close()


async def test_a_client_without_enough_slots_is_asked_to_offer_more(media: Engine) -> None:
    ann = await client_of(media, ANN, publish="v")
    bob = await client_of(media, BOB, video=1)
    ann.publish("video", "ann-screen")
    await ann.offer()
    await media.subscribe(BOB, [TrackId("ann-v"), TrackId("ann-screen")])
    assert told(media, NegotiationNeeded) == [NegotiationNeeded(BOB, 2, 2)]
    bob.receive(0, 1)
    await bob.offer()
    assert told(media, SlotsChanged)[-1].slots == {"0": TrackId("ann-v"), "1": TrackId("ann-screen")}
    for client in (ann, bob):
        await client.transport.close()


async def test_states_are_told_in_the_order_they_happen(media: Engine) -> None:
    ann = await client_of(media, ANN, publish="a")
    assert [event.state for event in told(media, PeerStateChanged)] == ["connecting", "connected"]
    await ann.transport.close()
    await eventually(lambda: state_of(media, ANN) == "closed", every=0.005)
    assert [event.state for event in told(media, PeerStateChanged)] == ["closed"]


async def test_an_ice_restart_keeps_the_connection_and_its_keys(media: Engine) -> None:
    ann = await client_of(media, ANN, publish="a")
    before = media._board.members[ANN].peer
    assert before is not None
    assert ann.answer is not None
    old = ann.answer.ice_ufrag
    answer = await ann.restart_ice()
    assert answer.ice_ufrag != old
    await eventually(lambda: before.transport.ice.ufrags == (answer.ice_ufrag,), every=0.005)
    assert media._board.members[ANN].peer is before
    media._connections.demux.prune()
    assert list(media._connections.demux._ufrags) == [answer.ice_ufrag]
    await ann.transport.close()


async def test_another_certificate_replaces_the_connection_and_ends_its_tracks(media: Engine) -> None:
    ann = await client_of(media, ANN, publish="v", video=1)
    bob = await client_of(media, BOB, video=1, publish="v")
    await media.subscribe(BOB, [TrackId("ann-v")])
    await media.subscribe(ANN, [TrackId("bob-v")])
    before = media._board.members[ANN].peer
    told(media, SlotsChanged)
    again = Client(media, ANN)
    again.publish("video", "ann-v2")
    again.receive(0, 1)
    await again.connect()
    assert media._board.members[ANN].peer is not before
    assert told(media, SlotsChanged) == [
        SlotsChanged(BOB, {"1": None}),
        SlotsChanged(ANN, {"1": TrackId("bob-v")}),  # what ann wanted it still wants
    ]
    assert set(media._board.tracks) == {"ann-v2", "bob-v"}
    for client in (ann, again, bob):
        await client.transport.close()


async def test_a_connection_that_the_client_closed_and_replaced_is_not_told_to_be_closed(media: Engine) -> None:
    ann = await client_of(media, ANN, publish="a")
    told(media, PeerStateChanged)
    await ann.transport.close()
    await eventually(lambda: state_of(media, ANN) == "closed", every=0.005)
    again = Client(media, ANN)
    again.receive(1, 0)
    await again.connect()  # its offer is answered before anybody has read that the one before is closed
    await eventually(lambda: state_of(media, ANN) == "connected", every=0.005)
    assert [event.state for event in told(media, PeerStateChanged)] == ["connecting", "connected"]
    await again.transport.close()


async def test_a_track_that_goes_on_over_another_connection_is_still_wanted(media: Engine) -> None:
    ann = await client_of(media, ANN, publish="v", video=1)
    bob = await client_of(media, BOB, video=1)
    await media.subscribe(BOB, [TrackId("ann-v")])
    told(media, SlotsChanged)
    again = Client(media, ANN)
    again.publish("video", "ann-v")
    await again.connect()
    assert told(media, SlotsChanged)[-1] == SlotsChanged(BOB, {"0": TrackId("ann-v")})
    for client in (ann, again, bob):
        await client.transport.close()


async def test_a_closed_peer_is_in_no_table_any_more(media: Engine) -> None:
    ann = await client_of(media, ANN, publish="av", video=1)
    bob = await client_of(media, BOB, publish="v", audio=1, video=1)
    await media.subscribe(BOB, [TrackId("ann-a"), TrackId("ann-v")])
    await media.subscribe(ANN, [TrackId("bob-v")])
    bobs = media._board.tracks[TrackId("bob-v")][1].track
    for peer in (ANN, ANN):
        await media.close_peer(peer)
    assert set(media._board.members) == {BOB}
    assert set(media._board.tracks) == {"bob-v"}
    assert media._board.members[BOB].wishes == {}
    assert {peer.id for routes in media._connections.demux._routes.values() for peer in routes.values()} == {BOB}
    assert {peer.id for peer in media._connections.demux._ufrags.values()} == {BOB}
    assert (bobs._groups, bobs._running, bobs._waiting) == ({}, {}, {})
    await eventually(lambda: ann.transport.closed_by_server, every=0.005)
    await media.close_peer(BOB)
    assert not any((media._board.members, media._board.tracks, media._connections.demux._ufrags))
    assert not any(media._connections.demux._routes.values())
    await eventually(lambda: not media._connections._dirty and len(media._tasks._tasks) == 1, every=0.005)
    for client in (ann, bob):
        await client.transport.close()


async def test_a_connection_that_dies_in_its_handshake_leaves_the_others_alone(media: Engine) -> None:
    bob = await client_of(media, BOB, publish="a")
    await media.open_peer(ANN, ROOM)
    ann = Client(media, ANN)
    ann.receive(1, 0)
    local = ann.transport.local
    ann.transport.local = LocalTransport(local.ice_ufrag, local.ice_pwd, ("sha-256", ":".join(["AB"] * 32)))
    await ann.connect()  # with another certificate than it said
    await eventually(lambda: state_of(media, ANN) == "failed", every=0.005)
    assert media.counters.handshakes_failed == 1
    assert state_of(media, BOB) == "connected"
    for client in (ann, bob):
        await client.transport.close()


async def test_the_engine_closes_with_half_open_handshakes_and_leaves_no_task() -> None:
    before = asyncio.all_tasks()
    clients = []
    async with asyncio.timeout(3):
        async with Engine(OPTIONS) as media:
            for number in range(3):
                peer = PeerId(f"p{number}")
                await media.open_peer(peer, ROOM)
                client = Client(media, peer)
                client.receive(1, 0)
                client.transport._remote = await client.offer()
                assert await client.transport._check(client.transport._remote.candidates[0])
                clients.append(client)
            await eventually(lambda: [state_of(media, PeerId(f"p{n}")) for n in range(3)] == ["connecting"] * 3)
    assert asyncio.all_tasks() == before
    for client in clients:
        await client.transport.close()


async def test_events_end_when_the_engine_is_closed() -> None:
    async with Engine(OPTIONS) as media:
        ann = await client_of(media, ANN, audio=1)
        await media.close()
        await media.close()
    assert [event async for event in media.events()] != []
    await ann.transport.close()


async def test_silence_disconnects_after_15_seconds_and_closes_after_30() -> None:
    clock = FakeClock()
    async with Engine(OPTIONS, clock=clock) as media:
        ann = await client_of(media, ANN, publish="a")
        told(media, PeerStateChanged)

        def pass_time(seconds: float) -> list[str]:
            clock.advance(seconds)
            for _ in range(50):
                media.tick(clock())
            return [event.state for event in told(media, PeerStateChanged)]

        assert pass_time(14.9) == []
        assert pass_time(0.2) == ["disconnected"]
        ann.transport._send_check()
        await eventually(lambda: state_of(media, ANN) == "connected", every=0.005)
        assert pass_time(14.9) == ["connected"]
        assert pass_time(15.0) == ["disconnected"]
        assert pass_time(0.2) == ["closed"]
        await ann.transport.close()


async def test_after_a_connection_was_closed_the_same_certificate_gets_a_new_one(media: Engine) -> None:
    certificate = Certificate()
    await media.open_peer(ANN, ROOM)
    for _ in range(2):
        client = Client(media, ANN, certificate)
        client.receive(1, 0)
        await client.connect()
        await eventually(lambda: state_of(media, ANN) == "connected", every=0.005)
        await client.transport.close()
        await eventually(lambda: state_of(media, ANN) == "closed", every=0.005)


async def test_a_verb_for_an_unknown_peer_and_an_offer_that_is_none_are_refused(media: Engine) -> None:
    for verb in (media.answer(ANN, "", []), media.subscribe(ANN, []), media.unsubscribe(ANN, [])):
        with pytest.raises(MediaError) as refusal:
            await verb
        assert refusal.value.code == "unknown_peer"
    await media.open_peer(ANN, ROOM)
    with pytest.raises(MediaError) as refusal:
        await media.answer(ANN, "v=0", [])
    assert refusal.value.code == "offer_invalid"
    await media.set_muted(TrackId("nobody's"), True)


async def test_a_member_closed_while_its_old_connection_ends_gets_no_new_one(media: Engine) -> None:
    ann = await client_of(media, ANN, publish="a")
    again = Client(media, ANN)
    again.receive(1, 0)
    answered, _ = await asyncio.gather(again.offer(), media.close_peer(ANN), return_exceptions=True)
    assert isinstance(answered, MediaError)
    assert not any((media._board.members, media._connections.demux._ufrags, media._board.tracks))
    await ann.transport.close()


async def test_tracks_of_another_room_and_ones_own_cannot_be_had(media: Engine) -> None:
    ann = await client_of(media, ANN, publish="a", audio=1)
    await media.open_peer(BOB, "another room")
    bob = Client(media, BOB)
    bob.receive(1, 0)
    await bob.offer()
    for peer in (ANN, BOB):
        await media.subscribe(peer, [TrackId("ann-a"), TrackId("unknown")])
        assert not any(media._board.members[peer].layout.values())
    await ann.transport.close()


async def test_who_is_connected_has_a_receive_queue_of_its_own_until_it_is_gone(media: Engine) -> None:
    ann, bob = await client_of(media, ANN, audio=1), await client_of(media, BOB, audio=1)
    await eventually(lambda: media.ports.gauges()["media_own_queues"] == 2, every=0.005)
    await ann.transport.close()
    await eventually(lambda: media.ports.gauges()["media_own_queues"] == 1, every=0.005)
    await media.close_peer(BOB)
    await eventually(lambda: media.ports.gauges()["media_own_queues"] == 0, every=0.005)
    await bob.transport.close()


async def test_statistics_count_what_is_there(media: Engine) -> None:
    ann = await client_of(media, ANN, publish="a", audio=2)
    stats = await media.stats()
    assert stats.gauges["media_peers_connected"] == 1
    assert (stats.gauges["media_tracks"], stats.gauges["media_slots"]) == (1, 2)
    assert stats.counters["handshakes_succeeded_total"] == 1
    await ann.transport.close()
