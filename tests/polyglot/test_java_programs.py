"""Programs around the Java client: that of the documentation, and one whose task recurses without an end."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from integration.cli_process import answer
from polyglot.compiled import EXAMPLES, JAVA, build
from support.server import Server

# Whichever test comes first builds the client.
pytestmark = pytest.mark.timeout(600)

JAR = EXAMPLES / "java" / "target" / "worker.jar"


def documented(server: Server) -> str:
    """Return the program of the documentation, for a server."""
    document = (EXAMPLES.parent / "docs" / "other-languages.md").read_text(encoding="utf-8")
    (source,) = re.findall(r"^```java\n(.*?)^```$", document, re.MULTILINE | re.DOTALL)
    return str(source).replace("localhost:4200", server.address)


def compiled(source: str, folder: Path) -> list[str]:
    """Compile a class ``Nightly`` of the client's package; return the command that runs it."""
    build(JAVA)
    path = folder / "Nightly.java"
    path.write_text(source, encoding="utf-8")
    compiler = ["javac", "-encoding", "UTF-8", "-cp", str(JAR), "-d", str(folder), str(path)]
    done = subprocess.run(compiler, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return ["java", "-cp", f"{JAR}{os.pathsep}{folder}", "io.clearway.examples.Nightly"]


def outcome(*command: str) -> str:
    """Run a Java program to its good end, and return what it printed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def shown(server: Server, *arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(
        answer(*arguments, "-o", "json", CLEARWAY_ADDRESS=server.address)
    )
    return found


def test_the_documents_program_runs_and_shares_its_cache_with_python(server: Server, tmp_path: Path) -> None:
    command = compiled(documented(server), tmp_path)
    assert [outcome(*command) for _ in range(2)] == ["Completed: hello\n", "Cached: hello\n"]
    script = Path(__file__).with_name("python_normalise.py")
    environment = os.environ | {"CLEARWAY_ADDRESS": server.address}
    python = subprocess.run(
        [sys.executable, str(script), "  Hello "], env=environment, capture_output=True, text=True, check=True
    )
    assert python.stdout == "Cached hello\n"
    ended = [(each["flow_name"], each["state"]["type"]) for each in shown(server, "flow-run", "ls")]
    assert sorted(ended) == [("nightly", "COMPLETED")] * 2 + [("normalising", "COMPLETED")]


def test_an_error_that_is_no_exception_fails_the_run(server: Server, tmp_path: Path) -> None:
    code = "new JsonPrimitive(text.strip().toLowerCase())"
    program = documented(server).replace(code, "deeper(attempt)").replace("3, // retries", "0,")
    program = program.replace(
        "  private static void propose",
        "  static JsonPrimitive deeper(int n) { return deeper(n + 1); }\n\n  private static void propose",
    )
    assert outcome(*compiled(program, tmp_path)) == ""
    (task_run,) = shown(server, "task-run", "ls")
    assert task_run["state"]["type"] == "FAILED"
    inspected = answer("task-run", "inspect", task_run["id"], CLEARWAY_ADDRESS=server.address)
    assert "java.lang.StackOverflowError" in inspected
