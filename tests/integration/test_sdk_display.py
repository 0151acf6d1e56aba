"""The progress on the terminal, as a person sees it."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from integration.cli_process import started
from integration.sdk_runs import SECONDS
from support.terminal import Terminal

PROGRAM = Path(__file__).with_name("sdk_shown.py")


def shown(flow_name: str, columns: int = 200, **variables: str) -> Terminal:
    return Terminal([sys.executable, str(PROGRAM), flow_name], columns, **variables)


def drawn(lines: list[str]) -> list[str]:
    """Return what is drawn at the bottom, if anything is."""
    for number, line in enumerate(lines):
        if line[:1] in set("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"):
            return lines[number:]
    return []


@pytest.mark.usefixtures("service")
def test_what_runs_waits_and_has_ended_is_shown_and_then_gone() -> None:
    def complete(lines: list[str]) -> bool:
        text = " ".join(drawn(lines))
        return all(
            part in text
            for part in (
                "4 running · 3 waiting · 2 done · 1 cached · 1 failed",
                "work-0",
                "2 for a slot of 'narrow'",
                "1 for an upstream run",
            )
        )

    with shown("states") as terminal:
        lines = terminal.wait_for(complete, "the whole picture")
        assert len(drawn(lines)) == 3
        terminal.send(signal.SIGUSR1)
        code, lines = terminal.end()
    assert code == 1  # a task has failed
    assert drawn(lines) == []
    (summary,) = [line for line in lines if line.startswith("Flow run")]
    assert "ended as Failed in " in summary
    assert summary.endswith(" s: 10 task runs: 8 completed, 1 cached, 1 failed")
    assert not any("4 running" in line for line in lines)


@pytest.mark.usefixtures("service")
def test_a_run_that_is_to_be_tried_again_says_when() -> None:
    with shown("retrying") as terminal:
        lines = terminal.wait_text("flaky-0 in 59 min")
        assert "1 to retry" in drawn(lines)[0]
        terminal.send(signal.SIGINT)
        code, lines = terminal.end()
    assert code != 0
    assert drawn(lines) == []
    assert any("its runs are ended: 1 task run: 1 cancelled; 1 retry" in line for line in lines)


def test_only_the_outermost_flow_is_drawn_and_has_a_summary() -> None:
    with shown("outer") as terminal:
        terminal.wait_text("work-0")
        terminal.send(signal.SIGUSR1)
        code, lines = terminal.end()
    assert code == 0
    assert all(len(drawn(seen)) <= 2 for seen in terminal.seen)
    assert sum(line.startswith("Flow run") for line in lines) == 1


def test_what_the_program_writes_stays_and_is_not_mixed_up() -> None:
    with shown("talking") as terminal:
        lines = terminal.wait_text("and now?")
        assert lines[-1] == "and now?"
        terminal.enter("good\n")
        code, lines = terminal.end()
    assert code == 0
    for number in range(3):
        assert f"printed {number}" in lines
        assert f"to stderr {number}" in lines
        assert f"mine: logged elsewhere {number}" in lines
        assert any(line.endswith(f"- logged {number}") for line in lines)
    assert "and now? good" in lines
    assert "so good" in lines
    assert "begun ... ended" in lines
    assert any(drawn(seen) for seen in terminal.seen)
    assert drawn(lines) == []


def test_prints_of_threads_are_whole_lines() -> None:
    with shown("crowded") as terminal:
        code, lines = terminal.end()
    assert code == 0
    said = [line for line in lines if line.startswith(("thread", "part"))]
    assert len(said) == 240
    for name in range(6):
        for number in range(20):
            assert f"thread {name} says {number}" in said
            assert f"part of {name} {number} whole" in said
    assert "the last" in lines, "it is written before the display's own last line"


def test_the_traceback_of_a_flow_that_fails_stands_by_itself() -> None:
    with shown("failing") as terminal:
        terminal.wait_text("work-0")
        terminal.send(signal.SIGUSR1)
        code, lines = terminal.end()
    assert code == 1
    assert lines[-2] == "ValueError: at last"
    assert drawn(lines) == []


def test_a_narrow_terminal_is_not_overfull() -> None:
    with shown("states", columns=30) as terminal:
        lines = terminal.wait_for(lambda lines: len(drawn(lines)) == 3, "three lines")
        assert all(len(line) < 30 for line in drawn(lines))


def test_of_a_short_flow_only_the_summary_is_seen_and_nothing_is_loaded() -> None:
    with shown("short") as terminal:
        code, lines = terminal.end()
    assert code == 0
    assert not any(drawn(seen) for seen in terminal.seen)
    assert sum(line.startswith("Flow run") for line in lines) == 1
    assert "rich was not loaded" in lines


def test_with_the_setting_nothing_is_drawn() -> None:
    with shown("outer", CLEARWAY_DISPLAY="never") as terminal:
        terminal.wait_text("flow 'inner' began")
        terminal.send(signal.SIGUSR1)
        _, lines = terminal.end()
    assert not any(drawn(seen) for seen in terminal.seen)
    assert not any(line.startswith("Flow run") for line in lines)


def test_a_terminal_that_can_do_nothing_is_not_drawn_on() -> None:
    with shown("outer", TERM="dumb") as terminal:
        terminal.wait_text("flow 'inner' began")
        terminal.send(signal.SIGUSR1)
        terminal.end()
    assert not any(drawn(seen) for seen in terminal.seen)


def test_without_a_terminal_there_are_log_lines_only() -> None:
    with started(sys.executable, str(PROGRAM), "outer") as process:
        assert process.stderr is not None
        began = [process.stderr.readline(), process.stderr.readline()]
        process.send_signal(signal.SIGUSR1)
        out, errors = process.communicate(timeout=SECONDS)
    assert "\x1b" not in "".join(began) + errors + out
    assert all(" | INFO    | " in line for line in [*began, *errors.splitlines()])
    assert "rich was not loaded" in out
