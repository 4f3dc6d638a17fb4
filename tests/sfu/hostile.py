"""What a hostile network may send: any bytes, and real packets with a few bytes changed, cut off or repeated."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import settings
from hypothesis import strategies as st

# Deadlines would fail on a busy machine, not on a bug. What fails is printed by hypothesis with its seed.
FEW = settings(max_examples=40, deadline=None)
MANY = settings(max_examples=100, deadline=None)

# Shapes of parameters from the whole range of their field.
U8, U16, U24, U32, U64 = (st.integers(0, (1 << bits) - 1) for bits in (8, 16, 24, 32, 64))


@st.composite
def mutations(draw: st.DrawFn, samples: Sequence[bytes]) -> bytes:
    """One of the samples with up to four changes."""
    data = bytearray(draw(st.sampled_from(samples)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        match draw(st.integers(0, 4)):
            case 0:
                data[at : at + 1] = bytes([draw(U8)])
            case 1:
                del data[at:]
            case 2:
                del data[at : at + draw(st.integers(1, 8))]
            case 3:
                data[at:at] = draw(st.binary(max_size=8))
            case _:
                data[at : at + 2] = draw(st.sampled_from([b"\0\0", b"\xff\xff", b"\0\x01", b"\x7f\xff"]))
    return bytes(data)


def datagrams(samples: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """Any bytes, or something that looks like a sample."""
    return st.one_of(st.binary(max_size=100), mutations(samples))
