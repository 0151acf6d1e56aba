"""Write the modules of the service that are generated, or check that the committed ones are fresh.

python service/generate.py          writes store/rendered_statements.py and api/request_validation.py
python service/generate.py --check  exits 1 if a committed file differs

The service executes the SQL that is rendered here as it stands, so a flow needs neither SQLAlchemy nor the
time to build statements with it. The checkers of requests come from the rules in ``protos/``.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from sqlalchemy.schema import CreateIndex, CreateTable

import request_validation_sources
from clearway_service.store import batch_statements, command_statements, schema
from clearway_service.store.building import DIALECT

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "service" / "clearway_service"

_HEAD = '''\
"""The SQL of the hot path, rendered from ``batch_statements`` and others by ``make statements``."""
'''


def statements() -> str:
    """Return the text of the module of statements."""
    rendered: dict[str, str] = {}
    for source in (batch_statements, command_statements):
        for name, sql in _statements(source):
            if rendered.setdefault(name, sql) is not sql:
                raise ValueError(f"{name} is written twice, the second time in {source.__name__}")
    parts = [_HEAD, *(f"{name} = {_literal(sql)}\n" for name, sql in rendered.items())]
    tables = "".join(f"    {_literal(sql)},\n" for sql in _schema())
    parts.append(f"# Makes the schema in an empty file.\nSCHEMA = (\n{tables})\n")
    return "\n".join(parts)


def _statements(source: ModuleType) -> Iterator[tuple[str, str]]:
    for name, value in vars(source).items():
        if name.isupper() and isinstance(value, str) and " " in value:
            yield name, value


def _schema() -> Iterator[str]:
    for table in (*schema.metadata.sorted_tables, schema.version):
        yield str(CreateTable(table).compile(dialect=DIALECT)).strip()
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            yield str(CreateIndex(index).compile(dialect=DIALECT)).strip()


def _literal(sql: str) -> str:
    """Return the literal of a statement, its lines as SQLAlchemy breaks them."""
    lines = "\n".join(line.rstrip() for line in sql.expandtabs(4).split("\n")).replace("\\", r"\\")
    return '"""' + re.sub(r"[^\n -~]", lambda found: ascii(found[0])[1:-1], lines) + '"""'


def main() -> int:
    """Run as the module's docstring says; return the exit code."""
    fresh = {
        PACKAGE / "store" / "rendered_statements.py": statements(),
        PACKAGE / "api" / "request_validation.py": request_validation_sources.generate(),
    }
    if "--check" not in sys.argv[1:]:
        for path, text in fresh.items():
            path.write_text(text)
        return 0
    stale = [str(path.relative_to(ROOT)) for path, text in fresh.items() if path.read_text() != text]
    if stale:
        print(f"stale: {', '.join(stale)}; run `make statements`", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
