"""Many streams at once, each with many proposals in flight: nothing fails, and all of them are decided."""

from __future__ import annotations

from benchmarks.load import load


def test_a_server_under_load_decides_all_that_is_proposed_without_an_error() -> None:
    loaded = load(streams=20, in_flight=50, seconds=1.0)
    assert (loaded.tally.errors, loaded.logged) == ({}, [])
    assert loaded.tally.decided >= 20 * 50
    assert sum(loaded.tally.buckets.values()) == loaded.tally.decided
    assert loaded.percentile(50) <= loaded.percentile(99)
