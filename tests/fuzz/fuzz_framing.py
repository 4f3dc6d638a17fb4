"""Any stream is datagrams of the right size and at last perhaps a FramingError, the same however it is cut."""

from __future__ import annotations

from sfu.framing import Deframer, FramingError, framed


def run(data: bytes) -> None:
    at_once, byte_by_byte = found(data, len(data) or 1), found(data, 1)
    assert at_once == byte_by_byte
    datagrams, failed = at_once
    assert all(2 <= len(datagram) <= 1500 for datagram in datagrams)
    stream = b"".join(map(framed, datagrams))
    assert data.startswith(stream)
    if not failed:
        assert len(data) - len(stream) < 2 + 1500


def found(data: bytes, step: int) -> tuple[list[bytes], bool]:
    """What comes out, and whether the stream makes no sense in the end."""
    deframer, datagrams = Deframer(2, 1500), []
    for at in range(0, len(data), step):
        deframer.feed(data[at : at + step])
        try:
            while (datagram := deframer.next()) is not None:
                datagrams.append(datagram)
        except FramingError:
            return datagrams, True
    return datagrams, False
