"""Counters of the media plane: plain integers, cheap enough for the fast path, exported by somebody else."""

from __future__ import annotations

from collections import Counter

_BY_LABEL = {"dropped", "refused", "tcp_refused"}


class Counters:
    """Since start. `dropped` counts datagrams that were not used, by reason; `refused` requests, by what was asked;
    `tcp_refused` connections, by reason."""

    __slots__ = (
        "bytes_forwarded",
        "bytes_received",
        "checks_answered",
        "dropped",
        "gso_packets",
        "handshakes_failed",
        "handshakes_succeeded",
        "keyframes_requested",
        "media_internal_errors",
        "nacks_received",
        "nacks_sent",
        "own_queues_failed",
        "packets_forwarded",
        "packets_missed",
        "packets_received",
        "packets_repaired",
        "paths_moved",
        "queue_rests",
        "refused",
        "resends",
        "resends_refused",
        "send_failures",
        "tcp_bytes_dropped",
        "tcp_connections_accepted",
        "tcp_packets_dropped",
        "tcp_refused",
    )

    def __init__(self) -> None:
        self.dropped: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.tcp_refused: Counter[str] = Counter()
        for name in self.__slots__:
            if name not in _BY_LABEL:
                setattr(self, name, 0)

    packets_received: int
    bytes_received: int
    packets_forwarded: int
    bytes_forwarded: int
    gso_packets: int
    send_failures: int
    checks_answered: int
    handshakes_succeeded: int
    handshakes_failed: int
    media_internal_errors: int
    keyframes_requested: int
    nacks_received: int
    nacks_sent: int
    packets_missed: int
    packets_repaired: int
    own_queues_failed: int
    paths_moved: int
    queue_rests: int
    resends: int
    resends_refused: int
    tcp_connections_accepted: int
    tcp_bytes_dropped: int
    tcp_packets_dropped: int

    def export(self) -> dict[str, int]:
        """The counters by metric name, as MediaStats wants them."""
        found = {f"{name}_total": getattr(self, name) for name in self.__slots__ if name not in _BY_LABEL}
        found |= {f"datagrams_dropped_total{{reason={why}}}": count for why, count in self.dropped.items()}
        found |= {f"tcp_connections_refused_total{{reason={why}}}": count for why, count in self.tcp_refused.items()}
        return found | {f"refusals_total{{what={what}}}": count for what, count in self.refused.items()}
