"""``clearway flow-run``: list and inspect flow runs."""

import json

import typer
from google.protobuf.timestamp_pb2 import Timestamp
from rich.text import Text

from clearway.v1.flow_run_pb2 import FlowRun, FlowRunFilter
from clearway_cli import _documents, _finding, _output, _runs, _service, _states, _tables, _times
from clearway_cli._options import FlowNamesOption, LimitOption, RunIdArgument, StatesOption, TagsOption
from clearway_cli._output import Format, FormatOption
from clearway_cli._tables import Column

_COLUMNS = (
    Column("ID", ids=True),
    Column("NAME", crop_to=16),
    Column("FLOW", crop_to=8),
    Column("STATE", crop_to=13),
    Column("AGE", optional=True),
    Column("TIME", optional=True),
    Column("TAGS", crop_to=8, optional=True),
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
    run = _service.read_flow_run(_finding.flow_run_id(run_id))
    states = _service.read_flow_run_states(run.spec.id)
    if output is Format.JSON:
        _output.write_json(_documents.flow_run_history(run, states))
        return
    _tables.show_facts(_facts(run))
    _runs.show_history(states)
    _runs.show_error(run.state)
    _output.note(f"\nIts task runs: clearway task-run ls --flow-run {run.spec.id}")


def _row(run: FlowRun, now: Timestamp) -> list[Text]:
    spec = run.spec
    return [
        Text(spec.id),
        _runs.text(spec.name),
        _runs.text(spec.flow_name),
        _runs.state_text(run.state),
        _runs.age_text(run, now),
        _runs.run_time_text(run, now),
        _runs.text(", ".join(spec.tags)),
    ]


def _facts(run: FlowRun) -> list[tuple[str, Text]]:
    spec = run.spec
    parameters = _documents.parameters(spec)
    flow = f"{spec.flow_name}, version {spec.flow_version}" if spec.flow_version else spec.flow_name
    facts = [
        ("Flow run", _runs.text(spec.name)),
        ("Id", Text(spec.id)),
        ("Flow", _runs.text(flow)),
        ("State", _runs.state_text(run.state)),
        ("Tracked by", Text(spec.parent_task_run_id)),
        ("Parameters", _runs.text(json.dumps(parameters, ensure_ascii=False)) if parameters else Text()),
        *_runs.common_facts(run, _times.now()),
    ]
    return [(name, value) for name, value in facts if value.plain]
