"""Texts from the service, which no signature covers: shown as such where results are signed."""

from __future__ import annotations

from clearway._base.settings import get_settings
from clearway._base.texts import UNSIGNED


def marks_unsigned() -> bool:
    """Return whether this process signs its results, and so marks what no signature covers."""
    return bool(get_settings().result_signing_key)


def marked(text: str) -> str:
    """Return a text that came through the service, marked where this process signs its results.

    With ``CLEARWAY_RESULT_SIGNING_KEY`` set, a reader takes what is shown for that of a process that has the
    key, whereas a client of the service, or a writer to its database, can make such a text.
    """
    if not text or text.startswith(UNSIGNED) or not marks_unsigned():
        return text
    return f"{UNSIGNED}{text}"
