"""Whether any payload starts a keyframe is a yes or a no for every codec, and an empty one starts no picture."""

from __future__ import annotations

from sfu.payloads import starts_keyframe

VIDEO = ("VP8", "VP9", "H264", "AV1")


def run(data: bytes) -> None:
    for codec in VIDEO:
        assert starts_keyframe(codec)(data) in (True, False)
        assert not starts_keyframe(codec)(b"")
    assert starts_keyframe("opus")(data) is True
