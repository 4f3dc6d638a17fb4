"""A long offer is read in slices between which others have their turn, and a hopeless one is not read at all."""

from __future__ import annotations

import asyncio
import re
import time

import pytest

from sfu.offer_reader import OfferReader
from sfu.sdp import MAX_CHARACTERS, SdpError, parse_offer

from .offers import text_of


def long_offer(sections: int) -> str:
    """A real section of a browser, many times."""
    head, *rest = re.split(r"(?=^m=)", text_of("chromium_publish_and_receive"), flags=re.MULTILINE)
    section = re.sub(r"a=ssrc.*\r\n", "", max(rest, key=len))
    mids = [f"m{number}" for number in range(sections)]
    head = re.sub(r"a=group:BUNDLE.*\r\n", f"a=group:BUNDLE {' '.join(mids)}\r\n", head)
    return head + "".join(re.sub(r"a=mid:.*\r\n", f"a=mid:{mid}\r\n", section) for mid in mids)


async def test_a_long_offer_is_read_as_a_short_one_is() -> None:
    for text in (text_of("chromium_publish"), long_offer(50)):
        assert await OfferReader(128, time.monotonic).read(text) == parse_offer(text)


async def test_while_long_offers_are_read_others_have_their_turn() -> None:
    text = long_offer(55)
    assert len(text) > MAX_CHARACTERS * 0.8
    reader, done = OfferReader(128, time.monotonic), False
    longest = 0.0

    async def read_all() -> None:
        nonlocal done
        await asyncio.gather(*(reader.read(text) for _ in range(10)))
        done = True

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(read_all())
        at, turns = time.monotonic(), 0
        while not done:
            await asyncio.sleep(0)
            now = time.monotonic()
            longest, at, turns = max(longest, now - at), now, turns + 1
    print(f"{turns} turns of at most {longest * 1000:.1f} ms while ten offers of {len(text)} characters were read")
    assert turns > 50


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("v=0\r\n" + "a" * (1 << 20), "offer_too_large"),
        ("v=0\r\n" + "a=x\r\n" * 50_000, "offer_too_large"),
        ("v=0\r\n" + "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n" * 500, "too_many_sections"),
    ],
    ids=["1 MiB", "50,000 lines", "500 sections"],
)
async def test_a_hopeless_offer_is_refused_within_milliseconds(text: str, code: str) -> None:
    began = time.process_time()
    with pytest.raises(SdpError) as refused:
        await OfferReader(128, time.monotonic).read(text)
    assert refused.value.code == code
    assert time.process_time() - began < 0.05
