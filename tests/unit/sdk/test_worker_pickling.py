"""What crosses to other processes, and how it is found there."""

from __future__ import annotations

import sys
import threading
import traceback
from types import ModuleType

import pytest

from clearway import flow, task
from clearway._execution.workers import pickling as _portable
from clearway._execution.workers.errors import pack, unpack
from clearway.exceptions import FailedRun, NonRetryable


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return a module of a user's, with a task and a flow, that can be imported."""
    made = ModuleType("of_a_user")
    monkeypatch.setitem(sys.modules, "of_a_user", made)
    source = "def load(path): return path, calls\ndef nightly(): ...\ncalls = []"
    exec(source, made.__dict__)
    made.load = task(made.load)  # type: ignore[attr-defined]
    made.nightly = flow(made.nightly)  # type: ignore[attr-defined]
    return made


def test_tasks_and_flows_of_a_module_are_found_by_name(module: ModuleType) -> None:
    for made in (module.load, module.nightly):
        body = _portable.dumps(made)
        assert _portable.loads(body) is made
        assert len(body) < 100


def test_the_function_of_a_task_is_found_by_the_tasks_name(module: ModuleType) -> None:
    assert _portable.loads(_portable.dumps(module.load.fn)) is module.load.fn


def test_a_task_with_other_options_keeps_the_function_and_so_its_globals(module: ModuleType) -> None:
    other = _portable.loads(_portable.dumps(module.load.with_options(name="other", retries=4)))
    assert (other.name, other.retries) == ("other", 4)
    assert other.fn is module.load.fn
    assert other.fn("here")[1] is module.calls


def test_a_task_within_a_function_is_sent_whole() -> None:
    unit = 10

    @task(name="scale", tags=["a"])
    def scale(number: int, *, by: int = 2) -> int:
        return number * by * unit

    got = _portable.loads(_portable.dumps(scale))
    assert got is not scale
    assert (got.name, got.tags, got.fn(3), got.fn(3, by=3)) == ("scale", {"a"}, 60, 90)
    assert got.signature.bind((3,), {}) == {"number": 3, "by": 2}


def test_a_task_that_calls_itself_can_be_sent() -> None:
    @task
    def factorial(number: int) -> int:
        return 1 if number < 2 else number * factorial.fn(number - 1)  # type: ignore[no-any-return]

    assert _portable.loads(_portable.dumps(factorial)).fn(5) == 120


def test_what_is_gone_from_its_module_is_sent_whole(module: ModuleType) -> None:
    load = module.load
    del module.load
    assert _portable.loads(_portable.dumps(load)).fn("x") == ("x", [])


def test_an_exception_keeps_its_attributes_causes_and_traceback() -> None:
    try:
        try:
            raise KeyError("a")  # noqa: TRY301
        except KeyError:
            raise OSError(2, "gone", "file.txt")  # noqa: B904 - its context is what is looked at
    except OSError as error:
        got = unpack(pack(error))
    assert isinstance(got, FileNotFoundError)
    assert got.filename == "file.txt"
    assert isinstance(got.__context__, KeyError)
    assert got.__cause__ is None
    (entry,) = traceback.extract_tb(got.__traceback__)
    assert entry.name == "test_an_exception_keeps_its_attributes_causes_and_traceback"
    assert entry.line is not None
    assert entry.line.startswith('raise OSError(2, "gone", "file.txt")')


def test_a_hidden_context_stays_hidden() -> None:
    try:
        try:
            raise KeyError("a")  # noqa: TRY301
        except KeyError:
            raise ValueError("b") from None
    except ValueError as error:
        got = unpack(pack(error))
    assert got.__suppress_context__
    assert got.__cause__ is None


@pytest.mark.parametrize("base", [ValueError, NonRetryable])
def test_an_exception_that_cannot_be_pickled_still_says_whether_it_may_be_retried(
    base: type[Exception],
) -> None:
    error = type("OfAUser", (base,), {})("bad")
    error.lock = threading.Lock()
    got = unpack(pack(error))
    assert type(got) is (NonRetryable if base is NonRetryable else FailedRun)
    assert str(got).endswith("OfAUser: bad")
