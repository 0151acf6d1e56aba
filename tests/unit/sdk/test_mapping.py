from __future__ import annotations

import io
from typing import Any

import pytest

from clearway import Completed, Failed, allow_failure, quote, unmapped
from clearway._definition.signature import CallSignature
from clearway._execution.inputs.mapping import Mapped
from clearway.exceptions import MappingLengthMismatch, NothingToMap, UpstreamTaskError


def add(x: Any, y: Any = 10) -> Any:
    return x, y


def variadic(x: Any, *rest: Any, **more: Any) -> Any:
    return x, rest, more


def calls(fn: Any, *args: Any, **kwargs: Any) -> list[Any]:
    signature = CallSignature(fn, fn.__name__)
    parameters = signature.bind(args, kwargs, defaults=False)
    return [signature.call(one) for one in Mapped(signature, parameters)]


@pytest.mark.parametrize(
    ("args", "kwargs", "expected"),
    [
        (([1, 2],), {}, [(1, 10), (2, 10)]),
        (([1, 2], 5), {}, [(1, 5), (2, 5)]),
        (((1, 2), [3, 4]), {}, [(1, 3), (2, 4)]),
        ((range(2),), {"y": "text"}, [(0, "text"), (1, "text")]),
        (((number for number in (1, 2)),), {}, [(1, 10), (2, 10)]),
        (([1, 2], unmapped([3])), {}, [(1, [3]), (2, [3])]),
        ((unmapped((1,)), [3, 4]), {}, [((1,), 3), ((1,), 4)]),
        (([1], b"bytes"), {}, [(1, b"bytes")]),
        ((Completed([1, 2]),), {}, [(1, 10), (2, 10)]),
        (([],), {}, []),
        (({"a": 1, "b": 2},), {}, [("a", 10), ("b", 10)]),
    ],
)
def test_each_run_is_given_its_element(args: Any, kwargs: Any, expected: Any) -> None:
    assert calls(add, *args, **kwargs) == expected


def test_a_file_is_given_whole() -> None:
    file = io.StringIO("a\nb\n")
    assert calls(add, [1, 2], file) == [(1, file), (2, file)]


def test_variadic_parameters_are_mapped_one_by_one() -> None:
    assert calls(variadic, [1, 2], [7, 8], 9) == [(1, (7, 9), {}), (2, (8, 9), {})]
    assert calls(variadic, [1, 2], a=[3, 4], b=5) == [(1, (), {"a": 3, "b": 5}), (2, (), {"a": 4, "b": 5})]


def test_lists_of_different_lengths_are_named() -> None:
    with pytest.raises(MappingLengthMismatch, match=r"x: 2, y: 3; wrap .*unmapped\(\)"):
        calls(add, [1, 2], [1, 2, 3])


def test_nothing_to_map_over_says_what_was_given() -> None:
    with pytest.raises(NothingToMap, match="was given x=int, y=str"):
        calls(add, 1, "text")
    with pytest.raises(NothingToMap, match=r"x=unmapped\(list\), y=State of int$"):
        calls(add, unmapped([1]), Completed(5))


def test_a_failed_run_s_result_cannot_be_mapped_over() -> None:
    with pytest.raises(UpstreamTaskError, match="nothing to map 'x' over"):
        calls(add, Failed(message="no"))


def test_annotations_go_with_each_element() -> None:
    assert calls(add, allow_failure([1, 2]), unmapped(quote([3]))) == [
        (allow_failure(1), quote([3])),
        (allow_failure(2), quote([3])),
    ]
    assert calls(add, quote([1]), allow_failure(unmapped([2]))) == [(quote(1), allow_failure([2]))]
    assert calls(add, allow_failure(Completed([1, 2]))) == [(1, 10), (2, 10)]


def test_a_failed_run_that_may_have_failed_is_given_whole() -> None:
    failed = allow_failure(Failed(message="no"))
    assert calls(add, [1, 2], failed) == [(1, failed), (2, failed)]


def test_a_result_that_is_no_iterable_is_given_whole() -> None:
    given = Completed(5)
    assert calls(add, [1, 2], given) == [(1, given), (2, given)]


def test_unmapped_shows_what_it_wraps_and_compares_by_it() -> None:
    assert repr(unmapped([1])) == "unmapped([1])"
    assert unmapped([1]) == unmapped([1])
    assert unmapped(1) != 1
    assert len({unmapped(1), unmapped(1)}) == 1
