"""Shows that objects are freed by reference counting alone: the collector of reference cycles rests meanwhile."""

from __future__ import annotations

import contextlib
import gc
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterator

from .waiting import eventually


def living(kinds: Collection[type]) -> Counter[str]:
    """How many objects of exactly these classes there are in the process."""
    return Counter(type(thing).__qualname__ for thing in gc.get_objects() if type(thing) in kinds)


@contextlib.contextmanager
def collector_at_rest() -> Iterator[None]:
    """Collect what others left, and then nothing while the block runs."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@contextlib.asynccontextmanager
async def nothing_left(kinds: Collection[type], within: float = 2.0) -> AsyncIterator[None]:
    """Of these classes the block may leave no object, `within` seconds after its end.

    Raises AssertionError that names what is left.
    """
    with collector_at_rest():
        before = living(kinds)
        yield
        with contextlib.suppress(AssertionError):  # the one below says more
            await eventually(lambda: living(kinds) == before, within)
        left = living(kinds) - before
        assert not left, f"only the collector would free {dict(left)}"
