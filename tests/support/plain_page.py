"""Pages at `http://localhost` that no server of ours serves: cameras need a secure context."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from .network import HOST, Network


@asynccontextmanager
async def served(folder: Path, network: Network = HOST) -> AsyncIterator[str]:
    """The origin at which the files in `folder` are served in `network` for as long as the block lasts."""
    process = await asyncio.create_subprocess_exec(
        *network.command(sys.executable, "-u", "-m", "http.server", "--bind", "127.0.0.1"),
        *("--directory", str(folder), "0"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        assert process.stdout
        line = (await process.stdout.readline()).decode()
        port = re.search(r"port (\d+)", line)
        assert port, line
        yield f"http://localhost:{port[1]}"
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def plain_page(network: Network = HOST) -> AsyncIterator[str]:
    """The address of an empty page that is served in `network` for as long as the block lasts."""
    with TemporaryDirectory(prefix="auralink-page-") as folder:
        (Path(folder) / "index.html").write_text("<!doctype html><title>A plain page</title><body></body>")
        async with served(Path(folder), network) as origin:
            yield origin + "/"
