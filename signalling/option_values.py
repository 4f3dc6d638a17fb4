"""The kinds of values that options have: each is read from a text, strictly, or refused in a sentence.

All of them raise ConfigError.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import SplitResult, urlsplit

from turn_probe import urls

from .keys import Key, KeyConfigError, ed25519_key, ed25519_pem, secret_key

T = TypeVar("T")


class ConfigError(ValueError):
    """A value is wrong; the message is one sentence for the person who starts the server, and holds no secret."""


@dataclass(frozen=True, slots=True)
class MediaAddress:
    """A local address media is received on, and what is announced for it (port 0: the local one)."""

    local: str
    public: str
    public_port: int = 0


@dataclass(frozen=True, slots=True)
class Bind:
    """A local address to listen on; port 0 takes a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


OFF = Bind("", 0)
AUTO = MediaAddress("auto", "auto")  # as a STUN server sees us


def integer(low: int, high: int, what: str) -> Callable[[str], int]:
    """A whole number from `low` to `high`; `what` it is, for the sentence."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,15}", text) or not low <= int(text) <= high:
            raise ConfigError(f"{text!r} is not {what} ({low} to {high})")
        return int(text)

    return parse


def number(low: float, high: float, what: str) -> Callable[[str], float]:
    """A number with up to nine decimals from `low` to `high`."""

    def parse(text: str) -> float:
        if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,9})?", text) or not low <= float(text) <= high:
            raise ConfigError(f"{text!r} is not {what} ({low:g} to {high:g})")
        return float(text)

    return parse


def text(text: str) -> str:
    """Any text."""
    return text


def name(text: str) -> str:
    """A short name that is safe in URLs, keys and file names."""
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", text):
        raise ConfigError(f"{text!r} is not a name of letters, digits, dots, dashes and underscores")
    return text


def list_of(item: Callable[[str], T]) -> Callable[[str], tuple[T, ...]]:
    """Items separated by commas."""

    def parse(text: str) -> tuple[T, ...]:
        return tuple(item(part.strip()) for part in text.split(",") if part.strip())

    return parse


def choice(*allowed: str) -> Callable[[str], str]:
    """One of these words."""

    def parse(text: str) -> str:
        if text not in allowed:
            raise ConfigError(f"{text!r} is not one of {', '.join(allowed)}")
        return text

    return parse


def switch(text: str) -> bool:
    """`on` or `off`."""
    return choice("on", "off")(text) == "on"


def _split(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        raise ConfigError(f"{text!r} is not a URL") from None
    return parts


def origin(text: str) -> str:
    """The origin of a web page, or `*` for all."""
    parts = _split(text)
    if text != "*" and (parts.scheme not in ("http", "https") or not parts.hostname or parts.path or parts.query):
        raise ConfigError(f"{text!r} is not an origin like https://example.org")
    return text.lower()


def sockets(text: str) -> str:
    """Hosts that serve WebSockets, as a Content-Security-Policy has them: the first label may be `*`."""
    if not re.fullmatch(r"wss?://(?:\*\.)?(?:[a-z0-9_][a-z0-9_.-]*|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?", text.lower()):
        raise ConfigError(f"{text!r} is not of the form wss://HOST[:PORT]")
    return text.lower()


def websocket_url(text: str) -> str:
    """The public URL: http(s) becomes ws(s), and a bare host gets the path of the WebSocket."""
    parts = _split(text)
    scheme = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}.get(parts.scheme)
    if scheme is None or not parts.hostname or parts.query or parts.fragment or re.search(r"[\s;,]", text):
        raise ConfigError(f"{text!r} is not a URL like https://call.example.org")
    path = parts.path if parts.path.endswith("/ws") else parts.path.rstrip("/") + "/ws"
    return f"{scheme}://{parts.netloc}{path}"


def network(text: str) -> str:
    """An address or a network; a name, or everybody, would let strangers choose the address they are limited by."""
    try:
        return str(ipaddress.ip_network(text)) if "/" in text else str(ipaddress.ip_address(text))
    except ValueError:
        raise ConfigError(f"{text!r} is not an IP address or a network like 10.0.0.0/8") from None


def ice_url(*schemes: str) -> Callable[[str], str]:
    """The URL of a STUN or TURN server with one of these schemes."""

    def parse(text: str) -> str:
        if text.partition(":")[0] not in schemes:
            raise ConfigError(f"{text!r} is not a URL like {schemes[0]}:example.org:3478")
        return urls.parse(text).url

    return parse


def media_address(text: str) -> MediaAddress:
    """LOCAL, LOCAL=PUBLIC or LOCAL=PUBLIC:PORT; an IPv6 address before a port stands in brackets. Or `auto`."""
    if text == "auto":
        return AUTO
    local, equals, announced = text.partition("=")
    found = re.fullmatch(r"\[(?P<v6>[^\]]+)\](?::(?P<p6>[0-9]+))?|(?P<v4>[0-9.]+):(?P<p4>[0-9]+)", announced)
    public, port = announced if equals else local, "0"
    if found:
        public, port = found["v6"] or found["v4"], found["p6"] or found["p4"] or "0"
    try:
        ours, theirs = ipaddress.ip_address(local.strip("[]")), ipaddress.ip_address(public.strip("[]"))
    except ValueError:
        raise ConfigError(f"{text!r} is not LOCAL, LOCAL=PUBLIC or LOCAL=PUBLIC:PORT with IP addresses") from None
    if ours.version != theirs.version or int(port) > 65535:
        raise ConfigError(f"{text!r} announces an address of another family or a port above 65535")
    return MediaAddress(str(ours), str(theirs), int(port))


def bind(text: str) -> Bind:
    """HOST:PORT to listen on, or `off`."""
    if text == "off":
        return OFF
    host, _, port = text.rpartition(":")
    try:
        address = "127.0.0.1" if host == "localhost" else str(ipaddress.ip_address(host.removeprefix("[").rstrip("]")))
    except ValueError:
        raise ConfigError(f"{text!r} is not off and not like 127.0.0.1:9090 or [::1]:9090") from None
    return Bind(address, integer(0, 65535, "a port number")(port))


def key(text: str) -> Key:
    """KID:SECRET or KID:ed25519:PUBLIC_KEY; @PATH reads it from a file."""
    kid, colon, material = text.partition(":")
    if not colon or not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", kid):
        raise ConfigError("a key is not of the form kid:secret or kid:ed25519:PUBLIC_KEY")
    try:
        if material.startswith("ed25519:@"):
            return ed25519_pem(kid, _file(kid, material.removeprefix("ed25519:@")))
        if material.startswith("ed25519:"):
            return ed25519_key(kid, material.removeprefix("ed25519:"))
        if material.startswith("@"):
            return secret_key(kid, _file(kid, material.removeprefix("@")).strip())
        return secret_key(kid, material.encode())
    except KeyConfigError as error:
        raise ConfigError(str(error)) from None


def _file(kid: str, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError):
        raise ConfigError(f"the file of key {kid!r} cannot be read") from None


def keys(text: str) -> tuple[Key, ...]:
    """Keys of different kids, the newest first."""
    keys = list_of(key)(text)
    if len({key.kid for key in keys}) != len(keys):
        raise ConfigError("two keys have the same kid")
    return keys


port = integer(0, 65535, "a port number")
count = integer(1, 1_000_000, "a count")
seconds = number(0.0, 86_400.0, "a time in seconds")
rate = number(0.001, 1_000_000.0, "a rate per second")
