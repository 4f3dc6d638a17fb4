"""A connection goes on as long as its client does, is replaced by another one, and leaves nothing behind."""

from __future__ import annotations

import asyncio

from loadtest.sdp import LocalTransport
from sfu.dtls import Certificate
from sfu.engine import Engine
from sfu.media_plane import MediaError, PeerId, PeerStateChanged, SlotsChanged, TrackId
from tests.support.clock import FakeClock
from tests.support.waiting import eventually

from .client import ANN, BOB, OPTIONS, ROOM, Client, client_of, state_of, told


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


async def test_a_member_closed_while_its_old_connection_ends_gets_no_new_one(media: Engine) -> None:
    ann = await client_of(media, ANN, publish="a")
    again = Client(media, ANN)
    again.receive(1, 0)
    answered, _ = await asyncio.gather(again.offer(), media.close_peer(ANN), return_exceptions=True)
    assert isinstance(answered, MediaError)
    assert not any((media._board.members, media._connections.demux._ufrags, media._board.tracks))
    await ann.transport.close()
