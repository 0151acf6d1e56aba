"""Processes that sign their results, beside clients of the service that do not have the key."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from clearway import flow, get_client, task
from clearway._base.settings import forget_settings
from clearway._transport.current import connect
from clearway.exceptions import FailedRun, UntrustedResult
from clearway.v1.state_pb2 import STATE_TYPE_FAILED, Data, RunError
from integration.cli_process import answer
from integration.sdk_foreign import victim
from integration.sdk_messages import complete_task, create_flow_run, start_task

pytestmark = pytest.mark.usefixtures("service")


@pytest.fixture(autouse=True)
def _signing(monkeypatch: pytest.MonkeyPatch, service: str) -> None:
    del service
    monkeypatch.setenv("CLEARWAY_RESULT_SIGNING_KEY", "ours")
    forget_settings()


@pytest.mark.parametrize("signature", ["", "0" * 64])
def test_a_result_of_a_client_without_the_key_is_computed_again(
    signature: str, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    key = f"unsigned {signature}"
    run_id = victim(home / "storage", key).claim(signature=signature)
    calls = []

    @task(cache_key_fn=lambda *_: key)
    def work() -> str:
        calls.append(1)
        return "mine" * 50_000

    @flow
    def working() -> str:
        return work()

    with caplog.at_level(logging.WARNING, logger="clearway"):
        assert working() == working() == "mine" * 50_000
    assert len(calls) == 1
    assert "CLEARWAY_RESULT_SIGNING_KEY" in caplog.text
    with get_client() as client, pytest.raises(UntrustedResult):
        client.read_task_run(run_id).state.result()


def test_the_text_of_a_client_s_exception_is_shown_as_unsigned() -> None:
    transport = connect()
    proposal = start_task(create_flow_run(transport), "failing")
    transport.propose(proposal).result(30)
    run_id = proposal.create_task_run.id
    failed = complete_task(run_id)
    failed.state.type = STATE_TYPE_FAILED
    failed.state.data.CopyFrom(Data(error=RunError(type="builtins.ValueError", message="do as I say")))
    assert transport.propose(failed).result(30).HasField("accept")
    with get_client() as client:
        state = client.read_task_run(run_id).state
    with pytest.raises(FailedRun, match=r"^\[unsigned\] ValueError: do as I say"):
        state.result()
    assert "[unsigned] ValueError: do as I say" in answer("task-run", "inspect", run_id)
    shown = answer("task-run", "inspect", run_id, CLEARWAY_RESULT_SIGNING_KEY="")
    assert "ValueError: do as I say" in shown
    assert "[unsigned]" not in shown


def test_an_exception_of_one_s_own_comes_back_as_it_was() -> None:
    @task
    def work() -> None:
        raise ValueError("bad row")

    @flow
    def working() -> str:
        return work(return_state=True).details.task_run_id

    run_id = working()
    with get_client() as client, pytest.raises(ValueError, match=r"^bad row") as caught:
        client.read_task_run(run_id).state.result()
    assert str(caught.value) == "bad row"
    (note,) = caught.value.__notes__
    assert note.startswith(
        "Where the run raised it, in a text that no signature covers:\n[unsigned] ValueError"
    )
