"""``clearway backup``: the database with its results in one file."""

from typing import Annotated, NoReturn

import typer

from clearway_cli._backups import DatabaseOption, FileArgument, run

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def backup(
    file: FileArgument,
    database: DatabaseOption = None,
    no_results: Annotated[
        bool, typer.Option("--no-results", help="Leave out the results of the service's own storage.")
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check FILE, a backup that was made before, and make none.")
    ] = False,
) -> NoReturn:
    """Save the database and its results to FILE, while servers and flows use them.

    It reads files of this machine: run it where the database is, as the user that the server runs as.
    CLEARWAY_ADDRESS is not used. FILE is a tar archive that only you can read; it is never overwritten.
    """
    if not verify:
        run("save", file, database, *(["--no-results"] if no_results else []))
    if database is not None or no_results:
        raise typer.BadParameter("it checks FILE alone, and takes no other option.", param_hint="'--verify'")
    run("verify", file)
