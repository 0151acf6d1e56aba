"""Migrations: Alembic brings a database to the schema."""

HEAD = "0003"
