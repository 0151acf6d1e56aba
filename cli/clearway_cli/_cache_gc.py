"""``clearway cache gc``: delete orphaned results, to which only ended cache entries refer."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated

import typer
from rich.text import Text

from clearway.results import OrphanedResult, delete_orphaned_results
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
            help="Only results of runs that completed at least this long ago, such as 30m, 12h or 7d.",
        ),
    ] = timedelta(days=1),
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="List what would be deleted, and delete nothing.")
    ] = False,
    output: FormatOption = Format.TABLE,
) -> None:
    """Delete orphaned results, to which no live cache entry refers.

    They are the results of cached tasks whose entries expired, or were deleted or replaced. Results that a
    live entry, a more recent run, or a run without a cache key also refers to are left alone. So are results
    in the service's database.

    Only results in the storages that this command is configured with are deleted (CLEARWAY_RESULT_STORAGE,
    CLEARWAY_LOCAL_STORAGE_PATH, CLEARWAY_RESULT_EXTRA_STORAGES, and the service's own). Others are left alone
    and listed, which is not a failure. Unfinished files of killed writers in these storages are deleted after
    a day.

    Exits with 1 if something could not be deleted, or a storage could not be searched for such files.
    """
    found = list(delete_orphaned_results(older_than, dry_run=dry_run))
    results = [each for each in found if not each.is_storage]
    unsearched = [each for each in found if each.is_storage]
    failed = [result for result in results if result.problem]
    left_alone = [result for result in results if result.left_alone]
    if output is Format.JSON:
        _output.write_json([_document(result, dry_run=dry_run) for result in results])
    elif not results:
        _output.note("No results to delete.")
    else:
        _show(results, left_alone, dry_run=dry_run)
    for result in failed:
        problem = _output.name(result.problem)
        _output.note(f"Error: {_output.name(result.location)} could not be deleted: {problem}")
    for storage in unsearched:
        place, problem = _output.name(storage.location), _output.name(storage.problem)
        _output.note(f"Error: the storage {place} could not be searched for unfinished files: {problem}")
    if failed or unsearched:
        raise typer.Exit(_FAILED)


def _show(results: Sequence[OrphanedResult], left_alone: Sequence[OrphanedResult], *, dry_run: bool) -> None:
    deleted = [result for result in results if not (result.problem or result.left_alone)]
    if deleted or not left_alone:
        _tables.show(_COLUMNS, [_row(result) for result in deleted])
    verb = "Would delete" if dry_run else "Deleted"
    _output.write(f"{verb} {_counted(len(deleted))} of {_bytes(deleted)} bytes.\n")
    if left_alone:
        _output.write(f"\nLeft alone {_counted(len(left_alone))} of {_bytes(left_alone)} bytes:\n")
        for reason, of in _by_reason(left_alone).items():
            _output.write(f"\n{_output.name(reason)}\n")
            _tables.show(_COLUMNS, [_row(result) for result in of])


def _by_reason(left_alone: Sequence[OrphanedResult]) -> dict[str, list[OrphanedResult]]:
    found: dict[str, list[OrphanedResult]] = {}
    for result in left_alone:
        found.setdefault(result.left_alone, []).append(result)
    return found


def _bytes(results: Sequence[OrphanedResult]) -> str:
    return f"{sum(result.size for result in results):,}"


def _document(result: OrphanedResult, *, dry_run: bool) -> dict[str, object]:
    return {
        "location": result.location,
        "size": result.size,
        "cache_key": result.cache_key,
        "created": result.created.isoformat().replace("+00:00", "Z"),
        "deleted": not (dry_run or result.problem or result.left_alone),
        "problem": result.problem or None,
        "left_alone": result.left_alone or None,
    }


def _row(result: OrphanedResult) -> list[Text]:
    return [
        Text(f"{result.size:,}"),
        Text(result.created.isoformat(sep=" ", timespec="seconds")),
        Text(_output.name(result.location)),
        Text(_output.name(result.cache_key)),
    ]


def _counted(number: int) -> str:
    return "1 result" if number == 1 else f"{number:,} results"
