"""The names in ``docs/coming-from-prefect.md``, and the check that they exist."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from typing import Any

import typer.main

from clearway import Flow, FlowRunContext, State, Task, TaskFuture, TaskRunContext
from clearway._settings.table import TABLE
from clearway.client import AsyncClient, SyncClient
from clearway_cli import main
from support.documents import ROOT

PAGE = ROOT / "docs" / "coming-from-prefect.md"

_ROW = re.compile(r"^\| (?P<theirs>.+?) \| (?P<ours>.+?) \|$", re.MULTILINE)
_CODE = re.compile(r"`([^`]+)`")
_IMPORT = re.compile(r"from (?P<module>clearway[\w.]*) import (?P<names>[\w, ]+)")
_MEMBER = re.compile(r"(?P<owner>@?[a-z_]+)(?:\.(?P<member>\w+))?(?:\((?P<options>(?:\w+=(?:, )?)+)\))?")
_OWNERS: dict[str, tuple[type[Any], ...]] = {
    "task": (Task,),
    "flow": (Flow,),
    "future": (TaskFuture,),
    "state": (State,),
    "client": (SyncClient, AsyncClient),
    "context": (TaskRunContext, FlowRunContext),
}


def rows() -> Iterator[tuple[str, list[str]]]:
    """Yield the left column of each row of the tables, and the names in the right one."""
    for row in _ROW.finditer(PAGE.read_text(encoding="utf-8")):
        if row["ours"] not in {"Clearway", "---"}:
            yield row["theirs"], _CODE.findall(row["ours"])


def look_up(name: str) -> None:
    """Check that a name exists.

    Raises:
        LookupError: It does not exist, or is not understood.
    """
    if found := _IMPORT.fullmatch(name):
        _look_up_import(found["module"], found["names"].split(", "))
    elif name.startswith("clearway."):
        module, _, member = name.rpartition(".")
        _look_up_import(module, [member])
    elif name.startswith("clearway "):
        _look_up_command(name.split()[1:])
    elif name.startswith("CLEARWAY_"):
        _look_up_setting(name)
    elif found := _MEMBER.fullmatch(name):
        _look_up_member(found["owner"], found["member"], re.findall(r"\w+(?==)", found["options"] or ""))
    else:
        raise LookupError(f"what is {name!r}?")


def _look_up_import(module: str, names: list[str]) -> None:
    for name in names:
        if not hasattr(importlib.import_module(module), name):
            raise LookupError(f"{module} has no {name}")


def _look_up_command(words: list[str]) -> None:
    commands: Any = typer.main.get_command(main.app)
    group, *rest = words
    if group not in commands.commands:
        raise LookupError(f"clearway has no command {group}")
    for word in rest:  # a group is loaded when one of its commands is used
        module = importlib.import_module(f"clearway_cli.{group.replace('-', '_')}")
        if word not in getattr(typer.main.get_command(module.app), "commands", {}):
            raise LookupError(f"clearway {group} has no command {word}")


def _look_up_setting(name: str) -> None:
    if name not in {setting.variable for setting in TABLE.values()}:
        raise LookupError(f"there is no setting {name}")


def _look_up_member(owner: str, member: str | None, options: list[str]) -> None:
    if owner.startswith("@"):
        owner, member = owner[1:], "__init__"
    if owner not in _OWNERS or member is None:
        raise LookupError(f"what is {owner}.{member}?")
    for kind in _OWNERS[owner]:
        if _has(kind, member, options):
            return
    raise LookupError(f"{owner}.{member} is not there, or lacks one of {options}")


def _has(kind: type[Any], member: str, options: list[str]) -> bool:
    if member in _annotated(kind) and not options:
        return True
    found = inspect.getattr_static(kind, member, None)
    if found is None:
        return False
    function = found if callable(found) else getattr(found, "_operation", found)
    return not options or set(options) <= set(inspect.signature(function).parameters)


def _annotated(kind: type[Any]) -> set[str]:
    """Return the instance attributes of a class, as listed in its docstring."""
    return set(re.findall(r"^ {4,}(\w+): ", inspect.getdoc(kind) or "", re.MULTILINE))
