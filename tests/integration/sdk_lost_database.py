"""A flow of three tasks, the second of which loses the embedded engine's database as its argument says."""

import os
import sys
from pathlib import Path

from clearway import flow, task
from clearway._transport import embedded

# A minute is for a disk that is full, or a database that is moved back.
embedded._PATIENCE = 1.0  # type: ignore[misc]


@task
def lose(how: str) -> None:
    database = Path(os.environ["CLEARWAY_DATABASE"])
    if how == "deleted":
        database.unlink()
    elif how == "replaced":
        other = database.with_name("other.db")
        other.write_bytes(database.read_bytes())
        other.replace(database)
    else:
        database.with_name(database.name + "-wal").unlink()


@task
def work() -> None:
    print("worked", flush=True)


@flow
def losing(how: str) -> None:
    work()
    lose(how)
    work()


losing(sys.argv[1])
