"""What went wrong with Redis, in the one word of a StoreError."""

from __future__ import annotations

import errno
import re
import socket
import ssl
from collections.abc import Iterator

from redis import exceptions
from redis.asyncio.sentinel import MasterNotFoundError

from .store import StoreError

LASTING = frozenset({"denied"})
OURS = frozenset({"pool_exhausted", "invalid"})
LONGEST_TEXT = 300  # characters

# By the class that redis-py makes of an answer, the more special ones first.
CLASSES: tuple[tuple[type[BaseException], str], ...] = (
    (exceptions.AuthenticationError, "denied"),
    (exceptions.AuthenticationWrongNumberOfArgsError, "denied"),
    (exceptions.AuthorizationError, "denied"),
    (exceptions.NoPermissionError, "denied"),
    (exceptions.MaxConnectionsError, "pool_exhausted"),
    (exceptions.BusyLoadingError, "loading"),
    (exceptions.ReadOnlyError, "read_only"),
    (exceptions.OutOfMemoryError, "full"),
    (exceptions.MasterDownError, "master_down"),
    (MasterNotFoundError, "master_down"),
    (exceptions.ClusterError, "cluster_down"),
    (exceptions.SlotNotCoveredError, "cluster_down"),
    (exceptions.TryAgainError, "cluster_down"),
    (exceptions.TimeoutError, "timeout"),
    (exceptions.DataError, "invalid"),  # what we wanted to send cannot be sent
    (UnicodeError, "invalid"),
    (TimeoutError, "timeout"),
    (socket.gaierror, "unresolved"),
    (ssl.SSLError, "tls"),
    (ConnectionRefusedError, "refused"),
    (ConnectionError, "reset"),
)
# By the first word of the answer, where redis-py has no class.
PREFIXES = {
    "MISCONF": "misconfigured",
    "NOREPLICAS": "no_replicas",
    "BUSY": "busy",
    "NOAUTH": "denied",
    "WRONGPASS": "denied",
    "NOPERM": "denied",
    "UNBLOCKED": "read_only",  # the server became a replica while we waited
    "READONLY": "read_only",
    "OOM": "full",
    "LOADING": "loading",
    "MASTERDOWN": "master_down",
    "CLUSTERDOWN": "cluster_down",
}
# By what is said, where neither tells.
SAID = (
    ("max number of clients", "too_many_clients"),
    ("Protocol error: unauthenticated", "denied"),  # what is long is not even read from who gave no password
    ("previous master is now a slave", "read_only"),
    ("slots are not covered", "cluster_down"),
    ("cluster support disabled", "misconfigured"),
)
NUMBERS = {
    errno.ECONNREFUSED: "refused",
    errno.EMFILE: "pool_exhausted",  # our own limit on open files
    errno.ENFILE: "pool_exhausted",
    errno.ETIMEDOUT: "timeout",
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETUNREACH: "unreachable",
    errno.EADDRNOTAVAIL: "pool_exhausted",  # no port of ours is free
}


def store_error(error: Exception) -> StoreError:
    """Say in the words of the store what went wrong."""
    reason = next((reason for each in _chain(error) if (reason := _reason(each))), None)
    if reason is None:
        reason = "reset" if isinstance(error, exceptions.ConnectionError) else "error"
    text = f"{reason}: {error or type(error).__name__}"
    return StoreError(reason, text[:LONGEST_TEXT], lasting=reason in LASTING, ours=reason in OURS)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what led to it; redis-py tells of a refused connection only so."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _reason(error: BaseException) -> str | None:
    said = str(error)
    for text, reason in SAID:
        if text in said:
            return reason
    for kind, reason in CLASSES:
        if isinstance(error, kind):
            return reason
    if isinstance(error, exceptions.ResponseError):
        return PREFIXES.get(said.split(" ", 1)[0])
    if isinstance(error, OSError):
        # Of several addresses that were tried, only the text tells the numbers.
        number = error.errno or next((int(found) for found in re.findall(r"\[Errno (\d+)\]", said)), 0)
        return NUMBERS.get(number)
    return None
