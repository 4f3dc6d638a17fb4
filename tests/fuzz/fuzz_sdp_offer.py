"""Any text is an offer, to which there is a whole answer of clean lines with as many sections, or an SdpError."""

from __future__ import annotations

import re

from sfu.sdp import SdpError, parse_offer
from tests.sfu.offers import DIRECTORY, answer_to

MORE_SEEDS = DIRECTORY

LINE = re.compile(r"[a-z]=[^\x00-\x08\x0a-\x1f\x7f]*")


def run(data: bytes) -> None:
    try:
        offer = parse_offer(data.decode("utf-8", "replace"))
    except SdpError as error:
        assert str(error)
        return
    lines = answer_to(offer).split("\r\n")
    assert lines.pop() == ""
    assert all(LINE.fullmatch(line) for line in lines)
    assert sum(line.startswith("m=") for line in lines) == len(offer.sections)
