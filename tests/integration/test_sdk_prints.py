"""``print()`` in the code of runs with ``log_prints``."""

from __future__ import annotations

import asyncio
import contextvars
import io
import logging
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from clearway import flow, get_client, task
from clearway.logging import RunLogger, get_run_logger
from integration.sdk_runs import SECONDS, last_flow_run

pytestmark = pytest.mark.usefixtures("service")


def logged(flow_name: str) -> list[tuple[str, int, str]]:
    """Return the lines that the latest run of a flow logged with print: logger, level and text."""
    with get_client() as client:
        lines = client.read_logs(flow_run_id=last_flow_run(flow_name).id)
    return [
        (line.logger.removeprefix("clearway."), line.level, line.message)
        for line in lines
        if not line.message.startswith(("flow ", "ended as "))
    ]


def test_a_print_becomes_a_line_of_the_innermost_run(capsys: pytest.CaptureFixture[str]) -> None:
    @task(log_prints=True)
    def talk(x: int) -> None:
        print("x is", x, sep="=", end="!\n")

    @flow(log_prints=True)
    def talking() -> None:
        print("here", {"a": 1})
        talk(5)
        talk.submit(6).result()
        print()

    talking()
    assert logged("talking") == [
        ("flow_run", 20, "here {'a': 1}"),
        ("task_run", 20, "x is=5!"),
        ("task_run", 20, "x is=6!"),
        ("flow_run", 20, ""),
    ]
    assert capsys.readouterr().out == ""


def test_what_is_printed_elsewhere_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    @flow(log_prints=True)
    def talking() -> str:
        text = io.StringIO()
        print("to a file", file=text)
        print("to stderr", file=sys.stderr)
        print("to stdout", file=sys.stdout)
        return text.getvalue()

    assert talking() == "to a file\n"
    print("outside")
    assert capsys.readouterr().out == "outside\n"
    assert [text for _, _, text in logged("talking")] == ["to stdout"]


def test_a_task_does_as_its_flow_and_a_subflow_as_its_parent_unless_they_say(
    capsys: pytest.CaptureFixture[str],
) -> None:
    @task
    def inherits() -> None:
        print("task")

    @task(log_prints=False)
    def refuses() -> None:
        print("not logged")

    @flow
    def child() -> None:
        print("child")
        inherits()

    @flow(log_prints=True)
    def parent() -> None:
        inherits()
        refuses()
        child()

    parent()
    assert [text for _, _, text in logged("parent")] == ["task"]
    assert [text for _, _, text in logged("child")] == ["child", "task"]
    assert capsys.readouterr().out == "not logged\n"


def test_without_a_word_the_setting_decides(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CLEARWAY_LOGGING_LOG_PRINTS", "true")

    @task
    def talk() -> None:
        print("task")

    @flow
    def by_setting() -> None:
        print("flow")
        talk()

    by_setting()
    assert [text for _, _, text in logged("by_setting")] == ["flow", "task"]
    assert capsys.readouterr().out == ""


def test_by_default_nothing_is_logged(capsys: pytest.CaptureFixture[str]) -> None:
    @flow
    def plain() -> None:
        print("plain")

    plain()
    assert logged("plain") == []
    assert capsys.readouterr().out == "plain\n"


async def test_prints_of_coroutines_that_take_turns_stay_apart(capsys: pytest.CaptureFixture[str]) -> None:
    @task(log_prints=True)
    async def loud(mine: asyncio.Event, other: asyncio.Event) -> None:
        other.set()
        await mine.wait()
        print("loud")

    @task(log_prints=False)
    async def quiet(mine: asyncio.Event, other: asyncio.Event) -> None:
        await mine.wait()
        print("quiet")
        other.set()

    @flow
    async def taking_turns() -> None:
        first, second = asyncio.Event(), asyncio.Event()
        await asyncio.gather(loud(first, second), quiet(second, first))

    await taking_turns()
    assert [text for _, _, text in logged("taking_turns")] == ["loud"]
    assert capsys.readouterr().out == "quiet\n"


@pytest.fixture
def printing_handler() -> Iterator[None]:
    class Printing(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            print("handled", record.getMessage())

    handler = Printing()
    logging.getLogger("clearway").addHandler(handler)
    yield
    logging.getLogger("clearway").removeHandler(handler)


@pytest.mark.usefixtures("printing_handler")
def test_a_handler_that_prints_does_not_log_again(capsys: pytest.CaptureFixture[str]) -> None:
    @flow(log_prints=True)
    def talking() -> None:
        print("once")
        assert isinstance(get_run_logger(), RunLogger)

    talking()
    assert [text for _, _, text in logged("talking")] == ["once"]
    assert "handled once\n" in capsys.readouterr().out


def test_a_line_is_logged_when_it_ends_however_many_prints_it_takes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    @flow(log_prints=True)
    def talking() -> None:
        for number in range(3):
            print(number, end=" ", flush=True)
        print("go")
        print("two\nlines, the second begun", end=", ")
        print("and ended")
        print("never ended", end="")

    talking()
    assert [text for _, _, text in logged("talking")] == [
        "0 1 2 go",
        "two",
        "lines, the second begun, and ended",
        "never ended",
    ]
    assert capsys.readouterr().out == ""


def test_a_line_that_a_task_began_is_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    @task
    def talk() -> None:
        print("of the task", end="")
        raise ValueError("enough")

    @flow(log_prints=True)
    def talking() -> None:
        print("of the flow, ", end="")
        talk(return_state=True)
        print("ended")

    talking(return_state=True)
    texts = [text for _, level, text in logged("talking") if level == logging.INFO]
    assert texts == ["of the task", "of the flow, ended"]
    assert capsys.readouterr().out == ""


def test_lines_of_threads_and_of_coroutines_are_whole() -> None:
    threads = 8

    @flow(log_prints=True)
    def threaded() -> None:
        together = threading.Barrier(threads)

        def talk(name: str) -> None:
            for number in range(20):
                together.wait(SECONDS)
                print(name, end=" ")
                together.wait(SECONDS)
                print("says", number)

        context = contextvars.copy_context()
        with ThreadPoolExecutor(threads) as pool:
            talks = [pool.submit(context.copy().run, talk, f"thread-{each}") for each in range(threads)]
            [each.result() for each in talks]

    @flow(log_prints=True)
    async def gathered() -> None:
        async def talk(name: str) -> None:
            print(name, end=" ")
            await asyncio.sleep(0)
            print("speaks")

        await asyncio.gather(*(talk(f"coroutine-{each}") for each in range(3)))

    threaded()
    lines = Counter(text for _, _, text in logged("threaded"))
    assert lines == Counter(f"thread-{each} says {number}" for each in range(threads) for number in range(20))
    asyncio.run(gathered())
    assert [text for _, _, text in logged("gathered")] == [f"coroutine-{each} speaks" for each in range(3)]


def test_a_wrong_argument_of_print_is_an_error_as_in_python() -> None:
    calls: list[dict[str, Any]] = [{"colour": "red"}, {"end": 5}, {"sep": b","}]

    def errors() -> list[str]:
        raised = []
        for arguments in calls:
            with pytest.raises(TypeError) as caught:
                print("a", "b", **arguments)
            raised.append(str(caught.value))
        return raised

    expected = errors()
    found = flow(errors, name="wrong", log_prints=True)()
    assert found == expected
    assert logged("wrong") == []


def test_a_line_that_does_not_end_is_logged_in_pieces_of_bounded_length() -> None:
    @flow(log_prints=True)
    def endless() -> None:
        for _ in range(100):
            print("x" * 1_000, end="")

    endless()
    lengths = [len(text) for _, _, text in logged("endless")]
    assert sum(lengths) == 100_000
    assert max(lengths) <= 66_000
