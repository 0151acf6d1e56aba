"""``clearway backup``: save the database with its results in one file."""

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
        bool, typer.Option("--verify", help="Check the existing backup FILE instead of making one.")
    ] = False,
) -> NoReturn:
    """Save the database and its results to FILE, while servers and flows use them.

    Run it on the machine with the database, as the user that the server runs as: it reads files, and does not
    use CLEARWAY_ADDRESS. FILE is a tar archive that only you can read; an existing file is never overwritten.
    """
    if not verify:
        run("save", file, database, *(["--no-results"] if no_results else []))
    if database is not None or no_results:
        raise typer.BadParameter("it only checks FILE, and takes no other option.", param_hint="'--verify'")
    run("verify", file)
