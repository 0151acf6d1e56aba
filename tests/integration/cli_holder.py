"""A flow whose only task holds a slot of the tag ``disk`` until a line comes in."""

import sys

from clearway import flow, task


@task(tags=["disk"])
def hold() -> None:
    sys.stdout.write("holding\n")
    sys.stdout.flush()
    sys.stdin.readline()


@flow
def holder() -> None:
    hold()


if __name__ == "__main__":
    holder()
