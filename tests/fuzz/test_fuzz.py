"""No parser of network input breaks its promise: on the corpus, on a second of mutations, and on half a minute of them.

`AURALINK_FUZZ_SEED=N` tries other mutations than the usual ones. What makes a target fail is written into its corpus.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from . import harness

SEED = int(os.environ.get("AURALINK_FUZZ_SEED", "1"))
BRIEFLY, LONG = 1.0, 30.0  # seconds per target
ROOT = Path(__file__).parent.parent.parent
FILES = [(name, file) for name in harness.TARGETS for file in harness.seeds(name)]


@pytest.mark.parametrize("name", harness.TARGETS)
def test_every_target_states_its_promise_and_has_seeds(name: str) -> None:
    assert (harness.load(name).__doc__ or "").strip().endswith(".")
    assert harness.seeds(name)


def test_every_corpus_belongs_to_a_target() -> None:
    assert sorted(folder.name for folder in harness.CORPUS.iterdir()) == harness.TARGETS


@pytest.mark.parametrize(("name", "file"), FILES, ids=lambda value: value.stem if isinstance(value, Path) else value)
def test_a_file_of_the_corpus_breaks_no_promise(name: str, file: Path) -> None:
    harness.load(name).run(file.read_bytes())


@pytest.mark.parametrize("name", harness.TARGETS)
def test_a_second_of_mutations_breaks_no_promise(name: str) -> None:
    print(f"seed {SEED}")
    assert harness.run_blindly(name, BRIEFLY, SEED) >= 10


@pytest.mark.long
@pytest.mark.timeout(LONG + 60)
@pytest.mark.parametrize("name", harness.TARGETS)
def test_half_a_minute_of_mutations_breaks_no_promise(name: str, tmp_path: Path) -> None:
    """Led by coverage where atheris can be installed (pyproject.toml says where), else blindly."""
    if importlib.util.find_spec("atheris") is None:
        seed = int.from_bytes(os.urandom(4), "big")
        print(f"seed {seed}")
        assert harness.run_blindly(name, LONG, seed) >= 10
        return
    command = [sys.executable, "-m", "tests.fuzz.guided", name, str(int(LONG)), str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    for slow in tmp_path.glob("failed-*"):  # what libFuzzer itself ended: out of time, out of memory
        shutil.copy(slow, harness.CORPUS / name / f"{slow.name}.bin")
    assert done.returncode == 0, done.stdout[-4000:]
