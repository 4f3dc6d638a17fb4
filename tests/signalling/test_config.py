"""What a person may set, and the one sentence that answers a wrong value."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from signalling.config import Settings, flag_of, load
from signalling.option_values import AUTO, Bind, ConfigError, MediaAddress
from turn_probe.credentials import FixedUser

SECRET = "a-secret-that-is-long-enough-to-be-one"


def sentence(flags: dict[str, str], environment: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        load(flags, environment or {})
    assert re.fullmatch(r"[^\n]+\.", str(caught.value))
    return str(caught.value)


def test_nothing_set_is_dev_mode_on_8080() -> None:
    settings = load({}, {})
    assert (settings.port, settings.media_port, settings.resume_window, settings.dev_mode) == (8080, 7882, 30.0, True)


def test_a_flag_wins_over_a_variable_and_a_variable_over_the_default() -> None:
    assert load({"port": "1"}, {"AURALINK_PORT": "2"}).port == 1
    assert load({}, {"AURALINK_PORT": "2"}).port == 2
    assert load({}, {"AURALINK_PORT": ""}).port == 8080


def test_every_option_has_a_flag_a_parser_and_help() -> None:
    for option in dataclasses.fields(Settings):
        assert flag_of(option.name).startswith("--")
        assert {"parse", "help", "metavar"} <= set(option.metadata)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", "65536"),
        ("port", "-1"),
        ("port", "http"),
        ("port", "٣"),
        ("media_port", "1.5"),
        ("media_tcp", "yes"),
        ("resume_window", "soon"),
        ("resume_window", "nan"),
        ("log_level", "loud"),
        ("allowed_origins", "example.org"),
        ("allowed_origins", "https://example.org/path"),
        ("advertise_url", "call.example.org"),
        ("advertise_url", "https://call.example.org;script-src"),
        ("advertise_url", "https://[::1"),
        ("allowed_origins", "https://example.org:99999"),
        ("trusted_proxies", "*"),
        ("trusted_proxies", "proxy.example.org"),
        ("trusted_proxies", "10.0.0.1/8"),
        ("stun", "http://example.org"),
        ("media_ip", "localhost"),
        ("media_ip", "192.0.2.1="),
        ("media_ip", "192.0.2.1=2001:db8::1"),
        ("media_ip", "192.0.2.1=198.51.100.1:99999"),
        ("max_rooms", "0"),
        ("admin_bind", "9090"),
        ("admin_bind", "example.org:9090"),
        ("admin_bind", "127.0.0.1:http"),
        ("admin_bind", "127.0.0.1:65536"),
        ("admin_keys", "a:short"),
        ("keys", "nocolon"),
        ("keys", "a b:" + SECRET),
        ("keys", "a:short"),
        ("keys", "a:ed25519:AAAA"),
        ("keys", "a:@/does/not/exist"),
        ("keys", f"a:{SECRET},a:{SECRET}"),
    ],
)
def test_a_wrong_value_is_answered_with_one_sentence_that_names_the_option(name: str, value: str) -> None:
    assert sentence({name: value}).startswith(flag_of(name) + ": ")
    assert sentence({}, {"AURALINK_" + name.upper(): value}).startswith("AURALINK_" + name.upper() + ": ")


def test_a_sentence_about_keys_holds_no_secret() -> None:
    for value in ("hunter2-has-no-colon", "a:hunter2", f"a:{SECRET},a:{SECRET}", "b c:hunter2"):
        text = sentence({"keys": value})
        assert "hunter2" not in text
        assert SECRET not in text


def test_keys_are_secrets_ed25519_keys_or_files(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(SECRET + "\n")
    public = "A" * 42 + "E"
    keys = load({"keys": f"new:{SECRET}, ed:ed25519:{public}, file:@{file}"}, {}).keys
    assert [(key.kid, key.algorithm) for key in keys] == [("new", "HS256"), ("ed", "EdDSA"), ("file", "HS256")]
    assert keys[2].verifying == SECRET.encode()


def test_media_is_on_tcp_too_unless_it_is_switched_off() -> None:
    assert load({}, {}).media_tcp
    assert load({"media_tcp": "on"}, {}).media_tcp
    assert not load({"media_tcp": "off"}, {}).media_tcp


def test_media_addresses_of_both_families() -> None:
    v4 = "192.0.2.1,192.0.2.2=198.51.100.2,192.0.2.3=198.51.100.3:9000"
    text = v4 + ",2001:db8::1=2001:db8::2,[2001:db8::3]=[2001:db8::4]:9001"
    assert load({"media_ip": text}, {}).media_ip == (
        MediaAddress("192.0.2.1", "192.0.2.1"),
        MediaAddress("192.0.2.2", "198.51.100.2"),
        MediaAddress("192.0.2.3", "198.51.100.3", 9000),
        MediaAddress("2001:db8::1", "2001:db8::2"),
        MediaAddress("2001:db8::3", "2001:db8::4", 9001),
    )


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://call.example.org", "wss://call.example.org/ws"),
        ("http://localhost:8080/", "ws://localhost:8080/ws"),
        ("wss://call.example.org/calls/ws", "wss://call.example.org/calls/ws"),
    ],
)
def test_the_public_url_is_told_as_the_url_of_the_websocket(url: str, told: str) -> None:
    assert load({"advertise_url": url}, {}).advertise_url == told


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_dev_mode_is_for_this_machine_only(host: str) -> None:
    assert "--host" in sentence({"host": host})
    assert load({"host": host, "keys": f"a:{SECRET}"}, {}).host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.0.0.7"])
def test_dev_mode_on_loopback_is_fine(host: str) -> None:
    assert load({"host": host}, {}).host == host


def test_operators_have_a_listener_of_their_own_except_in_dev_mode() -> None:
    keys = {"keys": f"a:{SECRET}"}
    assert load({}, {}).operators is None
    assert str(load(keys, {}).operators) == "127.0.0.1:9090"
    assert load(keys | {"admin_bind": "off"}, {}).operators is None
    for text, bind in (
        ("[::1]:0", Bind("::1", 0)),
        ("localhost:1", Bind("127.0.0.1", 1)),
        ("0.0.0.0:1", Bind("0.0.0.0", 1)),
    ):
        assert load({"admin_bind": text}, {}).operators == bind


def test_admin_keys_are_keys_of_their_own() -> None:
    shared = sentence({"keys": f"a:{SECRET}", "admin_keys": f"b:{SECRET}"})
    assert "--admin-keys" in shared
    assert SECRET not in shared
    assert load({"keys": f"a:{SECRET}", "admin_keys": f"a:{SECRET}2"}, {}).admin_keys


@pytest.mark.parametrize("flags", [{"tls_cert": "chain.pem"}, {"tls_key": "key.pem"}])
def test_the_two_files_of_tls_go_together(flags: dict[str, str]) -> None:
    assert sentence(flags).startswith("--tls-cert and --tls-key")


def test_turn_needs_a_secret_or_a_login() -> None:
    said = sentence({"turn": "turn:t.example:3478"})
    assert "--turn-secret" in said
    assert "--turn-user" in said
    for option in ({"turn_secret": "s"}, {"turn_user": "ann:s"}, {"turn_secret": "s", "turn_user": "ann:t"}):
        assert load({"turn": "turn:t.example:3478", **option}, {}).turn_accounts


def test_a_fixed_login_is_a_name_and_a_password_and_neither_a_fault_nor_the_settings_tell_the_password() -> None:
    settings = load({"turn_user": "ann:a:b, c"}, {})
    assert settings.turn_user == FixedUser("ann", "a:b, c")
    assert "a:b, c" not in repr(settings)
    for wrong in ("secret", ":secret", "secret:"):
        assert sentence({"turn_user": wrong}) == "--turn-user: it is not of the form NAME:PASSWORD."
    with pytest.raises(ConfigError, match="AURALINK_TURN_USER"):
        load({}, {"AURALINK_TURN_USER": "x"})


@pytest.mark.parametrize(
    "text", ["wss://two.example.org", "wss://*.example.org", "ws://127.0.0.1:8080", "wss://[::1]:1"]
)
def test_where_instances_are_is_told_as_a_policy_has_it(text: str) -> None:
    assert load({"instance_origins": text}, {}).instance_origins == (text,)


@pytest.mark.parametrize(
    "text", ["*", "wss:", "https://two.example.org", "wss://a;b", "wss://a b", "wss://a/ws", "wss://*"]
)
def test_what_would_open_a_policy_wider_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="wss://HOST"):
        load({"instance_origins": text}, {})


def test_an_address_that_stun_tells_stands_alone_and_needs_somebody_to_ask() -> None:
    assert load({"media_ip": "auto", "stun": "stun:s.example"}, {}).media_ip == (AUTO,)
    for flags in ({"media_ip": "auto"}, {"media_ip": "auto,192.0.2.1", "stun": "stun:s.example"}):
        with pytest.raises(ConfigError, match="auto"):
            load(flags, {})
