"""A program that logs when its flow has ended, while the server, whose process id it is given, is stopped."""

from __future__ import annotations

import os
import signal
import sys

from clearway import flow
from clearway.context import FlowRunContext
from clearway.logging import run_logger


@flow
def main() -> str:
    context = FlowRunContext.get()
    assert context is not None
    return context.flow_run_id


if __name__ == "__main__":
    flow_run_id = main()
    os.kill(int(sys.argv[1]), signal.SIGSTOP)
    for number in range(3):
        run_logger(flow_run_id, "", "late").info("late line %d", number)
