"""``clearway restore``: put a backup in place."""

from typing import NoReturn

import typer

from clearway_cli._backups import DatabaseOption, FileArgument, run

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def restore(file: FileArgument, database: DatabaseOption = None) -> NoReturn:
    """Check the backup FILE, then put its database and its results in place.

    Run it on the machine that will have the database, as the user that the server will run as: it writes
    files, and does not use CLEARWAY_ADDRESS. An existing database is never overwritten.
    """
    run("restore", file, database)
