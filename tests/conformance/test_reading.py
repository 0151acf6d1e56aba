"""Invalid scenarios are rejected with their place and what would be valid."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from conformance.matching import MATCHERS
from conformance.reading import _KEYS, NEEDS, ScenarioError, parse, read, read_all

GET = {"call": "GetTaskRun", "request": {"id": "${id.run}"}}


def document(*steps: Any, **more: Any) -> Any:
    scenario = {"name": "A run is there", "why": "Others ask for it.", "steps": list(steps)}
    return {"about": "Runs.", "scenarios": [scenario | more]}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"scenarios": []}, "'about' is not there"),
        (document(GET, whi="?"), "'whi' is no key here; there are name, why, steps, needs"),
        (document(GET, name="a run is there."), "a name is a sentence"),
        (document(GET, why=""), "'why' is ''; it must say what would go wrong"),
        (document(GET, needs=["luck"]), "'needs' has 'luck'; there are clock, restart, wire"),
        (
            document(GET, needs=["clock"]),
            "'needs' must have 'clock' where the service's clock is moved",
        ),
        (document({"advance": "1s"}), "'needs' must have 'clock'"),
        (document({"restart": "server"}), "'needs' must have 'restart'"),
        (document({"advance": "1 minute"}, needs=["clock"]), "step 1: '1 minute' is no span of time"),
        (document({"dance": True}), "step 1: it must have one of call, await"),
        (document(GET | {"expcet": {}}), "step 1: 'expcet' is no key here"),
        (document({"call": "GetTask"}), "'GetTask' is no unary RPC; there are SetFlowRunState"),
        (document({"call": "Propose"}), "'Propose' is no unary RPC"),
        (
            document(GET | {"request": {"ident": 1}}),
            "request.ident is no field of clearway.v1.GetTaskRunRequest",
        ),
        (document(GET | {"expect": {"task_run": {}}}), "expect.task_run is no field of"),
        (
            document(GET | {"expect": {"taskRun": {"state": {"type": "RUNNING"}}}}),
            "one of STATE_TYPE_UNSPECIFIED",
        ),
        (
            document(GET | {"expect": {"taskRun": {"spec": {"tags": "a"}}}}),
            "expect.taskRun.spec.tags is 'a'; it must be a list",
        ),
        (
            document(GET | {"expect": {"taskRun": {"createTime": 5}}}),
            "it must be a text, as protobuf JSON writes it",
        ),
        (
            document(GET | {"expect": {"taskRun": {"spec": {"name": {"$like": "a"}}}}}),
            "a matcher is one of $any",
        ),
        (document(GET | {"expect": {"taskRun": {"spec": {"name": {"$contains": 5}}}}}), "it takes a str"),
        (document(GET | {"request": {"id": {"$any": True}}}), ""),
        (document(GET | {"error": {"reason": "ERROR_REASON_RUN_NOT_FOUND"}}), "'code' is not there"),
        (document(GET | {"error": {"code": "NOT_FOUND"}, "expect": {}}), "answers nothing to expect"),
        (document(GET | {"request": {"id": "${saved.run}"}}), "nothing before it saved run"),
        (
            document(GET | {"request": {"id": "${uuid}"}}),
            "${uuid} is no placeholder; it must be `${id.name}`",
        ),
        (document(GET | {"background": "later"}), "nothing awaits later"),
        (document({"await": "later"}), "no call in the background has the name 'later'"),
        (document({"stream": "alice"}), "no stream 'alice' was opened before"),
        (document({"open": "alice"}, {"stream": "alice", "decisions": [{"runId": "1"}]}), "the 'proposalId'"),
        (document({"open": "alice"}, {"stream": "alice", "pong": 1}), "'needs' must have 'wire'"),
    ],
)
def test_a_wrong_scenario_is_refused(wrong: Any, said: str) -> None:
    with pytest.raises(ScenarioError) as raised:
        parse(wrong, "file.json")
    assert "file.json" in str(raised.value)
    assert said in str(raised.value)


def test_a_file_that_is_no_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(ScenarioError, match=r"broken\.json: it is no JSON"):
        read(tmp_path / "broken.json")


def test_two_scenarios_of_one_name_are_refused(tmp_path: Path) -> None:
    text = '{"about": "Runs.", "scenarios": [{"name": "A run", "why": "Because.", "steps": []}]}'
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text(text)
    with pytest.raises(ScenarioError, match=r"b\.json: 'A run' is the name of a scenario of a\.json too"):
        read_all(tmp_path)


def test_the_document_names_every_step_matcher_and_need() -> None:
    document = (Path(__file__).parents[2] / "docs" / "conformance.md").read_text(encoding="utf-8")
    for name in (*_KEYS, *MATCHERS):
        assert f'`{{"{name}": ' in document
    for keys in _KEYS.values():
        for key in keys:
            assert f"`{key}`" in document
    for need, what in NEEDS.items():
        assert f"| `{need}` | {what} |" in document
