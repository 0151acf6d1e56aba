"""Rendering a snapshot as lines for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from clearway._base.spans import span
from clearway._base.texts import plain

if TYPE_CHECKING:
    from rich.text import Text

    from clearway._display.snapshot import Snapshot

_NAMES: Final = 4
_REASONS: Final = 4
_FRAMES: Final = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_PLAIN_FRAMES: Final = "|/-\\"
_LEAST_SHOWN: Final = 0.95


def progress_lines(snapshot: Snapshot, frame: int, *, unicode: bool = True) -> list[Text]:
    """Return the lines that show a snapshot, five at most.

    Args:
        snapshot: What to show.
        frame: The number of this drawing, for the spinner.
        unicode: Whether the terminal shows more than ASCII.
    """
    from rich.text import Text  # noqa: PLC0415 - loaded with the first drawing

    frames = _FRAMES if unicode else _PLAIN_FRAMES
    head = Text(frames[frame % len(frames)] + " ", style="cyan")
    head.append(plain(snapshot.title), style="bold").append(f"  {span(snapshot.seconds)}")
    gap = "  "
    for count, what, style in _facts(snapshot):
        head.append(gap).append(f"{count:,} {what}", style=style)
        gap = " · " if unicode else ", "
    lines = [head]
    if snapshot.server:
        lines.append(_line("server", [plain(snapshot.server)], 1))
    if snapshot.running:
        shown = [f"{plain(name)} {_passed(seconds)}" for name, seconds in snapshot.running[:_NAMES]]
        lines.append(_line("running", shown, len(snapshot.running)))
    if snapshot.waiting:
        reasons = snapshot.waiting.most_common()
        shown = [f"{count:,} {plain(why)}" for why, count in reasons[:_REASONS]]
        lines.append(_line("waiting", shown, len(reasons)))
    if snapshot.retrying:
        shown = [f"{plain(name)} in {span(seconds)}" for name, seconds in snapshot.retrying[:_NAMES]]
        lines.append(_line("retry", shown, len(snapshot.retrying)))
    return lines


def last_line(name: str, how: str) -> str:
    """Return the line that stays on the terminal when a flow run has ended.

    Args:
        name: The flow run's name.
        how: How it ended, such as ``ended as Completed in 0.1 s``.
    """
    return f"Flow run {name!r} {plain(how)}"


def _facts(snapshot: Snapshot) -> list[tuple[int, str, str]]:
    ended = snapshot.ended
    facts = [
        (len(snapshot.running), "running", "cyan"),
        (snapshot.waiting.total(), "waiting", "yellow"),
        (len(snapshot.retrying), "to retry", "yellow"),
        (ended.completed, "done", "green"),
        (ended.cached, "cached", "green"),
        (ended.retries, "retried", "yellow"),
        (ended.failed, "failed", "red"),
    ]
    return [fact for fact in facts if fact[0]]


def _passed(seconds: float) -> str:
    return span(seconds) if seconds >= _LEAST_SHOWN else ""


def _line(title: str, shown: list[str], total: int) -> Text:
    from rich.text import Text  # noqa: PLC0415 - as above

    more = f" and {total - len(shown):,} more" if total > len(shown) else ""
    line = Text(f"  {title:<8} ", style="dim")
    return line.append(", ".join(item.strip() for item in shown) + more, style="default")
