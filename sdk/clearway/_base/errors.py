"""The exceptions that all layers of the SDK need; public in ``clearway.exceptions``."""

from __future__ import annotations


class ClearwayError(Exception):
    """The base class of Clearway's own exceptions."""

    __module__ = "clearway.exceptions"


class InvalidSetting(ClearwayError, ValueError):  # noqa: N818 - as all in ``exceptions``
    """A setting has a wrong name or value; the message names the setting, its source and what is right."""

    __module__ = "clearway.exceptions"


class NonRetryable(Exception):  # noqa: N818 - as above
    """Raise this, or a subclass, in a task or flow to fail its run without retrying it.

    The run is not retried even if it has retries left, and its ``retry_condition_fn`` is not called. Only the
    exception that ends the run counts, not its causes. A flow that does not catch this exception from a task
    ends with it, and is not retried either.
    """

    __module__ = "clearway.exceptions"
