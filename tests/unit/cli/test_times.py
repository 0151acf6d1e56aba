"""Times and durations, as people and scripts read them."""

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from clearway_cli import _times

NOON = Timestamp(seconds=1_767_268_800)  # 2026-01-01T12:00:00Z


@pytest.mark.parametrize(
    ("elapsed", "expected"),
    [
        (-5, "0s"),
        (0, "0s"),
        (59, "59s"),
        (60, "1m"),
        (3_599, "59m"),
        (3_600, "1h"),
        (86_399, "23h"),
        (86_400, "1d"),
        (40 * 86_400, "40d"),
    ],
)
def test_an_age_is_told_in_its_largest_unit(elapsed: int, expected: str) -> None:
    assert _times.age(NOON, Timestamp(seconds=NOON.seconds + elapsed)) == expected


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (0, "0.0ms"),
        (0.00085, "0.8ms"),
        (0.12, "120ms"),
        (4.25, "4.25s"),
        (187, "3m 07s"),
        (7_500, "2h 05m"),
        (100 * 3_600, "4d 04h"),
    ],
)
def test_a_length_of_time_has_two_units_at_most(length: float, expected: str) -> None:
    assert _times.span(length) == expected


def test_times_for_scripts_are_in_utc_and_of_one_length() -> None:
    assert _times.iso(NOON) == "2026-01-01T12:00:00.000000Z"
    assert _times.iso(Timestamp(seconds=NOON.seconds, nanos=1_500_000)) == "2026-01-01T12:00:00.001500Z"


def test_a_duration_keeps_its_fraction() -> None:
    assert _times.seconds(Duration(seconds=1, nanos=500_000_000)) == 1.5


def test_a_time_to_come_is_told_as_such() -> None:
    later = Timestamp(seconds=NOON.seconds + 90)
    assert _times.moment(later, NOON).endswith("(in 1m)")
    assert _times.moment(NOON, later).endswith("(1m ago)")
