"""What an operator may set of the media plane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .budgets import PUBLISHED_KBPS
from .media_plane import Kind

if TYPE_CHECKING:
    from .addresses import LocalAddress


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """`port` 0 takes any free one, with `tcp` for TCP too; `start_bitrate_kbps` is the hint in answers, and
    `publish_kbps` how much one peer may send us."""

    addresses: Sequence[LocalAddress]
    port: int = 0
    tcp: bool = True
    most_slots: Mapping[Kind, int] = field(default_factory=lambda: {"audio": 32, "video": 32})
    max_sections: int = 128
    start_bitrate_kbps: int | None = 1000
    publish_kbps: int = PUBLISHED_KBPS
    probes: Mapping[str, str] = field(default_factory=dict, repr=False)  # passwords by ufrag of who probes relays
