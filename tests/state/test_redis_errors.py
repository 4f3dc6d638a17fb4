"""Whatever goes wrong with Redis has a word that says what, as the library under the store tells of it."""

from __future__ import annotations

import errno
import socket
import ssl

import pytest
from redis import exceptions
from redis._parsers.base import BaseParser
from redis.asyncio.sentinel import MasterNotFoundError

from state.redis_errors import store_error


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("LOADING Redis is loading the dataset in memory", "loading"),
        ("READONLY You can't write against a read only replica.", "read_only"),
        ("UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)", "read_only"),
        ("OOM command not allowed when used memory > 'maxmemory'.", "full"),
        ("MISCONF Redis is configured to save RDB snapshots.", "misconfigured"),
        ("NOREPLICAS Not enough good replicas to write.", "no_replicas"),
        ("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", "master_down"),
        ("CLUSTERDOWN The cluster is down", "cluster_down"),
        ("TRYAGAIN Multiple keys request during rehashing of slot", "cluster_down"),
        ("BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.", "busy"),
        ("NOAUTH Authentication required.", "denied"),
        ("ERR Protocol error: unauthenticated multibulk length", "denied"),
        ("WRONGPASS invalid username-password pair or user is disabled.", "denied"),
        ("NOPERM this user has no permissions to run the 'eval' command", "denied"),
        ("ERR max number of clients reached", "too_many_clients"),
        ("ERR This instance has cluster support disabled", "misconfigured"),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", "error"),
        ("ERR unknown command", "error"),
    ],
)
def test_an_answer_that_is_an_error_has_a_reason(answer: str, reason: str) -> None:
    error = store_error(BaseParser.parse_error(answer))
    assert error.reason == reason
    assert error.lasting == (reason == "denied")
    assert not error.ours


@pytest.mark.parametrize(
    ("happened", "reason"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed ('127.0.0.1', 1)"), "refused"),
        (OSError("Multiple exceptions: [Errno 111] Connect call failed ('::1', 1)"), "refused"),
        (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), "reset"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), "reset"),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "unresolved"),
        (ssl.SSLCertVerificationError("certificate verify failed"), "tls"),
        (OSError(errno.EHOSTUNREACH, "No route to host"), "unreachable"),
        (OSError(errno.ETIMEDOUT, "Connection timed out"), "timeout"),
    ],
)
def test_a_connection_that_fails_has_a_reason_however_deep_it_lies(happened: OSError, reason: str) -> None:
    def connect() -> None:
        try:
            raise happened
        except OSError:
            raise exceptions.ConnectionError("Error connecting to 127.0.0.1:1.")  # noqa: B904

    with pytest.raises(exceptions.ConnectionError) as raised:
        connect()
    error = store_error(raised.value)
    assert (error.reason, error.lasting, error.ours) == (reason, False, False)


@pytest.mark.parametrize(
    ("raised", "reason"),
    [
        (exceptions.MaxConnectionsError("Too many connections"), "pool_exhausted"),
        (OSError(errno.EMFILE, "Too many open files"), "pool_exhausted"),
        (exceptions.DataError("Invalid input of type"), "invalid"),
    ],
)
def test_what_happens_to_ourselves_says_nothing_of_the_store(raised: Exception, reason: str) -> None:
    error = store_error(raised)
    assert (error.reason, error.ours) == (reason, True)


@pytest.mark.parametrize(
    ("raised", "reason"),
    [
        (MasterNotFoundError("No master found for 'calls'"), "master_down"),
        (exceptions.ConnectionError("The previous master is now a slave"), "read_only"),
        (exceptions.RedisClusterException("All slots are not covered after query all startup_nodes."), "cluster_down"),
        (exceptions.SlotNotCoveredError('Slot "1" not covered by the cluster.'), "cluster_down"),
        (exceptions.ClusterError("TTL exhausted."), "cluster_down"),
        (exceptions.TimeoutError("Timeout connecting to server"), "timeout"),
        (TimeoutError(), "timeout"),
        (exceptions.ConnectionError("Connection closed by server."), "reset"),
        (ValueError("an answer that nobody expected"), "error"),
    ],
)
def test_what_the_library_itself_says_has_a_reason(raised: Exception, reason: str) -> None:
    error = store_error(raised)
    assert (error.reason, error.ours) == (reason, False)
    assert str(error).startswith(reason)
