"""``clearway task-run``: list, inspect and explain task runs."""

import typer
from google.protobuf.timestamp_pb2 import Timestamp
from rich.text import Text

from clearway.v1.task_run_pb2 import TaskRun, TaskRunFilter
from clearway_cli import (
    _documents,
    _explanation,
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
)
from clearway_cli._output import Format, FormatOption
from clearway_cli._tables import Column

_COLUMNS = (
    Column("ID"),
    Column("NAME", fold_to=14),
    Column("STATE", fold_to=9),
    Column("AGE", optional=True),
    Column("TIME", optional=True),
    Column("TAGS", fold_to=12, optional=True),
    Column("FLOW RUN", optional=True),
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
    state: StatesOption = None,
    tag: TagsOption = None,
    name: NameOption = None,
    limit: LimitOption = 50,
    output: FormatOption = Format.TABLE,
) -> None:
    """List task runs, newest first."""
    types, names = _states.pick(state or ())
    picked = TaskRunFilter(
        flow_run_id=flow_run or "", name_contains=name or "", tags=tag, state_types=types, state_names=names
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
    run = _service.read_task_run(run_id)
    states = _service.read_task_run_states(run_id)
    if output is Format.JSON:
        _output.write_json(_documents.task_run_history(run, states))
        return
    _tables.show_facts(_facts(run))
    _runs.show_history(states)
    _runs.show_error(run.state)


@app.command()
def explain(run_id: RunIdArgument, output: FormatOption = Format.TABLE) -> None:
    """Explain why a task run is in its state: what it waits for, and which runs hold it."""
    answer = _service.explain_task_run(run_id)
    now = _service.read_now()
    if output is Format.JSON:
        _output.write_json(_limit_documents.explanation(answer, now))
    else:
        _explanation.show(answer, now)


def _row(run: TaskRun, now: Timestamp) -> list[Text]:
    return [
        Text(run.id),
        _runs.text(run.name),
        _runs.state_text(run.state),
        _runs.age_text(run, now),
        _runs.run_time_text(run, now),
        _runs.text(", ".join(run.tags)),
        Text(run.flow_run_id),
    ]


def _facts(run: TaskRun) -> list[tuple[str, Text]]:
    task = f"{run.task_key}, version {run.task_version}" if run.task_version else run.task_key
    given = "\n".join(
        f"{_output.name(each.parameter)}: {', '.join(each.task_run_ids)}" for each in run.inputs
    )
    facts = [
        ("Task run", _runs.text(run.name)),
        ("Id", Text(run.id)),
        ("Flow run", Text(run.flow_run_id)),
        ("Task key", _runs.text(task)),
        ("Dynamic key", _runs.text(run.dynamic_key)),
        ("State", _runs.state_text(run.state)),
        ("Subflow run", Text(run.state.details.child_flow_run_id)),
        ("Inputs", Text(given)),
        *_runs.common_facts(run, _times.now()),
    ]
    return [(name, value) for name, value in facts if value.plain]
