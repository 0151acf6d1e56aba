"""A flow whose runs the command line is asked about: two load, one is cached, one fails twice."""

from typing import Any

from clearway import flow, task


def by_number(_context: Any, parameters: dict[str, Any]) -> str:
    return f"load-{parameters['number']}"


@task(tags=["disk"], cache_key_fn=by_number)
def load(number: int) -> int:
    return number


@task(retries=1, version="3")
def explode(given: int) -> None:
    message = f"bad \x1b[31mnews\x1b[0m of {given}"
    raise ValueError(message)


@flow(name="cli-flow", version="7")
def cli_flow(numbers: list[int]) -> str:
    first = load.submit(numbers[0])
    first.wait()
    load(numbers[1])
    load(numbers[0])
    explode(first, return_state=True)
    return "done"


if __name__ == "__main__":
    cli_flow([1, 2])
