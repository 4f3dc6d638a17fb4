"""Whatever way a connection ends, all that it was made of is freed by reference counting alone.

Else memory would grow until the collector of reference cycles comes, and it would hold up media while it works.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from OpenSSL import SSL

from sfu import dtls, rtcp
from sfu.dtls import Certificate, DtlsEndpoint
from sfu.engine import Engine
from sfu.ice_lite import IceLite
from sfu.inbound import InboundTrack
from sfu.media_plane import TrackId
from sfu.outbound import OutboundStream
from sfu.peer import Peer
from sfu.published import Published
from sfu.rtcp_exchange import RtcpExchange
from sfu.sources import Sources
from sfu.switchboard import Member
from sfu.transport import PeerTransport
from tests.support.freed import nothing_left
from tests.support.waiting import eventually

from .client import ANN, BOB, OPTIONS, ROOM, Client, client_of, state_of
from .media import audio, video

PARTS = {
    *(Member, Peer, Sources, RtcpExchange, PeerTransport, IceLite, Published, InboundTrack, OutboundStream),
    *(DtlsEndpoint, dtls._Transport, dtls._Pipe, SSL.Connection, SSL.Context, SSL._VerifyHelper),
}
# Made before anything is counted, as each has a context.
CERTIFICATES = [Certificate() for _ in range(2)]


def client(media: Engine) -> Client:
    return Client(media, ANN, CERTIFICATES[0])


async def ann_in_a_call(media: Engine) -> Client:
    """Ann and Bob hear and see each other, repair what is lost, and ask for keyframes."""
    await media.open_peer(ANN, ROOM)
    ann = client(media)
    ann.publish("audio", "ann-a")
    ann.publish("video", "ann-v")
    ann.receive(1, 1)
    await ann.connect()
    await eventually(lambda: state_of(media, ANN) == "connected", every=0.005)
    await media.subscribe(ANN, [TrackId("bob-a"), TrackId("bob-v")])
    await media.subscribe(BOB, [TrackId("ann-a"), TrackId("ann-v")])
    for sequence in range(5):
        ann.send(ann.sections[0], audio(sequence))
        ann.send(ann.sections[1], video(sequence, key=sequence == 0))
    stream = media._board.members[ANN].peer.slots["3"]  # type: ignore[union-attr]
    ann.transport.send_rtcp(rtcp.receiver_report(1, []) + rtcp.nack(1, stream.ssrc, [stream.next_number - 1]))
    ann.transport.send_rtcp(rtcp.picture_loss_indication(1, stream.ssrc))
    bobs = media._board.members[BOB].peer
    assert bobs is not None
    await eventually(lambda: all(slot.packets == 5 for slot in bobs.slots.values()), every=0.005)
    return ann


async def ann_with_her_first_check(media: Engine) -> Client:
    """Her handshake runs, and waits for her."""
    await media.open_peer(ANN, ROOM)
    ann = client(media)
    ann.publish("video", "ann-v")
    ann.transport._remote = await ann.offer()
    assert await ann.transport._check(ann.transport._remote.candidates[0])
    await eventually(lambda: state_of(media, ANN) == "connecting", every=0.005)
    return ann


async def closed_here(media: Engine) -> None:
    ann = await ann_in_a_call(media)
    await media.close_peer(ANN)
    await ann.transport.close()


async def closed_by_the_client(media: Engine) -> None:
    ann = await ann_in_a_call(media)
    await ann.transport.close()
    await eventually(lambda: state_of(media, ANN) == "closed", every=0.005)
    await media.close_peer(ANN)


async def its_track_ended_before(media: Engine) -> None:
    ann = await ann_in_a_call(media)
    ann.sections[1] = replace(ann.sections[1], ssrc=None, rtx_ssrc=None)
    del ann.tracks["1"]
    await ann.offer()
    await media.close_peer(ANN)
    await ann.transport.close()


async def replaced_by_another(media: Engine) -> None:
    ann = await ann_in_a_call(media)
    again = Client(media, ANN, CERTIFICATES[1])
    again.publish("video", "ann-v2")
    await again.connect()
    await media.close_peer(ANN)
    for each in (ann, again):
        await each.transport.close()


async def closed_before_its_first_check(media: Engine) -> None:
    await media.open_peer(ANN, ROOM)
    ann = client(media)
    ann.publish("video", "ann-v")
    await ann.offer()
    await media.close_peer(ANN)


async def closed_in_its_handshake(media: Engine) -> None:
    ann = await ann_with_her_first_check(media)
    await media.close_peer(ANN)
    await ann.transport.close()


async def refused_in_its_handshake(media: Engine) -> None:
    await media.open_peer(ANN, ROOM)
    ann = client(media)
    ann.publish("video", "ann-v")
    ann.transport.local = replace(ann.transport.local, fingerprint=("sha-256", ":".join(["AB"] * 32)))
    await ann.connect()  # with another certificate than it said
    await eventually(lambda: state_of(media, ANN) == "failed", every=0.005)
    await media.close_peer(ANN)
    await ann.transport.close()


ENDS: list[Callable[[Engine], Awaitable[None]]] = [
    *(closed_here, closed_by_the_client, its_track_ended_before, replaced_by_another),
    *(closed_before_its_first_check, closed_in_its_handshake, refused_in_its_handshake),
]


@pytest.mark.parametrize("end", ENDS, ids=[end.__name__.replace("_", " ") for end in ENDS])
async def test_a_connection_that_is_over_is_freed_without_the_collector(
    end: Callable[[Engine], Awaitable[None]],
) -> None:
    async with Engine(OPTIONS) as media:
        bob = await client_of(media, BOB, publish="av", audio=1, video=1)
        async with nothing_left(PARTS):
            await end(media)
        assert state_of(media, BOB) == "connected"
        await bob.transport.close()
