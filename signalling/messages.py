"""Every message of the `auralink.v1` protocol as a typed, frozen model, and the one way to parse and to dump them.

This is the only file of `signalling` that imports msgspec. The JSON Schema served to clients is generated from these
models, and every JSON example in docs/protocol.md is parsed by them in a test.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import UNSET as UNSET
from msgspec import Meta, Struct
from msgspec import UnsetType as UnsetType

from state.model import Kind as Kind
from state.model import Source as Source

SUBPROTOCOL = "auralink.v1"

# Upper bounds of single fields. Whole messages are bounded by `--max-message-bytes` before they are parsed.
MAX_SDP_CHARACTERS = 256 * 1024
MAX_CHAT_CHARACTERS = 4096
MAX_TRACKS_PER_MESSAGE = 256
MAX_METADATA_FIELDS = 32  # of one message, and of one room
MAX_METADATA_CHARACTERS = 1024  # of one value

RequestId = Annotated[str, Meta(max_length=64)]
Mid = Annotated[str, Meta(min_length=1, max_length=32, pattern=r"^[A-Za-z0-9._-]+$")]
Id = Annotated[str, Meta(min_length=1, max_length=64)]
Identity = Annotated[str, Meta(min_length=1, max_length=128)]
Reason = Annotated[str, Meta(max_length=256)]
Token = Annotated[str, Meta(min_length=1, max_length=4096)]
Sdp = Annotated[str, Meta(min_length=1, max_length=MAX_SDP_CHARACTERS)]
TrackList = Annotated[list[Id], Meta(min_length=1, max_length=MAX_TRACKS_PER_MESSAGE)]
MetadataField = Annotated[str, Meta(min_length=1, max_length=64)]
MetadataValue = Annotated[str, Meta(max_length=MAX_METADATA_CHARACTERS)]

# Where a participant's media is: at this instance, at another one, or at one of which nothing is heard just now.
Presence = Literal["here", "elsewhere", "unknown"]


class Model(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A value inside a message. Unknown fields are ignored, so that newer clients work with older servers."""


class Message(Model, frozen=True, kw_only=True, tag_field="type"):
    """The base of everything that travels; `type` names the message."""


class Request(Message, frozen=True, kw_only=True, tag_field="type"):
    """A message from a client. A reply or an error that it causes repeats its `request` id."""

    request: RequestId | UnsetType = UNSET


# ---------------------------------------------------------------------------------------------- client to server


class Join(Request, frozen=True, kw_only=True, tag="join"):
    """The first message of a new session. The token names room and identity and says what is allowed.

    `stay`: let me in here though the room is at home elsewhere, for I cannot get there. `relay_only`: I connect by a
    relay or not at all (`iceTransportPolicy: "relay"`), so refuse me if there is none.
    """

    token: Token
    subscribe: Literal["auto", "manual"] = "auto"
    stay: bool = False
    relay_only: bool = False


class Resume(Request, frozen=True, kw_only=True, tag="resume"):
    """The first message on a new socket of a session whose old socket was lost."""

    resume_token: Token


class Check(Request, frozen=True, kw_only=True, tag="check"):
    """The first message of a pre-call test: any token that could join may also try the way to the media port."""

    token: Token


class OfferedTrack(Model, frozen=True, kw_only=True):
    """One section of an offer that publishes media, and what the client calls its source."""

    mid: Mid
    source: Source
    muted: bool = False
    dtx: bool = False
    """Send next to nothing while there is nothing to hear (discontinuous transmission, `usedtx` of RFC 7587)."""


class Offer(Request, frozen=True, kw_only=True, tag="offer"):
    """An SDP offer. `tracks` is the whole list of what the client publishes after this offer."""

    sdp: Sdp
    tracks: Annotated[list[OfferedTrack], Meta(max_length=32)] = []


class Subscribe(Request, frozen=True, kw_only=True, tag="subscribe"):
    """Ask to receive single tracks of others."""

    tracks: TrackList


class Unsubscribe(Request, frozen=True, kw_only=True, tag="unsubscribe"):
    """Ask to receive single tracks no longer."""

    tracks: TrackList


class Mute(Request, frozen=True, kw_only=True, tag="mute"):
    """Stop one of the sender's own tracks for everybody, without ending it."""

    track: Id


class Unmute(Request, frozen=True, kw_only=True, tag="unmute"):
    """Let one of the sender's own muted tracks flow again."""

    track: Id


class Chat(Request, frozen=True, kw_only=True, tag="chat"):
    """Say something to the whole room, or to the one participant named in `to`."""

    text: Annotated[str, Meta(min_length=1, max_length=MAX_CHAT_CHARACTERS)]
    to: Id | UnsetType = UNSET


class Leave(Request, frozen=True, kw_only=True, tag="leave"):
    """End the session. The server answers `goodbye` and closes the socket. The others are told the `reason`."""

    reason: Literal["left", "migrated"] = "left"


class Ping(Request, frozen=True, kw_only=True, tag="ping"):
    """Ask for a `pong`, to measure the round trip or to keep a proxy from closing an idle socket."""


class MuteTrack(Request, frozen=True, kw_only=True, tag="mute_track"):
    """A moderator stops somebody's track for everybody, until its owner unmutes it."""

    track: Id


class Remove(Request, frozen=True, kw_only=True, tag="remove"):
    """A moderator sends somebody out; tokens issued before let them in no more."""

    participant: Id
    reason: Reason = ""


class Ban(Request, frozen=True, kw_only=True, tag="ban"):
    """A moderator sends an identity out and keeps it out; named by itself, or by a participant or waiter who has it."""

    participant: Id | UnsetType = UNSET
    identity: Identity | UnsetType = UNSET
    reason: Reason = ""


class Unban(Request, frozen=True, kw_only=True, tag="unban"):
    """A moderator lets a banned identity in again."""

    identity: Identity


class Lock(Request, frozen=True, kw_only=True, tag="lock"):
    """A moderator lets nobody new in."""


class Unlock(Request, frozen=True, kw_only=True, tag="unlock"):
    """A moderator ends a lock."""


class WaitingRoom(Request, frozen=True, kw_only=True, tag="waiting_room"):
    """A moderator has everybody new wait until admitted, or no longer."""

    on: bool


class SetMetadata(Request, frozen=True, kw_only=True, tag="set_metadata"):
    """A moderator changes what is written at the room: field by field; null takes a field away."""

    metadata: Annotated[dict[MetadataField, MetadataValue | None], Meta(min_length=1, max_length=MAX_METADATA_FIELDS)]


class SetPermissions(Request, frozen=True, kw_only=True, tag="set_permissions"):
    """A moderator changes what somebody may do, at once. What is not named stays."""

    participant: Id
    publish: Annotated[list[Source], Meta(max_length=16)] | UnsetType = UNSET
    subscribe: bool | UnsetType = UNSET
    chat: bool | UnsetType = UNSET
    admin: bool | UnsetType = UNSET


class Admit(Request, frozen=True, kw_only=True, tag="admit"):
    """A moderator lets somebody in who waits."""

    participant: Id


class Deny(Request, frozen=True, kw_only=True, tag="deny"):
    """A moderator sends somebody away who waits."""

    participant: Id


ClientMessage = (
    Join
    | Resume
    | Check
    | Offer
    | Subscribe
    | Unsubscribe
    | Mute
    | Unmute
    | Chat
    | Leave
    | Ping
    | MuteTrack
    | Remove
    | Ban
    | Unban
    | Lock
    | Unlock
    | WaitingRoom
    | SetMetadata
    | SetPermissions
    | Admit
    | Deny
)


# ---------------------------------------------------------------------------------------------- server to client


class TrackInfo(Model, frozen=True, kw_only=True, omit_defaults=False):
    """A published track as others see it."""

    id: str
    kind: Kind
    source: Source
    muted: bool


class ParticipantInfo(Model, frozen=True, kw_only=True, omit_defaults=False):
    """A member of the room. `id` is new with every session; `identity` is what the token says and stays.

    Only tracks of those who are `here` can be received.
    """

    id: str
    identity: str
    name: str
    tracks: list[TrackInfo]
    presence: Presence = "here"


class RoomSnapshot(Model, frozen=True, kw_only=True, omit_defaults=False):
    """The room as it is now, the receiving participant included."""

    name: str
    participants: list[ParticipantInfo]
    locked: bool = False
    waiting_room: bool = False
    metadata: dict[str, str] = {}


class Degradation(Model, frozen=True, kw_only=True, omit_defaults=False):
    """Something that this server depends on is away: since when (seconds since 1970), and what that means for you."""

    dependency: str
    mode: str
    reason: str
    since: float
    message: str


class Slot(Model, frozen=True, kw_only=True, omit_defaults=False):
    """Receive section `mid` carries `track` now; null means that the section is empty."""

    mid: str
    track: str | None


class IceServer(Model, frozen=True, kw_only=True):
    """An entry of RTCConfiguration.iceServers."""

    urls: list[str]
    username: str | UnsetType = UNSET
    credential: str | UnsetType = UNSET


class Permissions(Model, frozen=True, kw_only=True, omit_defaults=False):
    """What this participant may do: what its token allows, or what a moderator made of it."""

    publish: list[Source]
    subscribe: bool
    chat: bool
    admin: bool


class ReceiveSections(Model, frozen=True, kw_only=True, omit_defaults=False):
    """How many receive sections of each kind an offer should carry in total."""

    audio: int
    video: int


class Welcome(Message, frozen=True, kw_only=True, omit_defaults=False, tag="welcome"):
    """The session is open (or resumed): who you are, who is there, and all you need to offer media.

    `resume_window` is in seconds. `chat` holds what a resumed session may have missed.
    """

    participant: str
    room: RoomSnapshot
    permissions: Permissions
    resume_token: str
    resume_window: float
    resumed: bool
    url: str
    ice_servers: list[IceServer]
    receive: ReceiveSections
    slots: list[Slot]
    chat: list[ChatMessage]
    degraded: list[Degradation] = []
    request: str | UnsetType = UNSET


class Redirect(Message, frozen=True, kw_only=True, tag="redirect"):
    """The room is at home at the instance at `url`: join there. If it cannot be reached, join here with `stay`."""

    url: str
    request: str | UnsetType = UNSET


class Checking(Message, frozen=True, kw_only=True, omit_defaults=False, tag="checking"):
    """The pre-call test may begin, and is over after `time` seconds: offer, ping, leave."""

    time: float
    ice_servers: list[IceServer]
    request: str | UnsetType = UNSET


class AnsweredTrack(Model, frozen=True, kw_only=True, omit_defaults=False):
    """The id under which the room knows the track that section `mid` publishes."""

    mid: str
    track: str


class RejectedTrack(Model, frozen=True, kw_only=True, omit_defaults=False):
    """A section whose track was refused, and why."""

    mid: str
    code: str
    message: str


class SdpAnswer(Message, frozen=True, kw_only=True, omit_defaults=False, tag="answer"):
    """The SDP answer to the client's offer."""

    sdp: str
    tracks: list[AnsweredTrack]
    rejected: list[RejectedTrack]
    request: str | UnsetType = UNSET


class Renegotiate(Message, frozen=True, kw_only=True, omit_defaults=False, tag="renegotiate"):
    """Please offer again with this many receive sections in total."""

    audio: int
    video: int


class Slots(Message, frozen=True, kw_only=True, omit_defaults=False, tag="slots"):
    """The whole map of receive sections to tracks. Replaces the one before."""

    slots: list[Slot]


class ParticipantJoined(Message, frozen=True, kw_only=True, omit_defaults=False, tag="participant_joined"):
    """Somebody entered the room."""

    participant: ParticipantInfo


class ParticipantLeft(Message, frozen=True, kw_only=True, omit_defaults=False, tag="participant_left"):
    """Somebody is gone; `reason` is `left`, `migrated`, `timeout`, `replaced`, `removed`, `banned`, `room_locked` or
    `room_ended`."""

    participant: str
    reason: str


class TrackPublished(Message, frozen=True, kw_only=True, omit_defaults=False, tag="track_published"):
    """A participant began to publish a track."""

    participant: str
    track: TrackInfo


class TrackUnpublished(Message, frozen=True, kw_only=True, omit_defaults=False, tag="track_unpublished"):
    """A participant ended a track."""

    participant: str
    track: str


class TrackMuted(Message, frozen=True, kw_only=True, omit_defaults=False, tag="track_muted"):
    """A track was muted or unmuted; `by` is set where it was not its owner, who is told then, too."""

    participant: str
    track: str
    muted: bool
    by: str | UnsetType = UNSET


class Speaker(Model, frozen=True, kw_only=True, omit_defaults=False):
    """A participant who speaks now; `level` goes from 0 (silence) to 1 (full scale)."""

    participant: str
    level: float


class Speakers(Message, frozen=True, kw_only=True, omit_defaults=False, tag="speakers"):
    """All who speak now, loudest first. Replaces the list before; empty when nobody does."""

    speakers: list[Speaker]


class ChatMessage(Message, frozen=True, kw_only=True, tag="chat_message"):
    """Somebody said something. `at` is in seconds since 1970 by the server's clock; `to` is set on private ones."""

    id: str
    sender: str
    name: str
    text: str
    at: float
    to: str | UnsetType = UNSET
    request: str | UnsetType = UNSET


class TrackUnreceivable(Message, frozen=True, kw_only=True, omit_defaults=False, tag="track_unreceivable"):
    """A track you subscribed to has a codec that your offer does not decode."""

    track: str
    codec: str
    message: str


class MediaState(Message, frozen=True, kw_only=True, omit_defaults=False, tag="media_state"):
    """How the server sees your media transport; `failed` means: build a new one and offer again."""

    state: Literal["connecting", "connected", "disconnected", "failed", "closed"]
    message: str


class MediaRestart(Message, frozen=True, kw_only=True, omit_defaults=False, tag="media_restart"):
    """Please build a new RTCPeerConnection and offer again; you stay in the room."""

    reason: str


class Migrate(Message, frozen=True, kw_only=True, tag="migrate"):
    """Please go on at the instance at `url`: connect there first, leave here afterwards.

    `deadline` is in seconds from now; this instance says goodbye to who is still here then.
    """

    url: str
    reason: str
    deadline: float | UnsetType = UNSET


class RoomReplaced(Message, frozen=True, kw_only=True, omit_defaults=False, tag="room"):
    """The room as it is now, in place of all you knew of it: what changed meanwhile is not told one by one."""

    room: RoomSnapshot
    reason: str


class Degraded(Message, frozen=True, kw_only=True, omit_defaults=False, tag="degraded"):
    """Something is away that this server depends on. Your call goes on; the words say what does not."""

    degradation: Degradation


class Recovered(Message, frozen=True, kw_only=True, omit_defaults=False, tag="recovered"):
    """What was away is back."""

    dependency: str
    message: str


class IceServers(Message, frozen=True, kw_only=True, omit_defaults=False, tag="ice_servers"):
    """Which STUN and TURN servers work now, the best first, in place of all you knew; with fresh credentials.

    A connection that works needs none of it. One in trouble does well to take these and restart ICE.
    """

    ice_servers: list[IceServer]


class RoomUpdated(Message, frozen=True, kw_only=True, omit_defaults=False, tag="room_updated"):
    """The settings of the room changed."""

    locked: bool
    waiting_room: bool
    metadata: dict[str, str] = {}


class PermissionsChanged(Message, frozen=True, kw_only=True, omit_defaults=False, tag="permissions_changed"):
    """A moderator changed what you may do; your tracks that are not allowed any more have ended."""

    permissions: Permissions
    by: str


class Waiting(Message, frozen=True, kw_only=True, omit_defaults=False, tag="waiting"):
    """You wait: `welcome` follows when a moderator lets you in, `goodbye` when not."""

    participant: str
    room: str
    request: str | UnsetType = UNSET


class ParticipantWaiting(Message, frozen=True, kw_only=True, omit_defaults=False, tag="participant_waiting"):
    """To moderators: somebody waits to be admitted."""

    participant: str
    identity: str
    name: str


class WaitingEnded(Message, frozen=True, kw_only=True, omit_defaults=False, tag="waiting_ended"):
    """To moderators: somebody waits no longer; `reason` is `admitted`, `denied`, `left`, `timeout` or `banned`."""

    participant: str
    reason: str


class Notice(Message, frozen=True, kw_only=True, omit_defaults=False, tag="notice"):
    """Something a person should know, in words that a person understands."""

    code: str
    level: Literal["info", "warning"]
    message: str


class Pong(Message, frozen=True, kw_only=True, tag="pong"):
    """The answer to `ping`."""

    request: str | UnsetType = UNSET


class Done(Message, frozen=True, kw_only=True, tag="done"):
    """A request that has no other reply and carried a `request` id was carried out."""

    request: str | UnsetType = UNSET


class Error(Message, frozen=True, kw_only=True, tag="error"):
    """A message was refused. `field` is the path of the offending field; `retry_after` is in seconds."""

    code: str
    message: str
    field: str | UnsetType = UNSET
    retry_after: float | UnsetType = UNSET
    request: str | UnsetType = UNSET


class Goodbye(Message, frozen=True, kw_only=True, omit_defaults=False, tag="goodbye"):
    """The last message before the server closes the socket; `resume` says whether resuming makes sense.

    As the reply to `leave` it repeats the `request` id.
    """

    code: str
    message: str
    resume: bool
    request: str | UnsetType = UNSET


ServerMessage = (
    Welcome
    | Redirect
    | Checking
    | SdpAnswer
    | Renegotiate
    | Slots
    | ParticipantJoined
    | ParticipantLeft
    | TrackPublished
    | TrackUnpublished
    | TrackMuted
    | Speakers
    | ChatMessage
    | TrackUnreceivable
    | MediaState
    | MediaRestart
    | Migrate
    | IceServers
    | RoomReplaced
    | RoomUpdated
    | Degraded
    | Recovered
    | PermissionsChanged
    | Waiting
    | ParticipantWaiting
    | WaitingEnded
    | Notice
    | Pong
    | Done
    | Error
    | Goodbye
)


# ---------------------------------------------------------------------------------------------------- parse, dump


class MessageError(Exception):
    """The bytes are no message. `code` is `invalid_json`, `unknown_type` or `invalid_message`; `field` a path or ""."""

    def __init__(self, code: str, message: str, field: str = "", request: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.field = field
        self.request = request


_client_decoder: msgspec.json.Decoder[ClientMessage] = msgspec.json.Decoder(ClientMessage)
_server_decoder: msgspec.json.Decoder[ServerMessage] = msgspec.json.Decoder(ServerMessage)
_encoder = msgspec.json.Encoder()
M = TypeVar("M")
_PATH = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")


def parse_client_message(data: bytes | str) -> ClientMessage:
    """Parse what a client sent. Raises MessageError, and nothing else, on any input."""
    return _parse(_client_decoder, data)


def parse_server_message(data: bytes | str) -> ServerMessage:
    """Parse what a server sent, for clients written in Python. Raises MessageError only."""
    return _parse(_server_decoder, data)


def dump(message: Message) -> str:
    """The JSON text of a message, as sent in one WebSocket text frame."""
    return _encoder.encode(message).decode()


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of both directions, under `$defs.ClientMessage` and `$defs.ServerMessage`."""
    (client, server), definitions = msgspec.json.schema_components(
        [ClientMessage, ServerMessage], ref_template="#/$defs/{name}"
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": SUBPROTOCOL,
        "$defs": {**definitions, "ClientMessage": client, "ServerMessage": server},
    }


def _parse(decoder: msgspec.json.Decoder[M], data: bytes | str) -> M:
    try:
        return decoder.decode(data)
    except msgspec.ValidationError as error:
        text = str(error)
        found = _PATH.search(text)
        field = found["path"] if found else ""
        code = "unknown_type" if field == "type" else "invalid_message"
        raise MessageError(code, _PATH.sub("", text), field, _request_id(data)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, UnicodeEncodeError, RecursionError) as error:
        raise MessageError("invalid_json", f"This is not JSON: {error}") from None


def _request_id(data: bytes | str) -> str:
    """The request id of a message that failed validation, so that its error can still be told apart."""
    try:
        found = msgspec.json.decode(data, type=_OnlyRequest).request
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return ""
    return found if isinstance(found, str) else ""


class _OnlyRequest(Struct):
    request: RequestId | UnsetType = UNSET
