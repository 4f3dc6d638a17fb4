"""Configuration: one table of options, each a flag and an AURALINK_ variable, read into frozen Settings.

The table is Settings itself: a field is an option, its name is the flag (`media_port` is `--media-port`) and the
variable (`AURALINK_MEDIA_PORT`). A flag wins over a variable, a variable over the default.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import SplitResult, urlsplit

from turn_probe import urls
from turn_probe.credentials import Account, FixedUser, accounts, fixed_user

from .tokens import Key, KeyConfigError, ed25519_key, ed25519_pem, secret_key

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


# Known to operators by names of their own, too.
UNPREFIXED = {
    "circuit_breaker_max_failures": ("CIRCUIT_BREAKER_MAX_FAILURES",),
    "circuit_breaker_timeout": ("CIRCUIT_BREAKER_TIMEOUT",),
}
OFF = Bind("", 0)
AUTO = MediaAddress("auto", "auto")  # as a STUN server sees us
DEFAULT_ADMIN_BIND = Bind("127.0.0.1", 9090)

# ------------------------------------------------------------------------------------------------- kinds of values


def _integer(low: int, high: int, what: str) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,15}", text) or not low <= int(text) <= high:
            raise ConfigError(f"{text!r} is not {what} ({low} to {high})")
        return int(text)

    return parse


def _number(low: float, high: float, what: str) -> Callable[[str], float]:
    def parse(text: str) -> float:
        if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,9})?", text) or not low <= float(text) <= high:
            raise ConfigError(f"{text!r} is not {what} ({low:g} to {high:g})")
        return float(text)

    return parse


def _text(text: str) -> str:
    return text


def _name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", text):
        raise ConfigError(f"{text!r} is not a name of letters, digits, dots, dashes and underscores")
    return text


def _list(item: Callable[[str], T]) -> Callable[[str], tuple[T, ...]]:
    def parse(text: str) -> tuple[T, ...]:
        return tuple(item(part.strip()) for part in text.split(",") if part.strip())

    return parse


def _choice(*allowed: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in allowed:
            raise ConfigError(f"{text!r} is not one of {', '.join(allowed)}")
        return text

    return parse


def _switch(text: str) -> bool:
    return _choice("on", "off")(text) == "on"


def _split(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        raise ConfigError(f"{text!r} is not a URL") from None
    return parts


def _origin(text: str) -> str:
    parts = _split(text)
    if text != "*" and (parts.scheme not in ("http", "https") or not parts.hostname or parts.path or parts.query):
        raise ConfigError(f"{text!r} is not an origin like https://example.org")
    return text.lower()


def _sockets(text: str) -> str:
    """Hosts that serve WebSockets, as a Content-Security-Policy has them: the first label may be `*`."""
    if not re.fullmatch(r"wss?://(?:\*\.)?(?:[a-z0-9_][a-z0-9_.-]*|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?", text.lower()):
        raise ConfigError(f"{text!r} is not of the form wss://HOST[:PORT]")
    return text.lower()


def _websocket_url(text: str) -> str:
    """The public URL: http(s) becomes ws(s), and a bare host gets the path of the WebSocket."""
    parts = _split(text)
    scheme = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}.get(parts.scheme)
    if scheme is None or not parts.hostname or parts.query or parts.fragment or re.search(r"[\s;,]", text):
        raise ConfigError(f"{text!r} is not a URL like https://call.example.org")
    path = parts.path if parts.path.endswith("/ws") else parts.path.rstrip("/") + "/ws"
    return f"{scheme}://{parts.netloc}{path}"


def _network(text: str) -> str:
    """An address or a network; a name, or everybody, would let strangers choose the address they are limited by."""
    try:
        return str(ipaddress.ip_network(text)) if "/" in text else str(ipaddress.ip_address(text))
    except ValueError:
        raise ConfigError(f"{text!r} is not an IP address or a network like 10.0.0.0/8") from None


def _ice_url(*schemes: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.partition(":")[0] not in schemes:
            raise ConfigError(f"{text!r} is not a URL like {schemes[0]}:example.org:3478")
        return urls.parse(text).url

    return parse


def _media_address(text: str) -> MediaAddress:
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


def _bind(text: str) -> Bind:
    if text == "off":
        return OFF
    host, _, port = text.rpartition(":")
    try:
        address = "127.0.0.1" if host == "localhost" else str(ipaddress.ip_address(host.removeprefix("[").rstrip("]")))
    except ValueError:
        raise ConfigError(f"{text!r} is not off and not like 127.0.0.1:9090 or [::1]:9090") from None
    return Bind(address, _integer(0, 65535, "a port number")(port))


def _key(text: str) -> Key:
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


def _keys(text: str) -> tuple[Key, ...]:
    keys = _list(_key)(text)
    if len({key.kid for key in keys}) != len(keys):
        raise ConfigError("two keys have the same kid")
    return keys


# ------------------------------------------------------------------------------------------------------- the table


def _option(default: Any, parse: Callable[[str], Any], help: str, metavar: str = "N") -> Any:
    return field(default=default, metadata={"parse": parse, "help": help, "metavar": metavar})


_port = _integer(0, 65535, "a port number")
_count = _integer(1, 1_000_000, "a count")
_seconds = _number(0.0, 86_400.0, "a time in seconds")
_rate = _number(0.001, 1_000_000.0, "a rate per second")


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a person may set. Times are in seconds."""

    host: str = _option("", _text, "address for HTTP; default: loopback without keys, else every address", "ADDRESS")
    port: int = _option(8080, _port, "TCP port for HTTP and WebSocket; 0 takes a free one", "PORT")
    media_port: int = _option(7882, _port, "UDP port for media; 0 takes a free one", "PORT")
    media_tcp: bool = _option(
        True, _switch, "media on TCP too, at the same number, for who has no UDP: on or off", "on|off"
    )
    media_ip: tuple[MediaAddress, ...] = _option(
        (),
        _list(_media_address),
        "where media is received (default: all own addresses); auto: all, announced as STUN sees them",
        "LOCAL[=PUBLIC[:PORT]],…",
    )
    advertise_url: str = _option(
        "", _websocket_url, "where clients reach this very instance; default: as the client reached it", "URL"
    )
    node: str = _option("", _name, "name of this instance; random letters are added (default: random)", "NAME")
    region: str = _option("", _name, "where it is; new rooms stay in the region they are asked for in", "NAME")
    redis_url: str = _option(
        "",
        _text,
        "Redis through which instances share rooms: redis://, rediss://, redis+sentinel://H:P,H:P/SERVICE, "
        "redis+cluster://H:P,H:P; without it, this instance is alone",
        "URL",
    )
    circuit_breaker_max_failures: int = _option(3, _count, "failures in a row that open the circuit to Redis")
    circuit_breaker_timeout: float = _option(
        30.0, _number(1.0, 3600.0, "a time in seconds"), "seconds at most until an open circuit is tried", "SECONDS"
    )
    keys: tuple[Key, ...] = _option((), _keys, "keys for tokens, newest first; none: dev mode", "KID:SECRET,…")
    admin_bind: Bind | None = _option(  # noqa: RUF009 - as all others
        None, _bind, "listener for operators, or off (default 127.0.0.1:9090; in dev mode off)", "HOST:PORT"
    )
    admin_keys: tuple[Key, ...] = _option((), _keys, "keys for admin tokens, apart from --keys", "KID:SECRET,…")
    allowed_origins: tuple[str, ...] = _option(
        (), _list(_origin), "origins of pages that may connect beside our own, or *", "ORIGIN,…"
    )
    instance_origins: tuple[str, ...] = _option(
        (),
        _list(_sockets),
        "with --redis-url, where instances are: wss://HOST or wss://*.DOMAIN; pages may connect there only",
        "ORIGIN,…",
    )
    tls_cert: str = _option("", _text, "PEM file with the certificate chain; without it, plain HTTP", "PATH")
    tls_key: str = _option("", _text, "PEM file with its private key", "PATH")
    trusted_proxies: tuple[str, ...] = _option(
        (), _list(_network), "proxies whose X-Forwarded-For and -Proto are believed", "ADDRESS,…"
    )
    resume_window: float = _option(30.0, _seconds, "seconds a session waits for its client to come back", "SECONDS")
    join_timeout: float = _option(10.0, _seconds, "seconds a new connection has for its first message", "SECONDS")
    ping_interval: float = _option(
        15.0, _number(0.1, 3600.0, "a time in seconds"), "seconds between WebSocket pings", "SECONDS"
    )
    shutdown_grace: float = _option(10.0, _seconds, "seconds a shutdown may take", "SECONDS")
    migrate_to: str = _option("", _websocket_url, "where clients go on when this instance is asked to end", "URL")
    stun: tuple[str, ...] = _option((), _list(_ice_url("stun", "stuns")), "STUN servers for clients", "URL,…")
    turn: tuple[str, ...] = _option((), _list(_ice_url("turn", "turns")), "TURN servers for clients", "URL,…")
    turn_secret: tuple[str, ...] = _option((), _list(_text), "secrets shared with them, newest first", "SECRET,…")
    turn_user: FixedUser | None = _option(  # noqa: RUF009 - as all others
        None, fixed_user, "one login for everybody, for TURN servers that know no secret", "NAME:PASSWORD"
    )
    turn_lifetime: float = _option(
        21_600.0, _number(60.0, 604_800.0, "a time in seconds"), "seconds TURN credentials are valid", "SECONDS"
    )
    turn_probe_interval: float = _option(
        22.0,
        _number(0.0, 3600.0, "a time in seconds"),
        "seconds between probes of each STUN and TURN server; 0: believe the configuration",
        "SECONDS",
    )
    max_publish_kbps: int = _option(
        20_000, _integer(100, 1_000_000, "a bitrate in kbit/s"), "most that one participant may send", "KBPS"
    )
    max_message_bytes: int = _option(
        524_288, _integer(1024, 16_777_216, "a size in bytes"), "largest message accepted", "BYTES"
    )
    max_connections_per_identity: int = _option(10, _count, "WebSocket connections of one identity in a room")
    max_connections_per_address: int = _option(
        500, _count, "WebSocket connections of one address that have not joined yet"
    )
    max_rooms: int = _option(10_000, _count, "rooms")
    max_participants_per_room: int = _option(200, _count, "participants in one room")
    max_tracks_per_participant: int = _option(8, _integer(0, 32, "a count"), "tracks one participant publishes")
    messages_per_second: float = _option(50.0, _rate, "messages of one connection (twice as many at once)")
    chats_per_second: float = _option(2.0, _rate, "chat messages of one session (five times as many at once)")
    joins_per_second: float = _option(5.0, _rate, "joins and resumes of one identity (five times as many at once)")
    failures_per_second: float = _option(
        50.0, _rate, "connections of one address that fail to join (ten times as many at once)"
    )
    max_bad_messages: int = _option(20, _count, "refused messages in 10 s before a connection is closed")
    outbox_messages: int = _option(1000, _count, "messages that wait for a client that reads slowly")
    outbox_bytes: int = _option(
        2_097_152, _integer(1024, 1_073_741_824, "a size in bytes"), "bytes that wait for it", "BYTES"
    )
    log_level: str = _option("info", _choice("debug", "info", "warning", "error"), "how much is logged", "LEVEL")
    ready_file: str = _option("", _text, "write the ports as JSON to this file when ready", "PATH")

    @property
    def turn_accounts(self) -> list[Account]:
        """How to log in at the TURN servers, in the order in which it is tried."""
        return accounts(self.turn_secret, self.turn_user)

    @property
    def dev_mode(self) -> bool:
        """No keys: a key is made at start, and HTTP is for this machine only."""
        return not self.keys

    @property
    def operators(self) -> Bind | None:
        """Where operators are served apart from everybody else; None: nowhere."""
        if self.admin_bind is None:
            return None if self.dev_mode else DEFAULT_ADMIN_BIND
        return None if self.admin_bind == OFF else self.admin_bind


def flag_of(name: str) -> str:
    """The flag of a field of Settings."""
    return "--" + name.replace("_", "-")


def load(flags: Mapping[str, str], environment: Mapping[str, str]) -> Settings:
    """Settings from texts: `flags` by field name, `environment` by variable name. Raises ConfigError."""
    values: dict[str, Any] = {}
    for option in fields(Settings):
        names = ["AURALINK_" + option.name.upper(), *(UNPREFIXED.get(option.name, ()))]
        variable = next((name for name in names if environment.get(name)), None)
        if option.name in flags:
            source, text = flag_of(option.name), flags[option.name]
        elif variable is not None:
            source, text = variable, environment[variable]
        else:
            continue
        try:
            values[option.name] = option.metadata["parse"](text)
        except ValueError as error:  # ConfigError too
            raise ConfigError(f"{source}: {error}.") from None
    settings = Settings(**values)
    _check_together(settings)
    return settings


def _check_together(settings: Settings) -> None:
    if settings.dev_mode and settings.host and not is_loopback(settings.host):
        raise ConfigError(
            f"--host {settings.host} is refused without keys: set --keys or AURALINK_KEYS to serve other machines."
        )
    if AUTO in settings.media_ip and (len(settings.media_ip) > 1 or not settings.stun):
        raise ConfigError("--media-ip auto stands alone, and needs --stun to ask how others see this machine.")
    if bool(settings.tls_cert) != bool(settings.tls_key):
        raise ConfigError("--tls-cert and --tls-key go together: set both, or none where a proxy ends TLS.")
    if any(ours.verifying == theirs.verifying for ours in settings.keys for theirs in settings.admin_keys):
        raise ConfigError("--admin-keys shares a key with --keys: who makes tokens for members could administer.")
    if settings.redis_url and settings.dev_mode:
        raise ConfigError("--redis-url needs --keys: instances that share rooms accept each other's tokens.")
    if settings.turn and not settings.turn_accounts:
        raise ConfigError(
            "--turn needs --turn-secret, the secret the TURN servers share with this one, or --turn-user NAME:PASSWORD."
        )


def is_loopback(host: str) -> bool:
    """Whether a local address serves this machine only."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
