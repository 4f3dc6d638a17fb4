"""The pre-call test: a peer in no room, for a few seconds, so that a client can try its way to us before it joins.

Nobody hears of it and it is no participant. It holds a valid access token, is one of few, offers few times, publishes
into a media room of its own where nobody is, and ends by itself.
"""

from __future__ import annotations

from sfu import media_plane as media
from sfu.media_plane import PeerId

from . import messages as m
from .commands import AnswerOffer, CloseCode, ClosePeer, OpenPeer
from .conference import Conference, Refused
from .events import OfferAnswered, OfferRefused
from .session import Check, Socket, Standing

MAX_OFFERS = 3
MAX_TRACKS = 2  # per offer: one for sound, one for pictures


def begin(conference: Conference, socket: Socket, message: m.Check) -> None:
    """Let a stranger, whose token was verified, try its way to us. Raises Refused."""
    rules = conference.rules
    if len(conference.checks) >= rules.max_checks:
        text = "Many people test their connection just now."
        raise Refused("too_many_checks", text, retry_after=rules.check_time, close=CloseCode.TRY_LATER)
    id = conference.new_id("c")
    peer = PeerId(id)
    conference.checks[peer] = Check(peer, socket.id, conference.at.now + rules.check_time)
    conference.strangers.pop(socket.id, None)
    socket.standing, socket.check = Standing.CHECKING, peer
    # No token can name a room with braces.
    conference.do(OpenPeer(peer, f"{{check}}{id}"))
    servers = conference.ice_servers(id, conference.at.wall)
    conference.reply(socket.id, m.Checking(time=rules.check_time, ice_servers=servers, request=message.request))


def offer(conference: Conference, check: Check, message: m.Offer) -> None:
    """Answer an offer; what it publishes reaches nobody. Raises Refused."""
    if len(message.tracks) > MAX_TRACKS or len({track.mid for track in message.tracks}) != len(message.tracks):
        raise Refused("invalid_message", f"A test publishes {MAX_TRACKS} tracks at most.", field="tracks")
    if check.asking is not None:
        raise Refused("offer_pending", "One offer is being answered already.")
    if check.offers >= MAX_OFFERS:
        raise Refused("too_many_offers", f"A test may offer {MAX_OFFERS} times.")
    check.offers += 1
    check.asking = message
    tracks = (media.PublishedTrack(track.mid, media.TrackId(conference.new_id("t"))) for track in message.tracks)
    conference.do(AnswerOffer(check.peer, message.sdp, tuple(tracks)))


def answered(conference: Conference, check: Check, event: OfferAnswered) -> None:
    """Hand the answer on."""
    asked, check.asking = check.asking, None
    if asked is not None:
        tracks = [m.AnsweredTrack(mid=track.mid, track=track.track) for track in event.answer.accepted]
        rejected = [
            m.RejectedTrack(mid=mid, code="track_rejected", message=reason)
            for mid, reason in event.answer.rejected.items()
        ]
        answer = m.SdpAnswer(sdp=event.answer.sdp, tracks=tracks, rejected=rejected, request=asked.request)
        conference.reply(check.socket, answer)


def refused(conference: Conference, check: Check, event: OfferRefused) -> None:
    """Hand the refusal on."""
    asked, check.asking = check.asking, None
    if asked is not None:
        conference.refuse(check.socket, Refused(event.code, event.text, field="sdp"), asked.request)


def leave(conference: Conference, check: Check, message: m.Leave) -> None:
    """The client knows enough."""
    conference.dismiss(check.socket, "left", "Goodbye.", CloseCode.NORMAL, request=message.request)
    end(conference, check)


def sweep(conference: Conference) -> None:
    """End what has taken its time."""
    while conference.checks:
        check = next(iter(conference.checks.values()))  # in the order of their deadlines
        if check.deadline > conference.at.now:
            break
        conference.dismiss(check.socket, "check_over", "The time for this test is over.", CloseCode.NORMAL)
        end(conference, check)


def end(conference: Conference, check: Check) -> None:
    """Take the peer away; called once for each test, whatever ends it."""
    if conference.checks.pop(check.peer, None) is not None:
        conference.do(ClosePeer(check.peer))
