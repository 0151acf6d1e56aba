"""Migrations: Alembic migrates a database to the schema."""

from pathlib import Path

HEAD = "0005"


def known() -> frozenset[str]:
    """Return the revisions that this version can read."""
    versions = Path(__file__).with_name("versions").glob("[0-9]*.py")
    return frozenset(path.name.partition("_")[0] for path in versions)
