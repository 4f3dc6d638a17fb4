"""Finds the targets and their seeds, runs a target without looking at coverage, and keeps what made one fail.

A target is a module `fuzz_NAME.py`: its first line is the promise, `run(data)` breaks it or returns, and its seeds are
the files of `corpus/NAME` and of the folder `MORE_SEEDS`, if it names one.
"""

from __future__ import annotations

import hashlib
import importlib
import random
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from .mutation import mutated

HERE = Path(__file__).parent
CORPUS = HERE / "corpus"
TARGETS = sorted(file.stem.removeprefix("fuzz_") for file in HERE.glob("fuzz_*.py"))


def load(name: str) -> ModuleType:
    """The module of a target."""
    return importlib.import_module(f"{__package__}.fuzz_{name}")


def folders(name: str) -> list[Path]:
    """Where the seeds of a target are."""
    more: Path | None = getattr(load(name), "MORE_SEEDS", None)
    return [CORPUS / name, *([more] if more else [])]


def seeds(name: str) -> list[Path]:
    """The files of a target's corpus."""
    return sorted(file for folder in folders(name) for file in folder.iterdir() if file.is_file())


def keep(name: str, data: bytes) -> Path:
    """Put what made a target fail into its corpus, so that it is tried for ever."""
    file = CORPUS / name / f"crash-{hashlib.sha256(data).hexdigest()[:12]}.bin"
    file.write_bytes(data)
    return file


def run(name: str, data: bytes) -> None:
    """Try one input. Raises what the target raises, after keeping the input."""
    try:
        load(name).run(data)
    except Exception as error:
        error.add_note(f"The input is {keep(name, data)}")
        raise


def run_blindly(name: str, seconds: float, seed: int) -> int:
    """Mutate the corpus for so long; the same seed tries the same inputs. The number of inputs that were tried."""
    source = random.Random(f"{name} {seed}")
    samples = [file.read_bytes() for file in seeds(name)]
    tried = 0
    for data in _within(seconds, samples, source):
        run(name, data)
        tried += 1
    return tried


def _within(seconds: float, samples: list[bytes], source: random.Random) -> Iterator[bytes]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield mutated(samples, source)


def packed(datagrams: list[bytes]) -> bytes:
    """Several datagrams as one input: each behind its length in two bytes."""
    return b"".join(len(datagram).to_bytes(2, "big") + datagram for datagram in datagrams)


def unpacked(data: bytes, most: int = 64) -> list[bytes]:
    """The datagrams of an input, whatever it is; the last may be cut short."""
    found = []
    while data and len(found) < most:
        size = int.from_bytes(data[:2], "big") % 1501
        found.append(data[2 : 2 + size])
        data = data[2 + size :]
    return found
