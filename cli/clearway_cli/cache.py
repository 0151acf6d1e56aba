"""``clearway cache``: inspect and clear the cache."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated

import typer
from google.protobuf.timestamp_pb2 import Timestamp
from rich.text import Text

from clearway.v1.cache_pb2 import CacheEntry, CacheFilter, TaskCacheStats
from clearway_cli import _asking, _cache_documents, _output, _runs, _service, _tables, _times
from clearway_cli._cache_gc import gc
from clearway_cli._options import (
    EntryTagsOption,
    ExpiredOption,
    KeyArgument,
    KeyOption,
    KeyPrefixOption,
    LimitOption,
    OlderThanOption,
    TaskOption,
)
from clearway_cli._output import Format, FormatOption
from clearway_cli._tables import Column

_ENTRIES = (
    Column("KEY", fold_to=20),
    Column("TASK", fold_to=12),
    Column("AGE"),
    Column("EXPIRES"),
    Column("HITS"),
    Column("LAST HIT", optional=True),
    Column("SIZE", optional=True),
    Column("TASK RUN", ids=True, optional=True),
)
_TASKS = (
    Column("TASK", fold_to=14),
    Column("ENTRIES"),
    Column("EXPIRED"),
    Column("HITS"),
    Column("SIZE"),
    Column("OLDEST", optional=True),
    Column("NEWEST", optional=True),
)
_KILO = 1024

app = typer.Typer(
    help="Inspect and clear the cache.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)

app.command("gc")(gc)


@app.command()
def get(key: KeyArgument, output: FormatOption = Format.TABLE) -> None:
    """Show the live entry of a key. Exits with 1 if there is none."""
    found = _service.lookup_cache(key)
    if found is None:
        _output.note(f"Error: the cache has no live entry for the key '{_output.name(key)}'.")
        raise typer.Exit(1)
    if output is Format.JSON:
        _output.write_json(_cache_documents.entry(found))
        return
    now = _service.read_now()
    _tables.show_facts(
        [
            ("Key", _runs.text(found.key)),
            ("Task", _runs.text(found.task_name)),
            ("Task run", Text(f"{found.task_run_id}  ").append_text(_runs.text(found.task_run_name))),
            ("Flow run", Text(found.flow_run_id)),
            ("Tags", _runs.text(", ".join(found.tags) or "-")),
            ("Created", Text(_times.moment(found.create_time, now))),
            (
                "Expires",
                Text(_times.moment(found.expire_time, now) if found.HasField("expire_time") else "never"),
            ),
            ("Hits", Text(str(found.hit_count))),
            (
                "Last hit",
                Text(_times.moment(found.last_hit_time, now) if found.HasField("last_hit_time") else "-"),
            ),
            ("Size", Text(size(found.size_bytes))),
        ]
    )


@app.command("ls")
def list_entries(
    *,
    key: KeyOption = None,
    prefix: KeyPrefixOption = None,
    task: TaskOption = None,
    tag: EntryTagsOption = None,
    older_than: OlderThanOption = None,
    expired: ExpiredOption = None,
    limit: LimitOption = 50,
    output: FormatOption = Format.TABLE,
) -> None:
    """List cache entries, newest first."""
    found = _service.list_cache_entries(_filter(key, prefix, task, tag, older_than, expired), limit)
    if output is Format.JSON:
        _output.write_json([_cache_documents.entry(each) for each in found.items])
        return
    if found.items:
        now = _service.read_now()
        _tables.show(_ENTRIES, [_row(each, now) for each in found.items])
    _runs.show_rest(found, "cache entries", ())


@app.command()
def invalidate(
    *,
    key: KeyOption = None,
    prefix: KeyPrefixOption = None,
    task: TaskOption = None,
    tag: EntryTagsOption = None,
    older_than: OlderThanOption = None,
    expired: ExpiredOption = None,
    everything: Annotated[bool, typer.Option("--all", help="Every entry.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count them.")] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask for confirmation; for scripts.")
    ] = False,
    output: FormatOption = Format.TABLE,
) -> None:
    """Remove cache entries, so that their keys are computed again.

    An entry is removed if it matches all given options. A key being computed now gets its entry when it
    completes.
    """
    picked = _filter(key, prefix, task, tag, older_than, expired)
    chosen = picked != CacheFilter()
    if chosen == everything:
        wrong = "not both --all and others" if chosen else "such as --prefix, or use --all"
        _output.note(f"Error: select entries with options, {wrong}.")
        raise typer.Exit(2)
    wanted = picked if chosen else None
    if dry_run or not (yes or _confirmed(wanted)):
        count = _service.invalidate_cache(wanted, dry_run=True)
    else:
        count = _service.invalidate_cache(wanted, dry_run=False)
    if output is Format.JSON:
        document: _cache_documents.InvalidatedDocument = {"count": count, "dry_run": dry_run}
        _output.write_json(document)
    else:
        _output.write(f"{'Would remove' if dry_run else 'Removed'} {_counted(count)}.\n")


@app.command()
def stats(output: FormatOption = Format.TABLE) -> None:
    """Show how much the cache holds and serves, by task."""
    found = _service.read_cache_stats()
    tasks = _service.list_task_cache_stats()
    if output is Format.JSON:
        _output.write_json(_cache_documents.summary(found, tasks))
        return
    total = found.total
    _tables.show_facts(
        [
            ("Entries", Text(str(total.entry_count))),
            ("Expired", Text(str(total.expired_count))),
            ("Hits", Text(str(total.hit_count))),
            ("Size", Text(size(total.size_bytes))),
            ("Computing", Text(str(found.computing_count))),
            ("Waiting", Text(str(found.waiting_count))),
        ]
    )
    if tasks:
        now = _service.read_now()
        _output.write("\n")
        _tables.show(_TASKS, [_task_row(each, now) for each in tasks])


def size(count: int) -> str:
    """Return a number of bytes for people: ``512 B``, ``1.5 KiB``, ``20.0 MiB``; ``-`` for none."""
    if not count:
        return "-"
    if count < _KILO:
        return f"{count} B"
    amount = float(count)
    for unit in ("KiB", "MiB", "GiB"):
        amount /= _KILO
        if amount < _KILO:
            return f"{amount:.1f} {unit}"
    return f"{amount / _KILO:.1f} TiB"


def _filter(
    key: str | None,
    prefix: str | None,
    task: str | None,
    tags: Sequence[str] | None,
    older_than: timedelta | None,
    expired: bool | None,
) -> CacheFilter:
    picked = CacheFilter(key=key or "", key_prefix=prefix or "", task=task or "", tags=tags, expired=expired)
    if older_than is not None:
        picked.older_than.FromTimedelta(older_than)
    return picked


def _confirmed(wanted: CacheFilter | None) -> bool:
    """Ask for confirmation to remove entries; return False without asking if there are none.

    Raises:
        typer.Exit: There is no terminal to ask on, or the answer is no.
    """
    if not _asking.can_ask():
        _output.note(
            "Error: removing cache entries needs a confirmation, and there is no terminal to ask on."
            " Use --yes to confirm, or --dry-run to count."
        )
        raise typer.Exit(2)
    count = _service.invalidate_cache(wanted, dry_run=True)
    if count and not _asking.confirmed(f"Remove {_counted(count)}?"):
        _output.note("Nothing was removed.")
        raise typer.Exit(1)
    return count > 0


def _counted(count: int) -> str:
    return "1 cache entry" if count == 1 else f"{count} cache entries"


def _row(entry: CacheEntry, now: Timestamp) -> list[Text]:
    return [
        _runs.text(entry.key),
        _runs.text(entry.task_name),
        Text(_times.age(entry.create_time, now)),
        _expiry(entry, now),
        Text(str(entry.hit_count)),
        Text(f"{_times.age(entry.last_hit_time, now)} ago" if entry.HasField("last_hit_time") else "-"),
        Text(size(entry.size_bytes)),
        Text(entry.task_run_id),
    ]


def _expiry(entry: CacheEntry, now: Timestamp) -> Text:
    if not entry.HasField("expire_time"):
        return Text("never")
    if _times.seconds_between(now, entry.expire_time) <= 0:
        return Text("expired", style="yellow")
    return Text(f"in {_times.age(now, entry.expire_time)}")


def _task_row(of: TaskCacheStats, now: Timestamp) -> list[Text]:
    stats = of.stats
    return [
        _runs.text(of.task_name),
        Text(str(stats.entry_count)),
        Text(str(stats.expired_count)),
        Text(str(stats.hit_count)),
        Text(size(stats.size_bytes)),
        Text(f"{_times.age(stats.oldest_create_time, now)} ago"),
        Text(f"{_times.age(stats.newest_create_time, now)} ago"),
    ]
