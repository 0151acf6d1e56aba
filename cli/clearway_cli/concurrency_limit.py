"""``clearway concurrency-limit``: create, read, list and delete the limits of tags."""

from typing import Annotated

import typer
from rich.text import Text

from clearway.v1.concurrency_limit_pb2 import ConcurrencyLimit
from clearway_cli import _documents, _output, _service, _tables, _times
from clearway_cli._options import TagArgument, whole_number
from clearway_cli._output import Format, FormatOption
from clearway_cli._tables import Column

_COLUMNS = (
    Column("TAG"),
    Column("LIMIT"),
    Column("USED"),
    Column("WAITING"),
    Column("UPDATED"),
    Column("ID", optional=True),
)

app = typer.Typer(
    help="Limit how many task runs with a tag run at once.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)


# A negative limit is to be told that it is negative, not that there is no option `-1`.
@app.command(context_settings={"ignore_unknown_options": True})
def create(
    tag: TagArgument,
    limit: Annotated[
        int,
        typer.Argument(
            metavar="LIMIT",
            parser=whole_number(0, 1_000_000),
            show_default=False,
            help="How many may run at once, from 0 to 1,000,000; 0 lets none run.",
        ),
    ],
    output: FormatOption = Format.TABLE,
) -> None:
    """Set the limit of a tag; a limit that is there already is changed."""
    answer = _service.create_limit(tag, limit)
    previous = answer.previous_limit if answer.HasField("previous_limit") else None
    named = f"on tag '{_output.plain(tag)}'"
    if output is Format.JSON:
        _output.write_json(_documents.created_limit(answer.concurrency_limit, previous))
    elif previous is None:
        _output.write(f"Created concurrency limit {limit} {named}.\n")
    elif previous == limit:
        _output.write(f"Kept concurrency limit {limit} {named}.\n")
    else:
        _output.write(f"Changed concurrency limit {named} from {previous} to {limit}.\n")


@app.command()
def read(tag: TagArgument, output: FormatOption = Format.TABLE) -> None:
    """Show the limit of a tag, and the task runs that hold its slots."""
    found = _service.read_limit(tag)
    if output is Format.JSON:
        _output.write_json(_documents.limit(found))
        return
    now = _times.now()
    slots = Text("\n".join(found.active_slots) or "none")
    _tables.show_facts(
        [
            ("Tag", Text(_output.plain(found.tag))),
            ("Limit", Text(str(found.limit))),
            ("Used", Text(str(len(found.active_slots)))),
            ("Waiting", Text(str(found.waiting))),
            ("Created", Text(_times.moment(found.created, now))),
            ("Updated", Text(_times.moment(found.updated, now))),
            ("Id", Text(found.id)),
            ("Active slots", slots),
        ]
    )


app.command("inspect", help="The same as `read`.")(read)


@app.command("ls")
def list_limits(output: FormatOption = Format.TABLE) -> None:
    """List all limits, sorted by tag."""
    found = _service.list_limits()
    if output is Format.JSON:
        _output.write_json([_documents.limit(each) for each in found])
    elif found:
        _tables.show(_COLUMNS, [_row(each) for each in found])
    else:
        _output.note("No concurrency limits. `clearway concurrency-limit create TAG LIMIT` sets one.")


@app.command()
def delete(tag: TagArgument, output: FormatOption = Format.TABLE) -> None:
    """Delete the limit of a tag: as many of its task runs as want to may run at once."""
    _service.delete_limit(tag)
    if output is Format.JSON:
        _output.write_json(_documents.deleted_limit(tag))
    else:
        _output.write(f"Deleted concurrency limit on tag '{_output.plain(tag)}'.\n")


def _row(limit: ConcurrencyLimit) -> list[Text]:
    used = len(limit.active_slots)
    return [
        Text(_output.plain(limit.tag)),
        Text(str(limit.limit)),
        Text(str(used), style="yellow" if used >= limit.limit else ""),
        Text(str(limit.waiting)),
        Text(f"{_times.age(limit.updated, _times.now())} ago"),
        Text(limit.id),
    ]
