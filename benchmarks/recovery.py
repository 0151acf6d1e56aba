"""How long a slot stays taken when its holder is killed.

python -m benchmarks.recovery hold   prints ``ready`` once it holds the slot, until it is killed
python -m benchmarks.recovery wait   prints ``ready`` once it is queued, and then when it got the slot
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time

from benchmarks.processes import variables
from clearway import flow, get_client, task

_TAG = "recovery"
_PAUSE = 0.005


@task(tags=[_TAG])
def hold() -> None:
    """Hold the slot."""
    print("ready", flush=True)
    threading.Event().wait()


@task(tags=[_TAG])
def take() -> float:
    """Return the time at which the slot was taken, by the system's monotonic clock."""
    return time.monotonic()


@flow
def holding() -> None:
    """Hold the slot."""
    hold()


@flow
def waiting() -> float:
    """Wait for the slot, and return the time at which it was taken."""
    threading.Thread(target=_say_when_queued).start()
    return take()


def _say_when_queued() -> None:
    with get_client() as client:
        while not client.read_concurrency_limit_by_tag(_TAG).waiting:
            time.sleep(_PAUSE)
    print("ready", flush=True)


def recovery(environment: dict[str, str]) -> float:
    """Return the milliseconds from the ``kill -9`` of a slot's holder to the start of the next run."""
    limit = f"from benchmarks.slots import set_limit; set_limit({_TAG!r}, 1)"
    subprocess.run([sys.executable, "-c", limit], env=variables(environment), check=True)
    holder, waiter = _start("hold", environment), _start("wait", environment)
    holder.kill()
    killed = time.monotonic()
    output, _ = waiter.communicate()
    holder.communicate()
    return (float(output.split()[-1]) - killed) * 1e3


def _start(kind: str, environment: dict[str, str]) -> subprocess.Popen[str]:
    """Start a holder or a waiter, and return when it is ready."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.recovery", kind],
        env=variables(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


if __name__ == "__main__":
    print({"hold": holding, "wait": waiting}[sys.argv[1]]())
