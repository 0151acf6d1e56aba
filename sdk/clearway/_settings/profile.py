"""Reads the profile: the settings in ``profile.toml`` in the home."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from clearway._settings.nearest import nearest, shown_name
from clearway._settings.table import HOME, PREFIX, PROFILE, TABLE

_MOST_BYTES: Final = 2**20
_SETTABLE: Final = tuple(name for name in TABLE if name != HOME)


class Profile:
    """The settings in a profile.

    Attributes:
        path: The file.
        values: The TOML values of those keys that are settings; they are not checked yet.
        problems: Sentences that say what is wrong with the file and its keys; empty if nothing is.

    Args:
        home: The folder that contains the file. If there is no file, the profile is empty.
    """

    def __init__(self, home: Path) -> None:
        self.path = home / PROFILE
        self.values: Mapping[str, object] = {}
        self.problems: list[str] = []
        self._text = ""
        try:
            with self.path.open("rb") as file:
                body = file.read(_MOST_BYTES + 1)
            self._text = body.decode()
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            self.problems.append(f"the profile {self.path} cannot be read: {error.strerror}")
            return
        except UnicodeDecodeError:
            self.problems.append(f"the profile {self.path} is not TOML: it is not UTF-8")
            return
        if len(body) > _MOST_BYTES:
            self.problems.append(f"the profile {self.path} has more than {_MOST_BYTES:,} bytes")
        elif self._text.strip():
            self._parse()

    def _parse(self) -> None:
        import tomllib  # noqa: PLC0415 - few users have a profile

        try:
            found = tomllib.loads(self._text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            reason = str(error) or "it is nested too deeply"
            self.problems.append(f"the profile {self.path} is not TOML: {reason}")
            return
        self.values = {name: value for name, value in found.items() if name in _SETTABLE}
        self.problems += [self._unknown(name, found[name]) for name in found if name not in _SETTABLE]

    def line_of(self, name: str) -> int:
        """Return the number, from 1, of the line that sets a key."""
        return _line_of(name, self._text)

    def _unknown(self, name: str, value: object) -> str:
        begins = f"the profile {self.path} sets {shown_name(name)} in line {self.line_of(name)}"
        if name == HOME:
            return f"{begins}, which only the variable {TABLE[HOME].variable} sets"
        if isinstance(value, dict) or (isinstance(value, list) and any(isinstance(v, dict) for v in value)):
            return f"{begins}, which is a table, not a setting; settings are lines at the top of the file"
        right = nearest(name.lower().replace("-", "_").removeprefix(PREFIX.lower()), _SETTABLE)
        hint = f"did you mean {right}?" if right else "`clearway config view` lists the settings"
        return f"{begins}, which is not a setting; {hint}"


def _line_of(name: str, text: str) -> int:
    """Return the number, from 1, of the line that sets a key in a TOML text.

    This is the first line that begins with the key and is not part of a multi-line value: the lines before it
    are valid TOML without the key. If the key is written with escapes, the last line's number is returned.
    """
    import tomllib  # noqa: PLC0415 - as above

    key = re.escape(name)
    begins = re.compile(rf"\s*\[*\s*(?:{key}|\"{key}\"|'{key}')\s*[=.\]]")
    lines = text.split("\n")
    for number in [number for number, line in enumerate(lines, 1) if begins.match(line)]:
        try:
            before = tomllib.loads("\n".join(lines[: number - 1]))
        except tomllib.TOMLDecodeError:
            continue
        if name not in before:
            return number
    return len(lines)
