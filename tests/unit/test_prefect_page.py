"""What ``docs/coming-from-prefect.md`` calls Clearway's names are names that there are."""

from __future__ import annotations

import re

import pytest

from support.prefect_page import PAGE, look_up, rows

ROWS = list(rows())


@pytest.mark.parametrize(("theirs", "ours"), ROWS, ids=[theirs for theirs, _ in ROWS])
def test_what_the_page_names_is_there(theirs: str, ours: list[str]) -> None:
    assert ours, f"nothing is named for {theirs}"
    for name in ours:
        look_up(name)


@pytest.mark.parametrize(
    "name",
    [
        "from clearway import nothing",
        "clearway.runtime.flow_run.nothing",
        "clearway concurrency-limit forget",
        "clearway deployment",
        "CLEARWAY_NOTHING",
        "@task(nothing=)",
        "future.result(nothing=)",
        "client.read_nothing",
        "state.nothing",
        "nothing",
    ],
)
def test_what_is_not_there_is_found(name: str) -> None:
    with pytest.raises(LookupError):
        look_up(name)


def test_the_page_has_a_row_for_every_option() -> None:
    from inspect import signature  # noqa: PLC0415

    from clearway import Flow, Task  # noqa: PLC0415

    for decorator, kind in [("task", Task), ("flow", Flow)]:
        page = re.findall(rf"^\|.+\| `@{decorator}\((.+)\)` \|$", PAGE.read_text(), re.MULTILINE)
        named = {option for row in page for option in re.findall(r"\w+(?==)", row)}
        assert named == set(signature(kind.__init__).parameters) - {"self", "fn"}, (
            f"the rows @{decorator}(...)"
        )
