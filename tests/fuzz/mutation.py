"""Small changes to real inputs, of the kinds that break parsers."""

from __future__ import annotations

import random
from collections.abc import Sequence

_NUMBERS = [0, 1, 2, 3, 7, 8, 15, 16, 31, 32, 63, 64, 127, 128, 255, 256, 1500, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF]
_TEXTS = [
    b"-1",
    b"0",
    b"99999999999999999999",
    b"1e999",
    b"null",
    b"\0",
    b"\r\n",
    b"\xc3\x28",
    b"\\ud800",
    b"%",
    b"[" * 50,
]


def mutated(samples: Sequence[bytes], source: random.Random) -> bytes:
    """One of the samples with a few changes; seldom something that looks like none of them."""
    if source.random() < 0.02:
        return source.randbytes(source.randrange(100))
    data = bytearray(source.choice(samples))
    for _ in range(source.choice((1, 1, 2, 3, 5, 8))):
        _change(data, samples, source)
    return bytes(data)


def _change(data: bytearray, samples: Sequence[bytes], source: random.Random) -> None:
    at = source.randrange(len(data) + 1)
    some = at + source.choice((1, 1, 2, 4, 8, 32, 200))
    match source.randrange(9):
        case 0 if at < len(data):
            data[at] ^= 1 << source.randrange(8)
        case 1:
            data[at : at + 1] = source.randbytes(1)
        case 2:
            size = source.choice((1, 2, 4))
            data[at : at + size] = (source.choice(_NUMBERS) % (1 << 8 * size)).to_bytes(size, "big")
        case 3:
            del data[at:some]
        case 4:
            del data[at:]
        case 5:
            data[at:at] = data[at:some]
        case 6:
            data[at:at] = source.choice(_TEXTS)
        case 7:
            other = source.choice(samples)
            start = source.randrange(len(other) + 1)
            data[at:some] = other[start : start + some - at]
        case _:
            other = source.choice(samples)
            data[at:] = other[source.randrange(len(other) + 1) :]
    del data[1 << 16 :]
