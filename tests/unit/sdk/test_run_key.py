from __future__ import annotations

import pytest

from clearway._execution.run_key import RunKey


@pytest.mark.parametrize(
    ("key", "dynamic_key"),
    [
        (RunKey("load", 0), "0"),
        (RunKey("load", 12), "12"),
        (RunKey("load", 4).in_attempt(1), "4"),
        (RunKey("load", 4).in_attempt(2), "4-2"),
        (RunKey("load", 4).repaired(1), "4-again-1"),
        (RunKey("load", 4).in_attempt(3).repaired(2), "4-3-again-2"),
        (RunKey("load", 4).repaired(1).repaired(2), "4-again-2"),
        (RunKey("load", 4).repaired(1).in_attempt(2), "4-2"),
        (RunKey("load", 4).of("ab12"), "4@ab12"),
        (RunKey("load", 4).of("ab12").in_attempt(2).repaired(1), "4-2-again-1@ab12"),
    ],
)
def test_a_key_names_the_run_its_attempt_and_its_repair(key: RunKey, dynamic_key: str) -> None:
    assert key.dynamic_key == dynamic_key
    assert key.task_key == "load"
    assert key.label == dynamic_key.partition("@")[0]


def test_no_two_runs_of_a_task_have_one_dynamic_key() -> None:
    keys = [
        RunKey("load", number).in_attempt(attempt).repaired(repair)
        for number in range(12)
        for attempt in range(1, 12)
        for repair in range(11)
    ]
    assert len({key.dynamic_key for key in keys}) == len(keys)
