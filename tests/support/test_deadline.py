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
WHERE_TASKS_ARE_SHOWN = {"on uvloop", "on asyncio", "in a test that is a coroutine"}


@pytest.mark.parametrize("where", HANGS)
def test_a_test_that_hangs_fails_and_those_after_it_run(where: str, tmp_path: Path) -> None:
    (tmp_path / "test_hanging.py").write_text(f"{STUBBORN}\n{HANGS[where]}\n\ndef test_after(): pass\n")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *OPTIONS.split(), str(tmp_path)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    ended = "2 passed, 1 error" if where == "tidying up" else "1 failed, 1 passed"
    assert ended in run.stdout, run.stdout + run.stderr
    said = run.stdout.partition("test_it has not ended within 0.5 s")[2]
    assert "will_not_be_cancelled()" in said or where not in WHERE_TASKS_ARE_SHOWN
