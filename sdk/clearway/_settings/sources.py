"""Where settings come from: options of a command, then variables, then the profile, then defaults."""

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
# For a Service named "clearway" or "clearway-...", Kubernetes sets variables in all containers beside it,
# CLEARWAY_PORT among them.
_KUBERNETES: Final = "KUBERNETES_SERVICE_HOST"
_LINK: Final = "(tcp|udp|sctp)://"
_LINK_NAME: Final = r".*_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_[A-Z]+)?)"


class Given(NamedTuple):
    """A value that a setting is given, before it is parsed.

    Attributes:
        value: The text of a variable or an option, or what TOML has.
        source: Where it comes from: ``--port``, ``CLEARWAY_PORT``, ``profile.toml line 3`` or ``default``.
        subject: Begins an error message: the setting as that source names it.
    """

    value: object
    source: str
    subject: str


class Sources:
    """The settings of a process. They are found at once; each is parsed when it is asked for.

    An empty variable counts as unset; only ``CLEARWAY_ADDRESS=`` is a value: run embedded, whatever the
    profile says.

    Args:
        environ: The environment variables.
        options: What was given on a command line, by the setting's name, as text.

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
            SettingError: There is no home.
        """
        home: Path = self.get(HOME)
        return Profile(home)

    def check_profile(self) -> None:
        """Do nothing if the profile can be read and all of its keys are settings.

        Raises:
            SettingError: It cannot, or one is not; the message names the nearest right key.
        """
        if self.profile.problems:
            raise SettingError("; ".join(self.profile.problems))

    def given(self, name: str) -> Given:
        """Return the value that a setting is given, from the first source that gives one."""
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
        """Return a setting's value, parsed.

        Raises:
            SettingError: It is not allowed; the message names where it is set, and what is right.
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
        """Yield a sentence for each variable ``CLEARWAY_*`` that is no setting, naming the nearest one."""
        known = {setting.variable for setting in TABLE.values()}
        for name in sorted(self._variables.keys() - known):
            right = nearest(name.removeprefix(PREFIX), TABLE)
            hint = f"did you mean {TABLE[right].variable}?" if right else "`clearway config view` lists them"
            yield f"the variable {shown_name(name)} is none of Clearway's settings and is ignored; {hint}"


def _is_link(name: str, value: str) -> bool:
    """Return whether Kubernetes set a variable to tell of a Service."""
    return bool(re.fullmatch(_LINK_NAME, name) or (name.endswith("_PORT") and re.match(_LINK, value)))
