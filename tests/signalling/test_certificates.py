"""What TLS promises: the certificate that is set, renewed without anybody noticing, and no start with a wrong one."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from websockets.asyncio.client import ClientConnection, connect

from signalling import certificates
from signalling import messages as m
from signalling.config import Settings
from signalling.keys import secret_key
from signalling.option_values import ConfigError
from signalling.parts import build_certificate
from signalling.tokens import SOURCES, Grant
from tests.support.certificates import Pem, make
from tests.support.server import running_server
from tests.support.waiting import eventually, in_time

from .conftest import House, Open

KEYS = (secret_key("a", b"a secret that is long enough to be one"),)


@pytest.fixture
def pem(tmp_path: Path) -> Pem:
    """The certificate in use."""
    return make(tmp_path, "server")


def tls(pem: Pem) -> dict[str, str]:
    return {"tls_cert": str(pem.chain), "tls_key": str(pem.key)}


async def served_serial(port: int) -> int:
    """The serial number of the certificate that a new connection gets."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    await writer.wait_closed()
    return x509.load_der_x509_certificate(der).serial_number


async def ping(client: ClientConnection) -> None:
    await client.send('{"type":"ping"}')
    assert isinstance(m.parse_server_message(await in_time(client.recv(), 5)), m.Pong)


async def test_pages_and_websockets_come_over_tls(house: Open, pem: Pem) -> None:
    async with house(**tls(pem), keys=KEYS, host="127.0.0.1") as home:
        base = f"https://localhost:{home.server.port}"
        async with httpx.AsyncClient(base_url=base, verify=pem.trust()) as client:
            answer = await client.get("/health/live")
            assert answer.json() == {"status": "ok"}
            assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
        async with connect(
            base.replace("https", "wss") + "/ws",
            ssl=pem.trust(),
            subprotocols=["auralink.v1"],  # type: ignore[list-item]
            proxy=None,
        ) as ada:
            await ada.send(json.dumps({"type": "join", "token": home.token("ada")}))
            welcome = m.parse_server_message(await ada.recv())
            assert isinstance(welcome, m.Welcome)
            assert welcome.url == f"wss://localhost:{home.server.port}/ws"


async def test_in_dev_mode_localhost_is_not_bound_to_tls_for_good(house: Open, pem: Pem) -> None:
    async with (
        house(**tls(pem)) as home,
        httpx.AsyncClient(base_url=f"https://localhost:{home.server.port}", verify=pem.trust()) as client,
    ):
        assert "Strict-Transport-Security" not in (await client.get("/health/live")).headers


async def test_tls_older_than_1_2_is_not_spoken(pem: Pem) -> None:
    context = certificates.Certificate(str(pem.chain), str(pem.key)).context
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert not [
        cipher["name"]
        for cipher in context.get_ciphers()
        if "GCM" not in cipher["name"] and "CHACHA" not in cipher["name"]
    ]


async def test_a_renewed_certificate_is_served_and_old_connections_go_on(
    house: Open, pem: Pem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificates, "LOOK_EVERY", 0.02)
    renewed = make(tmp_path, "renewed")
    async with house(**tls(pem)) as home, open_member(home, pem) as ada:
        assert await served_serial(home.server.port) == pem.serial
        pem.become(renewed)
        await serves(home.server.port, renewed.serial)
        await ping(ada)


async def test_a_broken_new_certificate_is_told_once_and_the_old_one_kept(
    house: Open, pem: Pem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(certificates, "LOOK_EVERY", 0.02)
    other, renewed = make(tmp_path, "other"), make(tmp_path, "renewed")

    async def is_told(number: int) -> None:
        await eventually(lambda: len(complaints(caplog)) == number, every=0.02)
        await asyncio.sleep(0.1)
        assert len(complaints(caplog)) == number
        assert await served_serial(home.server.port) == pem.serial

    async with house(**tls(pem)) as home:
        pem.chain.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n")
        await is_told(1)
        pem.chain.write_bytes(other.chain.read_bytes())  # not for this key
        await is_told(2)
        pem.chain.unlink()
        await is_told(3)
        pem.become(renewed)
        await serves(home.server.port, renewed.serial)


def complaints(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if "the old one is kept" in record.message]


async def serves(port: int, serial: int) -> None:
    until = time.monotonic() + 5
    while await served_serial(port) != serial:
        assert time.monotonic() < until, "the new certificate is not served"
        await asyncio.sleep(0.02)


def open_member(home: House, pem: Pem) -> Member:
    return Member(home, pem)


class Member:
    """Somebody who joined over TLS, for as long as the block lasts."""

    def __init__(self, home: House, pem: Pem) -> None:
        self.home = home
        self.connection = connect(
            f"wss://localhost:{home.server.port}/ws",
            ssl=pem.trust(),
            subprotocols=["auralink.v1"],  # type: ignore[list-item]
            proxy=None,
        )

    async def __aenter__(self) -> ClientConnection:
        client = await self.connection.__aenter__()
        token = self.home.token("ada", grant=Grant(frozenset(SOURCES)))
        await client.send(json.dumps({"type": "join", "token": token}))
        assert isinstance(m.parse_server_message(await client.recv()), m.Welcome)
        return client

    async def __aexit__(self, *error: object) -> None:
        await self.connection.__aexit__(*error)  # type: ignore[arg-type]


Spoil = Callable[[Pem, Path], object]
SPOILED: dict[str, tuple[Spoil, str]] = {
    "no file": (lambda pem, folder: pem.chain.unlink(), "cannot be read"),
    "no key": (lambda pem, folder: pem.key.unlink(), "cannot be read"),
    "no certificate": (lambda pem, folder: pem.chain.write_text("hello"), "no certificate"),
    "another key": (lambda pem, folder: pem.key.write_bytes(make(folder, "other").key.read_bytes()), "not the key"),
}


@pytest.mark.parametrize("name", SPOILED)
def test_files_that_do_not_serve_end_the_start_with_one_sentence(name: str, pem: Pem, tmp_path: Path) -> None:
    spoil, why = SPOILED[name]
    spoil(pem, tmp_path)
    with pytest.raises(ConfigError, match=why) as caught:
        build_certificate(Settings(**tls(pem)))
    assert re.fullmatch(r"--tls-cert: [^\n]+\.", str(caught.value))


async def test_who_begins_no_handshake_is_not_kept(house: Open, pem: Pem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signalling.listeners.HANDSHAKE_TIMEOUT", 0.1)
    async with house(**tls(pem)) as home:
        reader, writer = await asyncio.open_connection("127.0.0.1", home.server.port)
        assert await in_time(reader.read(), 2) == b""
        writer.close()


async def test_a_client_that_does_not_read_does_not_hold_up_the_end_over_tls_either(house: Open, pem: Pem) -> None:
    async with house(**tls(pem), shutdown_grace=2.0) as home:
        member = open_member(home, pem)
        ada = await member.__aenter__()
        ada.transport.pause_reading()  # type: ignore[attr-defined]
        began = time.monotonic()
    assert time.monotonic() - began < 4.0
    ada.transport.abort()
    await ada.wait_closed()


async def test_a_real_server_says_https_and_renews_its_certificate(pem: Pem, tmp_path: Path) -> None:
    renewed = make(tmp_path, "renewed")
    async with running_server(**tls(pem), shutdown_grace=2) as server:
        assert server.url.startswith("https://localhost:")
        port = int(server.url.rpartition(":")[2])
        assert await served_serial(port) == pem.serial
        with socket.create_connection(("127.0.0.1", port)) as idle:  # half a handshake does not hold up the end
            idle.send(b"\x16\x03\x01")
            pem.become(renewed)
            await serves(port, renewed.serial)
            async with httpx.AsyncClient(verify=renewed.trust()) as client:
                assert (await client.get(f"{server.url}/health/live")).status_code == 200
            assert await server.stop(within=5) == 0
        assert "new connections get the new one" in server.log
