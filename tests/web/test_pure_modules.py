"""The pure modules of the browser client keep their promises; node runs them, in milliseconds."""

from __future__ import annotations

import subprocess
from pathlib import Path

HERE = Path(__file__).parent


def test_the_pure_modules_keep_their_promises() -> None:
    files = sorted(str(path) for path in HERE.glob("*.test.mjs"))
    assert files, "the promises are gone"
    done = subprocess.run(["node", "--test", *files], capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
