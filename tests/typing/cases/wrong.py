"""What a type checker is to find; each line says what, and it is an error where nothing is found."""

from typing import assert_type

from clearway import Completed, State, flow, get_client, task


@task
def count(word: str, *, times: int = 1) -> int:
    return len(word) * times


@task
async def fetch(url: str) -> bytes:
    return url.encode()


@flow
def total(numbers: list[int]) -> int:
    return sum(numbers)


@flow
def wrong_calls() -> None:
    count(3)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    count()  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    count("a", times="b")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    count("a", twice=1)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    total("abc")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    count.fn(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


@flow
def wrong_results() -> None:
    word: str = count("a")  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    other: str = count.submit("a").result()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    state: State[str] = total([1], return_state=True)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    assert_type(Completed(3), State[str])  # type: ignore[assert-type]  # pyright: ignore[reportAssertTypeFailure]
    print(word, other, state)


@flow
async def not_awaited() -> None:
    len(fetch("a"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    fetch.submit("a").result()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


@task(retries="three")  # type: ignore[call-overload, untyped-decorator]  # pyright: ignore[reportArgumentType]
def wrong_option() -> None: ...


@task(cache_key=None)  # type: ignore[call-overload, untyped-decorator]  # pyright: ignore[reportCallIssue, reportUntypedFunctionDecorator]
def unknown_option() -> None: ...


def not_entered() -> None:
    get_client().read_flow_runs()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    with get_client() as client:
        client.create_concurrency_limit("tag", "ten")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
