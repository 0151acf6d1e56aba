"""The profile: settings in a file of the home, ``profile.toml``."""

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
    """The settings of a profile.

    Attributes:
        path: The file.
        values: Those of its keys that are settings, as TOML has them.
        problems: What is wrong with the file, in sentences; empty if nothing is. Wrong values are not looked
            for.

    Args:
        home: The folder that the file is in. No file is an empty profile.
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
        import tomllib  # noqa: PLC0415 - few have a profile

        try:
            found = tomllib.loads(self._text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            reason = str(error) or "it is nested too deeply"
            self.problems.append(f"the profile {self.path} is not TOML: {reason}")
            return
        self.values = {name: value for name, value in found.items() if name in _SETTABLE}
        self.problems += [self._unknown(name, found[name]) for name in found if name not in _SETTABLE]

    def line_of(self, name: str) -> int:
        """Return the number of the line that sets a key, from 1."""
        return _line_of(name, self._text)

    def _unknown(self, name: str, value: object) -> str:
        begins = f"the profile {self.path} sets {shown_name(name)} in line {self.line_of(name)}"
        if name == HOME:
            return f"{begins}, which only the variable {TABLE[HOME].variable} sets"
        if isinstance(value, dict) or (isinstance(value, list) and any(isinstance(v, dict) for v in value)):
            return f"{begins}, which is no setting but a table; settings are lines at the top of the file"
        right = nearest(name.lower().replace("-", "_").removeprefix(PREFIX.lower()), _SETTABLE)
        hint = f"did you mean {right}?" if right else "`clearway config view` lists the settings"
        return f"{begins}, which is no setting; {hint}"


def _line_of(name: str, text: str) -> int:
    """Return the number of the line, from 1, that sets a key of a text in TOML.

    It is the first one that begins with the key and is not within a value of several lines: what comes
    before is TOML without that key. For a key that is written with escapes it is the last line.
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
