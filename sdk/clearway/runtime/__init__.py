"""The current run's name, parameters and other facts, looked up each time an attribute is read.

    from clearway import runtime

    @task(task_run_name=lambda: f"load for {runtime.flow_run.name}")
    def load(path):
        print(runtime.task_run.id, runtime.task_run.run_count)

Reading an attribute outside a run does not raise: ids, names and most other attributes are None, ``tags`` is
an empty list, ``parameters`` an empty dict, ``run_count`` 0, and ``flow_run.scheduled_start_time`` the
current time. To get an exception instead, use ``clearway.get_run_context()``.
"""

from clearway.runtime import flow_run, task_run

__all__ = ["flow_run", "task_run"]
