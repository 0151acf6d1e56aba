"""``clearway concurrency-limit``: create, read, list, reset and delete the limits of tags."""

from typing import Annotated

import typer
from rich.text import Text

from clearway.v1.concurrency_limit_pb2 import ConcurrencyLimit, ResetConcurrencyLimitResponse
from clearway_cli import _asking, _limit_documents, _output, _service, _slots, _tables, _times
from clearway_cli._options import TagArgument, TagOrIdArgument, whole_number
from clearway_cli._output import Format, FormatOption
from clearway_cli._tables import Column

_COLUMNS = (
    Column("TAG"),
    Column("USED"),
    Column("FULL"),
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


# So that -1 is reported as a negative limit, not as an unknown option.
@app.command(context_settings={"ignore_unknown_options": True})
def create(
    tag: TagArgument,
    limit: Annotated[
        int,
        typer.Argument(
            metavar="LIMIT",
            parser=whole_number(0, 1_000_000),
            show_default=False,
            help="How many may run at once, from 0 to 1,000,000; 0 aborts all.",
        ),
    ],
    output: FormatOption = Format.TABLE,
) -> None:
    """Set the limit of a tag, changing an existing one."""
    answer = _service.set_limit(tag, limit)
    previous = answer.previous_limit if answer.HasField("previous_limit") else None
    named = f"on tag '{_output.name(tag)}'"
    if output is Format.JSON:
        _output.write_json(_limit_documents.created_limit(answer.concurrency_limit, previous))
    elif previous is None:
        _output.write(f"Created concurrency limit {limit} {named}.\n")
    elif previous == limit:
        _output.write(f"Concurrency limit {limit} {named} is unchanged.\n")
    else:
        _output.write(f"Changed concurrency limit {named} from {previous} to {limit}.\n")


@app.command()
def read(limit: TagOrIdArgument, output: FormatOption = Format.TABLE) -> None:
    """Show the limit of a tag, with its holders and waiting runs."""
    found = _service.find_limit(limit)
    now = _service.read_now()
    if output is Format.JSON:
        _output.write_json(_limit_documents.limit_details(found, now))
        return
    used = found.taken_count
    _tables.show_facts(
        [
            ("Tag", Text(_output.name(found.tag))),
            ("Limit", Text(str(found.limit))),
            ("Used", Text(f"{used}  ").append_text(_slots.bar(used, found.limit))),
            ("Waiting", Text(str(found.waiting_count))),
            ("Created", Text(_times.moment(found.create_time, now))),
            ("Updated", Text(_times.moment(found.update_time, now))),
            ("Id", Text(found.id)),
        ]
    )
    _slots.show_holders("Holders of its slots", found.holders, now)
    _slots.show_waiters("Waiting for a slot", found.waiters, now)
    if found.waiting_count > len(found.waiters):
        _output.note(f"These are the first {len(found.waiters)} of the {found.waiting_count} that wait.")


app.command("inspect", help="The same as `read`.")(read)


@app.command("ls")
def list_limits(output: FormatOption = Format.TABLE) -> None:
    """List all limits, with their slots in use and waiting runs."""
    found = _service.list_limits()
    if output is Format.JSON:
        _output.write_json([_limit_documents.limit(each) for each in found])
    elif found:
        _tables.show(_COLUMNS, [_row(each) for each in found])
    else:
        _output.note("No concurrency limits. `clearway concurrency-limit create TAG LIMIT` sets one.")


@app.command()
def reset(
    tag: TagArgument,
    *,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask for confirmation; for scripts.")
    ] = False,
    output: FormatOption = Format.TABLE,
) -> None:
    """Free all slots of a tag by force.

    The task runs that hold them continue and are no longer counted, so for a while more runs than the limit
    may be Running.
    """
    answer = _service.reset_limit(tag) if yes or _confirmed(tag) else ResetConcurrencyLimitResponse()
    freed, count = answer.released, answer.released_count
    now = _service.read_now()
    if output is Format.JSON:
        _output.write_json(_limit_documents.reset_limit(tag, freed, now, count))
        return
    named = f"tag '{_output.name(tag)}'"
    if not freed:
        _output.write(f"Freed no slot of {named}: none was held.\n")
        return
    _output.write(f"Freed {_slots.counted(count)} of {named}.\n")
    _slots.show_holders("Former holders, which continue without being counted", freed, now)
    if count > len(freed):
        _output.note(f"These are the first {len(freed)} of {count} former holders.")


@app.command()
def delete(tag: TagArgument, output: FormatOption = Format.TABLE) -> None:
    """Delete the limit of a tag, so that its runs are unlimited."""
    _service.delete_limit(tag)
    if output is Format.JSON:
        _output.write_json(_limit_documents.deleted_limit(tag))
    else:
        _output.write(f"Deleted concurrency limit on tag '{_output.name(tag)}'.\n")


def _confirmed(tag: str) -> bool:
    """Ask for confirmation to free slots; return False without asking if none is held.

    Raises:
        typer.Exit: There is no terminal to ask on, or the answer is no.
    """
    named = f"tag '{_output.name(tag)}'"
    if not _asking.can_ask():
        _output.note(
            f"Error: freeing the slots of {named} by force needs a confirmation, and there is no"
            " terminal to ask on. Use --yes to confirm."
        )
        raise typer.Exit(2)
    found = _service.read_limit(tag)
    held = found.taken_count
    if not held:
        return False
    _output.note(
        f"Runs that hold a slot of {named} continue without being counted:"
        f" for a while more than {found.limit} may run."
    )
    if not _asking.confirmed(f"Free {_slots.counted(held)} by force?"):
        _output.note("Nothing was freed.")
        raise typer.Exit(1)
    return True


def _row(limit: ConcurrencyLimit) -> list[Text]:
    used = limit.taken_count
    return [
        Text(_output.name(limit.tag)),
        Text(f"{used}/{limit.limit}"),
        _slots.bar(used, limit.limit),
        Text(str(limit.waiting_count)),
        Text(f"{_times.age(limit.update_time, _times.now())} ago"),
        Text(limit.id),
    ]
