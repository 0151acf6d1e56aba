"""A flow whose task's result is kept in the local storage, and a client that reads the runs back."""

from clearway import flow, get_client, task


@task
def big() -> str:
    return "x" * 100_000


@flow
def small() -> int:
    return len(big())


if __name__ == "__main__":
    assert small() == 100_000
    with get_client() as client:
        print([run.name.partition("-")[0] for run in client.read_task_runs()])
