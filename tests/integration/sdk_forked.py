"""A program whose task forks, and logs in the forked process: how is its first argument."""

from __future__ import annotations

import logging
import multiprocessing
import os
import sys
import time

from clearway import flow, get_run_logger, task
from clearway.task_runners import ProcessPoolTaskRunner


def forked(*, wait: bool = True) -> bool:
    """Fork; return whether this is the child. The parent waits for the child's end."""
    child = os.fork()
    if child and wait:
        os.waitpid(child, 0)
    return not child


@task(log_prints=True)
def logs(how: str) -> None:  # noqa: C901 - one branch for each way
    logger = get_run_logger()
    logger.info("before")
    if how == "process":
        process = multiprocessing.get_context("fork").Process(target=lambda: logger.info("in the process"))
        process.start()
        process.join()
    elif how == "many" and forked():
        for number in range(3_000):
            logger.info("line %d", number)
        logger.info("%s", "\N{SNOWMAN}" * 70_000)
        os._exit(0)
    elif how == "grandchild" and forked():
        logger.info("in the child")
        if forked():
            print("in the grandchild")
            os._exit(0)
        os._exit(0)
    elif how == "worker" and forked():
        logger.info("in a child of a worker")
        logger.info("%s", "x" * 60_000)
        os._exit(0)
    elif how == "killed" and forked():
        logger.error("the last word")
        os.kill(os.getpid(), 9)
    elif how == "orphan":
        if forked(wait=False):
            while os.getppid() == parent:
                time.sleep(0.01)
            logger.warning("after my parent")
            logger.warning("and once more")
            os._exit(0)
        logging.shutdown()
        os._exit(0)
    logger.info("after")


@flow
def forking(how: str) -> None:
    logs(how)


@flow(task_runner=ProcessPoolTaskRunner(max_workers=1), name="forking")
def worker(how: str) -> None:
    logs.submit(how).result()


parent = os.getpid()
if __name__ == "__main__":
    (worker if sys.argv[1] == "worker" else forking)(sys.argv[1])
