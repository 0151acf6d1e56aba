"""The kinds of values that settings take: their types, units and bounds, and how to parse and show them."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any, Final

from clearway._settings.paths import absolute_path, checked_place, without_credentials

_MAX_PORT: Final = 65_535


class Kind:
    """A kind of value.

    Attributes:
        expected: What a value must be, as a phrase for error messages and docs.
    """

    expected: str

    def parse(self, value: object) -> Any:
        """Return a value parsed from a variable's text or from a TOML value.

        Raises:
            ValueError: The value is not allowed; the message says what it must be.
        """
        raise NotImplementedError

    def show(self, value: Any) -> str:
        """Return a parsed value as the text of a variable, with secrets masked."""
        return str(value)

    def show_wrong(self, value: object) -> str:
        """Return a value that could not be parsed as an error message should show it."""
        return repr(value)


class Flag(Kind):
    """True or false."""

    expected = "true or false"

    def parse(self, value: object) -> bool:
        """See ``Kind.parse``."""
        word = value.lower() if isinstance(value, str) else value
        if word in (True, "true", "yes", "on", "1"):
            return True
        if word in (False, "false", "no", "off", "0"):
            return False
        raise ValueError(self.expected)

    def show(self, value: bool) -> str:
        """See ``Kind.show``."""
        return str(value).lower()


class Whole(Kind):
    """A whole number within bounds."""

    def __init__(self, least: int, most: int, unit: str = "") -> None:
        self._least, self._most = least, most
        of = f" of {unit}" if unit else ""
        self.expected = f"a whole number{of} from {least:,} to {most:,}"

    def parse(self, value: object) -> int:
        """See ``Kind.parse``."""
        if isinstance(value, str):
            try:
                value = int(value) if value.isascii() else value
            except ValueError:
                raise ValueError(self.expected) from None
        if not isinstance(value, int) or isinstance(value, bool) or not self._least <= value <= self._most:
            raise ValueError(self.expected)
        return value


class Seconds(Kind):
    """A number of seconds within bounds, with or without a fraction."""

    def __init__(self, least: float, most: float) -> None:
        self._least, self._most = least, most
        self.expected = f"a number of seconds from {least:,} to {most:,}"

    def parse(self, value: object) -> float:
        """See ``Kind.parse``."""
        try:
            number = float(value) if isinstance(value, str | int | float) else None
        except (ValueError, OverflowError):
            number = None
        if number is None or isinstance(value, bool) or not self._least <= number <= self._most:
            raise ValueError(self.expected)
        return number

    def show(self, value: float) -> str:
        """See ``Kind.show``."""
        return f"{value:g}" if value < 1_000_000 else f"{value:.0f}"  # noqa: PLR2004 - avoids exponents


class Choice(Kind):
    """One of several words, in upper or lower case."""

    def __init__(self, *words: str) -> None:
        self._words = words
        self.expected = f"one of {', '.join(words)}"

    def parse(self, value: object) -> str:
        """See ``Kind.parse``."""
        word = value.lower() if isinstance(value, str) else ""
        if word not in self._words:
            raise ValueError(self.expected)
        return word


class Choices(Kind):
    """One or more of several words."""

    def __init__(self, *words: str) -> None:
        self._words = words
        self.expected = f"one or more of {', '.join(words)}, with commas between them"

    def parse(self, value: object) -> frozenset[str]:
        """See ``Kind.parse``."""
        chosen = frozenset(_texts(value, self.expected))
        if not chosen or not chosen <= set(self._words):
            raise ValueError(self.expected)
        return chosen

    def show(self, value: frozenset[str]) -> str:
        """See ``Kind.show``."""
        return ",".join(word for word in self._words if word in value)


class Level(Kind):
    """A logging level, as a number of the ``logging`` module."""

    _names = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
    expected = f"one of {', '.join(_names)}"

    def parse(self, value: object) -> int:
        """See ``Kind.parse``."""
        name = value.upper() if isinstance(value, str) else ""
        if name not in self._names:
            raise ValueError(self.expected)
        return logging.getLevelNamesMapping()[name]

    def show(self, value: int) -> str:
        """See ``Kind.show``."""
        return logging.getLevelName(value)


class PathValue(Kind):
    """A path, made absolute; ``~`` is the user's home directory."""

    expected = "a path"

    def parse(self, value: object) -> Path:
        """See ``Kind.parse``."""
        if not isinstance(value, str) or "\0" in value:
            raise ValueError(self.expected)
        return Path(absolute_path(value))


class DatabasePath(PathValue):
    """The path of a SQLite file."""

    expected = "the path of a file, not a URL; databases in memory are not supported"

    def parse(self, value: object) -> Path:
        """See ``Kind.parse``."""
        # Refuse what SQLite or other programs would treat as memory, a URI or a URL.
        scheme, colon, rest = value.lower().partition(":") if isinstance(value, str) else ("", "", "")
        is_url = scheme[:1].isalpha() and not re.search("[^a-z0-9+.-]", scheme) and rest.startswith("/")
        if colon and (is_url or scheme == "file" or (scheme, rest) == ("", "memory:")):
            raise ValueError(self.expected)
        return super().parse(value)


class Address(Kind):
    """The address of a server, ``host:port``; empty for none."""

    expected = 'host:port, such as "127.0.0.1:4200", without a scheme'

    def parse(self, value: object) -> str | None:
        """See ``Kind.parse``."""
        if not isinstance(value, str):
            raise ValueError(self.expected)  # noqa: TRY004 - one kind of error for every wrong value
        if not value:
            return None
        host, _, port = value.rpartition(":")
        bare_ipv6 = ":" in host and not (host.startswith("[") and host.endswith("]"))
        if not host or bare_ipv6 or any(c in "/ \t\n" for c in value):
            raise ValueError(self.expected)
        if not (port.isascii() and port.isdecimal() and 1 <= int(port) <= _MAX_PORT):
            raise ValueError(f"{self.expected}, with a port from 1 to {_MAX_PORT:,}")
        return value

    def show(self, value: str | None) -> str:
        """See ``Kind.show``."""
        return value or ""


class Host(Kind):
    """An address to listen on."""

    expected = 'the name or address of a network interface, such as "127.0.0.1" or "0.0.0.0"'

    def parse(self, value: object) -> str:
        """See ``Kind.parse``."""
        if not isinstance(value, str) or not value or any(c in "/ \t\n\0" for c in value):
            raise ValueError(self.expected)
        return value


class Place(Kind):
    """A result storage: a directory, or a URL."""

    expected = 'a directory, a URL such as "s3://bucket/results", or "service://"'

    def parse(self, value: object) -> str:
        """See ``Kind.parse``."""
        return checked_place(value)

    def show(self, value: str) -> str:
        """See ``Kind.show``."""
        return without_credentials(value)

    def show_wrong(self, value: object) -> str:
        """See ``Kind.show_wrong``."""
        return repr(without_credentials(value) if isinstance(value, str) else value)


class Places(Kind):
    """Several result storages."""

    expected = 'directories and URLs with commas between them, such as "/srv/results,s3://bucket/results"'

    def parse(self, value: object) -> tuple[str, ...]:
        """See ``Kind.parse``."""
        return tuple(checked_place(place) for place in _texts(value, self.expected))

    def show(self, value: tuple[str, ...]) -> str:
        """See ``Kind.show``."""
        return ",".join(map(without_credentials, value))

    def show_wrong(self, value: object) -> str:
        """See ``Kind.show_wrong``."""
        if isinstance(value, str):
            return repr(",".join(map(without_credentials, value.split(","))))
        return f"of type {type(value).__name__}"


class Names(Kind):
    """Names of loggers."""

    expected = 'names of loggers with commas between them, such as "sqlalchemy.engine,my_package"'

    def parse(self, value: object) -> tuple[str, ...]:
        """See ``Kind.parse``."""
        return tuple(_texts(value, self.expected))

    def show(self, value: tuple[str, ...]) -> str:
        """See ``Kind.show``."""
        return ",".join(value)


class Secret(Kind):
    """A text that is never shown."""

    expected = "a text"

    def parse(self, value: object) -> str:
        """See ``Kind.parse``."""
        if not isinstance(value, str):
            raise ValueError(self.expected)  # noqa: TRY004 - as above
        return value

    def show(self, value: str) -> str:
        """See ``Kind.show``."""
        return "***" if value else ""

    def show_wrong(self, value: object) -> str:
        """See ``Kind.show_wrong``."""
        return f"of type {type(value).__name__}"


def _texts(value: object, expected: str) -> list[str]:
    """Return the items of a list, or of a text with commas between items, without empty ones."""
    texts = value.split(",") if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ValueError(expected)
    return [text.strip() for text in texts if text.strip()]
