"""The workers of ``examples/java`` and ``examples/rust``: built once, and run as their users do.

``python -m polyglot.compiled`` builds them beforehand.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
PROTOS = Path(__file__).parents[2] / "protos"
# Only what hangs takes as long.
_SECONDS = 200


@dataclass(frozen=True)
class Worker:
    """A worker that is compiled before it runs.

    Attributes:
        language: The folder's name, and the tag of the worker's flow runs.
        needs: The programs that build and run it.
        inputs: The files that it is built from.
        build: The command that builds it, in its folder.
        command: The command that runs what was built, in its folder.
        source: The file in which a task that was told to fail does so.
    """

    language: str
    needs: tuple[str, ...]
    inputs: tuple[str, ...]
    build: tuple[str, ...]
    command: tuple[str, ...]
    source: str

    @property
    def folder(self) -> Path:
        """Where it is."""
        return EXAMPLES / self.language

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run it to its end; none of the tests makes it end in a stack trace."""
        done = subprocess.run(
            self._command(arguments),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        assert "\tat " not in done.stderr, done.stderr
        assert "panicked" not in done.stderr, done.stderr
        return done

    @contextmanager
    def started(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """Start it; at the end of the block it is killed, if it has not ended."""
        pipe = subprocess.PIPE
        command = self._command(arguments)
        with subprocess.Popen(command, cwd=self.folder, stdout=pipe, stderr=pipe, text=True) as process:
            try:
                yield process
            finally:
                process.kill()

    def _command(self, arguments: tuple[str, ...]) -> list[str]:
        build(self)
        return [*self.command, *arguments]


JAVA = Worker(
    "java",
    ("java", "mvn"),
    ("pom.xml", "src/**/*.java"),
    ("mvn", "-q", "-B", "package"),
    ("java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-jar", "target/worker.jar"),
    "Worker.java",
)
RUST = Worker(
    "rust",
    ("cargo",),
    ("Cargo.toml", "Cargo.lock", "build.rs", "src/**/*.rs"),
    ("cargo", "build", "--quiet", "--locked"),
    ("target/debug/clearway-worker",),
    "src/worker.rs",
)


@functools.cache
def build(worker: Worker) -> None:
    """Build a worker, where that is not done.

    Processes that build at the same time wait for each other. Without its compiler the test that asks is left
    out.
    """
    if absent := [name for name in worker.needs if shutil.which(name) is None]:
        pytest.skip(f"the {worker.language} client needs {' and '.join(absent)}, which is not there")
    digest = hashlib.sha256()
    paths = [path for pattern in worker.inputs for path in worker.folder.glob(pattern)]
    for path in sorted([*paths, *PROTOS.rglob("*.proto")]):
        digest.update(f"{path}\n".encode() + path.read_bytes())
    target = worker.folder / "target"
    target.mkdir(exist_ok=True)
    stamp = target / ".built"
    with (target / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != digest.hexdigest():
            done = subprocess.run(
                worker.build, cwd=worker.folder, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, f"{' '.join(worker.build)}:\n{done.stdout}{done.stderr}"
            stamp.write_text(digest.hexdigest())


if __name__ == "__main__":
    for each in (JAVA, RUST):
        build(each)
        print(each.folder / "target")
