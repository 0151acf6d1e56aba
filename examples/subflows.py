"""Subflows: a report on several folders, made of one report for each.

A subflow has its own flow run with its own task runs; in its parent, a task run represents it. Here one of
the subflows fails. The parent asks for states instead of results, so it can decide what the failure means.
"""

from __future__ import annotations

import sysconfig
from collections import Counter
from pathlib import Path

from clearway import flow, get_client, get_run_logger, tags, task


@task
def count_bytes(folder: str) -> int:
    """Return the size of all files in a folder."""
    if not Path(folder).is_dir():
        raise NotADirectoryError(f"{folder} is not a folder")
    return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())


@task
def count_kinds(folder: str) -> dict[str, int]:
    """Return how many files of each kind are in a folder."""
    return Counter(path.suffix or "no suffix" for path in Path(folder).rglob("*") if path.is_file())


@flow(name="report on a folder")
def report(folder: str) -> str:
    """Return one line about a folder."""
    size, kinds = count_bytes.submit(folder), count_kinds.submit(folder)
    counted = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.result().items()))
    return f"{Path(folder).name}: {size.result() / 2**20:.1f} MiB in {counted}"


@flow(name="report on folders")
def report_all(folders: list[str]) -> list[str]:
    """Return a line about each folder that exists."""
    with tags("report"):
        states = [report(folder, return_state=True) for folder in folders]
    lines = [state.result() for state in states if state.is_completed()]
    get_run_logger().info("%d of %d folders were reported", len(lines), len(folders))
    return lines


def main() -> None:
    """Run the flow, and print its task runs."""
    library = sysconfig.get_path("stdlib")
    print(*report_all([f"{library}/json", f"{library}/email", f"{library}/no-such-folder"]), sep="\n")
    with get_client() as client:
        (parent,) = client.read_flow_runs(flow_names=["report on folders"], limit=1)
        print(f"{parent.flow_name}: {parent.state.name}")
        for run in reversed(client.read_task_runs(flow_run_id=parent.id)):
            print(f"  {run.name}: {run.state.name}, with the tag {run.tags[0]!r}")


if __name__ == "__main__":
    main()
