"""A test that would hang for ever fails in time, and says what it waited for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
OPTIONS = (
    "-c /dev/null -p no:cacheprovider -p tests.support.deadline "
    "-o asyncio_mode=auto -o timeout=0.5 -o timeout_again=0.5"
)

STUBBORN = """
import asyncio
import pytest
import uvloop

async def will_not_be_cancelled():
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            pass

def run(factory):
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(will_not_be_cancelled())
"""
HANGS = {
    "on uvloop": "def test_it(): run(uvloop.new_event_loop)",
    "on asyncio": "def test_it(): run(asyncio.new_event_loop)",
    "in a test that is a coroutine": "async def test_it(): await will_not_be_cancelled()",
    "without a loop": "def test_it():\n    while True: pass",
    "tidying up": """
@pytest.fixture
async def hanging():
    yield
    await will_not_be_cancelled()

def test_it(hanging): pass""",
    "while it blocks the loop": "async def test_it():\n    while True: pass",
}
TRIED_AGAIN = """
import time
tries = []

@pytest.fixture
def slow():
    time.sleep(0.3)
    yield
    time.sleep(0.3)

def test_it(slow):
    tries.append(1)
    if len(tries) == 1:
        run(asyncio.new_event_loop)
    time.sleep(0.3)
"""
SHARED = """
@pytest.fixture(scope="session")
def shared():
    run(asyncio.new_event_loop)

def test_it(shared): pass
def test_another(shared): pass
"""
WHERE_TASKS_ARE_SHOWN = {"on uvloop", "on asyncio", "in a test that is a coroutine"}


@pytest.mark.parametrize("where", HANGS)
def test_a_test_that_hangs_fails_and_those_after_it_run(where: str, tmp_path: Path) -> None:
    run = run_with(HANGS[where], tmp_path)
    ended = "2 passed, 1 error" if where == "tidying up" else "1 failed, 1 passed"
    assert ended in run.stdout, run.stdout + run.stderr
    said = run.stdout.partition("test_it has not ended within 0.5 s")[2]
    assert "will_not_be_cancelled()" in said or where not in WHERE_TASKS_ARE_SHOWN


def test_a_test_that_is_tried_again_has_its_time_again_as_has_each_part_of_it(tmp_path: Path) -> None:
    """Each try and each part takes 0.3 s of its 0.5 s, except for the first try, which hangs."""
    run = run_with(TRIED_AGAIN, tmp_path, "--reruns 2")
    assert "2 passed, 1 rerun" in run.stdout, run.stdout + run.stderr


def test_workers_side_by_side_end_their_tests_too(tmp_path: Path) -> None:
    run = run_with(HANGS["without a loop"], tmp_path, "-n 2")
    assert "1 failed, 1 passed" in run.stdout, run.stdout + run.stderr


def test_what_a_session_shares_is_ended_once_and_each_test_that_needs_it_fails(tmp_path: Path) -> None:
    run = run_with(SHARED, tmp_path)
    assert "1 passed, 2 errors" in run.stdout, run.stdout + run.stderr
    assert "test_it has not ended within" in run.stdout
    assert "test_another has not ended within" not in run.stdout


def run_with(code: str, folder: Path, options: str = "") -> subprocess.CompletedProcess[str]:
    """How a run of these tests went, and of one more after them."""
    (folder / "test_hanging.py").write_text(f"{STUBBORN}\n{code}\n\ndef test_after(): pass\n")
    return subprocess.run(
        [sys.executable, "-m", "pytest", *OPTIONS.split(), *options.split(), str(folder)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
