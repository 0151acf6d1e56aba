"""Settings for people to see: each with its value and where that comes from."""

from __future__ import annotations

from typing import NamedTuple

from clearway._settings.errors import SettingError
from clearway._settings.sources import DEFAULT, Sources
from clearway._settings.table import TABLE, Setting


class Shown(NamedTuple):
    """A setting for people to see.

    Attributes:
        setting: The setting.
        value: Its value as it would be written in a variable; secrets are masked.
        source: As ``Given.source``.
        problem: What is wrong with the value; empty if nothing is.
    """

    setting: Setting
    value: str
    source: str
    problem: str = ""


def show(sources: Sources, name: str) -> Shown:
    """Return a setting for people to see; wrong values are left out, with what is wrong."""
    setting = TABLE[name]
    try:
        source = sources.given(name).source
    except SettingError as error:  # what the default is made of is wrong
        return Shown(setting, "", DEFAULT, str(error))
    try:
        return Shown(setting, setting.kind.show(sources.get(name)), source)
    except SettingError as error:
        return Shown(setting, "", source, str(error))
