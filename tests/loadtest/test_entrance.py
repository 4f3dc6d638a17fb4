"""A peer goes to the home of its room, and comes back to stay where it came in if that is gone."""

from __future__ import annotations

import pytest

from loadtest.entrance import enter
from loadtest.owner import Owner
from loadtest.signalling import SignallingError

from .tiny_server import Server, tiny_server

NOWHERE = "ws://127.0.0.1:9/ws"


async def way(first: Server) -> tuple[str, int]:
    """Where one gets in who joins at `first`, and after how many redirects. Raises SignallingError."""
    async with Owner() as owner:
        entered = await enter(first.url, "token", owner, lambda message: None)
        await entered.signalling.close()
        return entered.url, entered.redirects


def stays(server: Server) -> list[bool]:
    """Of each join at this server, whether it asked to stay."""
    assert all(request["token"] == "token" for request in server.requests)
    return [request.get("stay", False) for request in server.requests]


async def test_who_is_sent_on_joins_there_with_the_same_token() -> None:
    async with tiny_server() as one, tiny_server() as two:
        one.home = two.url
        assert await way(one) == (two.url, 1)
        assert (stays(one), stays(two)) == ([False], [False])


async def test_who_is_sent_where_nobody_answers_stays_where_it_came_in() -> None:
    async with tiny_server() as one:
        one.home = NOWHERE
        assert await way(one) == (one.url, 1)
        assert stays(one) == [False, True]


async def test_who_is_sent_where_nobody_is_taken_any_more_stays_where_it_came_in() -> None:
    async with tiny_server() as one, tiny_server() as two:
        one.home, two.refusals["join"] = two.url, "shutting_down"
        assert await way(one) == (one.url, 1)


async def test_a_circle_ends_after_three_redirects() -> None:
    async with tiny_server() as one, tiny_server() as two, tiny_server() as three:
        one.home, two.home, three.home = two.url, three.url, two.url
        assert await way(one) == (one.url, 4)
        assert (stays(one), stays(two), stays(three)) == ([False, True], [False, False], [False])


async def test_a_refusal_at_home_is_the_answer() -> None:
    async with tiny_server() as one, tiny_server() as two:
        one.home, two.refusals["join"] = two.url, "banned"
        with pytest.raises(SignallingError, match="banned"):
            await way(one)
        assert stays(one) == [False]


async def test_a_server_that_sends_on_even_who_asks_to_stay_is_given_up() -> None:
    async with tiny_server() as one:
        one.home = NOWHERE
        one.raw["join"] = f'{{"type": "redirect", "url": "{NOWHERE}", "request": "1"}}'
        with pytest.raises(SignallingError, match="asks to stay"):
            await way(one)
