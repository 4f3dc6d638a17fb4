"""docs/protocol.md says what is true: its examples are messages, and it names every message, error and close code."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

from signalling import messages as m
from signalling.commands import CloseCode

ROOT = Path(__file__).parent.parent
DOCUMENT = (ROOT / "docs" / "protocol.md").read_text()
EXAMPLE = re.compile(r"^(?P<side>client|server)[^\n]*:\n\n```json\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
EXAMPLES = [(found["side"], found["text"]) for found in EXAMPLE.finditer(DOCUMENT)]


def parse(side: str, text: str) -> m.ClientMessage | m.ServerMessage:
    return m.parse_client_message(text) if side == "client" else m.parse_server_message(text)


@pytest.mark.parametrize(("side", "text"), EXAMPLES)
def test_an_example_is_a_message_and_shows_no_field_that_is_unknown(side: str, text: str) -> None:
    message = parse(side, text)
    assert set(json.loads(text)) - {"type"} <= set(message.__struct_fields__)


def test_every_json_block_is_headed_by_who_sends_it() -> None:
    assert DOCUMENT.count("```json") == len(EXAMPLES)


def test_every_message_of_both_directions_has_an_example() -> None:
    shown = {type(parse(side, text)) for side, text in EXAMPLES}
    assert shown == {*m.ClientMessage.__args__, *m.ServerMessage.__args__}  # type: ignore[attr-defined]


def test_every_close_code_that_is_used_is_explained() -> None:
    table = DOCUMENT.partition("### Close codes")[2].partition("## 3.")[0]
    assert {int(code) for code in CloseCode} <= {
        int(code) for code in re.findall(r"^\| (\d{4}) \|", table, re.MULTILINE)
    }


def codes_in_the_source() -> set[str]:
    """The first argument of everything that becomes an error, a goodbye or a rejected track."""
    codes = set()
    for file in (ROOT / "signalling").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                at = {"Refused": 0, "TokenError": 0, "MessageError": 0, "dismiss": 1, "Malformed": 1, "problem": 1}
                named = [word.value for word in node.keywords if word.arg == "code"]
                found = node.args[at[name]] if name in at and len(node.args) > at[name] else None
                for value in (found, *named):
                    if isinstance(value, ast.Constant) and isinstance(value.value, str):
                        codes.add(value.value)
    return codes


def test_every_error_code_is_explained() -> None:
    codes = codes_in_the_source()
    assert len(codes) > 25
    assert {code for code in codes if f"`{code}`" not in DOCUMENT} == set()
