"""SQLAlchemy Core on the driver's connection, for rare operations. Importing this module loads SQLAlchemy."""

from __future__ import annotations

import os
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.engine import Connection, create_engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import StaticPool

from clearway_service.errors import StoreUnavailableError
from clearway_service.store import migrations, schema
from clearway_service.store.sqlite import Driver


def connection_of(driver: Driver) -> Connection:
    """Return a Core connection whose statements ``driver`` executes, in the driver's transactions."""
    return create_engine(
        "sqlite://", creator=lambda: driver, poolclass=StaticPool, hide_parameters=True
    ).connect()


def upgrade(connection: Connection) -> None:
    """Run the migrations that the database does not have yet, in the driver's transaction.

    Raises:
        StoreUnavailableError: The database was written by a later version, or a migration failed.
    """
    from alembic import command  # noqa: PLC0415 - only if there is something to do
    from alembic.config import Config  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    config = Config()
    # Alembic takes a % for the beginning of a reference to another option.
    folder = os.fspath(Path(migrations.__file__).parent).replace("%", "%%")
    config.set_main_option("script_location", folder)
    config.attributes["connection"] = connection
    try:
        # Outside a transaction, Alembic would begin and end its own.
        with connection.begin():
            command.upgrade(config, migrations.HEAD)
    except CommandError as error:
        revision = connection.scalar(select(schema.version.c.version_num))
        raise StoreUnavailableError(
            f"the database has revision {revision}, which this version does not know"
        ) from error
    except SQLAlchemyError as error:
        raise StoreUnavailableError(str(getattr(error, "orig", None) or error)) from error
