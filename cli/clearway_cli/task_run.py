"""``clearway task-run``: list, inspect and explain task runs."""

import typer
from google.protobuf.timestamp_pb2 import Timestamp
from rich.text import Text

from clearway.v1.task_run_pb2 import TaskRun, TaskRunFilter
from clearway_cli import (
    _documents,
    _explanation_view,
    _finding,
    _limit_documents,
    _output,
    _runs,
    _service,
    _states,
    _tables,
    _times,
)
from clearway_cli._options import (
    FlowRunOption,
    LimitOption,
    NameOption,
    RunIdArgument,
    StatesOption,
    TagsOption,
    TaskNamesOption,
)
from clearway_cli._output import Format, FormatOption
from clearway_cli._tables import Column

_COLUMNS = (
    Column("ID", ids=True),
    Column("NAME", crop_to=16),
    Column("STATE", crop_to=13),
    Column("AGE", optional=True),
    Column("TIME", optional=True),
    Column("TAGS", crop_to=8, optional=True),
    Column("FLOW RUN", ids=True, optional=True),
)

app = typer.Typer(
    help="List, inspect and explain task runs.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)


@app.command("ls")
def list_runs(
    *,
    flow_run: FlowRunOption = None,
    task: TaskNamesOption = None,
    state: StatesOption = None,
    tag: TagsOption = None,
    name: NameOption = None,
    limit: LimitOption = 50,
    output: FormatOption = Format.TABLE,
) -> None:
    """List task runs, newest first."""
    types, names = _states.pick(state or ())
    flow_run = _finding.flow_run_id(flow_run) if flow_run else ""
    picked = TaskRunFilter(
        flow_run_id=flow_run,
        task_names=task,
        name_contains=name or "",
        tags=tag,
        state_types=types,
        state_names=names,
    )
    found = _service.list_task_runs(picked, limit)
    if flow_run and not found.items:
        _service.read_flow_run(flow_run)  # an unknown flow run is an error, one without task runs is not
    if output is Format.JSON:
        _output.write_json([_documents.task_run(run) for run in found.items])
        return
    if found.items:
        now = _times.now()
        columns = _COLUMNS[:-1] if flow_run else _COLUMNS
        _tables.show(columns, [_row(run, now)[: len(columns)] for run in found.items])
    _runs.show_rest(found, "task runs", state or ())


@app.command()
def inspect(run_id: RunIdArgument, output: FormatOption = Format.TABLE) -> None:
    """Show a task run and its history of states."""
    run = _service.read_task_run(_finding.task_run_id(run_id))
    states = _service.read_task_run_states(run.spec.id)
    if output is Format.JSON:
        _output.write_json(_documents.task_run_history(run, states))
        return
    _tables.show_facts(_facts(run))
    _runs.show_history(states)
    _runs.show_error(run.state)


@app.command()
def explain(run_id: RunIdArgument, output: FormatOption = Format.TABLE) -> None:
    """Explain why a task run is in its state: what it waits for, and which runs hold it."""
    answer = _service.explain_task_run(_finding.task_run_id(run_id))
    now = _service.read_now()
    if output is Format.JSON:
        _output.write_json(_limit_documents.explanation(answer, now))
    else:
        _explanation_view.show(answer, now)


def _row(run: TaskRun, now: Timestamp) -> list[Text]:
    spec = run.spec
    return [
        Text(spec.id),
        _runs.text(spec.name),
        _runs.state_text(run.state),
        _runs.age_text(run, now),
        _runs.run_time_text(run, now),
        _runs.text(", ".join(spec.tags)),
        Text(spec.flow_run_id),
    ]


def _facts(run: TaskRun) -> list[tuple[str, Text]]:
    spec = run.spec
    key = f"{spec.task_key}, version {spec.task_version}" if spec.task_version else spec.task_key
    given = "\n".join(
        f"{_output.name(each.parameter)}: {', '.join(each.task_run_ids)}" for each in spec.inputs
    )
    facts = [
        ("Task run", _runs.text(spec.name)),
        ("Id", Text(spec.id)),
        ("Flow run", Text(spec.flow_run_id)),
        ("Task", _runs.text(spec.task_name)),
        ("Task key", _runs.text(key)),
        ("Dynamic key", _runs.text(spec.dynamic_key)),
        ("State", _runs.state_text(run.state)),
        ("Subflow run", Text(run.state.details.child_flow_run_id)),
        ("Inputs", Text(given)),
        *_runs.common_facts(run, _times.now()),
    ]
    return [(name, value) for name, value in facts if value.plain]
