"""What the README promises to a newcomer, tried as it is written there."""

from __future__ import annotations

import re
import shlex
import socket
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.support.browser import sees_and_hears
from tests.support.chromium import Chromium
from tests.support.ports import free_port
from tests.support.program import running_program
from tests.support.redis_server import redis_server

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()


def blocks(language: str, heading: str) -> list[str]:
    """What a chapter of the README has a newcomer type or save, from top to bottom."""
    chapter = README.partition(f"\n## {heading}")[2].partition("\n## ")[0]
    return re.findall(rf"^```{language}\n(.*?)^```$", chapter, re.DOTALL | re.MULTILINE)


def answers(port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_the_first_three_chapters_take_a_minute_five_and_thirty() -> None:
    titles = re.findall(r"^## (.*)$", README, re.MULTILINE)
    assert [title.partition(":")[0] for title in titles[:3]] == ["In one minute", "In five minutes", "In half an hour"]


@pytest.mark.browser
@pytest.mark.asyncio(loop_scope="session")
async def test_in_five_minutes_two_people_call_each_other_on_a_page_of_ones_own(
    chromium: Chromium, tmp_path: Path
) -> None:
    (copying, serving), (page,) = blocks("sh", "In five minutes"), blocks("html", "In five minutes")
    pages, server = free_port(), free_port()
    # Ports are those of this machine's newcomers only: here others may have them.
    serving = serving.replace("8000", str(pages)).replace(
        'ARGS="', f'ARGS="--port {server} --media-port 0 --admin-bind off '
    )
    script = f"cd {shlex.quote(str(ROOT))}\n{copying}{serving}".replace("../my-call", str(tmp_path / "my-call"))
    (tmp_path / "my-call").mkdir()
    (tmp_path / "my-call" / "index.html").write_text(page.replace("8080", str(server)))
    command = ["bash", "-euc", script]
    environment = {"MAKEFLAGS": ""}
    async with running_program(
        command, tmp_path, lambda program: "AuraLink is ready" in program.log, within=30.0, environment=environment
    ) as program:
        links = re.findall(rf"^http://localhost:{pages}/#\S+$", program.log, re.MULTILINE)
        ada, grace = [await chromium.page(link) for link in links]
        await sees_and_hears(ada, video=1, audio=1)
        await sees_and_hears(grace, video=1, audio=1)


@pytest.mark.browser
@pytest.mark.asyncio(loop_scope="session")
async def test_two_people_meet_who_come_to_two_instances(chromium: Chromium, tmp_path: Path) -> None:
    (script,) = (block for block in blocks("sh", "In half an hour") if "AURALINK_REDIS_URL" in block)
    async with redis_server() as redis:
        script = script.replace("6379", str(redis.port))
        one, two = free_port(), free_port()
        script = script.replace("8081", str(one)).replace("8082", str(two))
        for port in ("7881", "7882", "9081", "9082"):
            script = script.replace(port, str(free_port()))
        async with running_program(
            ["bash", "-euc", f"cd {shlex.quote(str(ROOT))}\n{script}"],
            tmp_path,
            lambda program: answers(one) and answers(two),
            within=30.0,  # four programs start, three of them at once, beside other tests
            environment={"MAKEFLAGS": ""},
        ) as program:
            links = re.findall(r"^http://localhost:\d+/#token=\S+$", program.log, re.MULTILINE)
            ada, grace = [await chromium.page(link) for link in links]
            for page in (ada, grace):
                await page.playwright.get_by_role("button", name="Join now").click()
            for page in (ada, grace):
                await expect(page.playwright.locator("#tiles .tile.has-video:not(.own)")).to_have_count(1)


def test_containers_are_started_alike_wherever_it_is_told() -> None:
    (told,) = (block for block in blocks("sh", "In half an hour") if "docker compose" in block)
    assert told in OPERATIONS
    shown = re.sub(r"(?m)^# {0,5}", "", (ROOT / "docker-compose.yml").read_text())
    for line in told.splitlines():
        assert re.sub(r" +# .*", "", line) in shown


def test_every_file_that_the_readme_names_exists() -> None:
    links = set(re.findall(r"\]\(([^)#]+)", README)) | set(re.findall(r'src="([^"]+)"', README))
    links |= set(re.findall(r"`((?:web|deploy)/[\w./]+)`", README))
    assert sorted(link for link in links if not (ROOT / link).exists()) == []


def test_every_picture_is_shown_somewhere() -> None:
    documents = "".join(file.read_text() for file in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
    assert [file.name for file in (ROOT / "docs" / "images").iterdir() if f"images/{file.name}" not in documents] == []


@pytest.mark.parametrize("target", sorted(set(re.findall(r"^make ([a-z-]+)", README, re.MULTILINE))))
def test_every_make_target_that_the_readme_names_exists(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
