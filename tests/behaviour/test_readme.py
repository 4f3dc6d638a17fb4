"""What the README promises to a newcomer, tried as it is written there."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.support.browser import sees_and_hears
from tests.support.chromium import Chromium
from tests.support.plain_page import served
from tests.support.server import running_server

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
KEYS = {"AURALINK_KEYS": "first:" + "0123456789abcdef" * 4}


async def token(room: str, identity: str) -> str:
    """What `auralink token` prints."""
    process = await asyncio.create_subprocess_exec(
        *(str(Path(sys.executable).with_name("auralink")), "token", "--room", room, "--identity", identity),
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | KEYS,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    return output.decode().strip()


@pytest.mark.browser
@pytest.mark.asyncio(loop_scope="session")
async def test_the_page_that_the_readme_shows_makes_a_call(chromium: Chromium, tmp_path: Path) -> None:
    page = re.search(r"```html\n(.*?)```", README, re.DOTALL)
    assert page
    shutil.copy(ROOT / "web" / "auralink.js", tmp_path)
    shutil.copytree(ROOT / "web" / "lib", tmp_path / "lib")
    async with served(tmp_path) as origin, running_server(environment=KEYS, allowed_origins=origin) as server:
        (tmp_path / "index.html").write_text(page[1].replace("http://localhost:8080", server.url))
        ada = await chromium.page(f"{origin}/#{await token('tea', 'ada')}")
        grace = await chromium.page(f"{origin}/#{await token('tea', 'grace')}")
        await sees_and_hears(ada, video=1, audio=1)
        await sees_and_hears(grace, video=1, audio=1)


def test_every_file_that_the_readme_names_exists() -> None:
    links = set(re.findall(r"\]\(([^)#]+)\)", README)) | set(re.findall(r"`(web/[\w./]+)`", README))
    assert sorted(link for link in links if not (ROOT / link).exists()) == []


@pytest.mark.parametrize("target", sorted(set(re.findall(r"^make ([a-z-]+)", README, re.MULTILINE))))
def test_every_make_target_that_the_readme_names_exists(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
