"""What the run that the current code belongs to is called, and was given: looked up when it is read.

    from clearway import runtime

    @task(task_run_name=lambda: f"load for {runtime.flow_run.name}")
    def load(path):
        print(runtime.task_run.id, runtime.task_run.run_count)

Outside of a run, nothing is raised: ids and names are None, ``tags`` is an empty list, ``parameters`` an
empty dictionary, ``run_count`` 0. Where a run is needed, ask ``clearway.get_run_context()`` instead.
"""

from clearway.runtime import flow_run, task_run

__all__ = ["flow_run", "task_run"]
