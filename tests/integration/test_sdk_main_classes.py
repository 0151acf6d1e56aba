"""Cached results of classes of the main program, in the program's next run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from clearway import get_client

pytestmark = pytest.mark.usefixtures("service")

PROGRAM = """
import collections, dataclasses, enum, json, sys, typing
import pydantic
from clearway import flow, task

@dataclasses.dataclass(frozen=True)
class Point:
    x: int
    {field}
    def where(self): return {where}

class Colour(enum.Enum):
    RED = 1
    {member}

class Broken(Exception):
    pass

class Plain:
    def __init__(self, a):
        self.a = a
        {attribute}
    class Inner:
        pass

class Model(pydantic.BaseModel):
    x: int = 1

Pair = collections.namedtuple("Pair", "one two")

class Kept(typing.NamedTuple):
    one: int

MADE = {{
    "dataclass": lambda: [Point(1), {{Point(2): "two"}}],
    "enum": lambda: Colour.RED,
    "exception": lambda: Broken("no"),
    "object": lambda: Plain(3),
    "inner": lambda: Plain.Inner(),
    "model": lambda: Model(x=2),
    "namedtuple": lambda: (Pair(1, 2), Kept(3)),
    "class": lambda: Point,
}}
CHECKS = {{
    "dataclass": lambda v: v[0] == Point(1) and v[1][Point(2)] == "two" and v[0].where(),
    "enum": lambda v: v is Colour.RED,
    "exception": lambda v: raised(v),
    "object": lambda v: isinstance(v, Plain) and v.a == 3,
    "inner": lambda v: isinstance(v, Plain.Inner),
    "model": lambda v: isinstance(v, Model) and v == Model(x=2),
    "namedtuple": lambda v: v == (Pair(1, 2), Kept(3)) and isinstance(v[0], Pair) and isinstance(v[1], Kept),
    "class": lambda v: v is Point,
}}

def raised(error):
    try:
        raise error
    except Broken:
        return True

computed = []

@task(cache_key_fn=lambda context, parameters: "{key}-" + parameters["name"])
def make(name):
    computed.append(name)
    return [MADE[name]()]

@flow(name="classes-{key}")
def main():
    return {{name: CHECKS[name](make(name)[0]) for name in MADE}}

print(json.dumps([main(), computed]))
"""


def run(tmp_path: Path, key: str, **parts: str) -> Any:
    """Run the program; return what it found, what it computed, and its log."""
    script = tmp_path / "program.py"
    filled = {"field": "", "where": "'here'", "member": "", "attribute": "pass", **parts}
    script.write_text(PROGRAM.format(key=key, **filled))
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, check=True, timeout=60, env=os.environ
    )
    found, computed = json.loads(done.stdout)
    return found, computed, done.stderr


NAMES = ["dataclass", "enum", "exception", "object", "inner", "model", "namedtuple", "class"]


def test_they_come_back_as_the_programs_own_classes(tmp_path: Path, service: str) -> None:
    key = f"same-{service}"
    assert run(tmp_path, key)[1] == NAMES
    found, computed, _ = run(tmp_path, key)
    assert found == {**dict.fromkeys(NAMES, True), "dataclass": "here"}
    assert computed == []
    found, computed, _ = run(tmp_path, key, where="'there'")  # the program's class, with its present methods
    assert found["dataclass"] == "there"
    assert computed == []


@pytest.mark.parametrize(
    ("parts", "again"),
    [
        ({"field": "y: int = 0"}, ["dataclass", "class"]),
        ({"member": "BLUE = 2"}, ["enum"]),
        ({"attribute": "self.b = 1"}, ["object"]),
    ],
)
def test_what_is_of_a_class_with_other_fields_is_computed_again(
    tmp_path: Path, service: str, parts: dict[str, str], again: list[str]
) -> None:
    key = f"{again[0]}-{service}"
    run(tmp_path, key)
    found, computed, log = run(tmp_path, key, **parts)
    assert computed == again
    assert found["dataclass"] == "here"
    assert all(found.values())
    assert log.count("runs anew, since") == len(again)
    assert "of which this program has a version with other fields" in log
    assert run(tmp_path, key, **parts)[1] == []


def test_another_program_that_has_no_such_class_reads_the_result(tmp_path: Path, service: str) -> None:
    key = f"reader-{service}"
    run(tmp_path, key)
    with get_client() as client:
        flow_run = client.read_flow_runs(flow_names=[f"classes-{key}"], limit=1)[0]
        runs = {run.name: run for run in client.read_task_runs(flow_run_id=flow_run.id, limit=None)}
        ((point, named),) = runs["make-0"].state.result()
        ((pair, kept),) = runs["make-6"].state.result()
    assert (point.x, point.where(), type(point).__name__) == (1, "here", "Point")
    assert list(named.values()) == ["two"]
    assert (tuple(pair), tuple(kept)) == ((1, 2), (3,))


OTHER = """
from clearway import flow, task
@task(cache_key_fn=lambda context, parameters: "{key}-dataclass")
def make():
    return "computed"
@flow
def main():
    return make()
print(main())
"""


def test_a_program_without_the_class_computes_again(tmp_path: Path, service: str) -> None:
    key = f"without-{service}"
    run(tmp_path, key)
    script = tmp_path / "other.py"
    script.write_text(OTHER.format(key=key))
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "computed\n"
    assert "it is of the class __main__.Point, of which this program has none" in done.stderr


LOCAL = """
import collections
from clearway import flow, task

def made(kind):
    if kind == "library":
        return collections.namedtuple("Row", "x")(1)
    class Local:
        x = 1
    return Local()

@task(cache_key_fn=lambda context, parameters: "{key}-" + parameters["kind"])
def make(kind):
    print("computed", kind)
    return [made(kind)]

@flow
def main():
    print([make(kind)[0].x for kind in ("library", "local")])

main()
main()
"""


def test_a_class_that_no_program_has_a_name_for_is_made(tmp_path: Path, service: str) -> None:
    script = tmp_path / "local.py"
    script.write_text(LOCAL.format(key=f"local-{service}"))
    printed = [
        subprocess.run(
            [sys.executable, script], capture_output=True, text=True, check=True, timeout=60
        ).stdout
        for _ in range(2)
    ]
    # The first of them in any process; the second one is another class in each process.
    assert printed[0] == "computed library\ncomputed local\n[1, 1]\n[1, 1]\n"
    assert printed[1] == "computed local\n[1, 1]\n[1, 1]\n"
