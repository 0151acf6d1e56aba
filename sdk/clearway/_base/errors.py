"""The exceptions that every floor of the SDK needs; offered in ``exceptions``."""

from __future__ import annotations


class ClearwayError(Exception):
    """The root of all that this package raises by itself."""

    __module__ = "clearway.exceptions"


class InvalidSetting(ClearwayError, ValueError):  # noqa: N818 - as all in ``exceptions``
    """A setting's value is not allowed; the message names the setting, its source and what would be right."""

    __module__ = "clearway.exceptions"


class NonRetryable(Exception):  # noqa: N818 - as above
    """Raise it, or derive from it, to fail a run that is not to be retried.

    A run that ends with it is not tried again, whatever its ``retries``; its ``retry_condition_fn`` is not
    called. Only the exception that ends the run counts, not the one that it was raised from. A flow that does
    not catch the exception of its task is not tried again either.
    """

    __module__ = "clearway.exceptions"
