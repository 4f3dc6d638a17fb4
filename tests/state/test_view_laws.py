"""What others say of a room comes to the same in whatever order and however often it arrives: the newest of each.

Notes and slices are those that the code of an instance makes. They are told to the code that another one runs, which
fetches what it has missed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from state.membership import Membership
from state.model import Identity, NodeId, Participant, ParticipantId, RoomName
from state.own import MAX_TOLD, OwnSlice
from state.remote import RemoteRoom
from state.slices import NOTHING, Fields, Slice, Version, from_fields, to_fields
from state.store import Listed, Written
from state.timing import Timing
from state.view import View
from state.wire import Changed, NodeRecord

ROOM, ME = RoomName("room"), NodeId("me")
ANN, BEN = NODES = (NodeId("ann"), NodeId("ben"))
LONG = '"' + MAX_TOLD * "x" + '"'  # what is not told in a note but fetched


@dataclass(frozen=True)
class Whole:
    """A slice that was read."""

    node: NodeId
    version: Version
    fields: Fields


@dataclass(frozen=True)
class Found:
    """A version that the store lists."""

    node: NodeId
    version: Version


Told = Changed | Whole | Found


@dataclass
class Speaker:
    """An instance with its slice of the room: what the store has of it now, and all that may be told of it."""

    node: NodeId
    own: OwnSlice = field(default_factory=lambda: OwnSlice(ROOM))
    epoch: int = 1
    stored: Whole | None = None
    said: dict[Version, Slice] = field(default_factory=dict)
    telling: list[Told] = field(default_factory=list)

    def does(self, action: str, name: str) -> None:
        """Something changes, and is stored."""
        id = ParticipantId(name)
        match action:
            case "come":
                self.own.change({id: Participant(id, Identity(name), f"the one of {len(self.said)}")}, 0.0)
            case "leave":
                self.own.change({id: None}, 0.0)
            case "title" | "long title":
                text = LONG if action == "long title" else f'"{name}"'
                self.own.set_settings(self.own.settings.put_open("metadata", "title", text, self.node), 0.0)
            case "begin anew":
                self.epoch += 1
                self.own.distrust(0.0, 0.0)
        write = self.own.next_write(self.node, self.epoch, 60.0, 0.0)
        note = self.own.answered(Written("applied", {}), 0.0)
        fields = to_fields(self.own.members, self.own.settings)
        self.said[write.version] = from_fields(fields, write.version)
        self.stored = Whole(self.node, write.version, fields)
        self.telling += [self.stored, Found(self.node, write.version)]
        if note is not None:
            self.telling.append(note)


DEEDS = ("come", "come", "come", "leave", "title", "long title", "begin anew")
deeds = st.tuples(st.sampled_from((ANN, ANN, BEN)), st.sampled_from(DEEDS), st.sampled_from("xyz"))


def speakers(history: Iterable[tuple[NodeId, str, str]]) -> dict[NodeId, Speaker]:
    """Instances that did all this."""
    made = {node: Speaker(node) for node in NODES}
    for node, action, name in history:
        made[node].does(action, name)
    return made


# ------------------------------------------------------------------------------------------------------- in any order


def of(told: Told) -> tuple[NodeId, Version]:
    """What somebody is told of."""
    return told.node, Version(told.epoch, told.seq) if isinstance(told, Changed) else told.version


def tell(remote: RemoteRoom, told: Told) -> None:
    """Something arrives. Nothing older takes the place of something newer."""
    before = {node: one.version for node, one in remote.slices.items()}
    match told:
        case Changed():
            remote.heard(told)
        case Whole(node, version, fields):
            remote.fetched({node: (version, fields)}, [node])
        case Found(node, version):
            remote.listed({node: Listed(version, 0.0)}, ME, 0.0, 15.0, lambda _: True)
    assert all(remote.version(node) >= version for node, version in before.items())


def known_after(deliveries: Iterable[Told], newest: dict[NodeId, Whole]) -> dict[NodeId, Slice]:
    """What is known once all of this arrived, and what was missed is fetched from a store that has the newest of it."""
    remote = RemoteRoom(ROOM)
    for told in deliveries:
        tell(remote, told)
    assert set(remote.behind) == {node for node, one in newest.items() if remote.version(node) < one.version}
    asked = list(remote.behind)
    remote.fetched({node: (newest[node].version, newest[node].fields) for node in asked}, asked)
    assert not remote.behind
    return remote.slices


@st.composite
def two_orders(draw: st.DrawFn) -> tuple[dict[NodeId, Speaker], list[Told], list[Told]]:
    """Some of what is told of some instances, and the same in another order, some of it more than once."""
    made = speakers(draw(st.lists(deeds, min_size=1, max_size=8)))
    telling = [told for speaker in made.values() for told in speaker.telling]
    once = draw(st.lists(st.sampled_from(telling), unique_by=telling.index, max_size=10))
    again = draw(st.lists(st.sampled_from(once), max_size=5)) if once else []
    return made, once, draw(st.permutations([*once, *again]))


@settings(max_examples=300)
@given(two_orders())
def test_in_whatever_order_and_however_often_it_is_told_the_newest_that_each_said_is_known(
    orders: tuple[dict[NodeId, Speaker], list[Told], list[Told]],
) -> None:
    made, once, anyhow = orders
    wholes = {
        (one.node, one.version): one for speaker in made.values() for one in speaker.telling if isinstance(one, Whole)
    }
    newest = {node: wholes[node, version] for node, version in sorted(map(of, once))}
    expected = {node: made[node].said[one.version] for node, one in newest.items()}
    assert known_after(once, newest) == known_after(anyhow, newest) == expected


# ------------------------------------------------------------------------------------- while fetches are under way


@dataclass
class Listener:
    """An instance that hears of the room while its fetches are under way."""

    speakers: dict[NodeId, Speaker] = field(default_factory=lambda: speakers([]))
    told: dict[NodeId, Version] = field(default_factory=dict)  # the newest that arrived
    asked: deque[tuple[NodeId, ...]] = field(default_factory=deque)
    read: deque[tuple[tuple[NodeId, ...], list[Whole]]] = field(default_factory=deque)  # on its way back

    def __post_init__(self) -> None:
        members = Membership(ME, 30.0)
        members.announced([NodeRecord(node=node, nonce="n") for node in NODES], 0.0)
        self.view = View(members, lambda: True, Timing())
        self.remote = self.view.room(ROOM)

    def hears(self, told: Told) -> None:
        """A note or a list arrives."""
        node, version = of(told)
        self.told[node] = max(version, self.told.get(node, NOTHING))
        if isinstance(told, Changed):
            self.view.heard(told)
        else:
            self.view.listed(ROOM, {node: Listed(version, 0.0)}, 0.0, asked=0.0, all_ours=True)

    def asks(self) -> bool:
        """What is behind is asked for, if anything is."""
        if (behind := self.view.take_behind()) is not None:
            self.asked.append(behind[1])
        return behind is not None

    def is_read(self) -> None:
        """The store reads what was asked for."""
        if self.asked:
            nodes = self.asked.popleft()
            self.read.append((nodes, [one for node in nodes if (one := self.speakers[node].stored) is not None]))

    def is_answered(self) -> None:
        """What the store read arrives."""
        if self.read:
            nodes, found = self.read.popleft()
            self.told |= {one.node: max(one.version, self.told.get(one.node, NOTHING)) for one in found}
            self.view.fetched(ROOM, {one.node: (one.version, one.fields) for one in found}, nodes)

    def fails(self) -> None:
        """The store did not answer."""
        if self.asked:
            self.asked.popleft()
            self.view.not_fetched(ROOM)

    def is_right(self) -> bool:
        """Whether what is known is what was said, and is the newest that was told, or is fetched yet."""
        fetching = {node for nodes in (*self.asked, *(nodes for nodes, _ in self.read)) for node in nodes}
        known = self.remote.slices
        return all(one == self.speakers[node].said[one.version] for node, one in known.items()) and all(
            self.remote.version(node) >= version or node in self.remote.behind or node in fetching
            for node, version in self.told.items()
        )


STEPS: dict[str, Callable[[Listener], object]] = {
    "ask": Listener.asks,
    "read": Listener.is_read,
    "answer": Listener.is_answered,
    "fail": Listener.fails,
}
# What is told: the last of an instance, or one before; mostly of the same instance, so that much happens to one slice.
one = st.sampled_from((ANN, ANN, ANN, BEN))
steps = st.one_of(
    st.tuples(one, st.sampled_from(DEEDS), st.sampled_from("xyz")),
    st.tuples(one, st.sampled_from((1, 1, 2, 2, 3, 4, 6))),
    st.sampled_from(("ask", "read", "answer", "ask", "read", "answer", "fail")),
)


@settings(max_examples=300)
@given(st.lists(steps, min_size=6, max_size=40))
def test_whatever_is_told_while_a_fetch_is_under_way_is_known_or_fetched_next(
    history: list[tuple[NodeId, str, str] | tuple[NodeId, int] | str],
) -> None:
    listener = Listener()
    for step in history:
        match step:
            case str():
                STEPS[step](listener)
            case node, action, name:
                listener.speakers[node].does(action, name)
            case node, back:
                telling = [told for told in listener.speakers[node].telling if not isinstance(told, Whole)]
                for told in telling[-back:][:1]:
                    listener.hears(told)
        assert listener.is_right(), step
    while listener.asked or listener.read or listener.asks():
        listener.is_read()
        listener.is_answered()
    assert all(listener.remote.version(node) >= version for node, version in listener.told.items())
    assert listener.is_right()
    assert not listener.view.is_behind
