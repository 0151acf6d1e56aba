from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from clearway import Cancelled, Completed, Crashed, Failed, Pending, State
from clearway._execution.effects import Outcome
from clearway._execution.outcomes import (
    describe,
    end_message,
    failed_state,
    flow_state,
    interruption,
    stopped_early,
    task_state,
)
from clearway.exceptions import MissingResult, WorkerDied
from clearway.results import StoredResult
from clearway.run_errors import RunError, RunErrorKind
from clearway.states import StateDetails, StateType


def of_run(kind: StateType = StateType.COMPLETED, data: Any = None) -> State[Any]:
    return State(kind, data=data, details=StateDetails(task_run_id="id"))


def returned(value: Any, not_completed: list[State[Any]] | None = None) -> State[Any]:
    return flow_state(Outcome(value), not_completed or [], 5)


def test_data_completes_a_run() -> None:
    assert task_state(Outcome([1])).result() == [1]
    assert returned({"a": 1}).result() == {"a": 1}


def test_an_exception_fails_a_run_and_is_kept() -> None:
    error = ValueError("bad")
    state = task_state(Outcome(error=error))
    assert state.is_failed()
    assert state.message == "Task run encountered an exception: ValueError: bad"
    assert state.result(raise_on_failure=False) is error
    assert flow_state(Outcome(error=error), [], 0).message.startswith("Flow run encountered an exception")


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        (Outcome(error=ValueError("bad")), RunErrorKind.APPLICATION),
        (Outcome(error=TimeoutError("mine")), RunErrorKind.APPLICATION),
        (Outcome(error=TimeoutError("ours"), timed_out=True), RunErrorKind.TIMEOUT),
        (Outcome(error=WorkerDied("gone")), RunErrorKind.LOST),
        (Outcome(error=ValueError("unread"), unread=True), RunErrorKind.RESULT),
        (Outcome(Cancelled(ValueError("enough"))), RunErrorKind.CANCELLED),
        (Outcome(Failed(ValueError("bad"))), RunErrorKind.APPLICATION),
    ],
)
def test_the_kind_of_an_error_is_recorded_and_known_here_alike(outcome: Outcome, kind: RunErrorKind) -> None:
    for may_run_again in (False, True):
        state = task_state(outcome, may_run_again=may_run_again)
        assert state.error is not None
        assert state.error.kind is kind
        message = end_message(state, "run").function()
        assert message.data.error.kind == kind
        assert RunError.from_proto(message.data.error) == state.error


def test_an_exception_of_a_task_is_an_application_s_error_of_the_flow_that_raises_it() -> None:
    error = flow_state(Outcome(error=WorkerDied("gone")), [], 1).error
    assert error is not None
    assert error.kind is RunErrorKind.APPLICATION


@pytest.mark.parametrize("make", [Crashed, Cancelled])
def test_an_interrupted_run_says_by_what(make: Any) -> None:
    state = stopped_early(make, "interrupted: \udcff", KeyboardInterrupt())
    message = state.to_proto()
    assert (message.data.error.type, message.data.error.kind) == (
        "builtins.KeyboardInterrupt",
        RunErrorKind.CANCELLED,
    )
    assert message.data.error.message == "interrupted: \\udcff"
    failure = state.result(raise_on_failure=False)
    expected = make(message="m").result(raise_on_failure=False)
    assert (type(failure), str(failure)) == (type(expected), state.message)
    assert stopped_early(make, "its flow ended").error is not None


def test_a_state_made_by_hand_is_taken_as_given() -> None:
    given = Failed(message="no rows")
    assert task_state(Outcome(given)) is given
    assert returned(given) is given


def test_returned_states_decide_together() -> None:
    good, bad = of_run(), of_run(StateType.FAILED, KeyError("k"))
    assert returned([good, good]).is_completed()
    assert returned((good,)).result() == (good,)
    failed = returned([good, bad])
    assert failed.is_failed()
    assert "1 of 2 failed" in failed.message
    with pytest.raises(KeyError):
        failed.result()
    assert returned(good).is_completed()
    assert returned([good, 1]).is_completed()


def test_none_leaves_it_to_the_task_runs() -> None:
    assert returned(None).is_completed()
    assert returned(None).result() is None
    state = returned(None, [of_run(StateType.FAILED, ValueError("bad")), Pending()])
    assert state.is_failed()
    assert "1 of 5 failed, 1 of 5 did not run to an end" in state.message
    with pytest.raises(ValueError, match="bad"):
        state.result()


def test_an_exception_without_words_or_with_broken_ones_is_described() -> None:
    class Broken(Exception):  # noqa: N818
        def __str__(self) -> str:
            raise ZeroDivisionError

    assert describe(ValueError()) == "ValueError"
    assert describe(Broken()) == "Broken: (its __str__ raised ZeroDivisionError)"
    assert len(describe(ValueError("x" * 100_000))) < 5_000
    assert failed_state("Task", KeyError("k"), " in its cache_key_fn").message == (
        "Task run encountered an exception in its cache_key_fn: KeyError: 'k'"
    )


def test_what_interrupted_a_run_is_said() -> None:
    assert "keyboard" in interruption(KeyboardInterrupt())
    assert "cancelled" in interruption(asyncio.CancelledError())
    assert interruption(SystemExit(3)) == "interrupted by SystemExit: 3"


def test_a_result_that_cannot_be_kept_is_in_memory_only(caplog: pytest.LogCaptureFixture) -> None:
    data = end_message(Completed(threading.Lock()), "add-0").block().data
    assert "the result of add-0 is in memory only" in caplog.text
    with pytest.raises(MissingResult, match=r"only in the memory of the process that ran the run: .*lock"):
        StoredResult.from_proto(data).load()


def test_a_result_is_kept_as_a_file() -> None:
    assert end_message(Completed({"a": 1}), "add-0").block().data.encoding == "json"
    assert not end_message(Failed(message="no"), "add-0").block().HasField("data")


def test_a_very_long_message_is_shortened() -> None:
    assert len(end_message(Failed(message="x" * 100_000), "add-0").block().message) < 16_384


@pytest.mark.parametrize(
    ("value", "light"),
    [
        (None, True),
        (5, True),
        ("text", True),
        ({"a": 1, "b": "text"}, True),
        ([1, 2.0, None], True),
        ("x" * 100_000, False),
        (list(range(1_000)), False),
        ([[1]], False),
        ({"a": "x" * 10_000}, False),
        (object(), False),
    ],
)
async def test_only_small_results_are_written_by_the_event_loop_s_thread(value: Any, light: bool) -> None:
    work = end_message(Completed(value), "add-0")
    assert work.light is light
    assert (await work.wait()).type == StateType.COMPLETED
