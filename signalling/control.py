"""Leads each event to the behaviour it belongs to, and answers for what is refused on the way."""

from __future__ import annotations

from sfu import media_plane as media

from . import (
    cluster_news,
    conversation,
    departure,
    entrance,
    gathering,
    media_reports,
    migration,
    moderators,
    negotiation,
    precall,
    relays,
    waiting,
)
from . import messages as m
from .commands import CloseCode, Command, ReadLater
from .conference import Conference, Refused
from .events import (
    Connected,
    Disconnected,
    Event,
    Instant,
    Malformed,
    MediaHappened,
    NewsHeard,
    OfferAnswered,
    OfferRefused,
    Received,
    RelaysChanged,
    ShutdownBegan,
    Tick,
)
from .limits import Strikes, TokenBucket
from .session import ACCEPTS, Check, Session, Socket, Standing


def handle(conference: Conference, event: Event, at: Instant) -> list[Command]:
    """What is to be done because `event` happened."""
    conference.at = at
    match event:
        case Connected():
            _connected(conference, event)
        case Received():
            _received(conference, event)
        case Malformed():
            _malformed(conference, event)
        case Disconnected():
            departure.socket_lost(conference, event.socket, clean=event.clean)
        case OfferAnswered():
            if event.peer in conference.checks:
                precall.answered(conference, conference.checks[event.peer], event)
            else:
                negotiation.answered(conference, event)
        case OfferRefused():
            if event.peer in conference.checks:
                precall.refused(conference, conference.checks[event.peer], event)
            else:
                negotiation.refused(conference, event)
        case MediaHappened():
            _media_happened(conference, event.event)
        case NewsHeard():
            cluster_news.take(conference, event.news)
        case RelaysChanged():
            relays.changed(conference, event)
        case Tick():
            departure.sweep(conference)
            migration.sweep(conference)
            gathering.sweep(conference)
            relays.sweep(conference)
        case ShutdownBegan():
            departure.shut_down(conference)
    return conference.take_commands()


def _connected(conference: Conference, event: Connected) -> None:
    rules, now = conference.rules, conference.at.now
    conference.sockets[event.socket] = Socket(
        id=event.socket,
        address=event.address,
        url=event.url,
        deadline=now + rules.join_timeout,
        messages=TokenBucket(rules.messages, now),
        strikes=Strikes(rules.max_bad_messages, rules.bad_message_window, now),
    )
    conference.strangers[event.socket] = None


def _received(conference: Conference, event: Received) -> None:
    socket = conference.sockets.get(event.socket)
    if socket is None or socket.standing is Standing.DISMISSED:
        return
    message = event.message
    try:
        wait = socket.messages.spend(conference.at.now)
        if wait:
            conference.limited("messages_per_connection")
            conference.do(ReadLater(socket.id, wait))
        if type(message) not in ACCEPTS[socket.standing]:
            raise _out_of_place(socket)
        if socket.standing is Standing.STRANGER:
            _stranger_asks(conference, socket, message)
        elif socket.check is not None:
            _checker_asks(conference, conference.checks[socket.check], socket, message)
        elif socket.waiter is not None:
            _waiter_asks(conference, socket, message)
        elif socket.session is not None:
            session = conference.sessions[socket.session]
            session.heard_at = conference.at.now
            _member_asks(conference, session, socket, message)
    except Refused as refused:
        _refuse(conference, socket, refused, message.request)


def _stranger_asks(conference: Conference, socket: Socket, message: m.Request) -> None:
    match message:
        case m.Join():
            entrance.join(conference, socket, message)
        case m.Resume():
            entrance.resume(conference, socket, message)
        case m.Check():
            entrance.check(conference, socket, message)


def _checker_asks(conference: Conference, check: Check, socket: Socket, message: m.Request) -> None:
    match message:
        case m.Offer():
            precall.offer(conference, check, message)
        case m.Ping():
            conversation.ping(conference, socket, message)
        case m.Leave():
            precall.leave(conference, check, message)


def _waiter_asks(conference: Conference, socket: Socket, message: m.Request) -> None:
    match message:
        case m.Ping():
            conversation.ping(conference, socket, message)
        case m.Leave():
            waiting.leave(conference, socket, message)


def _member_asks(conference: Conference, session: Session, socket: Socket, message: m.Request) -> None:
    match message:
        case m.Offer():
            negotiation.offer(conference, session, socket, message)
        case m.Subscribe():
            conversation.subscribe(conference, session, socket, message)
        case m.Unsubscribe():
            conversation.unsubscribe(conference, session, socket, message)
        case m.Mute() | m.Unmute():
            conversation.mute(conference, session, socket, message)
        case m.Chat():
            conversation.chat(conference, session, socket, message)
        case m.Ping():
            conversation.ping(conference, socket, message)
        case m.Leave():
            departure.leave(conference, session, socket, message)
        case _:
            moderators.ask(conference, session, socket, message)


def _out_of_place(socket: Socket) -> Refused:
    if socket.standing is Standing.STRANGER:
        return Refused("not_joined", "The first message must be join, resume or check.", field="type")
    if socket.standing is Standing.CHECKING:
        return Refused("not_joined", "During a test there is only offer, ping and leave.", field="type")
    if socket.standing is Standing.WAITING:
        return Refused("not_joined", "While you wait to be let in there is only ping and leave.", field="type")
    return Refused("already_joined", "This connection has joined already.", field="type")


def _malformed(conference: Conference, event: Malformed) -> None:
    socket = conference.sockets.get(event.socket)
    if socket is None or socket.standing is Standing.DISMISSED:
        return
    _refuse(conference, socket, Refused(event.code, event.text, field=event.field), event.request)


def _refuse(conference: Conference, socket: Socket, refused: Refused, request: str | m.UnsetType) -> None:
    """Answer with an error. A stranger gets one try; a member may err, but not without end."""
    conference.refuse(socket.id, refused, request)
    if socket.standing is Standing.STRANGER:
        if refused.close is None:  # neither full nor too often: this one will not do
            conference.failures.take(socket.address, conference.at.now)
        conference.dismiss(socket.id, refused.code, str(refused), refused.close or CloseCode.POLICY)
    elif socket.strikes.add(conference.at.now):
        departure.dismiss_for_errors(conference, socket)


def _media_happened(conference: Conference, event: media.MediaEvent) -> None:
    match event:
        case media.NegotiationNeeded():
            media_reports.needs_sections(conference, event)
        case media.SlotsChanged():
            media_reports.slots_changed(conference, event)
        case media.SpeakersChanged():
            media_reports.speakers_changed(conference, event)
        case media.TrackUnreceivable():
            media_reports.unreceivable(conference, event)
        case media.PeerStateChanged():
            _peer_state_changed(conference, event)


def _peer_state_changed(conference: Conference, event: media.PeerStateChanged) -> None:
    session = conference.session_of_peer(event.peer)
    if session is None:
        return
    media_reports.tell_state(conference, session, event.state, event.reason)
    if event.state not in ("failed", "closed"):
        return
    if session.socket is None:
        departure.fade(conference, session)
    else:
        migration.restart_media(conference, session, event.reason)
