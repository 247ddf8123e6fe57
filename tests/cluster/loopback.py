# SPDX-License-Identifier: Apache-2.0
"""A cluster on the loopback interface whose trials are replayed: scheduler, workers and controller are real processes.

Nothing of it needs root. What replays the trials is a sitecustomize.py that all the processes find on their path.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bpfbench.declare.study import to_toml
from bpfbench.machine import turn
from bpfbench.store import Run

TOP = Path(__file__).parents[2]
RECORDED = TOP / "tests" / "data" / "runs" / "format-4"

REPLAY = """
from pathlib import Path
from bpfbench.machine import facts
from bpfbench.run import stage
from bpfbench.store import Run
from bpfbench.testbed import image, replay
import time
recorded = Run(Path({recorded!r}))
own = replay._image(recorded)
stage.VENUES["host"] = replay.venue(recorded)
image.with_key = lambda cache, key, parts=(): own if key == own.key else None
facts.storage = lambda path: facts.Storage(str(path), 1, "/dev/vda", "ext4", 10**15)
at_once = replay.ReplayTestbed.inside
def inside(self, job, on_line):
    time.sleep({seconds})
    return at_once(self, job, on_line)
replay.ReplayTestbed.inside = inside
"""

SCHEDULER = """
from pathlib import Path
from bpfbench.cluster.scheduler import serve
serve("127.0.0.1", 0, None, said=Path({said!r}))
"""
WORKER = """
from pathlib import Path
from bpfbench.cluster.worker import serve
serve({address!r}, {name!r}, None, Path({cache!r}))
"""


@dataclass
class Loopback:
    """What runs, below a directory."""

    place: Path
    trial_s: float = 0.1
    address: str = ""
    """Of the scheduler."""
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        site = self.place / "site"
        site.mkdir()
        (site / "sitecustomize.py").write_text(REPLAY.format(recorded=str(RECORDED), seconds=self.trial_s))
        paths = (str(site), str(TOP / "src"), os.environ.get("PYTHONPATH", ""))
        self.environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "BPFBENCH_CACHE": str(self.place / "cache"),
        }

    def study(self, **changes: str) -> Path:
        """Write the recorded study, with other values of some keys, as TOML has them."""
        lines = to_toml(Run(RECORDED).info.study).splitlines()
        for key, value in changes.items():
            lines = [f"{key} = {value}" if line.startswith(f"{key} = ") else line for line in lines]
        path = self.place / "study.toml"
        path.write_text("\n".join(lines))
        return path

    def start(self, name: str, code: str) -> None:
        """Start a process of that name, by the code that it runs, as if it had the machine to itself."""
        env = {**self.environment, turn.STAND_IN: str(self.place / f"{name}.machine")}
        with (self.place / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                (sys.executable, "-c", code), stdout=log, stderr=log, env=env, cwd=self.place
            )

    def scheduler(self) -> str:
        """Start the scheduler, and return its address."""
        said = self.place / "said.json"
        self.start("scheduler", SCHEDULER.format(said=str(said)))
        until(said.exists)
        self.address = str(json.loads(said.read_text())["address"])
        return self.address

    def worker(self, name: str) -> None:
        """Start the worker of a host."""
        self.start(name, WORKER.format(address=self.address, name=name, cache=str(self.place / f"cache-{name}")))

    def bpfbench(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a verb to its end."""
        return subprocess.run(
            (sys.executable, "-m", "bpfbench", *words),
            capture_output=True,
            text=True,
            env=self.environment,
            cwd=self.place,
            check=False,
            timeout=180,
        )

    def end(self) -> None:
        """End all that runs."""
        for process in self.processes.values():
            process.kill()
            process.wait()


def until(happens: Callable[[], bool], seconds: float = 180) -> None:
    """Wait for something to happen."""
    deadline_s = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < deadline_s, "it did not happen"
        time.sleep(0.05)
