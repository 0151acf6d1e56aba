"""Render the SQL of the hot path, or check that the committed one is fresh.

python service/generate.py          writes service/clearway_service/store/statements.py
python service/generate.py --check  exits 1 where the committed file differs

The service executes what is rendered here as it stands, so that a flow needs neither SQLAlchemy nor the time
to build statements with it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from sqlalchemy.schema import CreateIndex, CreateTable

from clearway_service.store import command_sources, schema, statement_sources
from clearway_service.store.building import DIALECT

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "service" / "clearway_service" / "store" / "statements.py"

_HEAD = '''\
"""The SQL of the hot path, rendered from ``statement_sources`` and others by ``make statements``."""
'''


def generate() -> str:
    """Return the text of the module."""
    rendered: dict[str, str] = {}
    for source in (statement_sources, command_sources):
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
    fresh = generate()
    if "--check" not in sys.argv[1:]:
        TARGET.write_text(fresh)
    elif TARGET.read_text() != fresh:
        print(f"stale: {TARGET.relative_to(ROOT)}; run `make statements`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
