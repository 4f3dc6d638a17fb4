"""The account that a peer gives of itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Report:
    """What a peer did and saw so far. Times are in seconds."""

    participant: str
    joined_in: float
    connected_in: float
    packets_sent: int
    packets_received: int
    bytes_received: int
    lost: int
    duplicates: int
    reordered: int
    repaired: int
    retransmitted: int
    rejected: int
    blocked: int
    unknown: int
    early: int
    keyframes_sent: int
    keyframes_received: int
    feedback_messages: int
    feedback_lost: int
    redirects: int
    migrations: int
    first_video: tuple[float, ...]
    errors: tuple[str, ...]
