"""Tasks and flows as ``pickle`` and ``copy`` see them."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import cloudpickle  # type: ignore[import-untyped]
import pytest

from clearway import flow, task

SOURCE = """
import functools
from clearway import flow, task

@task(retries=2)
def load(path): return path, calls

@flow
def nightly(x: int): return x

@functools.singledispatch
def kind(x): return "object"
kind = task(kind)

class Store:
    size = 3
    @task
    def count(self): return self.size
    @flow
    def total(self): return self.size
    @task
    @classmethod
    def made(cls): return cls.size
    @task
    @staticmethod
    def half(x): return x / 2
    @staticmethod
    @flow
    def third(x): return x / 3

calls = []
slow = load.with_options(name="slow", retries=5)
weekly = nightly.with_options(name="weekly")
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return a module of a user's, with tasks and flows, that can be imported."""
    made = ModuleType("of_a_user_pickled")
    monkeypatch.setitem(sys.modules, made.__name__, made)
    exec(SOURCE, made.__dict__)
    (tmp_path / f"{made.__name__}.py").write_text(SOURCE)
    return made


PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


def static(holder: Any, name: str) -> Any:
    return vars(holder)[name]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_those_of_a_module_are_pickled_by_reference(module: ModuleType, protocol: int) -> None:
    store: Any = module.Store
    for made in (
        *(module.load, module.nightly, module.kind, store.count, store.total, store.half, store.third),
        static(store, "made"),
    ):
        body = pickle.dumps(made, protocol)
        assert pickle.loads(body) is made
        assert len(body) < 150
        assert pickle.loads(cloudpickle.dumps(made)) is made


def test_those_with_other_options_keep_options_and_function(module: ModuleType) -> None:
    slow = pickle.loads(pickle.dumps(module.slow))
    assert (slow.name, slow.retries, slow.fn) == ("slow", 5, module.load.fn)
    assert slow.fn("a")[1] is module.calls
    weekly = pickle.loads(pickle.dumps(module.weekly))
    assert (weekly.name, weekly.fn) == ("weekly", module.nightly.fn)


def test_a_flow_that_was_called_can_be_pickled(module: ModuleType) -> None:
    assert module.weekly("3") == 3
    assert pickle.loads(pickle.dumps(module.weekly)).validate_parameters({"x": "4"}) == {"x": 4}


def test_methods_are_pickled_with_their_instance(module: ModuleType) -> None:
    store = module.Store()
    store.size = 7
    for method in (store.count, store.total):
        assert pickle.loads(pickle.dumps(method)).fn() == 7
        assert copy.copy(method).fn() == copy.deepcopy(method).fn() == 7
    assert pickle.loads(pickle.dumps(module.Store.made)) == module.Store.made


def test_another_process_finds_them(module: ModuleType, tmp_path: Path) -> None:
    body = pickle.dumps([module.load, module.slow, module.nightly, module.Store.made])
    script = (
        "import pickle, sys; sys.path.insert(0, sys.argv[1]); got = pickle.load(sys.stdin.buffer); "
        "import of_a_user_pickled as its; "
        "print(got[0] is its.load, got[1].fn is its.load.fn, got[1].retries, got[2] is its.nightly, "
        "got[3].fn())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], input=body, capture_output=True, check=False
    )
    assert done.stdout.decode().strip() == "True True 5 True 3", done.stderr.decode()


def test_those_of_a_function_are_pickled_with_their_code() -> None:
    unit = 10

    @task(name="scale", tags=["a"])
    def scale(number: int) -> int:
        return number * unit

    @flow
    def scaling(number: int) -> Any:
        return scale.fn(number)

    for body in (pickle.dumps(scale), cloudpickle.dumps(scale)):
        got = pickle.loads(body)
        assert (got.name, got.tags, got.fn(3)) == ("scale", {"a"}, 30)
    assert pickle.loads(pickle.dumps(scaling)).fn(4) == 40


def test_a_copy_is_an_object_of_its_own_and_a_deep_copy_is_itself() -> None:
    @task(retries=1)
    def work() -> None: ...

    @flow
    def working() -> None: ...

    for made in (work, working):
        copied = copy.copy(made)
        copied.retries = 9
        assert made.retries != 9
        assert copied.fn is made.fn
        assert copy.deepcopy({"a": [made]})["a"][0] is made


PROGRAM = """
import functools, multiprocessing, pickle, sys, threading
from clearway import flow, task, ProcessPoolTaskRunner

UNIT = 10

LOCK = threading.Lock()

def helper(x): return x * UNIT

@task(retries=1)
def load(x): return helper(x)

@task
@functools.singledispatch
def kind(x): return "object"

@kind.register
def _(x: int): return "int"

@flow
def nightly(x): return load(x)

@task
def locked(x):
    with LOCK: return x

def look(made): return made is load or made is locked, made.fn(30)

@flow(task_runner=ProcessPoolTaskRunner(max_workers=1))
def working(): return load.submit(3).result(), kind.submit(3).result(), kind.submit("a").result()

if __name__ == "__main__":
    if sys.argv[1:] == ["read"]:
        print([made.fn(2) for made in pickle.load(sys.stdin.buffer)])
    elif sys.argv[1:] == ["write"]:
        sys.stdout.buffer.write(pickle.dumps([load, load.with_options(name="other"), kind]))
    else:
        print(all(pickle.loads(pickle.dumps(made)) is made for made in (load, nightly)))
        for method in ("fork", "spawn", "forkserver"):
            with multiprocessing.get_context(method).Pool(1) as pool:
                print(pool.map(look, [load, locked]))
        print(working())
"""


def test_those_of_the_main_program_cross_to_other_processes(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == [
        "True",
        *["[(True, 300), (True, 30)]"] * 3,
        "(30, 'int', 'object')",
    ], done.stderr
    written = subprocess.run([sys.executable, program, "write"], capture_output=True, check=True).stdout
    read = "import pickle, sys; print([made.fn(2) for made in pickle.load(sys.stdin.buffer)])"
    for command in ([program, "read"], ["-c", read]):
        done_there = subprocess.run(
            [sys.executable, *map(str, command)], input=written, capture_output=True, check=False
        )
        assert done_there.stdout.decode().strip() == "[20, 20, 'int']", done_there.stderr.decode()
