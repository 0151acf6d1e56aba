"""Caching: the size of some standard library packages, recomputed only for those that have changed.

A function computes each run's cache key, here from the paths, sizes and modification times of a package's
files. So the first run of this script computes everything, the second finds it in the cache, and only a
package that changed in between is computed again.
"""

from __future__ import annotations

import hashlib
import sysconfig
from datetime import timedelta
from pathlib import Path
from typing import Any

from clearway import TaskRunContext, flow, get_client, task

PACKAGES = ("asyncio", "email", "http", "json", "logging", "unittest", "xml")


def of_the_files(context: TaskRunContext, parameters: dict[str, Any]) -> str:
    """Return a key that changes whenever a file of the package changes."""
    digest = hashlib.sha256(context.task.task_key.encode())
    for path in sorted(Path(parameters["folder"]).rglob("*.py")):
        status = path.stat()
        digest.update(f"{path}:{status.st_size}:{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


@task(cache_key_fn=of_the_files, cache_expiration=timedelta(days=30))
def lines_of_code(folder: str) -> int:
    """Count the lines of a package that are neither empty nor a comment."""
    lines = (line.strip() for path in Path(folder).rglob("*.py") for line in path.read_bytes().splitlines())
    return sum(1 for line in lines if line and not line.startswith(b"#"))


@flow
def measure(library: str) -> dict[str, int]:
    """Return the number of lines of code in each package."""
    futures = {name: lines_of_code.submit(f"{library}/{name}") for name in PACKAGES}
    return {name: future.result() for name, future in futures.items()}


def main() -> None:
    """Run the flow twice, and print how much was computed each time."""
    for _ in range(2):
        sizes = measure(sysconfig.get_path("stdlib"))
        with get_client() as client:
            (flow_run,) = client.read_flow_runs(flow_names=["measure"], limit=1)
            states = [run.state.name for run in client.read_task_runs(flow_run_id=flow_run.id)]
        print(f"{states.count('Completed')} computed, {states.count('Cached')} from the cache")
    for name, lines in sorted(sizes.items(), key=lambda entry: -entry[1]):
        print(f"{lines:7,}  {name}")


if __name__ == "__main__":
    main()
