"""The rules of fields and the roles of RPCs: declared for all, and as the comments say."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from clearway.v1 import options_pb2, orchestrator_pb2
from clearway_service.api import consistency
from clearway_service.api.request_validation import CHECKERS
from support.documents import ROOT
from support.request_validation_sources import READ, request_messages, rules_of

METHODS = orchestrator_pb2.DESCRIPTOR.services_by_name["Orchestrator"].methods
FIELDS = [field for message in request_messages() for field in message.fields]
DAY = 86_400
# Parts of `FileDescriptorProto` by which the path of a comment begins: a message, and in it a field.
MESSAGE, FIELD = 4, 2

# Bounds that are not those of one field: of all the inputs of a run together, of the bytes received so far,
# and of settings of the service.
_ELSEWHERE = {
    "clearway.v1.TaskRunSpec.inputs",
    "clearway.v1.UploadResultRequest.offset",
    "clearway.v1.UploadResultRequest.size_bytes",
    "clearway.v1.SetTaskRunStateRequest.wait_timeout",
    "clearway.v1.ProposeRequest.proposals",
}


def comments() -> dict[str, str]:
    """Return the comment of each field by its full name, in one line."""
    protos = ROOT / "protos"
    sources = sorted(str(path.relative_to(protos)) for path in (protos / "clearway/v1").glob("*.proto"))
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{protos}", "--include_source_info"]
    done = subprocess.run(
        [*command, "--descriptor_set_out=/dev/stdout", *sources], capture_output=True, check=True
    )
    found = {}
    for file in FileDescriptorSet.FromString(done.stdout).file:
        for location in file.source_code_info.location:
            path = location.path
            if len(path) == 4 and (path[0], path[2]) == (MESSAGE, FIELD):
                message = file.message_type[path[1]]
                name = f"{file.package}.{message.name}.{message.field[path[3]].name}"
                found[name] = " ".join(location.leading_comments.split())
    return found


COMMENTS = comments()


class Bound(NamedTuple):
    """What a comment says of a field.

    Attributes:
        rule: The rule that has to say the same.
        value: Its value.
    """

    rule: str
    value: object


def said(field: FieldDescriptor) -> Iterator[Bound]:
    """Yield the bounds that the comment of a field states."""
    comment = COMMENTS[field.full_name].replace(",", "")
    # What stands in parentheses is the same in other words.
    text = re.sub(r"\([^)]*\)", "", comment)
    if re.search(r"\brequired[.;]", text):
        yield Bound("min_items", 1) if field.is_repeated else Bound("required", value=True)
    if field.is_repeated:
        yield from _said_of_items(text)
    if many := re.search(r"(?:1 to|0 to|At most) (\d+) characters", text):
        yield Bound("max_chars", int(many[1]))
    if size := re.search(r"At most (\d+)(?: MiB| bytes)", comment):
        yield Bound("max_bytes", int(size[1]) * (2**20 if " MiB" in size[0] else 1))
    yield from _said_of_numbers(field, text)
    yield from _said_of_formats(field, text)


def _said_of_items(text: str) -> Iterator[Bound]:
    if each := re.search(r"each 1 to (\d+) characters", text):
        yield Bound("max_chars", int(each[1]))
    if count := re.search(r"At most (\d+)(?=[.,]| each| parameters)", text):
        yield Bound("max_items", int(count[1]))
    if both := re.search(r"\b(\d+) to (\d+)\.$", text):
        yield Bound("min_items", int(both[1]))
        yield Bound("max_items", int(both[2]))


def _said_of_numbers(field: FieldDescriptor, text: str) -> Iterator[Bound]:
    span = field.message_type is not None and field.message_type.name == "Duration"
    if bounds := re.search(r"[Ff]rom (\d+)[^.;]*?\bto (\d+)(?: days)?(?=[.;])", text):
        if not span:
            yield Bound("at_least", int(bounds[1]))
        yield Bound("at_most", int(bounds[2]) * (DAY if span else 1))
    elif (least := re.search(r"From (\d+)", text)) and not span:
        yield Bound("at_least", int(least[1]))
    if above := re.search(r"Above (\d+) and at most (\d+) days", text):
        yield Bound("above", int(above[1]))
        yield Bound("at_most", int(above[2]) * DAY)


def _said_of_formats(field: FieldDescriptor, text: str) -> Iterator[Bound]:
    if "NUL" in text:
        yield Bound("format", options_pb2.FIELD_FORMAT_KEY)
    if "lower-case hexadecimal" in text:
        yield Bound("format", options_pb2.FIELD_FORMAT_SHA256)
    if re.search(r"\bUUIDs?\b", text) and field.type == FieldDescriptor.TYPE_STRING:
        yield Bound("format", options_pb2.FIELD_FORMAT_UUID)
    if "JSON object" in text:
        yield Bound("format", options_pb2.FIELD_FORMAT_JSON_OBJECT)


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.full_name.removeprefix("clearway.v1."))
def test_the_rules_of_a_field_are_what_its_comment_says(field: FieldDescriptor) -> None:
    rules = rules_of(field)
    for bound in said(field):
        if field.full_name in _ELSEWHERE and bound.rule.startswith(("at_", "max_")):
            continue
        assert getattr(rules, bound.rule) == bound.value, (bound, COMMENTS[field.full_name])


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.full_name.removeprefix("clearway.v1."))
def test_the_bounds_of_a_field_stand_in_its_comment(field: FieldDescriptor) -> None:
    rules, comment = rules_of(field), COMMENTS[field.full_name].replace(",", "")
    stated = {int(number) for number in re.findall(r"\b\d+\b", comment)}
    bounds = {rules.max_bytes, rules.min_items, rules.max_items} - {0}
    # Of lists, and of filters, the length of an item is that of the field that has the name.
    if not field.is_repeated and "Filter" not in field.full_name:
        bounds |= {rules.max_chars} - {0}
    for name in ("at_least", "at_most", "above"):
        if rules.HasField(name):  # type: ignore[arg-type] # one of its fields
            days = field.message_type is not None and name == "at_most"
            bounds.add(int(getattr(rules, name)) // (DAY if days else 1))
    if field.name == "tag" or field.full_name.startswith("clearway.v1.DownloadResultRequest.location"):
        bounds -= {255, 2_048}
    missing = bounds - stated
    assert not missing, f"{missing} of {rules} is not in {comment!r}"
    if rules.required and field.containing_oneof is None:
        told = "required" in comment or "1 to" in comment
        assert told, f"{field.full_name} is required, which its comment does not say"


def test_every_text_of_a_request_has_a_bound() -> None:
    """But for page tokens, of which only one that the service made is taken; the message's size bounds it."""
    unbounded = {
        field.full_name
        for field in FIELDS
        if field.type == FieldDescriptor.TYPE_STRING
        and not (rules_of(field).max_chars or rules_of(field).max_bytes)
        and rules_of(field).format not in (options_pb2.FIELD_FORMAT_UUID, options_pb2.FIELD_FORMAT_SHA256)
    }
    assert {name.rpartition(".")[2] for name in unbounded} == {"page_token"}


def test_every_list_of_a_request_has_a_bound() -> None:
    unbounded = {
        field.full_name.removeprefix("clearway.v1.")
        for field in FIELDS
        if field.is_repeated and not rules_of(field).max_items
    }
    # The inputs' runs are counted together, and a stream takes as many proposals as its welcome says.
    assert unbounded == {"TaskInput.task_run_ids", "ProposeRequest.proposals"}


def test_every_rpc_declares_its_role() -> None:
    undeclared = [method.name for method in METHODS if not method.GetOptions().Extensions[options_pb2.role]]
    assert undeclared == []


def test_what_only_looks_needs_the_lowest_role_and_what_changes_a_higher_one() -> None:
    for method in METHODS:
        role = method.GetOptions().Extensions[options_pb2.role]
        looks = method.name.startswith(("Get", "List", "Lookup", "Explain", "Download"))
        assert (role == options_pb2.ROLE_READ) == looks, method.name


def test_every_request_that_has_rules_is_checked() -> None:
    ruled = {
        message.full_name
        for message in request_messages()
        if message.name.endswith("Request") and any(rules_of(field).ByteSize() for field in message.fields)
    }
    assert ruled - CHECKERS.keys() == {"clearway.v1.ProposeRequest"}, "the stream reads its own messages"
    assert "ProposeRequest" in READ


def test_every_function_of_consistency_belongs_to_a_message() -> None:
    """One that is named after nothing would never be called."""
    nouns = {
        re.sub("(?<=[a-z])(?=[A-Z])", "_", message.name).lower(): message for message in request_messages()
    }
    for name in vars(consistency):
        if not name.startswith("check_") or name in {"check_items", "check_initial_state"}:
            continue
        noun = name.removeprefix("check_")
        lists = {f"{each}_{field.name}" for each, message in nouns.items() for field in message.fields}
        assert noun in nouns or noun in lists, name


def test_the_program_finds_the_rules_of_the_committed_checkers() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "service" / "generate.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_stale_checker_is_found(tmp_path: Path) -> None:
    """The check compares what is generated with what is there."""
    copy = tmp_path / "service"
    subprocess.run(["cp", "-r", str(ROOT / "service"), str(copy)], check=True)
    checkers = copy / "clearway_service" / "api" / "request_validation.py"
    checkers.write_text(checkers.read_text().replace("> 16384", "> 16385"))
    done = subprocess.run(
        [sys.executable, str(copy / "generate.py"), "--check"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 1
    assert "api/request_validation.py" in done.stderr
