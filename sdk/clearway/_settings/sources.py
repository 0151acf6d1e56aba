"""Finds settings in their sources: a command's options, environment variables, the profile, defaults."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple

from clearway._settings.errors import SettingError
from clearway._settings.nearest import nearest, shown_name
from clearway._settings.profile import Profile
from clearway._settings.table import HOME, PREFIX, PROFILE, TABLE, Setting

DEFAULT: Final = "default"
_LONGEST_VALUE: Final = 200
# For a Service named "clearway" or "clearway-...", Kubernetes sets variables such as CLEARWAY_PORT in all
# containers of the namespace.
_KUBERNETES: Final = "KUBERNETES_SERVICE_HOST"
_LINK: Final = "(tcp|udp|sctp)://"
_LINK_NAME: Final = r".*_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_[A-Z]+)?)"


class Given(NamedTuple):
    """A setting's value before it is parsed, with its source.

    Attributes:
        value: The text of a variable or an option, or a TOML value.
        source: The source, such as ``--port``, ``CLEARWAY_PORT``, ``profile.toml line 3`` or ``default``.
        subject: The setting as the source names it, to begin an error message with.
    """

    value: object
    source: str
    subject: str


class Sources:
    """The sources of a process's settings. Each setting is parsed when it is requested.

    An empty variable counts as unset, except ``CLEARWAY_ADDRESS=``, which means embedded even if the profile
    sets an address.

    Args:
        environ: The environment variables.
        options: The options of a command line by setting name, as text; by default none.

    Attributes:
        profile: The profile in the home.
    """

    def __init__(self, environ: Mapping[str, str], options: Mapping[str, str] | None = None) -> None:
        links = _KUBERNETES in environ
        self._variables = {
            name: value
            for name, value in environ.items()
            if name.startswith(PREFIX) and not (links and _is_link(name, value))
        }
        self._options = options or {}

    @cached_property
    def profile(self) -> Profile:
        """The profile in the home.

        Raises:
            SettingError: There is no valid home.
        """
        home: Path = self.get(HOME)
        return Profile(home)

    def check_profile(self) -> None:
        """Check that the profile can be read and that all its keys are settings.

        Raises:
            SettingError: The profile is unreadable or has an unknown key; the message suggests the nearest
                known one.
        """
        if self.profile.problems:
            raise SettingError("; ".join(self.profile.problems))

    def given(self, name: str) -> Given:
        """Return a setting's value from the first source that has one, before parsing."""
        setting = TABLE[name]
        option = self._options.get(name)
        if option is not None:
            flag = f"--{name.replace('_', '-')}"
            return Given(option, flag, flag)
        variable = self._variables.get(setting.variable)
        if variable is not None and (variable or setting.empty):
            return Given(variable, setting.variable, setting.variable)
        if name != HOME and name in self.profile.values:
            value = self.profile.values[name]
            if not (value == "" and setting.default_of):
                line = self.profile.line_of(name)
                subject = f"{name} in line {line} of {self.profile.path}"
                return Given(value, f"{PROFILE} line {line}", subject)
        return Given(self._default(setting), DEFAULT, setting.variable)

    def _default(self, setting: Setting) -> str:
        if setting.default_of:
            return str(self.get(setting.default_of))
        if setting.in_home:
            return str(self.get(HOME) / setting.default)
        return setting.default

    def get(self, name: str) -> Any:
        """Return a setting's parsed value.

        Raises:
            SettingError: The value is not allowed; the message says where it is set and what is right.
        """
        given = self.given(name)
        kind = TABLE[name].kind
        try:
            value = kind.parse(given.value)
        except ValueError as error:
            if name == HOME and given.source == DEFAULT:
                raise SettingError(
                    f"this user has no home directory (HOME is not set); set {TABLE[HOME].variable} to the "
                    "folder in which Clearway keeps its files"
                ) from None
            shown = kind.show_wrong(given.value)
            shown = shown if len(shown) <= _LONGEST_VALUE else f"{shown[:_LONGEST_VALUE]}..."
            raise SettingError(f"{given.subject} is {shown}; it must be {error}") from None
        other = TABLE[name].at_least
        if other and value < (least := self.get(other)):
            raise SettingError(f"{given.subject} is {value}; it must be at least {other}, which is {least}")
        return value

    def unknown_variables(self) -> Iterator[str]:
        """Yield a warning for each variable ``CLEARWAY_*`` that is not a setting, with the nearest one."""
        known = {setting.variable for setting in TABLE.values()}
        for name in sorted(self._variables.keys() - known):
            right = nearest(name.removeprefix(PREFIX), TABLE)
            hint = f"did you mean {TABLE[right].variable}?" if right else "`clearway config view` lists them"
            yield f"the variable {shown_name(name)} is not one of Clearway's settings and is ignored; {hint}"


def _is_link(name: str, value: str) -> bool:
    """Return True if a variable is one that Kubernetes sets for a Service."""
    return bool(re.fullmatch(_LINK_NAME, name) or (name.endswith("_PORT") and re.match(_LINK, value)))
