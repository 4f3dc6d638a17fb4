"""A slot's packet numbers: none is used twice, and the receiver's SRTP can follow them, whatever a publisher does."""

from __future__ import annotations

import struct

import pytest
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

from .media import CM, DELTA, GCM, KEY, VP9, Receiver, audio, track_of, video

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


# ------------------------------------------------------------------------------------------- numbers, one by one


def running(receiver: Receiver) -> InboundTrack:
    """A video that has begun in the receiver's slot with its packet 10."""
    track = track_of()
    track.attach(receiver.stream, 1000.0)
    track.receive(video(10, key=True), -1, -1, 1000.0)
    return track


def test_the_first_number_is_the_one_it_was_given_and_each_next_is_one_more() -> None:
    receiver = Receiver(first=500)
    track = running(receiver)
    track.receive(video(11), -1, -1, 1000.0)
    assert [packet.sequence for packet in receiver.packets()] == [500, 501]


def test_a_lost_packet_leaves_its_number_free_and_takes_it_when_it_comes_late() -> None:
    receiver = Receiver(first=500)
    track = running(receiver)
    for sequence in (13, 11, 12, 11):
        track.receive(video(sequence), -1, -1, 1000.0)
    assert [packet.sequence for packet in receiver.packets()] == [500, 503, 501, 502]


def test_a_packet_from_before_the_slot_was_a_tracks_own_is_not_sent_in_it() -> None:
    receiver = Receiver(first=500)
    track = running(receiver)
    track.receive(video(9), -1, -1, 1000.0)
    assert [packet.sequence for packet in receiver.packets()] == [500]


def test_numbers_left_out_by_one_track_are_never_used_by_the_next() -> None:
    receiver = Receiver(first=500)
    track, other = running(receiver), track_of()
    track.receive(video(20), -1, -1, 1000.0)
    track.detach(receiver.stream, 1000.0)
    for sequence in (100, 106):
        other.receive(video(sequence), -1, -1, 1000.0)
    other.attach(receiver.stream, 1000.0)
    other.receive(video(107, key=True), -1, -1, 1000.0)
    other.receive(video(105), -1, -1, 1000.0)
    assert [packet.sequence for packet in receiver.packets()] == [500, 510, 511]


def test_time_goes_on_across_a_change_of_tracks_by_as_much_as_has_passed() -> None:
    receiver = Receiver()
    track, other = running(receiver), track_of()
    track.receive(video(11), -1, -1, 1000.5)
    track.receive(video(10), -1, -1, 1000.9)  # neither a duplicate nor silence moves the clock
    track.detach(receiver.stream, 1001.0)
    other.attach(receiver.stream, 1001.0)
    other.receive(video(900, key=True, timestamp=5), -1, -1, 1002.5)
    stamps = [packet.timestamp for packet in receiver.packets()]
    assert stamps == [30_000, 33_000, 33_000 + 2 * 90_000]


def test_a_late_packet_does_not_turn_the_clock_back() -> None:
    receiver = Receiver()
    track = running(receiver)
    track.receive(video(90), -1, -1, 1001.0)
    track.receive(video(11), -1, -1, 1001.0)
    track.hold(1001.0)
    track.receive(video(91, key=True), -1, -1, 1001.0)
    stamps = [packet.timestamp for packet in receiver.packets()]
    assert stamps == [30_000, 270_000, 33_000, 270_001]


def test_numbers_wrap_and_the_receiver_follows() -> None:
    receiver = Receiver(first=(1 << 15) - 1)
    track = running(receiver)
    for sequence in range(20, 80_000, 10):
        track.receive(video(sequence), -1, -1, 1000.0)
    packets = receiver.packets()  # decrypted by libsrtp
    assert len(packets) == 7999
    assert packets[-1].sequence == ((1 << 15) - 1 + 79_990 - 10) & 0xFFFF


def test_a_source_that_began_anew_cannot_make_a_receiver_lose_count() -> None:
    receiver = Receiver()
    track = running(receiver)
    for restart in range(60):
        track.receive(video(17_000 * restart, key=True), -1, -1, 1000.0)
    assert [packet.sequence for packet in receiver.packets()] == list(range(100, 160))


# ------------------------------------------------------------------------------------------- resending


def test_a_nack_is_answered_by_rtx_with_the_original_number_and_packet() -> None:
    receiver = Receiver(first=500)
    running(receiver)
    (sent,) = receiver.packets()
    assert receiver.stream.resend([500], 1001.0) == (1, 0)
    (repair,) = receiver.packets()
    assert (repair.ssrc, repair.payload_type, repair.sequence) == (1001, 97, 7)
    assert (repair.timestamp, repair.marker) == (sent.timestamp, sent.marker)
    assert repair.payload == (500).to_bytes(2, "big") + sent.payload


def test_a_nack_for_what_was_never_sent_or_is_forgotten_is_ignored() -> None:
    receiver = Receiver(first=500)
    track = running(receiver)
    for sequence in range(11, 1500):
        track.receive(video(sequence), -1, -1, 1000.0)
    receiver.datagrams()
    assert receiver.stream.resend([499, 500, 501, 65_535, 20_000, 1990], 1001.0) == (0, 0)
    assert not receiver.queue


def test_without_rtx_nothing_is_sent_again() -> None:
    receiver = Receiver(codecs={VP8: PayloadTypes(96, None)})
    running(receiver)
    receiver.datagrams()
    assert receiver.stream.resend([100], 1001.0) == (0, 0)
    assert not receiver.queue


def test_asking_again_within_a_round_trip_is_refused() -> None:
    receiver = Receiver()
    running(receiver)
    receiver.stream.round_trip = 0.2
    assert [receiver.stream.resend([100], now) for now in (1001.0, 1001.1, 1001.17)] == [(1, 0), (0, 1), (1, 0)]


def test_resends_are_capped_whatever_is_asked_for() -> None:
    receiver = Receiver()
    track = running(receiver)
    for sequence in range(11, 900):
        track.receive(video(sequence), -1, -1, 1000.0)
    receiver.datagrams()
    sent = sum(receiver.stream.resend(range(100, 990), 1001.0 + n / 100)[0] for n in range(101))
    assert 300 < sent <= 150 + 300
    assert len(receiver.datagrams()) == sent


def test_a_nack_after_a_change_of_tracks_gets_the_packet_that_was_sent_then() -> None:
    receiver = Receiver(first=500)
    track, other = running(receiver), track_of()
    track.detach(receiver.stream, 1000.0)
    other.attach(receiver.stream, 1000.0)
    other.receive(video(10, key=True, body=b"other"), -1, -1, 1000.0)
    receiver.datagrams()
    receiver.stream.resend([500, 501], 1001.0)
    assert [packet.payload[2:] for packet in receiver.packets()] == [KEY, KEY + b"other"]


def test_a_nack_after_a_restart_of_the_source_does_not_get_the_new_packet_of_that_number() -> None:
    receiver = Receiver(first=500)
    track = running(receiver)
    track.restart(1000.0)
    track.receive(video(10, key=True, body=b"new"), -1, -1, 1000.0)
    receiver.datagrams()
    receiver.stream.resend([500, 501], 1001.0)
    assert [packet.payload[2:] for packet in receiver.packets()] == [KEY, KEY + b"new"]


def test_what_libsrtp_does_not_take_is_neither_sent_nor_counted_as_sent() -> None:
    receiver = Receiver(profile=CM)
    track = running(receiver)
    track.receive(video(11, body=bytes(1341)), -1, -1, 1000.0)  # fits, but with two bytes more for RTX it does not
    assert len(receiver.packets()) == 2
    track.receive(video(12, body=bytes(1400)), -1, -1, 1000.0)
    assert receiver.stream.resend([101, 102], 1001.0) == (0, 0)
    assert not receiver.queue


def test_a_stream_without_keys_says_so_instead_of_sending() -> None:
    stream = OutboundStream(1, 2, 3, 4)
    with pytest.raises(RuntimeError):
        stream.mark_dirty()


def test_audio_gets_its_level_under_the_receivers_id() -> None:
    extensions = HeaderExtensions(level=5, orientation=0)
    assert extensions.block(30, 1) == bytes.fromhex("bede0001 501e0000")
    assert extensions.block(-1, 1) == b""
    assert extensions.block(30, 1) is extensions.block(30, 1)


def test_an_audio_stream_is_numbered_like_any_other() -> None:
    receiver = Receiver(level=1)
    track = track_of("audio")
    track.attach(receiver.stream, 0.0)
    for sequence in range(65_530, 65_550):
        track.receive(audio(sequence), 40, -1, 0.0)
    packets = receiver.packets()
    assert [packet.sequence for packet in packets] == list(range(100, 120))
    assert {packet.extensions[1] for packet in packets} == {bytes([40])}


def test_no_jump_of_a_source_is_passed_on_that_would_hide_a_roll_over_behind_a_few_lost_packets() -> None:
    receiver = Receiver(first=500)
    track = running(receiver)
    receiver.packets()
    for jump in range(1, 31):  # of these the receiver gets the last only
        receiver.datagrams()
        track.receive(video(10 + jump * 5000, key=True), -1, -1, 1000.0)
    assert len(receiver.packets()) == 1
