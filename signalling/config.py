"""Configuration: one table of options, each a flag and an AURALINK_ variable, read into frozen Settings.

The table is Settings itself: a field is an option, its name is the flag (`media_port` is `--media-port`) and the
variable (`AURALINK_MEDIA_PORT`). A flag wins over a variable, a variable over the default.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from turn_probe.credentials import Account, FixedUser, accounts, fixed_user

from . import option_values as kinds
from .keys import Key
from .option_values import AUTO, OFF, Bind, ConfigError, MediaAddress

# Known to operators by names of their own, too.
UNPREFIXED = {
    "circuit_breaker_max_failures": ("CIRCUIT_BREAKER_MAX_FAILURES",),
    "circuit_breaker_timeout": ("CIRCUIT_BREAKER_TIMEOUT",),
}
DEFAULT_ADMIN_BIND = Bind("127.0.0.1", 9090)


def _option(default: Any, parse: Callable[[str], Any], help: str, metavar: str = "N") -> Any:
    return field(default=default, metadata={"parse": parse, "help": help, "metavar": metavar})


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a person may set. Times are in seconds."""

    host: str = _option(
        "", kinds.text, "address for HTTP; default: loopback without keys, else every address", "ADDRESS"
    )
    port: int = _option(8080, kinds.port, "TCP port for HTTP and WebSocket; 0 takes a free one", "PORT")
    media_port: int = _option(7882, kinds.port, "UDP port for media; 0 takes a free one", "PORT")
    media_tcp: bool = _option(
        True, kinds.switch, "media on TCP too, at the same number, for who has no UDP: on or off", "on|off"
    )
    media_ip: tuple[MediaAddress, ...] = _option(
        (),
        kinds.list_of(kinds.media_address),
        "where media is received (default: all own addresses); auto: all, announced as STUN sees them",
        "LOCAL[=PUBLIC[:PORT]],…",
    )
    advertise_url: str = _option(
        "",
        kinds.websocket_url,
        "where clients reach this very instance; default: as the client reached it, or with --redis-url at --host, "
        "and without --host nowhere: nobody is sent here",
        "URL",
    )
    node: str = _option("", kinds.name, "name of this instance; random letters are added (default: random)", "NAME")
    region: str = _option("", kinds.name, "where it is; new rooms stay in the region they are asked for in", "NAME")
    redis_url: str = _option(
        "",
        kinds.text,
        "Redis through which instances share rooms: redis://, rediss://, redis+sentinel://H:P,H:P/SERVICE, "
        "redis+cluster://H:P,H:P; without it, this instance is alone",
        "URL",
    )
    circuit_breaker_max_failures: int = _option(3, kinds.count, "failures in a row that open the circuit to Redis")
    circuit_breaker_timeout: float = _option(
        30.0,
        kinds.number(1.0, 3600.0, "a time in seconds"),
        "seconds at most until an open circuit is tried",
        "SECONDS",
    )
    keys: tuple[Key, ...] = _option((), kinds.keys, "keys for tokens, newest first; none: dev mode", "KID:SECRET,…")
    admin_bind: Bind | None = _option(  # noqa: RUF009 - as all others
        None, kinds.bind, "listener for operators, or off (default 127.0.0.1:9090; in dev mode off)", "HOST:PORT"
    )
    admin_keys: tuple[Key, ...] = _option((), kinds.keys, "keys for admin tokens, apart from --keys", "KID:SECRET,…")
    allowed_origins: tuple[str, ...] = _option(
        (), kinds.list_of(kinds.origin), "origins of pages that may connect beside our own, or *", "ORIGIN,…"
    )
    instance_origins: tuple[str, ...] = _option(
        (),
        kinds.list_of(kinds.sockets),
        "with --redis-url, where instances are: wss://HOST or wss://*.DOMAIN; pages may connect there only",
        "ORIGIN,…",
    )
    tls_cert: str = _option("", kinds.text, "PEM file with the certificate chain; without it, plain HTTP", "PATH")
    tls_key: str = _option("", kinds.text, "PEM file with its private key", "PATH")
    trusted_proxies: tuple[str, ...] = _option(
        (), kinds.list_of(kinds.network), "proxies whose X-Forwarded-For and -Proto are believed", "ADDRESS,…"
    )
    resume_window: float = _option(
        30.0, kinds.seconds, "seconds a session waits for its client to come back", "SECONDS"
    )
    join_timeout: float = _option(10.0, kinds.seconds, "seconds a new connection has for its first message", "SECONDS")
    ping_interval: float = _option(
        15.0, kinds.number(0.1, 3600.0, "a time in seconds"), "seconds between WebSocket pings", "SECONDS"
    )
    shutdown_grace: float = _option(10.0, kinds.seconds, "seconds a shutdown may take", "SECONDS")
    migrate_to: str = _option("", kinds.websocket_url, "where clients go on when this instance is asked to end", "URL")
    stun: tuple[str, ...] = _option(
        (), kinds.list_of(kinds.ice_url("stun", "stuns")), "STUN servers for clients", "URL,…"
    )
    turn: tuple[str, ...] = _option(
        (), kinds.list_of(kinds.ice_url("turn", "turns")), "TURN servers for clients", "URL,…"
    )
    turn_secret: tuple[str, ...] = _option(
        (), kinds.list_of(kinds.text), "secrets shared with them, newest first", "SECRET,…"
    )
    turn_user: FixedUser | None = _option(  # noqa: RUF009 - as all others
        None, fixed_user, "one login for everybody, for TURN servers that know no secret", "NAME:PASSWORD"
    )
    turn_lifetime: float = _option(
        21_600.0, kinds.number(60.0, 604_800.0, "a time in seconds"), "seconds TURN credentials are valid", "SECONDS"
    )
    turn_probe_interval: float = _option(
        22.0,
        kinds.number(0.0, 3600.0, "a time in seconds"),
        "seconds between probes of each STUN and TURN server; 0: believe the configuration",
        "SECONDS",
    )
    max_publish_kbps: int = _option(
        20_000, kinds.integer(100, 1_000_000, "a bitrate in kbit/s"), "most that one participant may send", "KBPS"
    )
    max_message_bytes: int = _option(
        524_288, kinds.integer(1024, 16_777_216, "a size in bytes"), "largest message accepted", "BYTES"
    )
    max_connections_per_identity: int = _option(10, kinds.count, "WebSocket connections of one identity in a room")
    max_connections_per_address: int = _option(
        500, kinds.count, "WebSocket connections of one address that have not joined yet"
    )
    max_rooms: int = _option(10_000, kinds.count, "rooms")
    max_participants_per_room: int = _option(200, kinds.count, "participants in one room")
    max_tracks_per_participant: int = _option(8, kinds.integer(0, 32, "a count"), "tracks one participant publishes")
    messages_per_second: float = _option(50.0, kinds.rate, "messages of one connection (twice as many at once)")
    chats_per_second: float = _option(2.0, kinds.rate, "chat messages of one session (five times as many at once)")
    joins_per_second: float = _option(5.0, kinds.rate, "joins and resumes of one identity (five times as many at once)")
    failures_per_second: float = _option(
        50.0, kinds.rate, "connections of one address that fail to join (ten times as many at once)"
    )
    max_bad_messages: int = _option(20, kinds.count, "refused messages in 10 s before a connection is closed")
    outbox_messages: int = _option(1000, kinds.count, "messages that wait for a client that reads slowly")
    outbox_bytes: int = _option(
        2_097_152, kinds.integer(1024, 1_073_741_824, "a size in bytes"), "bytes that wait for it", "BYTES"
    )
    log_level: str = _option("info", kinds.choice("debug", "info", "warning", "error"), "how much is logged", "LEVEL")
    ready_file: str = _option("", kinds.text, "write the ports as JSON to this file when ready", "PATH")

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
