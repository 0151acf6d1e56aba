"""The root of the SDK's exceptions, and the one that settings raise; offered in ``exceptions``."""

from __future__ import annotations


class ClearwayError(Exception):
    """The root of all that this package raises by itself."""

    __module__ = "clearway.exceptions"


class InvalidSetting(ClearwayError, ValueError):  # noqa: N818 - as all in ``exceptions``
    """A setting's value is not allowed; the message names the setting, its source and what would be right."""

    __module__ = "clearway.exceptions"
