"""Flows whose parameters are annotated with models of pydantic 1."""

from __future__ import annotations

import sys
import typing
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple, Optional, TypedDict, Union

import pytest
from pydantic import BaseModel

from clearway._definition.parameters import ParameterRules
from clearway.exceptions import ParameterTypeError

if sys.version_info >= (3, 14):
    pytest.skip("pydantic.v1 does not run on Python 3.14", allow_module_level=True)

from pydantic import v1


def applied(annotation: Any, value: Any) -> Any:
    def function(it: Any) -> None: ...

    function.__annotations__["it"] = annotation
    return ParameterRules(function, "the flow 'f'").applied({"it": value})["it"]


class Row(BaseModel):
    id: int


class OldRow(v1.BaseModel):
    id: int
    name: str = "none"


class OldOther(v1.BaseModel):
    id: int


@dataclass
class HoldsOld:
    row: OldRow


class TupleOfOld(NamedTuple):
    row: OldRow


class DictOfOld(TypedDict):
    rows: list[OldRow]


OLD = OldRow(id=1)


@pytest.mark.parametrize(
    ("hint", "given", "wanted"),
    [
        (OldRow, OLD, OLD),
        (OldRow, {"id": "1"}, OLD),
        (list[OldRow], [OLD, {"id": 2}], [OLD, OldRow(id=2)]),
        (list[OldRow], (OLD,), [OLD]),
        (typing.List[OldRow], [{"id": 1}], [OLD]),  # noqa: UP006 - as users have it
        (tuple[OldRow, int], ({"id": 1}, "2"), (OLD, 2)),
        (tuple[OldRow, ...], [{"id": 1}], (OLD,)),
        (dict[str, OldRow], {"a": {"id": 1}}, {"a": OLD}),
        (dict[str, list[OldRow | None]], {"a": [None, {"id": 1}]}, {"a": [None, OLD]}),
        (Optional[OldRow], None, None),  # noqa: UP045 - as above
        (Union[int, OldRow], {"id": 1}, OLD),  # noqa: UP007 - as above
        (typing.Sequence[OldRow], [OLD], [OLD]),
        (Annotated[list[OldRow], "documented"], [{"id": 1}], [OLD]),
        (list[OldRow | Row], [{"id": 1}, Row(id=2)], [OLD, Row(id=2)]),
        (list[OldOther | OldRow], [OLD, OldOther(id=2)], [OLD, OldOther(id=2)]),
        (v1.conint(gt=3), "5", 5),
        (list[v1.conint(gt=3)], ["5"], [5]),
        (HoldsOld, HoldsOld(OLD), HoldsOld(OLD)),
        (list[HoldsOld], [HoldsOld(OLD)], [HoldsOld(OLD)]),
        (list[TupleOfOld], [TupleOfOld(OLD)], [TupleOfOld(OLD)]),
        (list[DictOfOld], [{"rows": [OLD]}], [{"rows": [OLD]}]),
    ],
)
def test_models_of_pydantic_1_are_taken_and_made_wherever_they_stand(
    hint: Any, given: Any, wanted: Any
) -> None:
    got = applied(hint, given)
    assert got == wanted
    assert type(got) is type(wanted)


def test_an_instance_of_a_model_of_pydantic_1_is_passed_on_itself() -> None:
    assert applied(list[OldRow], [OLD])[0] is OLD


@pytest.mark.parametrize(
    ("hint", "given", "message"),
    [
        (OldRow, {"id": "x"}, r"it={'id': 'x'}: Value error, id: value is not a valid integer"),
        (OldRow, 3, r"it=3: Value error, value is not a valid dict"),
        (list[OldRow], [OLD, {}], r"it\[1\]={}: Value error, id: field required; annotated as list\["),
        (list[v1.conint(gt=3)], [1], r"it\[0\]=1: .*greater than 3"),
        (list[OldRow], [OldOther(id=1)], r"must be an instance of OldRow, not of OldOther"),
        (list[HoldsOld], [{"row": OLD}], r"must be an instance of HoldsOld, which has fields of pydantic 1"),
    ],
)
def test_what_a_model_of_pydantic_1_cannot_take_is_said(hint: Any, given: Any, message: str) -> None:
    with pytest.raises(ParameterTypeError, match=message):
        applied(hint, given)
