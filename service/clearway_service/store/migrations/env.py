"""Alembic's entry point: runs the migrations on the caller's connection, in the caller's transaction."""

from alembic import context

from clearway_service.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
)
context.run_migrations()
