"""What sharing costs is bounded: by what changed, not by how many are there or how many rooms there are.

`pytest -s` prints the figures of docs/state.md.
"""

from __future__ import annotations

import time
from collections import Counter

from state import wire
from state.model import Identity, Participant, ParticipantId, RoomName, Track, TrackId
from state.settings import RoomSettings
from state.store import Fetched, FetchSlices, Post, Reply, Request, WriteSlice, Written
from tests.state.world import Instance, World

ROOM = RoomName("room")
PEOPLE, ROOMS = 1000, 10_000


def someone(number: int, *, muted: bool = False) -> Participant:
    """A participant with a camera and a microphone, and with ids and names as long as they usually are."""
    id = f"p_{number:012d}"
    tracks = (
        Track(TrackId(f"{id}_a"), "audio", "microphone", muted),
        Track(TrackId(f"{id}_v"), "video", "camera"),
    )
    name = f"Somebody Number {number}"
    return Participant(
        ParticipantId(id), Identity(f"user-{number:08d}"), name, {track.id: track for track in tracks}, number
    )


class Meter:
    """Counts what goes between the instances and the store, renewals of leases apart."""

    def __init__(self, world: World) -> None:
        self.requests: Counter[str] = Counter()
        self.bytes: Counter[str] = Counter()
        self.largest_note = 0
        execute = world.execute

        def counted(request: Request) -> Reply:
            reply = execute(request)
            self._count(request, reply)
            return reply

        world.execute = counted  # type: ignore[method-assign]

    def _count(self, request: Request, reply: Reply) -> None:
        name = type(request).__name__
        self.requests[name] += 1
        match request, reply:
            case WriteSlice(), Written():
                self.bytes[name] += sum(len(key) + len(text or "") for key, text in request.changes.items())
            case FetchSlices(), Fetched():
                texts = (fields for _, fields in reply.slices.values())
                self.bytes[name] += sum(len(key) + len(text) for fields in texts for key, text in fields.items())
            case Post(), _:
                self.bytes[name] += sum(len(text) for _, text in request.notes)
                self.largest_note = max(self.largest_note, *(len(text) for _, text in request.notes))


def large_room() -> tuple[World, list[Instance]]:
    """A room with a thousand people on three instances; a fourth one is there and has nobody in it."""
    world = World(1, "abcd")
    world.run(4)
    instances = list(world.instances.values())
    for number in range(PEOPLE):
        member = someone(number)
        instances[number % 3].sharing.change(ROOM, {member.id: member}, world.now)
    world.run(3)
    assert len(instances[0].elsewhere(ROOM)) == PEOPLE - (PEOPLE + 2) // 3
    return world, instances


def test_who_comes_first_on_an_instance_to_a_large_room_costs_one_snapshot() -> None:
    world, (_, _, _, d) = large_room()
    meter = Meter(world)
    d.join(ROOM, "dora")
    began = time.process_time()
    world.run(0.4)
    spent = time.process_time() - began
    assert len(d.elsewhere(ROOM)) == PEOPLE
    assert meter.requests["FetchSlices"] == 1
    assert meter.requests["WriteSlice"] <= 2
    whole = sum(len(wire.dump_participant(someone(number))) for number in range(PEOPLE))
    assert whole < meter.bytes["FetchSlices"] < 1.2 * whole
    assert meter.bytes["Post"] < 2000
    print(
        f"joining a room of {PEOPLE}: {dict(meter.requests)}, {dict(meter.bytes)} bytes, {spent * 1000:.0f} ms of CPU"
    )


def test_a_mute_in_a_large_room_costs_a_bounded_message() -> None:
    world, (a, b, _, _) = large_room()
    meter = Meter(world)
    muted = someone(0, muted=True)
    a.sharing.change(ROOM, {muted.id: muted}, world.now)
    a.pump()
    world.run(0.4)
    known = next(one.participant for one in b.sharing.view.elsewhere(ROOM) if one.participant.id == muted.id)
    assert known == muted
    assert meter.requests["FetchSlices"] == 0
    assert meter.requests["WriteSlice"] <= 2  # a renewal may fall into it
    assert meter.bytes["WriteSlice"] < 400
    assert meter.largest_note < 600
    print(f"a mute: {meter.bytes['WriteSlice']} bytes written, a note of {meter.largest_note} bytes to each")


def test_two_thousand_bans_are_fetched_and_never_told() -> None:
    world, (a, b, *_) = large_room()

    def ban_many(settings: RoomSettings, writer: str, floor: int) -> RoomSettings:
        for number in range(2000):
            settings = settings.put_lasting("ban", f"user-{number:08d}", "true", writer, floor)
        return settings

    for one in (a, b):
        one.rooms[ROOM] = dict(one.sharing.ours.slices[ROOM].members)
    meter = Meter(world)
    a.write(ROOM, ban_many)
    world.run(1)
    assert len(list(b.settings[ROOM].banned())) == 2000
    assert meter.largest_note < 600
    print(f"2,000 bans: {dict(meter.requests)}, {dict(meter.bytes)} bytes")
    quiet = Meter(world)
    muted = someone(0, muted=True)
    a.sharing.change(ROOM, {muted.id: muted}, world.now)
    a.pump()
    world.run(0.3)
    assert quiet.bytes["WriteSlice"] < 400, "a mute does not write the bans again"


def test_ten_thousand_quiet_rooms_cost_nothing_at_a_tick() -> None:
    world = World(2, "ab")
    a = world.instances["a"]
    world.run(4)
    costs = []
    for rooms in (10, ROOMS):
        for number in range(len(a.sharing.ours.slices), rooms):
            member = someone(number)
            a.sharing.change(RoomName(f"room {number}"), {member.id: member}, world.now)
        while not a.sharing.is_stored:
            world.run(0.1)
        costs.append(min(_tick(a, world.now) for _ in range(50)))
    print(f"a tick: {costs[0] * 1e6:.0f} µs with 10 rooms, {costs[1] * 1e6:.0f} µs with {ROOMS:,}")
    assert costs[1] < costs[0] + 0.001


def _tick(instance: Instance, now: float) -> float:
    sharing = instance.sharing
    began = time.perf_counter()
    sharing.tick(now)
    sharing.take_events()
    assert sharing.ours.are_stored
    assert not sharing.view.is_behind
    sharing.ours.lag(now)
    return time.perf_counter() - began


def test_what_a_change_costs_in_time() -> None:
    world, (a, *_) = large_room()
    changes = 500
    began = time.process_time()
    for number in range(changes):
        member = someone(3 * (number % 300), muted=number % 2 == 0)
        a.sharing.change(ROOM, {member.id: member}, world.now)
        a.pump()
        world.run(0.02)
    spent = (time.process_time() - began) / changes
    print(f"a change: {spent * 1e6:.0f} µs of CPU for the four instances and the store in memory")
    assert spent < 0.01
