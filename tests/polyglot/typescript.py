"""The programs of ``examples/typescript``: built once, and run as their users do.

``python -m polyglot.typescript`` builds them beforehand.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "examples" / "typescript"
_INPUTS = ("package.json", "package-lock.json", "tsconfig.json", "src/**/*.ts", "gen/**/*.ts")
_OLDEST_NODE = 20
# Only what hangs takes as long.
_SECONDS = 200


@functools.cache
def build() -> Path:
    """Install what the package needs and compile it, where that is not done; return the programs' folder.

    Processes that build at the same time wait for each other. Without Node the test that asks is left out.
    """
    if (problem := _node_problem()) is not None:
        pytest.skip(problem)
    digest = hashlib.sha256()
    for path in sorted(path for pattern in _INPUTS for path in PACKAGE.glob(pattern)):
        digest.update(f"{path}\n{path.read_text()}".encode())
    target = PACKAGE / "dist"
    target.mkdir(exist_ok=True)
    stamp = target / ".built"
    with (target / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != digest.hexdigest():
            _run("npm", "ci", "--no-audit", "--no-fund")
            _run("npm", "run", "build")
            stamp.write_text(digest.hexdigest())
    return target / "src"


def _node_problem() -> str | None:
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        return f"the TypeScript client needs Node {_OLDEST_NODE} or later with npm, which is not there"
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.match(r"v([0-9]+)\.", version)
    if found is None or int(found[1]) < _OLDEST_NODE:
        return f"the TypeScript client needs Node {_OLDEST_NODE} or later; there is {version.strip()}"
    return None


def _run(*command: str) -> None:
    done = subprocess.run(command, cwd=PACKAGE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout}{done.stderr}"


def command(program: str, *arguments: str) -> list[str]:
    """Return the command line that runs a compiled program, such as ``worker``."""
    return ["node", str(build() / f"{program}.js"), *arguments]


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; none of the tests makes one end in a stack trace."""
    done = subprocess.run(
        command(program, *arguments), capture_output=True, text=True, timeout=_SECONDS, check=False
    )
    assert "    at " not in done.stderr, done.stderr
    return done


def run_script(script: str) -> str:
    """Run a module that may import the compiled ones, and return what it printed."""
    line = ["node", "--input-type=module", "--eval", script]
    done = subprocess.run(line, capture_output=True, text=True, timeout=_SECONDS, check=False, cwd=PACKAGE)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def transpile(source: str) -> str:
    """Return a TypeScript module as JavaScript, for the folder of the compiled programs."""
    build()
    given = json.dumps({"source": source})
    script = f"""
        import ts from "typescript";
        const module = ts.ModuleKind.ES2022;
        console.log(ts.transpile({given}.source, {{ module, target: ts.ScriptTarget.ES2022 }}));
    """
    return run_script(script)


@contextmanager
def started(program: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Start a program that goes on; at the end of the block it is killed, if it has not ended."""
    line = command(program, *arguments)
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


if __name__ == "__main__":
    print(build())
