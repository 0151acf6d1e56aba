"""Clearway's pytest plugin, for a pytest other than the one that runs these tests."""

from __future__ import annotations

from importlib.metadata import entry_points


def plugin_options() -> list[str]:
    """Return the options that load the plugin; empty if it is installed, as it is for users."""
    installed = {point.value for point in entry_points(group="pytest11")}
    return [] if "clearway.testing.plugin" in installed else ["-p", "clearway.testing.plugin"]
