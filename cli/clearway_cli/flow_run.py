"""``clearway flow-run``: list and inspect flow runs."""

import json

import typer
from google.protobuf.timestamp_pb2 import Timestamp
from rich.text import Text

from clearway.v1.flow_run_pb2 import FlowRun, FlowRunFilter
from clearway_cli import _documents, _output, _runs, _service, _states, _tables, _times
from clearway_cli._options import FlowNamesOption, LimitOption, RunIdArgument, StatesOption, TagsOption
from clearway_cli._output import Format, FormatOption
from clearway_cli._tables import Column

_COLUMNS = (
    Column("ID"),
    Column("NAME", fold_to=12),
    Column("FLOW", fold_to=12),
    Column("STATE", fold_to=9),
    Column("AGE", optional=True),
    Column("TIME", optional=True),
    Column("TAGS", fold_to=12, optional=True),
)

app = typer.Typer(
    help="List and inspect flow runs.", no_args_is_help=True, add_completion=False, rich_markup_mode=None
)


@app.command("ls")
def list_runs(
    *,
    flow_name: FlowNamesOption = None,
    state: StatesOption = None,
    tag: TagsOption = None,
    limit: LimitOption = 50,
    output: FormatOption = Format.TABLE,
) -> None:
    """List flow runs, newest first."""
    types, names = _states.pick(state or ())
    picked = FlowRunFilter(flow_names=flow_name, tags=tag, state_types=types, state_names=names)
    found = _service.list_flow_runs(picked, limit)
    if output is Format.JSON:
        _output.write_json([_documents.flow_run(run) for run in found.items])
        return
    if found.items:
        now = _times.now()
        _tables.show(_COLUMNS, [_row(run, now) for run in found.items])
    _runs.show_rest(found, "flow runs", state or ())


@app.command()
def inspect(run_id: RunIdArgument, output: FormatOption = Format.TABLE) -> None:
    """Show a flow run and its history of states."""
    run = _service.read_flow_run(run_id)
    states = _service.read_flow_run_states(run_id)
    if output is Format.JSON:
        _output.write_json(_documents.flow_run_history(run, states))
        return
    _tables.show_facts(_facts(run))
    _runs.show_history(states)
    _runs.show_error(run.state)
    _output.note(f"\nIts task runs: clearway task-run ls --flow-run {run.id}")


def _row(run: FlowRun, now: Timestamp) -> list[Text]:
    return [
        Text(run.id),
        _runs.text(run.name),
        _runs.text(run.flow_name),
        _runs.state_text(run.state),
        _runs.age_text(run, now),
        _runs.run_time_text(run, now),
        _runs.text(", ".join(run.tags)),
    ]


def _facts(run: FlowRun) -> list[tuple[str, Text]]:
    parameters = _documents.parameters(run)
    flow = f"{run.flow_name}, version {run.flow_version}" if run.flow_version else run.flow_name
    facts = [
        ("Flow run", _runs.text(run.name)),
        ("Id", Text(run.id)),
        ("Flow", _runs.text(flow)),
        ("State", _runs.state_text(run.state)),
        ("Tracked by", Text(run.parent_task_run_id)),
        ("Parameters", _runs.text(json.dumps(parameters, ensure_ascii=False)) if parameters else Text()),
        *_runs.common_facts(run, _times.now()),
    ]
    return [(name, value) for name, value in facts if value.plain]
