"""A call goes on while strangers and members attack its server, one attack after the other.

The peers are synthetic and every packet names itself, so that each delivery is timed. The attackers are processes of
their own, on the same machine: they compete for the processor too, as nobody could over a network.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import uvloop

from loadtest import tokens
from loadtest.peer import Peer
from loadtest.publication import Rates
from loadtest.tags import read_tag
from tests.support.server import RunningServer, running_server
from tests.support.waiting import eventually, in_time

pytestmark = pytest.mark.alone

KEYS = "attacked:a-secret-of-at-least-thirty-two-bytes"
RATES = Rates(video_bitrate=300_000, frame_rate=30)
FREEZE = 1.0  # seconds that nobody may be without packets of somebody
SLOW = 0.5  # seconds that the slowest of a hundred packets may take while a member misbehaves
FLOODED = 0.25  # likewise while strangers flood the media port
FLOOD_LASTS = 4.0  # seconds at least, so that somebody can come meanwhile
FILES = 1024  # that the server may have open, as many systems allow no more by themselves
MOST_MEMORY = 64 * 1024 * 1024

DROPPED = 'auralink_datagrams_dropped_total{reason="%s"}'
REFUSED = 'auralink_refusals_total{what="%s"}'
LIMITED = 'auralink_limited_total{limit="%s"}'
NOT_LET_IN = 'auralink_tcp_connections_refused_total{reason="%s"}'
ERROR = 'auralink_errors_total{code="%s"}'


@dataclass
class Watch:
    """When each packet was sent, and what that made of each arrival."""

    sent: dict[tuple[int, int], float] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)
    last: dict[tuple[str, int], float] = field(default_factory=dict)
    gap: float = 0.0

    def over(self, peer: Peer, tags: set[int]) -> None:
        """Watch what `peer` sends, and what it receives of the tracks with these tags."""
        send, receive = peer.transport.send_rtp, peer.transport._on_rtp

        def sends(packet: bytes) -> None:
            tag = read_tag(packet)
            if tag is not None:
                self.sent.setdefault(tag, time.monotonic())
            send(packet)

        def receives(data: bytes, now: float) -> None:
            tag = read_tag(data)
            if tag is not None and tag[0] in tags and tag in self.sent:
                self.latencies.append(now - self.sent[tag])
                key = (peer.participant, tag[0])
                self.gap = max(self.gap, now - self.last.get(key, now))
                self.last[key] = now
            receive(data, now)

        peer.transport.send_rtp = sends  # type: ignore[method-assign]
        peer.transport._on_rtp = receives

    def begin(self) -> None:
        """From now on."""
        self.latencies.clear()
        self.sent.clear()
        self.gap = 0.0
        self.last = dict.fromkeys(self.last, time.monotonic())

    def end(self) -> tuple[float, float, int]:
        """The longest gap, the latency that 99 % of the packets kept to (both in seconds), and how many came."""
        now = time.monotonic()
        gap = max(self.gap, *(now - at for at in self.last.values()))
        ordered = sorted(self.latencies)
        return gap, ordered[len(ordered) * 99 // 100], len(ordered)


@asynccontextmanager
async def attack(name: str, *arguments: object) -> AsyncIterator[asyncio.subprocess.Process]:
    """An attack in a process of its own, which ends with the block at the latest."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.support.attacks", name, *map(json.dumps, arguments)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parent.parent.parent,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def attacked(seconds: float, ready: Path) -> None:
    """Let a call run through all attacks, and judge it after each."""
    room_of = tokens.from_keys(KEYS)
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(
            running_server(
                keys=KEYS,
                media_ip="127.0.0.1",
                ready_file=ready,
                log_level="error",
                chats_per_second=200,
                messages_per_second=200,
                outbox_bytes=20_000,
                files=(FILES, FILES),
            )
        )
        await eventually(ready.exists)
        url, port = server.websocket_url, json.loads(await asyncio.to_thread(ready.read_text))["media_port"]
        peers = [
            await stack.enter_async_context(Peer(url, room_of("call", f"peer-{number}"), rates=RATES))
            for number in range(3)
        ]
        everything = {item.source.track for peer in peers for item in peer.publications}
        watch = Watch()
        for peer in peers:
            watch.over(peer, everything)
        await eventually(lambda: len(watch.last) == 12, within=10)
        ufrag = peers[0].transport._remote.ice_ufrag if peers[0].transport._remote else ""
        judge = Judge(server, watch, peers, seconds)
        await judge.nothing()
        memory = server.rss
        for junk in ("junk", "segmented_junk"):
            await judge.of(
                junk,
                port,
                counts=(DROPPED % "not_ours", DROPPED % "unknown_address", DROPPED % "stun_malformed"),
                slow=FLOODED,
            )
        await judge.newcomer(port, url, room_of("call", "late"))
        await judge.of(
            "spoofed_stun",
            port,
            after=[ufrag],
            counts=(DROPPED % "stun_unknown_ufrag", DROPPED % "stun_over_budget"),
            slow=FLOODED,
        )
        await judge.of("client_hellos", port, counts=(DROPPED % "unknown_address",), slow=FLOODED)
        for addresses, crowded in ((1, "too_many_of_address"), (100, "too_many_strangers")):
            for kind, reasons in (
                ("idle", [crowded]),
                ("dribble", [crowded]),
                ("junk", ["no_authentic_check", "no_frame"]),
            )[: 3 if addresses == 1 or seconds > 10 else 1]:
                token = room_of("call", f"{kind}-{addresses}")
                counts = tuple(NOT_LET_IN % reason for reason in reasons)
                await judge.tcp_flood(kind, addresses, port, url, token, counts)
        asked = (await server.metrics())["auralink_keyframes_requested_total"]
        await judge.of(
            "requests",
            url,
            room_of("call", "asker"),
            counts=(REFUSED % "keyframe_request", DROPPED % "rtcp_rate", "auralink_resends_refused_total"),
        )
        asked = (await server.metrics())["auralink_keyframes_requested_total"] - asked
        print(f"  keyframes asked of the sources: {asked:.0f}")
        assert asked <= 3 * 2 * (judge.took + 1), "each source is asked at most twice per second"
        await judge.of("publish", url, room_of("call", "flood"), counts=(DROPPED % "publish_rate",))
        sent = await judge.of("messages", url, room_of("other", "flood"), counts=(LIMITED % "messages_per_connection",))
        assert sent > 5_000 * seconds, "of the 10,000 messages per second that it tries"
        await judge.of(
            "slow_reader", url, room_of("slow", "deaf"), room_of("slow", "talker"), counts=(LIMITED % "outbox",)
        )
        await judge.of(
            "offers",
            url,
            room_of("other", "long"),
            counts=(LIMITED % "message_bytes", REFUSED % "too_many_sections"),
        )
        await judge.half_open(url, room_of("call", "newcomer"))
        grown = server.rss - memory
        print(f"memory: {memory >> 20} MiB, grown by {grown / (1 << 20):.1f} MiB")
        assert grown < MOST_MEMORY
        await judge.nothing()
        assert (await server.metrics())["auralink_media_internal_errors_total"] == 0
        assert [peer.report().errors for peer in peers] == [(), (), ()]


@dataclass
class Judge:
    """Runs attacks and says what they did to the call."""

    server: RunningServer
    watch: Watch
    peers: list[Peer]
    seconds: float
    took: float = 0.0

    async def nothing(self) -> None:
        """The control: nobody attacks."""
        self.watch.begin()
        await asyncio.sleep(min(self.seconds, 3.0))
        self._verdict("nobody", "")

    async def of(
        self,
        name: str,
        *arguments: object,
        after: Sequence[object] = (),
        counts: tuple[str, ...],
        slow: float = SLOW,
    ) -> int:
        """One attack, which must be seen in all of `counts`. How often it did what it does."""
        before = await self.server.metrics()
        began = time.monotonic()
        self.watch.begin()
        async with attack(name, *arguments, self.seconds, *after) as process:
            out, err = await in_time(process.communicate(), self.seconds + 20)
            assert process.returncode == 0, err.decode()
        self.took = time.monotonic() - began
        metrics = await self.server.metrics()
        seen = {count: metrics.get(count, 0) - before.get(count, 0) for count in (*counts, KERNEL)}
        self._verdict(name, f"{out.decode().strip()} sent; {told(seen)}", slow)
        assert all(seen[count] > 0 for count in counts), seen
        return int(out)

    async def newcomer(self, port: int, url: str, token: str) -> None:
        """Somebody comes while the kernel throws away nearly all that strangers send, and so the newcomer's checks."""
        self.watch.begin()
        async with attack("segmented_junk", port, 30.0):
            before = await self.server.metrics()
            await eventually(lambda: self._floods(before), within=20)
            began = time.monotonic()
            async with Peer(url, token, publish=("microphone",), rates=RATES):
                took = time.monotonic() - began
        self._verdict("a newcomer", f"connected during segmented_junk in {took:.2f} s", FLOODED)
        assert took < 10.0

    async def _floods(self, before: dict[str, float]) -> bool:
        return (await self.server.metrics())[KERNEL] > before[KERNEL] + 10_000

    async def tcp_flood(
        self, kind: str, addresses: int, port: int, url: str, token: str, counts: tuple[str, ...]
    ) -> None:
        """Connections without number on the media port, during which somebody comes by ICE-TCP and stays."""
        before, files, memory = await self.server.metrics(), self.server.open_files, self.server.rss
        most_files = files
        self.watch.begin()
        async with attack("tcp_flood", port, max(self.seconds, FLOOD_LASTS), kind, addresses) as process:
            await eventually(lambda: self._not_let_in(before), within=5)
            began = time.monotonic()
            async with Peer(url, token, publish=("microphone",), rates=RATES, by_tcp=True) as newcomer:
                took = time.monotonic() - began
                while process.returncode is None:
                    await asyncio.sleep(0.1)
                    most_files = max(most_files, self.server.open_files)
                received = newcomer.transport.received
                await eventually(lambda: newcomer.transport.received > received + 100, within=5)
            assert newcomer.report().errors == ()
            out, err = await process.communicate()
            assert process.returncode == 0, err.decode()
        metrics = await self.server.metrics()
        seen = {count: metrics.get(count, 0) - before.get(count, 0) for count in (*counts, ACCEPTED)}
        grown = self.server.rss - memory
        self._verdict(
            f"tcp {kind} from {addresses}",
            f"{out.decode().strip()} opened; {told(seen)}; at most {most_files - files} files more, "
            f"{grown / (1 << 20):.1f} MiB more; a newcomer by ICE-TCP is connected in {took:.2f} s",
            FLOODED,
        )
        assert all(seen[count] > 0 for count in counts), seen
        assert took < 10.0
        assert most_files - files <= FILES // 16 + 10  # for the newcomer and who asks for metrics
        assert grown < MOST_MEMORY // 4

    async def _not_let_in(self, before: dict[str, float]) -> bool:
        name = NOT_LET_IN.partition("{")[0]
        metrics = await self.server.metrics()
        return sum(value - before.get(one, 0) for one, value in metrics.items() if one.startswith(name)) > 100

    async def half_open(self, url: str, token: str) -> None:
        """200 half-open handshakes, in which a newcomer is not caught."""
        self.watch.begin()
        async with attack("half_open", url, KEYS, 60) as process:
            assert process.stdout
            assert await in_time(process.stdout.readline(), 20) == b"ready\n"
            metrics = await self.server.metrics()
            running = metrics["auralink_media_handshakes_running"]
            assert 10 <= running <= 64
            assert metrics[REFUSED % "handshake_delayed"] > 100
            began = time.monotonic()
            async with Peer(url, token, publish=("microphone",), rates=RATES):
                took = time.monotonic() - began
                await asyncio.sleep(0.5)
            self._verdict("half_open", f"200 clients, {running:.0f} at once; a newcomer is connected in {took:.2f} s")
            assert took < 3.0
            if self.seconds > 10:
                await eventually(self._too_slow, within=15, every=0.5)

    async def _too_slow(self) -> bool:
        return (await self.server.metrics()).get(REFUSED % "handshake_too_slow", 0) > 0

    def _verdict(self, name: str, seen: str, slow: float = SLOW) -> None:
        gap, slowest, packets = self.watch.end()
        print(f"{name}: gap {gap * 1000:.0f} ms, p99 {slowest * 1000:.1f} ms of {packets} packets; {seen}")
        assert gap < FREEZE, f"{name} froze somebody for {gap:.2f} s"
        assert slowest < slow, f"under {name} the slowest of a hundred packets took {slowest:.3f} s"


ACCEPTED = "auralink_tcp_connections_accepted_total"
KERNEL = "auralink_udp_kernel_drops_total"


def told(seen: dict[str, float]) -> str:
    """Counts without what is common to all of their names."""
    return ", ".join(f"{name.removeprefix('auralink_')} {count:.0f}" for name, count in seen.items())


@pytest.mark.timeout(480)
@pytest.mark.parametrize(
    "seconds", [pytest.param(3.0, id="briefly"), pytest.param(15.0, id="long", marks=pytest.mark.long)]
)
def test_a_call_goes_on_through_every_attack(seconds: float, tmp_path: Path) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(attacked(seconds, tmp_path / "ready.json"))
