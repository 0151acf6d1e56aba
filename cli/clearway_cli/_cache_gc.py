"""``clearway cache gc``: delete results that only ended cache entries spoke of."""

from datetime import timedelta
from typing import Annotated

import typer
from rich.text import Text

from clearway.results import UnusedResult, delete_unused_results
from clearway_cli import _output, _tables
from clearway_cli._options import age
from clearway_cli._output import Format, FormatOption
from clearway_cli._tables import Column

_COLUMNS = (Column("BYTES"), Column("CREATED"), Column("LOCATION"), Column("CACHE KEY", optional=True))
_FAILED = 1


def gc(
    *,
    older_than: Annotated[
        timedelta,
        typer.Option(
            "--older-than",
            metavar="AGE",
            parser=age,
            show_default="1d",
            help="Only results of runs that completed so long ago, such as 30m, 12h or 7d.",
        ),
    ] = timedelta(days=1),
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Say what would be deleted, and delete nothing.")
    ] = False,
    output: FormatOption = Format.TABLE,
) -> None:
    """Delete the results of cached tasks whose entries were deleted, replaced or have expired.

    What a live entry, a younger run, or a run without a cache key speaks of as well is left alone. Results
    that are kept in the service's database are not touched.
    """
    results = list(delete_unused_results(older_than, dry_run=dry_run))
    kept = [result for result in results if result.problem]
    if output is Format.JSON:
        _output.write_json([_document(result, dry_run=dry_run) for result in results])
    elif not results:
        _output.note("No result to delete.")
    else:
        _tables.show(_COLUMNS, [_row(result) for result in results if not result.problem])
        size = sum(result.size for result in results if not result.problem)
        verb = "Would delete" if dry_run else "Deleted"
        _output.write(f"{verb} {_counted(len(results) - len(kept))} of {size:,} bytes.\n")
    for result in kept:
        problem = _output.name(result.problem)
        _output.note(f"Error: {_output.name(result.location)} could not be deleted: {problem}")
    if kept:
        raise typer.Exit(_FAILED)


def _document(result: UnusedResult, *, dry_run: bool) -> dict[str, object]:
    return {
        "location": result.location,
        "size": result.size,
        "cache_key": result.cache_key,
        "created": result.created.isoformat().replace("+00:00", "Z"),
        "deleted": not dry_run and not result.problem,
        "problem": result.problem or None,
    }


def _row(result: UnusedResult) -> list[Text]:
    return [
        Text(f"{result.size:,}"),
        Text(result.created.isoformat(sep=" ", timespec="seconds")),
        Text(_output.name(result.location)),
        Text(_output.name(result.cache_key)),
    ]


def _counted(number: int) -> str:
    return "1 result" if number == 1 else f"{number:,} results"
