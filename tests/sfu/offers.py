"""Real offers (`tests/data/sdp`: Chromium 156, Firefox 153 and aiortc 1.16), and a plain answer to any of them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from sfu.answer import SectionPlan, build_answer, negotiate
from sfu.candidates import Candidate
from sfu.sdp import Offer, Section, parse_offer

DIRECTORY = Path(__file__).parent.parent / "data" / "sdp"
NAMES = sorted(path.stem for path in DIRECTORY.glob("*.sdp"))
FINGERPRINT = ("sha-256", ":".join(["AB"] * 32))


def text_of(name: str) -> str:
    """The offer as it was on the wire: files keep it with plain line ends."""
    return (DIRECTORY / f"{name}.sdp").read_text().replace("\n", "\r\n")


_LINES = [text_of(name).split("\r\n") for name in NAMES]
_TOKENS = sorted({token for lines in _LINES for line in lines for token in re.split(r"[ :=;/]", line)})


def mutated(data: st.DataObject) -> str:
    """One of the offers with a few of its lines dropped, repeated, moved or broken."""
    lines = list(data.draw(st.sampled_from(_LINES)))
    for _ in range(data.draw(st.integers(1, 4))):
        index = data.draw(st.integers(0, len(lines) - 1))
        parts = re.split(r"([ :=;/])", lines[index])
        part = data.draw(st.integers(0, len(parts) - 1))
        match data.draw(st.sampled_from(["drop", "repeat", "move", "token", "noise", "cut"])):
            case "drop" if len(lines) > 1:
                del lines[index]
            case "repeat":
                lines.insert(data.draw(st.integers(0, len(lines))), lines[index])
            case "move":
                lines.insert(data.draw(st.integers(0, len(lines) - 1)), lines.pop(index))
            case "token":
                parts[part] = data.draw(st.sampled_from(_TOKENS))
                lines[index] = "".join(parts)
            case "noise":
                parts[part] = data.draw(st.text(max_size=8))
                lines[index] = "".join(parts)
            case _:
                lines[index] = "".join(parts[:part])
    return "\r\n".join(lines)


def offer_of(name: str) -> Offer:
    return parse_offer(text_of(name))


def plan_of(section: Section) -> SectionPlan:
    """What the media plane does by default: take what is sent, fill what can be received, keep the rest quiet."""
    if section.direction in ("sendonly", "sendrecv"):
        common = negotiate(section, None, "publish")
        return SectionPlan.publish(section, common.codecs, common.extensions)
    if section.direction == "recvonly":
        common = negotiate(section, None, "slot")
        ssrc = 1000 + 2 * section.index
        stream, track = f"slot-{section.index // 2}", f"slot-track-{section.index}"
        return SectionPlan.slot(section, common.codecs, common.extensions, ssrc, ssrc + 1, stream, track, "auralink")
    return SectionPlan.inactive(section)


def answer_to(offer: Offer, plans: list[SectionPlan] | None = None, **changes: Any) -> str:
    arguments: dict[str, Any] = {
        "ice_ufrag": "serv",
        "ice_pwd": "p" * 24,
        "fingerprint": FINGERPRINT,
        "candidates": [Candidate("192.0.2.1", 3478)],
        "session_id": 1,
        "session_version": 2,
        "start_bitrate_kbps": 1000,
    }
    return build_answer(offer, plans or [plan_of(section) for section in offer.sections], **(arguments | changes))
