"""Verify that the installed Python packages are what was published.

Every Python distribution has a RECORD, which lists its files with a hash of each. This flow maps a task over
all distributions of an environment and compares each file with its hash:

- A distribution with an unreadable file is retried (``retries``).
- At most four distributions are read at once, in all threads and processes together: the limit on the tag
  ``disk``. ``clearway concurrency-limit create disk 8`` changes it for this and later runs.
- A distribution that was verified and has not changed since is ``Cached``. Its cache key is made of its name,
  its version and a fingerprint: the RECORD, and the size and times of every file in it. So a modified file is
  detected in later runs too, not only in the first.

It cannot detect a RECORD that was rewritten together with its files.

Exit code: 0 if every file matches, 1 if any differs, is missing or cannot be read.
"""

from __future__ import annotations

import argparse
import base64
import csv
import hashlib
import os
import shutil
import sys
import sysconfig
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from clearway import TaskFuture, flow, get_client, task
from clearway.exceptions import LimitNotFound

DISK = "disk"
DISK_READERS = 4
ALGORITHMS = ("sha256", "sha384", "sha512")


@dataclass(frozen=True)
class Distribution:
    """An installed distribution: where its files are, and a fingerprint that changes when they do."""

    name: str
    version: str
    site: str
    record: str
    fingerprint: str

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


class Findings(TypedDict):
    """The findings for one distribution; plain values, so that the result is stored as JSON."""

    files: int
    bytes: int
    without_hash: int
    mismatches: list[str]
    missing: list[str]


@dataclass
class Report:
    """The findings for all distributions."""

    distributions: int = 0
    without_record: int = 0
    files: int = 0
    bytes: int = 0
    without_hash: int = 0
    cached: int = 0
    retried: int = 0
    mismatches: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)

    def add(self, distribution: Distribution, findings: Findings) -> None:
        """Add the findings for one distribution."""
        self.files += findings["files"]
        self.bytes += findings["bytes"]
        self.without_hash += findings["without_hash"]
        self.mismatches += [f"{distribution}: {path}" for path in findings["mismatches"]]
        self.missing += [f"{distribution}: {path}" for path in findings["missing"]]

    @property
    def is_clean(self) -> bool:
        """Whether every recorded file exists and matches its hash."""
        return not (self.mismatches or self.missing or self.unreadable)


def key_of_contents(_context: Any, parameters: dict[str, Any]) -> str:
    """Return the cache key of a distribution, which changes when any of its files does."""
    distribution: Distribution = parameters["distribution"]
    return f"verify-packages/{distribution.name}=={distribution.version}/{distribution.fingerprint}"


@task(tags=[DISK], retries=2, retry_delay_seconds=0.5, cache_key_fn=key_of_contents)
def verify_distribution(distribution: Distribution) -> Findings:
    """Compare the files of a distribution with the hashes in its RECORD."""
    findings = Findings(files=0, bytes=0, without_hash=0, mismatches=[], missing=[])
    for path, recorded in recorded_files(Path(distribution.record).read_bytes()):
        findings["files"] += 1
        algorithm, _, expected = recorded.partition("=")
        if algorithm not in ALGORITHMS:
            findings["without_hash"] += 1  # for example bytecode, and the RECORD itself
            continue
        try:
            with Path(distribution.site, path).open("rb") as file:
                actual = hashlib.file_digest(file, algorithm).digest()
                findings["bytes"] += file.tell()
        except (FileNotFoundError, NotADirectoryError):
            findings["missing"].append(path)
            continue
        if base64.urlsafe_b64encode(actual).rstrip(b"=").decode() != expected:
            findings["mismatches"].append(path)
    return findings


def recorded_files(record: bytes) -> Iterator[tuple[str, str]]:
    """Yield the path and hash (``sha256=...``, or empty if there is none) of each file in a RECORD."""
    for row in csv.reader(os.fsdecode(record).splitlines()):
        if row:
            yield row[0], row[1] if len(row) > 1 else ""


def find_distributions(sites: list[str]) -> tuple[list[Distribution], int]:
    """Return the distributions that have a RECORD, and the number of those without one."""
    found: list[Distribution] = []
    without_record = 0
    for site in sites:
        for info in sorted(Path(site).glob("*.dist-info")):
            record = info / "RECORD"
            if not record.is_file():
                without_record += 1
                continue
            name, _, version = info.name.removesuffix(".dist-info").partition("-")
            found.append(Distribution(name, version, site, str(record), fingerprint(site, record)))
    return found, without_record


def fingerprint(site: str, record: Path) -> str:
    """Return a hash that changes with any file of a distribution, reading only its RECORD.

    It includes each file's ctime, since a program that tampers with a file can set its other times.
    """
    contents = record.read_bytes()
    digest = hashlib.sha256(os.fsencode(Path(site).resolve()) + b"\0" + contents)
    for path, _ in recorded_files(contents):
        try:
            status = os.stat(os.path.join(site, path))  # noqa: PTH116, PTH118 - there are thousands
        except OSError as error:
            digest.update(f"{error.errno}\0".encode())
        else:
            digest.update(f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}\0".encode())
    return digest.hexdigest()


def limit_disk_readers() -> None:
    """Set the limit on the tag, unless it already has one."""
    with get_client() as client:
        try:
            client.read_concurrency_limit_by_tag(tag=DISK)
        except LimitNotFound:
            client.create_concurrency_limit(tag=DISK, concurrency_limit=DISK_READERS)


@flow(name="verify-packages")
def verify_packages(sites: list[str]) -> Report:
    """Verify all distributions in the given site-packages directories."""
    limit_disk_readers()
    distributions, without_record = find_distributions(sites)
    report = Report(distributions=len(distributions), without_record=without_record)
    futures = verify_distribution.map(distributions) if distributions else []
    watch(futures)
    for distribution, future in zip(distributions, futures, strict=True):
        state = future.get_state()
        if not state.is_completed():
            report.unreadable.append(f"{distribution}: {state.message}")
            continue
        report.cached += state.name == "Cached"
        report.add(distribution, state.result())
    return report


def watch(futures: Sequence[TaskFuture[Any]]) -> None:
    """Wait for all task runs, and show how many are done."""
    with progress_bar() as progress:
        bar = progress.add_task("Verifying", total=len(futures))
        for future in futures:
            while future.wait(timeout=0.1) is None:
                progress.update(bar, completed=sum(each.is_done() for each in futures))
        progress.update(bar, completed=len(futures))


def progress_bar() -> Progress:
    """Return a progress bar, which is hidden if stderr is not a terminal."""
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def count_retried(flow_run_id: str) -> int:
    """Return the number of task runs of a flow run that needed more than one attempt."""
    with get_client() as client:
        return sum(run.run_count > 1 for run in client.read_task_runs(flow_run_id=flow_run_id, limit=None))


def show(report: Report, seconds: float) -> None:
    """Print the report."""
    console = Console(highlight=False)
    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(justify="right")
    for name, value in (
        ("Distributions", f"{report.distributions:,}"),
        ("Files", f"{report.files:,}"),
        ("Files without a hash", f"{report.without_hash:,}"),
        ("Bytes hashed", f"{report.bytes:,}"),
        ("Mismatches", f"{len(report.mismatches):,}"),
        ("Missing files", f"{len(report.missing):,}"),
        ("Unreadable distributions", f"{len(report.unreadable):,}"),
        ("Cached", f"{report.cached:,}"),
        ("Retried", f"{report.retried:,}"),
        ("Seconds", f"{seconds:.2f}"),
    ):
        table.add_row(name, value)
    console.print(table)
    if report.without_record:
        console.print(f"{report.without_record} distributions have no RECORD and were skipped.")
    for kind, found in (
        ("MISMATCH", report.mismatches),
        ("MISSING", report.missing),
        ("UNREADABLE", report.unreadable),
    ):
        for line in found:
            harmless = line if line.isprintable() else ascii(line)  # names may contain terminal escapes
            console.print(f"{kind:<10}  {harmless}", markup=False, style="bold red", soft_wrap=True)


def command_line() -> str:
    """Return the command that starts this environment's ``clearway``."""
    installed = Path(sys.executable).with_name("clearway")
    found = shutil.which("clearway")
    if found is not None and Path(found).absolute() == installed:
        return "clearway"
    return os.path.relpath(installed) if installed.is_relative_to(Path.cwd()) else str(installed)


def main() -> int:
    """Run the flow and print its report.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--path",
        metavar="DIR",
        action="append",
        help="the site-packages to verify; may be given several times (default: this environment's)",
    )
    sites = parser.parse_args().path or sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
    for site in sites:
        if not Path(site).is_dir():
            parser.error(f"{site!r} is not a directory; give a site-packages directory")
    start = time.perf_counter()
    state = verify_packages([str(Path(site).absolute()) for site in sites], return_state=True)
    report = state.result()
    report.retried = count_retried(state.details.flow_run_id)
    show(report, time.perf_counter() - start)
    print(f"\nIts task runs: {command_line()} task-run ls --flow-run {state.details.flow_run_id}")
    return 0 if report.is_clean else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
