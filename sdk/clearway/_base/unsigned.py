"""Marks texts from the service as unsigned, in processes that sign their results."""

from __future__ import annotations

from clearway._base.settings import get_settings
from clearway._base.texts import UNSIGNED


def marks_unsigned() -> bool:
    """Return True if this process signs its results, and therefore marks texts that are not signed."""
    return bool(get_settings().result_signing_key)


def marked(text: str) -> str:
    """Return a text that came through the service, marked as unsigned if this process signs its results.

    With ``CLEARWAY_RESULT_SIGNING_KEY`` set, users expect everything that is shown to come from a process
    with the key. These texts may not: any client of the service, or anyone who can write to its database, can
    forge them.
    """
    if not text or text.startswith(UNSIGNED) or not marks_unsigned():
        return text
    return f"{UNSIGNED}{text}"
