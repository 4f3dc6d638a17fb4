"""How many file descriptors this process may have: as many as it is allowed and can use."""

from __future__ import annotations

import logging
import resource
from typing import Final

log = logging.getLogger(__name__)

# Each participant has a WebSocket and a queue for media or a connection, and media takes a quarter for either at most
# (sfu/media_port.py, sfu/tcp_port.py). More than a process in Python can serve cost nothing.
ENOUGH: Final = 16_384
# With fewer, TCP carries fewer participants than it could.
FEW: Final = 4_096


def raise_limit() -> int:
    """Raise the soft limit as far as the hard one allows, say so in the log if it is low, and return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH if hard == resource.RLIM_INFINITY else min(ENOUGH, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
        except (OSError, ValueError) as error:  # something guards the process
            log.debug("setrlimit: %s", error)
    if soft != resource.RLIM_INFINITY and soft < FEW:
        log.warning("few file descriptors: %d, so that fewer people can connect; allow %d or more", soft, FEW)
    return soft
