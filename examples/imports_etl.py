"""Extract, transform, load: which modules does a package import most?

Each source file of a package is parsed in its own task run, and the modules that it imports are loaded into a
SQLite file. The package is ``asyncio`` unless you name another: ``python examples/imports_etl.py json``.
"""

from __future__ import annotations

import ast
import importlib
import sqlite3
import sys
import tempfile
import threading
from collections import Counter
from contextlib import closing
from pathlib import Path

from clearway import flow, task, unmapped

parser = threading.Lock()  # ast.parse is not thread-safe in some CPython versions (gh-106905)


@task
def extract(package: str) -> list[str]:
    """Find the source files of a package."""
    found = importlib.import_module(package).__file__
    return [] if found is None else [str(path) for path in sorted(Path(found).parent.rglob("*.py"))]


@task
def transform(path: str, ignored: list[str]) -> list[str]:
    """Return the modules that a file imports."""
    names: list[str] = []
    with parser:
        tree = ast.parse(Path(path).read_bytes())
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.append(node.module)
    return [name for name in (name.partition(".")[0] for name in names) if name not in ignored]


@task(retries=2, retry_delay_seconds=1)
def load(database: str, imports: list[list[str]]) -> int:
    """Write how often each module is imported; return the number of modules."""
    rows = Counter(name for names in imports for name in names).items()
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("CREATE TABLE IF NOT EXISTS imports (module PRIMARY KEY, count)")
        connection.executemany("INSERT OR REPLACE INTO imports VALUES (?, ?)", rows)
    return len(rows)


@flow
def imports_etl(package: str, database: str) -> int:
    """Load the imports of a package's files into a database."""
    files = extract(package)
    print(f"{package} has {len(files)} source files")
    imports = transform.map(files, unmapped(["__future__", package]))
    return load.submit(database, imports).result()


def main(package: str) -> None:
    """Run the flow, and print the most imported modules."""
    with tempfile.TemporaryDirectory() as folder:
        database = f"{folder}/imports.db"
        print(f"they import {imports_etl(package, database)} other modules; the first are")
        query = "SELECT count, module FROM imports ORDER BY count DESC, module LIMIT 5"
        with closing(sqlite3.connect(database)) as connection:
            for count, module in connection.execute(query):
                print(f"{count:5}  {module}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "asyncio")
