"""Shows settings to users: each with its value and its source."""

from __future__ import annotations

from typing import NamedTuple

from clearway._settings.errors import SettingError
from clearway._settings.sources import DEFAULT, Sources
from clearway._settings.table import TABLE, Setting


class Shown(NamedTuple):
    """A setting as users see it.

    Attributes:
        setting: The setting.
        value: The value as the text of a variable, with secrets masked; empty if it is wrong.
        source: Where the value comes from; see ``Given.source``.
        problem: What is wrong with the value; empty if nothing is.
    """

    setting: Setting
    value: str
    source: str
    problem: str = ""


def show(sources: Sources, name: str) -> Shown:
    """Return a setting as users see it. A wrong value does not raise; ``problem`` describes it."""
    setting = TABLE[name]
    try:
        source = sources.given(name).source
    except SettingError as error:  # the default depends on another setting, which is wrong
        return Shown(setting, "", DEFAULT, str(error))
    try:
        return Shown(setting, setting.kind.show(sources.get(name)), source)
    except SettingError as error:
        return Shown(setting, "", source, str(error))
