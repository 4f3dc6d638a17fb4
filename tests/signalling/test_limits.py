"""What a limit lets through, what it refuses, and how little it remembers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalling.limits import BucketPerAddress, BucketPerKey, CountPerAddress, Rate, Strikes, TokenBucket, network_of


def test_a_bucket_lets_a_burst_through_and_then_its_rate() -> None:
    bucket = TokenBucket(Rate(per_second=2.0, burst=3.0), now=0.0)
    assert [bucket.take(0.0) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    assert bucket.take(0.5) == 0.0
    assert bucket.take(0.5) == 0.5


@given(st.lists(st.floats(0.0, 2.0), max_size=60))
def test_a_bucket_never_lets_more_through_than_burst_and_rate_allow(gaps: list[float]) -> None:
    bucket, now, passed = TokenBucket(Rate(per_second=2.0, burst=5.0), now=0.0), 0.0, 0
    for gap in gaps:
        now += gap
        passed += bucket.take(now) == 0.0
    assert passed <= 5 + 2.0 * now + 1e-6


def test_waiting_as_long_as_told_is_enough() -> None:
    bucket = TokenBucket(Rate(per_second=3.0, burst=1.0), now=0.0)
    bucket.take(0.0)
    assert bucket.take(bucket.take(0.0) + 1e-9) == 0.0


def test_a_clock_that_stands_or_goes_back_gives_nothing() -> None:
    bucket = TokenBucket(Rate(per_second=1.0, burst=1.0), now=100.0)
    assert bucket.take(100.0) == 0.0
    assert bucket.take(0.0) > 0.0


def test_addresses_have_buckets_of_their_own_and_only_so_many() -> None:
    buckets = BucketPerAddress(Rate(per_second=1.0, burst=1.0), most=2)
    assert buckets.take("192.0.2.1", 0.0) == 0.0
    assert buckets.take("192.0.2.2", 0.0) == 0.0
    assert buckets.take("192.0.2.1", 0.0) > 0.0
    assert buckets.take("192.0.2.3", 0.0) == 0.0
    assert len(buckets) == 2
    assert buckets.take("192.0.2.1", 0.0) > 0.0  # used last, so remembered
    assert buckets.take("192.0.2.2", 0.0) == 0.0  # forgotten


def test_asking_how_long_to_wait_takes_nothing() -> None:
    buckets = BucketPerAddress(Rate(per_second=1.0, burst=1.0))
    assert [buckets.wait("192.0.2.1", 0.0) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert len(buckets) == 0
    buckets.take("192.0.2.1", 0.0)
    assert [buckets.wait("192.0.2.1", 0.5) for _ in range(3)] == [0.5, 0.5, 0.5]


def test_keys_that_look_like_addresses_are_keys_of_their_own() -> None:
    buckets = BucketPerKey(Rate(per_second=1.0, burst=1.0))
    assert buckets.take(("2001:db8::1", "ada"), 0.0) == 0.0
    assert buckets.take(("2001:db8::2", "ada"), 0.0) == 0.0
    assert buckets.take(("2001:db8::2", "ada"), 0.0) > 0.0


def test_a_count_refuses_one_too_many_and_forgets_who_is_gone() -> None:
    count = CountPerAddress(most=2)
    assert [count.enter("192.0.2.1") for _ in range(3)] == [True, True, False]
    assert count.enter("192.0.2.2")
    for address in ("192.0.2.1", "192.0.2.1", "192.0.2.2"):
        count.leave(address)
    assert len(count) == 0


def test_what_is_spent_too_much_is_made_up_for_in_time() -> None:
    bucket = TokenBucket(Rate(per_second=2.0, burst=2.0), 0.0)
    assert [bucket.spend(0.0), bucket.spend(0.0), bucket.spend(0.0), bucket.spend(0.5)] == [0.0, 0.0, 0.5, 0.5]
    assert [bucket.wait(1.0), bucket.wait(1.5)] == [0.5, 0.0]


def test_strikes_are_forgotten_with_their_window() -> None:
    strikes = Strikes(most=2, window=10.0, now=0.0)
    assert [strikes.add(1.0), strikes.add(2.0), strikes.add(10.0), strikes.add(11.0)] == [False] * 4
    assert strikes.add(12.0)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("testclient", "testclient"),
    ],
)
def test_an_ipv6_address_counts_by_its_network(address: str, network: str) -> None:
    assert network_of(address) == network
