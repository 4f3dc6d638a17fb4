"""The unit for systemd is valid, has few rights, and gives a server that ends the time that it may take."""

from __future__ import annotations

import re
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

from signalling.config import load

ROOT = Path(__file__).parents[2]
UNIT = (ROOT / "deploy" / "auralink.service").read_text()
INSTALLED = "/opt/auralink/bin/auralink"


def service() -> dict[str, str]:
    """What its section [Service] says; no key is there twice."""
    parser = ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment]
    parser.read_string(UNIT)
    return dict(parser["Service"])


def analyze(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What systemd-analyze says of it, with the program of this tree in the place of the installed one."""
    file = folder / "auralink.service"
    file.write_text(UNIT.replace(INSTALLED, str(Path(sys.executable).with_name("auralink"))))
    command = ["systemd-analyze", *arguments, str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_systemd_finds_nothing_wrong_with_it(tmp_path: Path) -> None:
    done = analyze(tmp_path, "verify")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_systemd_holds_it_to_be_exposed_to_little(tmp_path: Path) -> None:
    done = analyze(tmp_path, "security", "--offline=true", "--threshold=20")
    assert done.returncode == 0, done.stdout


def test_it_has_the_time_that_an_orderly_end_takes() -> None:
    name, _, value = service()["Environment"].partition("=")
    assert float(service()["TimeoutStopSec"]) >= 1.5 * load({}, {name: value}).shutdown_grace


def test_no_secret_is_on_its_command_line() -> None:
    assert service()["ExecStart"] == f"{INSTALLED} serve"
    assert service()["EnvironmentFile"] == "/etc/auralink.env"


def test_the_document_tells_how_to_install_what_it_starts() -> None:
    document = (ROOT / "docs" / "operations.md").read_text()
    chapter = document.partition("## 1. ")[2].partition("\n## ")[0]
    folder = INSTALLED.removesuffix("/bin/auralink")
    assert f"python3 -m venv {folder}\n" in chapter
    assert "install -m 644 deploy/auralink.service /etc/systemd/system/\n" in chapter
    pips = re.findall(rf"^{folder}/bin/pip (install .*)$", chapter, re.MULTILINE)
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text().replace(" --no-cache-dir", "")
    assert len(pips) == 2
    assert [pip for pip in pips if f"{folder}/bin/pip {pip}\n" not in dockerfile] == []
