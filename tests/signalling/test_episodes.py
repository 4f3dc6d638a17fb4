"""How long an instance has been degraded, and how often something stood in."""

from __future__ import annotations

from signalling.episodes import Episodes


def test_an_episode_lasts_from_the_first_loss_to_the_last_return() -> None:
    episodes = Episodes()
    episodes.begin("redis", "redis-memory", 10.0)
    episodes.begin("turn", "stun-only", 12.0)
    episodes.end("redis", 15.0)
    assert (episodes.present(16.0), episodes.total(16.0)) == (6.0, 6.0)
    episodes.end("turn", 20.0)
    assert (episodes.present(21.0), episodes.total(21.0)) == (0.0, 10.0)


def test_episodes_add_up_and_no_second_counts_twice() -> None:
    episodes = Episodes()
    episodes.begin("redis", "redis-memory", 10.0)
    episodes.end("redis", 20.0)
    episodes.begin("redis", "redis-memory", 18.0)  # as it turned out later
    assert (episodes.present(25.0), episodes.total(25.0)) == (5.0, 15.0)


def test_a_loss_that_began_before_another_makes_the_episode_older() -> None:
    episodes = Episodes()
    episodes.begin("redis", "redis-memory", 10.0)
    episodes.begin("turn", "stun-only", 4.0)
    assert episodes.present(11.0) == 7.0


def test_what_stood_in_is_counted_by_name() -> None:
    episodes = Episodes()
    for since in (1.0, 5.0):
        episodes.begin("redis", "redis-memory", since)
        episodes.end("redis", since + 1.0)
    assert episodes.activations == {"redis-memory": 2}


def test_the_end_of_what_was_not_away_changes_nothing() -> None:
    episodes = Episodes()
    episodes.end("redis", 5.0)
    assert (episodes.present(6.0), episodes.total(6.0)) == (0.0, 0.0)
