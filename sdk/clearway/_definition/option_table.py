"""What is made of an option's one declaration, in ``TaskOptions`` or ``FlowOptions`` of ``_definition.base``.

Type checkers and editors read the dictionary through ``Unpack``; this table gives ``inspect.signature``,
``help`` and the checks at run time the same names, types and defaults.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


class _Unchanged:
    """The default shown for an option that ``with_options`` leaves unchanged."""

    def __repr__(self) -> str:
        return "..."


class OptionTable:
    """The names, types and defaults of the options of one decorator.

    Attributes:
        defaults: The default of each option, in the order of declaration.
    """

    __slots__ = ("_decorator", "_types", "defaults")

    def __init__(self, decorator: str, declared: type, **defaults: Any) -> None:
        """Create the table from a ``TypedDict``.

        Args:
            decorator: The decorator's name for messages, such as ``@task``.
            declared: A ``TypedDict`` with one field for each option.
            defaults: The defaults that are not None.
        """
        self._decorator = decorator
        self._types = {
            name: getattr(hint, "__forward_arg__", hint) for name, hint in declared.__annotations__.items()
        }
        self.defaults: dict[str, Any] = {name: defaults.get(name) for name in self._types}

    def completed(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the given options, completed with the defaults of the others.

        Raises:
            TypeError: An option is unknown.
        """
        for name in given:
            if name not in self.defaults:
                raise TypeError(f"{self._decorator} has no option {name!r}{self._nearest(name)}")
        return {**self.defaults, **given}

    def _nearest(self, name: str) -> str:
        from difflib import get_close_matches  # noqa: PLC0415 - needed only after a mistake

        near = get_close_matches(name, self.defaults, n=1)
        return f"; did you mean {near[0]!r}?" if near else f"; its options are {', '.join(self.defaults)}"

    def show(self, function: F) -> F:
        """Replace ``**options`` in a function's ``__signature__`` with the options and their defaults."""
        return self._shown(function, self.defaults)

    def show_changes(self, function: F) -> F:
        """Do the same as ``show`` with ``...`` as each default, which means unchanged."""
        return self._shown(function, dict.fromkeys(self.defaults, _Unchanged()))

    def _shown(self, function: F, defaults: Mapping[str, Any]) -> F:
        signature = inspect.signature(function)
        parameters = [
            parameter
            for parameter in signature.parameters.values()
            if parameter.kind is not inspect.Parameter.VAR_KEYWORD
        ]
        parameters += [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=defaults[name], annotation=self._types[name]
            )
            for name in defaults
        ]
        function.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]  # functions may have one
        return function
