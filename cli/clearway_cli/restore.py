"""``clearway restore``: put a backup in place."""

from typing import NoReturn

import typer

from clearway_cli._backups import DatabaseOption, FileArgument, run

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def restore(file: FileArgument, database: DatabaseOption = None) -> NoReturn:
    """Check the backup FILE, then put its database and its results in place.

    It writes files of this machine: run it where the database is to be, as the user that the server will run
    as. CLEARWAY_ADDRESS is not used. A database that is there already is never overwritten.
    """
    run("restore", file, database)
