"""A program of somebody else's that a test runs: started, watched, stopped, killed, and gone at the end."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from .waiting import eventually, in_time

ENDS_WITHIN = 10.0


class Program:
    """One program with its arguments. It may run several times, but only once at a time."""

    def __init__(self, command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None) -> None:
        """`folder` is where it runs and where its output goes. `environment` is added to that of the tests."""
        self._command = command
        self._folder = folder
        self._environment = dict(os.environ) | dict(environment or {})
        self._log_file = folder / f"{Path(command[0]).name}.log"
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """The process id. Raises AssertionError when it does not run."""
        assert self._process, f"{self._command[0]} has not been started"
        assert self._process.returncode is None, (
            f"{self._command[0]} ended with {self._process.returncode}:\n{self.log}"
        )
        return self._process.pid

    @property
    def runs(self) -> bool:
        """Whether the process is there, be it stopped."""
        return self._process is not None and self._process.returncode is None

    @property
    def log(self) -> str:
        """Everything that it printed so far, in all of its runs."""
        return self._log_file.read_text(errors="replace") if self._log_file.exists() else ""

    async def start(self) -> None:
        """Start it, in a session of its own. Whether it is ready is for the caller to ask it."""
        assert not self.runs, f"{self._command[0]} runs already"
        with self._log_file.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                env=self._environment,
                start_new_session=True,
            )

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    async def end(self, within: float = ENDS_WITHIN) -> int:
        """Ask it to end by SIGTERM and return its exit code. Raises TimeoutError after `within` seconds."""
        assert self._process
        if self.runs:
            self._process.terminate()
        return await in_time(self._process.wait(), within)

    async def kill(self) -> None:
        """End it and all that it started by SIGKILL, whatever state it is in. Does nothing when it has ended."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()


@asynccontextmanager
async def running_program(
    command: Sequence[str],
    folder: Path,
    ready: Callable[[Program], object],
    *,
    within: float = 10.0,
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[Program]:
    """Run a program from the moment that `ready` says yes until the block ends.

    `ready` is asked again and again, for `within` seconds at most, and may be asynchronous. Raises AssertionError with
    what the program printed when it ends before that.
    """
    program = Program(command, folder, environment)
    try:
        await program.start()

        async def answers() -> bool:
            assert program.pid
            answer = ready(program)
            return bool(await answer if asyncio.iscoroutine(answer) else answer)

        await eventually(answers, within)
        yield program
    finally:
        await program.kill()
