"""Short ids: beginnings of ids that tell the runs of a list apart, and when such an id was made."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

_WHOLE = 36
_UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
# A time-ordered UUID (version 7) begins with the milliseconds since 1970, in 12 digits. A shorter beginning
# would be that of all runs of the same moments.
_TIME_DIGITS = 12
_SHORTEST = 13
# Fewer digits are more likely to be a name; as with git.
_FEWEST_DIGITS = 4
_PATTERN = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"
_LATEST_MILLISECONDS = 10**13


class Window(NamedTuple):
    """A span of time."""

    begin: datetime
    end: datetime

    def widened(self, by: timedelta) -> "Window":
        """Return the span with ``by`` more at both ends."""
        return Window(self.begin - by, self.end + by)


def is_whole(text: str) -> bool:
    """Return whether a text is a whole UUID."""
    return _UUID.fullmatch(text) is not None


def shortened(ids: Iterable[str]) -> dict[str, str]:
    """Return the shortest beginnings, all of one length, that tell ids apart; each by its id."""
    whole = {each for each in ids if each}
    length = _SHORTEST
    while length < _WHOLE and len({each[:length] for each in whole}) < len(whole):
        length += 1
    return {each: each[:length].rstrip("-") for each in whole}


def prefix_in(text: str) -> str:
    """Return the beginning of an id that a text may be, as ids are written; empty if it cannot be one."""
    digits = text.lower().replace("-", "")
    if not re.fullmatch(f"[0-9a-f]{{{_FEWEST_DIGITS},31}}", digits):
        return ""
    left = iter(digits)
    prefix = ""
    for each in _PATTERN:
        if each == "-":
            prefix += each
        elif digit := next(left, ""):
            prefix += digit
        else:
            break
    prefix = prefix.rstrip("-")
    return prefix if text.lower().rstrip("-") in (prefix, digits) else ""


def window_of(prefix: str) -> Window | None:
    """Return when ids were made that begin with a prefix, if they are time-ordered; None if none can be."""
    digits = prefix.replace("-", "")[:_TIME_DIGITS]
    first, last = (int(digits.ljust(_TIME_DIGITS, fill), 16) for fill in "0f")
    if first >= _LATEST_MILLISECONDS:
        return None
    begin, end = (
        datetime.fromtimestamp(min(each, _LATEST_MILLISECONDS) / 1_000, UTC) for each in (first, last)
    )
    return Window(begin, end)
