"""Python, Go and TypeScript at once, under one limit; one worker is killed in the middle."""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from clearway.v1.flow_run_pb2 import ListFlowRunsRequest
from clearway.v1.task_run_pb2 import TaskRun
from integration.cli_process import started as started_process
from polyglot import golang, typescript
from polyglot.histories import holders, most_running, runs
from support.client import Client
from support.limits import get_limit, set_limit
from support.proposals import COMPLETED, RUNNING, move
from support.server import Server
from support.waiting import wait_until

SLOTS = 3
TASKS = 500
PYTHON, GO, TYPESCRIPT, DOOMED = 150, 150, 150, 50
MILLISECONDS = "10"
SECONDS = 200


@pytest.mark.timeout(400)
def test_one_limit_holds_over_three_languages_and_a_killed_worker(tmp_path: Path) -> None:
    assert PYTHON + GO + TYPESCRIPT + DOOMED == TASKS
    golang.build()
    typescript.build()
    (tmp_path / "text.txt").write_text("text")
    go = (
        "--repeat",
        str(GO),
        "--pause",
        f"{MILLISECONDS}ms",
        "--flow",
        "from-go",
        str(tmp_path / "text.txt"),
    )
    script = str(Path(__file__).with_name("python_worker.py"))
    environment = {"CLEARWAY_BROKEN_STREAM_GRACE_SECONDS": "0.5"}
    with ExitStack() as stack:
        server = stack.enter_context(Server(tmp_path / "mixed.db", environment=environment))
        client = stack.enter_context(Client(server.address))
        tag = set_limit(client, SLOTS)

        def node(flow: str, tasks: int) -> tuple[str, ...]:
            sizes = ("--tasks", str(tasks), "--milliseconds", MILLISECONDS)
            return ("worker", "--address", server.address, "--tag", tag, "--flow", flow, *sizes)

        python = (sys.executable, script, tag, str(PYTHON), MILLISECONDS)
        workers = [
            stack.enter_context(started_process(*python, CLEARWAY_ADDRESS=server.address)),
            stack.enter_context(golang.started("worker", "--address", server.address, "--tag", tag, *go)),
            stack.enter_context(typescript.started(*node("from-typescript", TYPESCRIPT))),
        ]
        doomed = stack.enter_context(typescript.started(*node("doomed", DOOMED)))
        by_flow = flows(client)
        # In the middle: it has ended runs, and has others that wait for their turn.
        wait_until(lambda: ended(client, tag, by_flow().get("doomed", "")) >= 5, "the middle", SECONDS)
        doomed.kill()
        for worker in workers:
            _, err = worker.communicate(timeout=SECONDS)
            assert worker.returncode == 0, err

        wait_until(lambda: not holders(client, tag), "the end of the killed worker's runs")
        assert get_limit(client, tag).waiting_count == 0
        take_over(client, [run for run in runs(client, tag) if run.state.name == "Pending"])

        assert most_running(client, tag) == SLOTS
        last: dict[str, Counter[str]] = defaultdict(Counter)
        of_flow = {id_: name for name, id_ in by_flow().items()}
        for run in runs(client, tag):
            last[of_flow[run.spec.flow_run_id]][run.state.name] += 1
        assert last["from-python"] == {"Completed": PYTHON}
        assert last["from-go"] == {"Completed": GO}
        assert last["from-typescript"] == {"Completed": TYPESCRIPT}
        # What ran when it was killed is Crashed.
        assert set(last["doomed"]) <= {"Completed", "Crashed"}
        assert last["doomed"].total() == DOOMED
        assert last["doomed"]["Crashed"] <= SLOTS


def take_over(client: Client, waiting: list[TaskRun]) -> None:
    """Run what the killed worker had waiting, and which has never begun."""
    assert waiting
    stream = client.open("successor")
    for run in waiting:
        assert stream.decide(move(run.spec.id, RUNNING)).HasField("accept")
        assert stream.decide(move(run.spec.id, COMPLETED)).HasField("accept")
    stream.say_goodbye()


def flows(client: Client) -> Callable[[], dict[str, str]]:
    """Return what asks for the ids of flow runs, by their flows' names."""
    return lambda: {
        each.spec.flow_name: each.spec.id
        for each in client.stub.ListFlowRuns(ListFlowRunsRequest()).flow_runs
    }


def ended(client: Client, tag: str, flow: str) -> int:
    """Return how many runs of a flow run have ended."""
    return sum(each.spec.flow_run_id == flow and each.state.name == "Completed" for each in runs(client, tag))
