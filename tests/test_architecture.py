"""The house rules that no linter knows: pure modules, short files, a sentence on top, no traces of one machine."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("signalling", "sfu", "state", "turn_probe", "loadtest")

# Every module is pure unless it is named here: bytes, events and `now` go in, values come out. A shell moves them
# between the world and the pure modules. Tests of pure modules need no network, no clock and no luck.
SHELLS = {
    "signalling.admin",
    "signalling.admin_circuits",
    "signalling.app",
    "signalling.certificates",
    "signalling.cli",
    "signalling.degraded_headers",
    "signalling.file_descriptors",
    "signalling.gates",
    "signalling.http",
    "signalling.listeners",
    "signalling.loop_lag",
    "signalling.media_work",
    "signalling.metrics",
    "signalling.metrics_relays",
    "signalling.metrics_shared",
    "signalling.operator_routes",
    "signalling.operators",
    "signalling.parts",
    "signalling.process",
    "signalling.public_address",
    "signalling.readiness",
    "signalling.responses",
    "signalling.server",
    "signalling.websocket",
    "signalling.websocket_protocol",
    "state.link",
    "sfu.addresses",
    "sfu.connections",
    "sfu.dtls",
    "sfu.engine",
    "sfu.handshakes",
    "sfu.media_port",
    "sfu.media_ports",
    "sfu.offer_reader",
    "sfu.receive_queue",
    "sfu.tcp",
    "sfu.tcp_port",
    "sfu.transport",
    "sfu.udp",
    "state.redis_clients",
    "state.redis_errors",
    "state.redis_scripts",
    "state.redis_store",
    "turn_probe.cli",
    "turn_probe.mapped",
    "turn_probe.monitor",
    "turn_probe.one_shot",
    "turn_probe.prober",
    "turn_probe.resolver",
    "turn_probe.transport",
}
IMPURE = {
    *(
        "asyncio",
        "concurrent",
        "importlib",
        "logging",
        "multiprocessing",
        "os",
        "pathlib",
        "random",
        "secrets",
        "select",
        "selectors",
        "signal",
    ),
    *("socket", "ssl", "subprocess", "threading", "time", "uuid"),
    *(
        "aiortc",
        "httptools",
        "ifaddr",
        "prometheus_client",
        "pybreaker",
        "redis",
        "starlette",
        "uvicorn",
        "uvloop",
        "websockets",
    ),
}
# What a pure module may import all the same, and why.
ALLOWED = {
    "signalling.option_values": {"pathlib"},  # what an option names may be a file, as one with keys, and is read there
    "state.guard": {"pybreaker"},  # a table of states; told outcomes, never put around a call
}
MAX_LINES = 400
LONGER = {"signalling.messages": 720}  # a list of models, read by looking up


def modules(*packages: str) -> list[str]:
    """The dotted names of all modules of ours in `packages`."""
    files = (file for package in packages for file in (ROOT / package).rglob("*.py"))
    return sorted(".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for file in files)


def source_of(module: str) -> Path:
    """The file that holds `module`."""
    folder = ROOT.joinpath(*module.split("."))
    return folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")


def imports_of(module: str) -> Iterator[str]:
    """What `module` imports when it runs, as absolute dotted names; both `a` and `a.b` for `from a import b`."""
    file = source_of(module)
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    tree = ast.parse(file.read_text())
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def tracked_files() -> list[Path]:
    """The files that belong to the project, as git knows them."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


@pytest.mark.parametrize(
    "module", [name for name in modules("signalling", "sfu", "state", "turn_probe") if name not in SHELLS]
)
def test_a_pure_module_imports_neither_the_world_nor_a_shell(module: str) -> None:
    impure = IMPURE - ALLOWED.get(module, set())
    found = {name for name in imports_of(module) if name.split(".")[0] in impure or name in SHELLS}
    assert not found, f"{module} is pure but imports {', '.join(sorted(found))}; is it a shell?"


@pytest.mark.parametrize("module", ALLOWED)
def test_a_permission_is_one_that_is_needed(module: str) -> None:
    assert {name.split(".")[0] for name in imports_of(module)} & IMPURE == ALLOWED[module]


def test_every_shell_that_is_named_exists() -> None:
    assert sorted(SHELLS - set(modules(*PACKAGES))) == []


@pytest.mark.parametrize("module", modules(*PACKAGES, "tests"))
def test_a_module_begins_with_one_true_sentence(module: str) -> None:
    docstring = ast.get_docstring(ast.parse(source_of(module).read_text()))
    assert docstring, f"{module} has no docstring"
    first_line = docstring.splitlines()[0]
    assert first_line.endswith("."), f"the first line of {module} is no sentence: {first_line}"


@pytest.mark.parametrize("module", modules(*PACKAGES, "tests"))
def test_a_file_is_short_enough_to_be_read_in_one_go(module: str) -> None:
    lines = len(source_of(module).read_text().splitlines())
    assert lines <= LONGER.get(module, MAX_LINES), f"{module} has {lines} lines; split it by idea"


SCRIPTS = sorted((ROOT / "web").rglob("*.js"))


@pytest.mark.parametrize("file", SCRIPTS, ids=lambda file: file.name)
def test_a_script_is_short_enough_to_be_read_in_one_go(file: Path) -> None:
    lines = len(file.read_text().splitlines())
    assert lines <= MAX_LINES, f"{file.relative_to(ROOT)} has {lines} lines; split it by idea"


@pytest.mark.parametrize("file", SCRIPTS, ids=lambda file: file.name)
def test_a_script_begins_with_a_comment_that_says_what_it_is_for(file: Path) -> None:
    assert re.match(r"\s*(//|/\*)", file.read_text()), f"{file.relative_to(ROOT)} does not begin with a comment"


def test_nothing_in_the_tree_names_the_machine_or_the_registry_it_was_made_with() -> None:
    traces = re.compile(
        r"/(?:work|root|home/\w+)/[\w.]|/tmp/[\w.-]+/(?!\.X11)"  # paths of one machine
        r"|(?:files\.python"
        r"hosted|pypi\."
        r"org|registry\.npm"
        r"js)"  # registries: a mirror must do as well
    )
    found = [
        f"{file.relative_to(ROOT)}:{number}: {line.strip()[:120]}"
        for file in tracked_files()
        if file.suffix not in {".png", ".ico", ".bin"}
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if traces.search(line)
    ]
    assert not found, "\n".join(found)
