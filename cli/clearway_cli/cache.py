"""``clearway cache``: look into the cache, and clear it away."""

import typer

from clearway_cli._cache_gc import gc

app = typer.Typer(
    help="Look into the cache, and clear it away.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)
app.command("gc")(gc)


@app.callback()
def cache() -> None:
    """Look into the cache, and clear it away."""
