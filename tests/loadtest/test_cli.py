"""`auralink load` says in one sentence what is wrong with its options, and in one table what happened."""

from __future__ import annotations

import argparse
from dataclasses import replace

import pytest

from loadtest import cli, load
from loadtest.load import Load, Missing, Outcome
from loadtest.report import Report

KEYS = "first:a-secret-that-is-long-enough-to-be-one"
PERFECT = Outcome(wanted=2, tracks_sent=2, sent=100, due=100, delivered=100, cpu=0.5, elapsed=2.0, late=0.0123)


def report(name: str) -> Report:
    return Report(
        participant=name,
        joined_in=0.01,
        connected_in=0.25,
        packets_sent=50,
        packets_received=50,
        bytes_received=5000,
        lost=0,
        duplicates=0,
        reordered=0,
        repaired=3,
        retransmitted=0,
        rejected=0,
        unknown=0,
        blocked=0,
        early=0,
        keyframes_sent=1,
        keyframes_received=1,
        feedback_messages=1,
        feedback_lost=0,
        redirects=1,
        migrations=2,
        first_video=(0.1,),
        errors=(),
    )


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AURALINK_KEYS", raising=False)


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[Load]:
    """What would have been done: everything is delivered at once."""
    asked: list[Load] = []

    async def run(wanted: Load) -> Outcome:
        asked.append(wanted)
        return replace(PERFECT, reports=[report("one"), report("two")])

    monkeypatch.setattr(load, "run", run)
    return asked


def main(*arguments: str) -> int:
    """The exit code of `auralink load` with these arguments."""
    parser = argparse.ArgumentParser(prog="auralink")
    cli.add_parser(parser.add_subparsers())

    def run() -> None:
        options = parser.parse_args(["load", *arguments])
        options.run(options)

    with pytest.raises(SystemExit) as ended:
        run()
    assert isinstance(ended.value.code, int)
    return ended.value.code


# -------------------------------------------------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--rooms", "0"], "'0' is not a count from 1 to 10000"),
        (["--participants", "many"], "'many' is not a count"),
        (["--participants", "\u0663"], "is not a count"),
        (["--rooms", "10001"], "'10001' is not a count"),
        (["--duration", "-1"], "'-1' is not a positive number"),
        (["--duration", "nan"], "'nan' is not a positive number"),
        (["--fps", "inf"], "'inf' is not a positive number"),
        (["--video-kbps", "fast"], "'fast' is not a positive number"),
        (["--url", "localhost:8080"], "'localhost:8080' is not a ws:// or wss:// address"),
        (["--url", "ws://one/ws,two"], "'two' is not a ws:// or wss:// address"),
        (["--url", "http://localhost:8080/ws"], "is not a ws:// or wss:// address"),
        (["--url", "ws://[::1"], "is not a ws:// or wss:// address"),
        (["--url", "ws://host:x"], "is not a ws:// or wss:// address"),
        (["--url", ""], "is not a ws:// or wss:// address"),
        (["--token-endpoint", "/api/dev/token"], "is not a http:// or https:// address"),
        (["--no-audio", "--no-video"], "nothing is published"),
        (["--keys", "secret"], "--keys needs kid:secret"),
        (["--media", "pigeon"], "invalid choice: 'pigeon'"),
        (["--bogus"], "--bogus"),
    ],
)
def test_a_wrong_option_is_told_in_one_sentence(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str], done: list[Load]
) -> None:
    assert main(*arguments) == 2
    assert sentence in capsys.readouterr().err.splitlines()[-1]
    assert done == []


def test_options_are_what_is_done(done: list[Load]) -> None:
    flags = "--url ws://[::1]:9/ws --rooms 3 --participants 4 --duration 0.5 --video-kbps 100 --fps 10 --audio-kbps 20"
    assert main(*flags.split(), "--room-prefix", "tea", "--keys", KEYS) == 0
    (wanted,) = done
    assert (wanted.urls, wanted.rooms, wanted.participants, wanted.duration) == (["ws://[::1]:9/ws"], 3, 4, 0.5)
    assert (wanted.rates.video_bitrate, wanted.rates.frame_rate, wanted.rates.audio_bitrate) == (100_000, 10, 20_000)
    assert (wanted.room_prefix, wanted.publish) == ("tea", ("microphone", "camera"))
    assert wanted.tokens("tea-1", "ada").count(".") == 2


def test_several_servers_may_be_given_together_or_one_by_one(done: list[Load]) -> None:
    assert main("--url", "ws://one/ws,wss://two/ws", "--url", "ws://three/ws", "--keys", KEYS) == 0
    assert main("--keys", KEYS) == 0
    assert [wanted.urls for wanted in done] == [
        ["ws://one/ws", "wss://two/ws", "ws://three/ws"],
        ["ws://localhost:8080/ws"],
    ]


@pytest.mark.parametrize(("flag", "publish"), [("--no-audio", ("camera",)), ("--no-video", ("microphone",))])
def test_either_source_can_be_left_out(flag: str, publish: tuple[str, ...], done: list[Load]) -> None:
    assert main(flag) == 0
    assert done[0].publish == publish


@pytest.mark.parametrize(("flags", "by_tcp"), [((), False), (("--media", "udp"), False), (("--media", "tcp"), True)])
def test_media_comes_by_tcp_if_that_is_asked_for(flags: tuple[str, ...], by_tcp: bool, done: list[Load]) -> None:
    assert main(*flags, "--keys", KEYS) == 0
    assert done[0].by_tcp is by_tcp


def test_keys_of_the_environment_sign(done: list[Load], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AURALINK_KEYS", KEYS)
    assert main() == 0
    assert done[0].tokens("tea-1", "ada").count(".") == 2


def test_not_all_delivered_is_exit_code_1(done: list[Load], monkeypatch: pytest.MonkeyPatch) -> None:
    async def run(_: Load) -> Outcome:
        return replace(PERFECT, delivered=99)

    monkeypatch.setattr(load, "run", run)
    assert main("--keys", KEYS) == 1


def test_an_interruption_is_exit_code_130(done: list[Load], monkeypatch: pytest.MonkeyPatch) -> None:
    async def run(_: Load) -> Outcome:
        raise KeyboardInterrupt

    monkeypatch.setattr(load, "run", run)
    assert main("--keys", KEYS) == 130


# --------------------------------------------------------------------------------------------------------- outcome


def rows_of(outcome: Outcome) -> dict[str, str]:
    """The table as name -> value."""
    cells = (line.rsplit("  ", 1) for line in cli.describe(outcome).splitlines())
    return {name.strip(): value.strip() for name, value in cells}


def test_the_table_tells_what_was_delivered() -> None:
    moved = {"doubled": 9, "pauses": [0.03, 0.25]}
    rows = rows_of(replace(PERFECT, reports=[report("one"), report("two")], **moved))  # type: ignore[arg-type]
    assert rows["joined"] == "2 of 2"
    assert rows["from connecting to media, p50 / p95"] == "250 / 250 ms"
    assert rows["delivered"] == "100.0000 %"
    assert (rows["sent on to the room's home"], rows["moved to another server"]) == ("2", "4")
    assert rows["delivered by both connections of a move"] == "9"
    assert rows["longest pause of a track, p50 / p95"] == "30 / 250 ms"
    assert rows["longest pause of all"] == "250 ms"
    assert rows["repaired by retransmission"] == "6"
    assert rows["CPU of this process"] == "25 % of a core"
    assert rows["latest media tick"] == "12 ms late"


def test_a_single_lost_packet_of_a_million_shows() -> None:
    rows = rows_of(replace(PERFECT, due=1_000_000, delivered=999_999))
    assert (rows["delivered"], rows["lost"]) == ("99.9999 %", "1")


def test_nothing_at_all_is_a_table_too() -> None:
    rows = rows_of(Outcome(wanted=2))
    assert (rows["joined"], rows["delivered"], rows["CPU of this process"]) == ("0 of 2", "0.0000 %", "-")


def test_what_went_wrong_is_below_the_table_but_not_without_end() -> None:
    gap = Missing("load-1", "ada", "grace", "camera", 100, 7, 2)
    text = cli.describe(
        replace(
            PERFECT,
            failures=[f"load-1-{n}: refused" for n in range(12)],
            reports=[replace(report("one"), errors=("rate_limited: slower",))],
            unsettled=3,
            missing=[gap, replace(gap, repeated=0)],
        )
    )
    *_, below = text.split("late\n")
    assert below.splitlines() == [
        "3 tracks never began to play at one of their receivers.",
        *(f"failed: load-1-{n}: refused" for n in range(10)),
        "… and 2 more",
        "error: one: rate_limited: slower",
        "missing: ada lacks 7 of 100 camera packets of grace and got 2 more than once",
        "missing: ada lacks 7 of 100 camera packets of grace",
    ]
