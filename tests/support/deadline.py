"""A test that takes too long is ended, whatever it waits for, and what its tasks wait for is printed.

An error that a signal raises once, as pytest-timeout does, can be swallowed by an event loop: by asyncio in a callback
or in somebody's task, by uvloop always. So here the loop is stopped, and again every `timeout_again` seconds, for what
then tidies up may wait for ever, too. Setting up, the test itself and tidying up have `timeout` seconds each.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from types import FrameType

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """The settings."""
    parser.addini("timeout", "seconds that a test may take", default="60")
    parser.addini("timeout_again", "seconds that a test which took too long may take to tidy up", default="15")


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known."""
    config.addinivalue_line("markers", "timeout(seconds): how long this test may take, where the usual is too short")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    """Bound the setting up."""
    with deadline(item):
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Bound the test."""
    with deadline(item):
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    """Bound the tidying up."""
    with deadline(item):
        return (yield)


@contextmanager
def deadline(item: pytest.Item) -> Iterator[None]:
    """End what runs in this block when the time of the test is over."""
    mark = item.get_closest_marker("timeout")
    seconds = float(mark.args[0] if mark else item.config.getini("timeout"))
    again = float(item.config.getini("timeout_again"))
    alarms = 0

    def alarm(signum: int, frame: FrameType | None) -> None:
        nonlocal alarms
        alarms += 1
        loop = asyncio._get_running_loop()
        if alarms == 1:
            print(f"{item.nodeid} has not ended within {seconds} s", file=sys.stderr)
            for task in asyncio.all_tasks(loop) if loop else ():
                task.print_stack(file=sys.stderr)
        if loop is not None:
            loop.call_soon_threadsafe(loop.stop)  # wakes it up, too
        if loop is None or alarms > 1:  # no loop runs, or something in it blocks
            pytest.fail(f"not within {seconds} s")

    before = signal.signal(signal.SIGALRM, alarm)
    signal.setitimer(signal.ITIMER_REAL, seconds, again)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
