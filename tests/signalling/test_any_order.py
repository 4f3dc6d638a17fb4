"""Whatever happens in whatever order, the conference stays whole."""

from __future__ import annotations

from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from hypothesis.strategies import booleans, floats, integers, sampled_from

from sfu import media_plane as media
from signalling import messages as m
from signalling.session import Phase, Standing
from tests.support.playbook import MODERATOR, Client, Stage

SOURCES: list[tuple[str, m.Source]] = [
    ("a0", "microphone"),
    ("v1", "camera"),
    ("v1", "screen"),
    ("v2", "microphone"),
]
VERBS = ["mute", "remove", "ban", "unban", "lock", "unlock", "waiting_room", "silence", "promote", "admit", "deny"]


class AnyOrder(RuleBasedStateMachine):
    """A few clients who do as they please, in two rooms, with media that fails at times."""

    def __init__(self) -> None:
        super().__init__()
        self.stage = Stage(resume_window=30.0, max_participants_per_room=3, max_bad_messages=3)

    def client(self, number: int) -> Client:
        clients = list(self.stage.clients.values())
        return clients[number % len(clients)] if clients else self.stage.connects()

    def learn(self) -> None:
        for client in self.stage.clients.values():
            for message in client.told:
                if isinstance(message, m.Welcome):
                    client.is_welcomed(message)

    @precondition(lambda self: len(self.stage.clients) < 12)
    @rule()
    def connect(self) -> None:
        self.stage.connects()

    @rule(number=integers(0, 11), identity=sampled_from("abcd"), room=sampled_from(["one", "two"]))
    def join(self, number: int, identity: str, room: str) -> None:
        self.client(number).says(m.Join(token=self.stage.token(identity, room)))
        self.learn()

    @rule(number=integers(0, 11), identity=sampled_from("abcd"))
    def wait(self, number: int, identity: str) -> None:
        self.client(number).says(m.Join(token=self.stage.token(identity, "one", wait=True)))

    @rule(number=integers(0, 11), room=sampled_from(["one", "two"]))
    def moderate(self, number: int, room: str) -> None:
        self.client(number).says(m.Join(token=self.stage.token("m", room, MODERATOR)))
        self.learn()

    @rule(number=integers(0, 11), whom=integers(0, 11), text=sampled_from(VERBS))
    def rule_over(self, number: int, whom: int, text: str) -> None:
        conference = self.stage.conference
        everybody = [*conference.sessions, *conference.waiting] or ["p_none"]
        participant = everybody[whom % len(everybody)]
        tracks = [id for session in conference.sessions.values() for id in session.published.values()] or ["t_none"]
        messages: dict[str, m.ClientMessage] = {
            "mute": m.MuteTrack(track=tracks[whom % len(tracks)]),
            "remove": m.Remove(participant=participant),
            "ban": m.Ban(participant=participant),
            "unban": m.Unban(identity="abcd"[whom % 4]),
            "lock": m.Lock(),
            "unlock": m.Unlock(),
            "waiting_room": m.WaitingRoom(on=whom % 2 == 0),
            "silence": m.SetPermissions(participant=participant, publish=["camera"], subscribe=False),
            "promote": m.SetPermissions(participant=participant, subscribe=True, admin=whom % 2 == 0),
            "admit": m.Admit(participant=participant),
            "deny": m.Deny(participant=participant),
        }
        moderators = [client for client in self.stage.clients.values() if self.moderates(client)]
        speaker = moderators[number % len(moderators)] if moderators else self.client(number)
        speaker.says(messages[text])
        self.learn()

    def moderates(self, client: Client) -> bool:
        socket = self.stage.conference.sockets.get(client.socket)
        return (
            socket is not None
            and socket.session is not None
            and self.stage.conference.sessions[socket.session].grant.admin
        )

    @rule(number=integers(0, 11))
    def check(self, number: int) -> None:
        self.client(number).says(m.Check(token=self.stage.token("a", "one")))

    @rule(number=integers(0, 11), whose=integers(0, 11))
    def resume(self, number: int, whose: int) -> None:
        self.client(number).says(m.Resume(resume_token=self.client(whose).resume_token or "x"))
        self.learn()

    @rule(number=integers(0, 11))
    def vanish(self, number: int) -> None:
        self.client(number).vanishes()

    @rule(number=integers(0, 11), source=sampled_from(SOURCES), muted=booleans())
    def offer(self, number: int, source: tuple[str, m.Source], muted: bool) -> None:
        self.client(number).offers(source, muted=muted)

    @rule(number=integers(0, 11))
    def offer_nothing(self, number: int) -> None:
        self.client(number).offers()

    @rule(answering=booleans())
    def answer(self, answering: bool) -> None:
        self.stage.answering = answering
        if answering:
            self.stage.answers_all()

    @rule(number=integers(0, 11), text=sampled_from(["chat", "ping", "leave", "mute", "subscribe", "unsubscribe", "?"]))
    def say(self, number: int, text: str) -> None:
        client = self.client(number)
        tracks = [
            track
            for session in self.stage.conference.sessions.values()
            for track in self.stage.conference.rooms.participant(session.id).tracks
        ] or ["t_none"]
        match text:
            case "chat":
                client.says(m.Chat(text="hello"))
            case "ping":
                client.says(m.Ping(request="1"))
            case "leave":
                client.says(m.Leave())
            case "mute":
                client.says(m.Mute(track=tracks[0]))
            case "subscribe":
                client.says(m.Subscribe(tracks=[*tracks[:2]]))
            case "unsubscribe":
                client.says(m.Unsubscribe(tracks=[*tracks[:2]]))
            case _:
                client.babbles()

    @rule(number=integers(0, 11), state=sampled_from(["connected", "disconnected", "failed", "closed"]))
    def transport(self, number: int, state: media.PeerState) -> None:
        peers = list(self.stage.conference.peers)
        if peers:
            peer = peers[number % len(peers)]
            self.stage.reports(media.SlotsChanged(peer, {"9": None}))
            self.stage.reports(media.PeerStateChanged(peer, state, "so it is"))

    @rule(seconds=floats(0.0, 40.0))
    def time(self, seconds: float) -> None:
        self.stage.passes(seconds)

    @invariant()
    def everything_points_back(self) -> None:
        conference = self.stage.conference
        assert set(conference.peers.values()) == {id for id, s in conference.sessions.items() if s.peer is not None}
        assert set(conference.resumable.values()) <= set(conference.sessions)
        assert set(conference.strangers) == {
            id for id, socket in conference.sockets.items() if socket.standing is Standing.STRANGER
        }
        for peer, check in conference.checks.items():
            assert conference.sockets[check.socket].check == peer
        for socket in conference.sockets.values():
            assert socket.standing is not Standing.CHECKING or socket.check in conference.checks
        assert {waiter.socket: id for id, waiter in conference.waiting.items()} == {
            id: socket.waiter for id, socket in conference.sockets.items() if socket.standing is Standing.WAITING
        }
        assert set(conference.fading) <= set(conference.detached)
        for id, session in conference.sessions.items():
            assert conference.rooms.participant(id).id == id
            assert set(session.published.values()) == set(conference.rooms.participant(id).tracks)
            assert (id in conference.detached) == (session.phase is Phase.DETACHED) == (session.socket is None)
            if session.socket is not None:
                socket = conference.sockets[session.socket]
                assert (socket.standing, socket.session) == (Standing.MEMBER, id)
            assert session.silenced <= set(session.published.values())
            tracks = conference.rooms.participant(id).tracks.values()
            assert {track.source for track in tracks} <= session.grant.publish
            assert session.grant.subscribe or not session.subscribed
            for track in session.subscribed:
                owner = conference.rooms.owner_of(track)
                assert owner is not None
                assert owner != id
        members = sum(len(conference.rooms.room(name).participants) for name in ("one", "two"))  # type: ignore[arg-type]
        assert members == len(conference.sessions)

    @invariant()
    def goodbye_is_the_last_word(self) -> None:
        for client in self.stage.clients.values():
            said = [isinstance(message, m.Goodbye) for message in client.told]
            assert sum(said) == (client.closed is not None)
            assert not any(said[:-1])

    def teardown(self) -> None:
        for client in self.stage.clients.values():
            client.vanishes()
        self.stage.passes(60.0)
        conference = self.stage.conference
        for left in (
            conference.sessions,
            conference.sockets,
            conference.peers,
            conference.resumable,
            conference.rooms,
            conference.checks,
            conference.waiting,
            conference.fading,
            conference.detached,
            [one for one in conference.doors._settings.values() if one.open or one.incarnation],
            conference.doors._decided["grant"],
        ):
            assert len(left) == 0


AnyOrder.TestCase.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
TestAnyOrder = AnyOrder.TestCase
