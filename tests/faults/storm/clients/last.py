"""The last client of an embedded world: runs a flow, then waits for free slots: ``FOLDER NAME SEED``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from faults.storm.clients import flows
from faults.storm.clients.place import Place
from faults.storm.world import await_quiet

_SECONDS = 25.0


def main(folder: str, name: str, seed: str) -> None:
    """Run with the arguments of the command line."""
    flows.place = place = Place(Path(folder), name, int(seed))
    place.record.write(runs_flows=True)
    place.record.write(job=0)
    flows.run(0)
    place.record.write(done=0)
    await_quiet(Path(os.environ["CLEARWAY_HOME"]) / "clearway.db", _SECONDS)
    place.record.write(finished=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
