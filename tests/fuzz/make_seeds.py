"""`python -m tests.fuzz.make_seeds` writes the seeds that code can make; those that exist already stay as they are."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Mapping

from sfu import rtcp, rtp, stun
from sfu.framing import framed
from sfu.transport_cc import FeedbackRecorder
from tests.sfu.media import audio, video
from tests.sfu.test_dtls import Link

from . import turn_talk
from .harness import CORPUS, packed

CHECK = stun.binding_request(b"t" * 12, "ann:x", "p" * 32, 1 << 30, 7, nominate=True)
REPORT = rtcp.ReportBlock(5000, 1, -2, 3, 4, 5, 6)

RTP = {
    "video": rtp.pack(video(5, key=True)),
    "audio_level": rtp.pack(audio(5)._replace(ssrc=3, extensions={1: b"\x9e", 5: b"\0\7"})),
    "two_byte_extension": b"\x90\x60\0\1\0\0\0\2\0\0\0\1\x10\0\0\2\1\0\2\3abc\0payload",
    "csrc_and_padding": b"\xa2\xe0\0\1\0\0\0\2\0\0\0\1" + bytes(8) + b"payload\0\0\3",
    "rtx": rtp.pack(video(6)._replace(ssrc=2, payload_type=97, payload=b"\0\5\x10\0picture")),
    "redundant": rtp.pack(audio(9)._replace(ssrc=3, payload_type=63, payload=b"\xef\x0f\x00\x05\x6folderprimary")),
    "probe": rtp.pack(video(7)._replace(ssrc=2, payload_type=97, payload=b"")),
}
RTCP = {
    "sender_report": rtcp.sender_report(rtcp.SenderReport(1, 5 << 32, 6, 7, 8, (REPORT,)))
    + rtcp.source_description(1, "ann"),
    "receiver_report": rtcp.receiver_report(1, [REPORT, REPORT]),
    "nack": rtcp.nack(1, 5000, [100, 101, 116, 65535]),
    "picture_loss": rtcp.picture_loss_indication(1, 5000),
    "full_intra": struct.pack("!BBHIIII", 0x84, 206, 4, 1, 0, 5000, 1 << 24),
    "transport_feedback": rtcp.transport_feedback(1, 5000, bytes(12)),
    "bye": rtcp.bye([1, 2]),
    "padded": b"\xa0\xc9\0\2\0\0\0\1\0\0\0\4",
}
MESSAGES = {
    "join": {"type": "join", "token": "a.b.c", "subscribe": "manual", "request": "1"},
    "resume": {"type": "resume", "resume_token": "r"},
    "offer": {"type": "offer", "sdp": "v=0\r\n", "tracks": [{"mid": "0", "source": "camera", "muted": True}]},
    "subscribe": {"type": "subscribe", "tracks": ["t1", "t2"], "request": "2"},
    "mute": {"type": "mute", "track": "t1"},
    "chat": {"type": "chat", "text": "hello \U0001f44b", "to": "p1"},
    "ping": {"type": "ping", "request": "3"},
}
CLAIMS = {
    "all_claims": {
        "sub": "ann",
        "room": "lab",
        "name": "Ann",
        "publish": ["camera"],
        "subscribe": True,
        "chat": False,
        "admin": False,
        "iat": 1_699_999_999,
        "nbf": 1_699_999_999,
        "exp": 1_700_003_600,
    },
    "few_claims": {"sub": "ann", "room": "lab", "exp": 1_700_003_600.5},
    "operator": {"aud": ["x", "auralink-admin"], "admin_api": True, "sub": "eve", "exp": 1_700_003_600},
    "expired": {"sub": "ann", "room": "lab", "exp": 1},
}
SHARED = {
    "whole_slice": {
        "type": "changed",
        "room": "r",
        "node": "a-1",
        "epoch": 1,
        "seq": 1,
        "fields": {"p:1": '{"id":"1","identity":"ann","name":"Ann","joined":1}'},
    },
    "change": {"type": "changed", "room": "r", "node": "a-1", "epoch": 1, "seq": 2, "base": 1, "fields": {"p:1": None}},
    "too_large": {"type": "changed", "room": "r", "node": "a-1", "epoch": 1, "seq": 3, "base": 2},
    "said": {"type": "said", "room": "r", "node": "a-1", "id": "x", "payload": "{}"},
    "participant": {
        "id": "p1",
        "identity": "ann",
        "name": "Ann",
        "joined": 7,
        "tracks": [["t1", "video", "camera", False], ["t2", "audio", "microphone", True]],
    },
    "settings": {
        "open": {
            "entries": [[3, "a.1", "flag", "locked", "true"], [4, "b.4", "metadata", "topic", '"x"']],
            "context": {"a.1": 3, "b.4": 4},
        },
        "lasting": {"entries": [[1, "a.1", "ban", "eve", "true"]], "context": {"a.1": 2}},
        "incarnation": "i",
    },
    "record": {"node": "a-1", "nonce": "n", "url": "wss://a/ws", "accepting": False, "rooms": 3, "shares": True},
}
SMALL_OFFER = f"""v=0
o=- 1 1 IN IP4 0.0.0.0
s=-
t=0 0
a=group:BUNDLE 0
a=fingerprint:sha-256 {":".join(["AB"] * 32)}
a=setup:actpass
a=ice-ufrag:abcd
a=ice-pwd:{"p" * 24}
m=video 9 UDP/TLS/RTP/SAVPF 96 97
c=IN IP4 0.0.0.0
a=mid:0
a=sendonly
a=rtcp-mux
a=rtpmap:96 VP8/90000
a=rtcp-fb:96 nack pli
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
a=ssrc-group:FID 1 2
a=ssrc:1 cname:x
a=ssrc:2 cname:x
"""


def _json(values: Mapping[str, object]) -> dict[str, bytes]:
    return {name: json.dumps(value).encode() for name, value in values.items()}


def _feedback() -> dict[str, bytes]:
    recorder = FeedbackRecorder()
    for number in (65534, 65535, 0, 3, 4, 5, 9, 40):
        recorder.received(number, 1.0 + number / 1e5)
    (body,) = recorder.messages()
    arrivals = [(1, 0), (2, 1), (3, 2), (9, 17), (8, 0), (65000, 255), (7, 1)]
    return {"feedback": body, "arrivals": b"".join(struct.pack("!HB", *each) for each in arrivals)}


async def _handshake() -> list[bytes]:
    link = Link()
    await link.connect()
    await link.close()
    return link.datagrams


def _dtls() -> dict[str, bytes]:
    datagrams = asyncio.run(_handshake())
    hello = next(each for each in datagrams if each[13] == 1)
    body = hello[25:]
    halves = []  # RFC 6347 section 4.2.3: a message may come in fragments, each with its offset and length
    for sequence, (start, end) in enumerate([(0, len(body) // 2), (len(body) // 2, len(body))]):
        part = hello[13:19] + start.to_bytes(3, "big") + (end - start).to_bytes(3, "big") + body[start:end]
        halves.append(b"\x16\xfe\xfd" + sequence.to_bytes(8, "big") + len(part).to_bytes(2, "big") + part)
    return {"hello": packed([hello]), "fragments": packed(halves), "both_sides": packed(datagrams)}


def main() -> None:
    """Write all seeds."""
    seeds: dict[str, dict[str, bytes]] = {
        "rtp": RTP,
        "rtcp": RTCP,
        "sdp_offer": {"small": SMALL_OFFER.encode()},
        "stun": {
            "check": CHECK,
            "controlled": stun.role_conflict_response(stun.parse(CHECK), "p" * 32),
            "response": stun.success_response(stun.parse(CHECK), ("192.0.2.1", 1000), "p" * 32),
            "ipv6": stun.success_response(stun.parse(CHECK), ("2001:db8::1", 1000), "p" * 32),
        },
        "stranger": {"check": CHECK, **RTP, **RTCP, "client_hello": b"\x16\xfe\xfd" + bytes(40)},
        "member": {
            **{name: packed([datagram]) for name, datagram in (RTP | RTCP).items()},
            "conversation": packed([RTP["video"], RTP["rtx"], *RTCP.values(), RTP["audio_level"]]),
        },
        "transport_cc": _feedback(),
        "payload": {
            "vp8": b"\x90\xe0\x81\x02\x03\x04\x10\x02\0\x9d\x01\x2a",
            "vp9": b"\x8b\x81\x02\x10\x22payload",
            "h264_stap": b"\x78\0\4\x67abc\0\2\x68d",
            "h264_fragment": b"\x7c\x85payload",
            "av1": b"\x18\x0a\x0bpayload",
        },
        "admin": {
            "list": b"GET /api/rooms?after=lab&limit=7\n",
            "room": b"GET /api/rooms/room\n",
            "lock": b"POST /api/rooms/room/lock\n",
            "waiting_room": b'POST /api/rooms/room/waiting-room\n{"on": true}',
            "remove": b"DELETE /api/rooms/room/participants/ada?reason=late&ban=1\n",
            "unban": b"DELETE /api/rooms/room/bans/ada\n",
            "mute": b'POST /api/rooms/room/participants/ada/mute\n{"track": "t_1"}',
            "mute_all": b"POST /api/rooms/room/participants/a%64a/mute\n",
            "permissions": b'POST /api/rooms/room/participants/ada/permissions\n{"publish": ["camera"], "chat": false}',
            "admit": b"POST /api/rooms/room/waiting/eve/admit\n",
            "end": b"DELETE /api/rooms/room\n",
        },
        "forwarded": {
            "one": b"203.0.113.7\nhttps",
            "chain": b"198.51.100.1, 203.0.113.7, 10.0.0.2\nhttp",
            "ports": b"203.0.113.7:4711, [2001:db8::1]:443, ::ffff:10.0.0.3\nwss",
            "spoofed": b"127.0.0.1, unknown, 2001:db8::7%eth0\nws",
        },
        "red": {
            "one_older": b"\xef\x0f\x00\x05\x6folderprimary",
            "two_older": b"\xef\x1e\x00\x03\xef\x0f\x00\x03\x6foneTwoprimary",
            "primary_alone": b"\x6fprimary",
            "empty_blocks": b"\xef\x0f\x00\x00\x6f",
        },
        "framing": {
            "check": framed(CHECK),
            "media": b"".join(map(framed, RTP.values())),
            "cut": framed(RTP["video"])[:-1],
            "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        },
        "messages": _json(MESSAGES),
        "tokens": _json(CLAIMS),
        "dev_token": _json(
            {"full": {"room": "lab", "name": "Ann", "identity": "ann"}, "short": {"room": "lab", "name": ""}}
        ),
        "shared": _json(SHARED),
        "turn": turn_talk.seeds(),
        "origin": {
            "own": b"http://example.org:8080\0example.org:8080\0http",
            "secure": b"https://example.org\0EXAMPLE.org\0ws",
            "ipv6": b"http://[::1]:8080\0[::1]:8080\0wss",
            "opaque": b"null\0localhost:8080\0http",
        },
    }
    seeds["dtls_handshake"] = seeds["dtls_connected"] = _dtls()
    text = {"shared": ".json", "sdp_offer": ".sdp", "messages": ".json", "tokens": ".json", "dev_token": ".json"}
    for target, files in seeds.items():
        folder = CORPUS / target
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            file = folder / (name + text.get(target, ".bin"))
            if not file.exists():
                file.write_bytes(data)


if __name__ == "__main__":
    main()
