"""A slot's packet numbers: none is used twice, and the receiver's SRTP can follow them, whatever a publisher does."""

from __future__ import annotations

import struct

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from sfu import rtp
from sfu.codecs import OPUS, VP8
from sfu.inbound import InboundTrack
from sfu.outbound import HeaderExtensions, OutboundStream, PayloadTypes
from sfu.rtp import Packet
from sfu.sequence import extend
from sfu.srtp import Keys, Session

from .media import DELTA, GCM, KEY, VP9, track_of

OURS, THEIRS = bytes(range(28)), bytes(range(50, 78))
_TAG = struct.Struct("!BIQ")  # track, life of the source, number


class _Source:
    """A publisher's track with an unreliable network before us."""

    def __init__(self, index: int, kind: str, sequence: int) -> None:
        self.index = index
        self.track: InboundTrack = track_of(kind)
        self.life = 0
        self.number = sequence
        self.timestamp = 0xFFFFFFFF - 50_000
        self.delivered: list[Packet] = []
        self.delayed: list[Packet] = []

    def next(self, key: bool) -> Packet:
        self.number += 1
        self.timestamp += 960
        tag = _TAG.pack(self.index, self.life, self.number)
        head = b"" if self.track.kind == "audio" else KEY if key else DELTA
        return Packet(0, 96, self.number & 0xFFFF, self.timestamp & 0xFFFFFFFF, 1, {}, head + tag)

    def deliver(self, packet: Packet, now: float, *, repaired: bool = False) -> None:
        _, life, number = _TAG.unpack(packet.payload[-_TAG.size :])
        if life == self.life and self.number - number > 30_000:
            return  # older than a 16-bit number can tell, so SRTP's replay window lets none in
        self.track.receive(packet, 30 if self.track.kind == "audio" else -1, -1, now, repaired=repaired)
        self.delivered = [*self.delivered[-40:], packet]

    def restart(self, sequence: int) -> None:
        self.life += 1
        self.number = sequence
        self.timestamp = sequence * 77_777


class _Far:
    """What one receiver sees of one slot, and what was ever sent in it."""

    def __init__(self) -> None:
        self.sent: dict[int, tuple[int, bytes]] = {}  # number -> (timestamp, payload) of the media SSRC
        self.highest = -1


class NumbersOfOneTransport(RuleBasedStateMachine):
    """Slots of one transport under one key, tracks that pass through them, and a network that does as it likes."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.nonces: set[bytes] = set()
        self.queue: list[bytes] = []
        session = Session(Keys(GCM, OURS, THEIRS))
        self.aes = session.seal
        self.iv_base = session.iv_base
        self.client = Session(Keys(GCM, THEIRS, OURS))
        self.sealed: list[tuple[bytes, bytes, bytes]] = []
        self.lose = 0
        self.streams: list[OutboundStream] = []
        self.far: dict[int, _Far] = {}
        self.sources: list[_Source] = []
        self.session = session

    def seal(self, nonce: bytes, payload: bytes, header: bytes) -> bytes:
        assert nonce not in self.nonces, "a nonce was used twice under one key"
        self.nonces.add(nonce)
        self.sealed.append((nonce, payload, header))
        assert self.aes is not None
        return self.aes(nonce, payload, header)

    @initialize(
        first=st.integers(0, (1 << 15) - 1),
        sequences=st.lists(st.sampled_from([0, 1, 30000, 65500, 65535]), min_size=4, max_size=4),
    )
    def begin(self, first: int, sequences: list[int]) -> None:
        for place in range(4):
            stream = OutboundStream(10 + 2 * place, 11 + 2 * place, first, 0x7FFF - place)
            stream.codecs = {VP8: PayloadTypes(96, 97), VP9: PayloadTypes(98, 99), OPUS: PayloadTypes(111, 112)}
            stream.extensions = HeaderExtensions(3 * (place % 2), 0)
            stream.connect(self.session, self.queue, lambda: None)
            stream.seal = self.seal
            self.streams.append(stream)
            self.far[stream.ssrc] = _Far()
        kinds = ["audio", "video", "video", "audio"]
        self.sources = [_Source(n, kind, sequences[n]) for n, kind in enumerate(kinds)]
        for slot in range(4):
            self.put_into_slot(other=False, slot=slot)

    # ------------------------------------------------------------------------------------------- what may happen

    @rule(at=st.integers(0, 3), count=st.integers(1, 12), key=st.booleans(), seconds=st.floats(0, 0.5))
    def send(self, at: int, count: int, key: bool, seconds: float) -> None:
        self.now += seconds
        for place in range(count):
            self.sources[at].deliver(self.sources[at].next(key and place == 0), self.now)

    @rule(at=st.integers(0, 3), count=st.integers(1, 12), far_ahead=st.sampled_from([0, 0, 0, 400, 900, 1023]))
    def lose_on_the_way_in(self, at: int, count: int, far_ahead: int) -> None:
        source = self.sources[at]
        source.delayed = [*source.delayed[-30:], *(source.next(place == 0) for place in range(count))]
        source.number += far_ahead
        source.deliver(source.next(key=False), self.now)

    @rule(at=st.integers(0, 3), step=st.sampled_from([600, 1024, 8000]))
    def rush_towards_the_wrap(self, at: int, step: int) -> None:
        source = self.sources[at]
        for _ in range(20):
            source.number += step - 1
            source.deliver(source.next(key=False), self.now)

    @rule(at=st.integers(0, 3), repaired=st.booleans())
    def deliver_late(self, at: int, repaired: bool) -> None:
        source = self.sources[at]
        for packet in source.delayed[-8:]:
            source.deliver(packet, self.now, repaired=repaired)
        source.delayed = source.delayed[:-8]

    @rule(at=st.integers(0, 3), back=st.integers(1, 40))
    def deliver_twice(self, at: int, back: int) -> None:
        source = self.sources[at]
        for packet in source.delivered[-back:][:3]:
            source.deliver(packet, self.now)

    @rule(at=st.integers(1, 3), sequence=st.sampled_from([0, 5, 20000, 40000, 65530]), silent=st.booleans())
    def restart_source(self, at: int, sequence: int, silent: bool) -> None:
        source = self.sources[at]
        stale, before = source.delivered[-2:], source.number
        stale = [packet for packet in stale if abs(extend(packet.sequence, sequence) - sequence) > 2000]
        source.restart(sequence)
        if silent and abs(extend(sequence, before) - before) > 2000:  # only the jump tells of it
            for packet in [source.next(key=True), *stale, source.next(key=False), source.next(key=True)]:
                source.deliver(packet, self.now)
        else:  # another SSRC, so that packets of the one before are not even delivered
            source.track.restart(self.now)
        source.delivered, source.delayed = [], []

    @rule(other=st.booleans(), slot=st.integers(0, 3))
    def put_into_slot(self, other: bool, slot: int) -> None:
        stream = self.streams[slot]
        source = self.sources[[(0, 3), (1, 2)][slot % 2][other]]
        if stream.track is not None:
            stream.track.detach(stream, self.now)
        source.track.attach(stream, self.now)
        source.deliver(source.next(key=True), self.now)
        for packet in source.delayed[-2:]:  # from before the slot was its own
            source.deliver(packet, self.now)

    @rule(slot=st.integers(0, 3))
    def empty_slot(self, slot: int) -> None:
        track = self.streams[slot].track
        if track is not None:
            track.detach(self.streams[slot], self.now)

    @rule(at=st.integers(0, 3), muted=st.booleans())
    def mute(self, at: int, muted: bool) -> None:
        self.sources[at].track.mute(muted, self.now)

    @rule(at=st.integers(1, 2), vp9=st.booleans())
    def change_codec(self, at: int, vp9: bool) -> None:
        self.sources[at].track.set_codec(VP9 if vp9 else VP8, self.now)

    @rule(at=st.integers(0, 3))
    def hold(self, at: int) -> None:
        self.sources[at].track.hold(self.now)

    @rule(back=st.integers(-5, 60) | st.integers(-70_000, 70_000), count=st.integers(1, 40), seconds=st.floats(0, 1))
    def ask_again(self, back: int, count: int, seconds: float) -> None:
        self.now += seconds
        for stream in self.streams:
            stream.resend([(stream.next_number - back + n) & 0xFFFF for n in range(count)], self.now)

    @rule(packets=st.integers(1, 25))
    def lose_on_the_way_out(self, packets: int) -> None:
        self.lose = packets

    # ------------------------------------------------------------------------------------------- what must hold

    @invariant()
    def every_packet_is_what_it_should_be(self) -> None:
        datagrams = list(self.queue)
        self.queue.clear()
        assert len(datagrams) == len(self.sealed)
        for datagram, (nonce, payload, header) in zip(datagrams, self.sealed, strict=True):
            packet = rtp.parse(header + payload)
            number = int.from_bytes(nonce, "big") ^ self.iv_base(packet.ssrc)
            assert 0 <= number < 1 << 48
            assert number & 0xFFFF == packet.sequence
            is_media = packet.ssrc in self.far
            if is_media:
                self.check_media(packet, number)
            else:
                self.check_repair(packet)
            if self.lose:
                self.lose -= 1
                continue
            plain = rtp.parse(self.client.unprotect_rtp(datagram))  # libsrtp's own guess of the roll-over counter
            assert plain.payload == packet.payload
        self.sealed.clear()

    def check_media(self, packet: Packet, number: int) -> None:
        far = self.far[packet.ssrc]
        stream = next(stream for stream in self.streams if stream.ssrc == packet.ssrc)
        assert number not in far.sent
        if far.sent and number > far.highest:
            forward = packet.timestamp - far.sent[far.highest][0] & 0xFFFFFFFF
            assert forward < 1 << 31, "the slot's time went back"
        if number < far.highest:  # what a track left out may only be filled in by itself
            before = max(known for known in far.sent if known < number)
            assert source_of(far.sent[before][1]) == source_of(packet.payload)
        far.sent[number] = packet.timestamp, packet.payload
        far.highest = max(far.highest, number)
        assert stream.next_number > number

    def check_repair(self, packet: Packet) -> None:
        far = self.far[packet.ssrc - 1]
        stream = next(stream for stream in self.streams if stream.rtx_ssrc == packet.ssrc)
        number = extend(int.from_bytes(packet.payload[:2], "big"), stream.next_number)
        sent = far.sent.get(number)
        if sent is not None:
            assert sent == (packet.timestamp, packet.payload[2:]), "a repair is not what it repairs"
        else:  # it came too late to be forwarded; still it has to be of the track that travelled here then
            before = max(known for known in far.sent if known < number)
            assert source_of(far.sent[before][1]) == source_of(packet.payload[2:])

    @invariant()
    def a_slot_carries_what_was_put_into_it(self) -> None:
        for stream in self.streams:
            carriers = [source for source in self.sources if stream in source.track._running]
            assert [source.track for source in carriers] in ([], [stream.track])
            grouped = [group for source in self.sources for group in source.track._groups.values()]
            assert sum(group.streams.count(stream) for group in grouped) == len(carriers)


def source_of(payload: bytes) -> tuple[int, int]:
    """Which track in which of its lives."""
    index, life, _ = _TAG.unpack(payload[-_TAG.size :])
    return index, life


NumbersOfOneTransport.TestCase.settings = settings(max_examples=15, stateful_step_count=40, deadline=None)
TestNumbersOfOneTransport = NumbersOfOneTransport.TestCase
