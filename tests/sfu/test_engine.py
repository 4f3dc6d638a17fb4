"""The engine on loopback: what its verbs cause, in which order it tells of it, and when they are refused."""

from __future__ import annotations

import pytest

from sfu.engine import Engine
from sfu.media_plane import MediaError, NegotiationNeeded, SlotsChanged, TrackId
from tests.support.waiting import eventually

from .client import ANN, BOB, OPTIONS, ROOM, Client, client_of, told
from .media import audio, video


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


async def test_events_end_when_the_engine_is_closed() -> None:
    async with Engine(OPTIONS) as media:
        ann = await client_of(media, ANN, audio=1)
        await media.close()
        await media.close()
    assert [event async for event in media.events()] != []
    await ann.transport.close()


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
