# SPDX-License-Identifier: Apache-2.0
"""What measuring the delay of delivery adds to it: delays of records that are written as soon as they are stamped.

    sudo .venv/bin/python benchmarks/delay_of_nothing.py [--records N]

One process stamps a record and writes it into the pipe at once, 1000 times a second; tracers/delivery reads, as it does
in a trial. So what it says is its own: the write, its being woken, its look at the clock. Once on an idle machine, once
with two processes on each CPU that never sleep.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bpfbench import cli
from bpfbench.codec import from_json
from bpfbench.inside.trial import delivery
from bpfbench.machine import turn
from bpfbench.model import Delivery, Format, Sources, TracerConfig
from bpfbench.testbed import image, sandbox
from bpfbench.testbed.image import Image
from bpfbench.testbed.sandbox import INSIDE, Bind, Sandbox

CONFIG = TracerConfig(None, Format.BINARY)
SHARED = "/tmp/shared"  # noqa: S108 - inside
PAUSE_S = 0.001
SPIN = ("python3", "-c", "while True: pass")


@contextlib.contextmanager
def busy(processes: int) -> Iterator[None]:
    """Have so many processes that never sleep meanwhile."""
    with contextlib.ExitStack() as running:
        for _ in range(processes):
            own = running.enter_context(subprocess.Popen(SPIN))
            running.callback(own.kill)
        yield


def delays(ready: Image, records: int) -> Delivery:
    """Write records, and return what their reader found."""
    with tempfile.TemporaryDirectory() as place:
        pipe = Path(place, "pipe")
        os.mkfifo(pipe)
        binds = (Bind(ready.tracers, f"{INSIDE}/tracers"), Bind(place, SHARED, writable=True))
        inside = Sandbox(root=ready.root, binds=binds, workdir=SHARED)
        argv = sandbox.building(
            inside, ("sh", "-c", f'exec "$@" 3<>{SHARED}/pipe', "sh", *delivery.argv(CONFIG, 3, time.monotonic_ns()))
        )
        os.setpriority(os.PRIO_PROCESS, 0, -20)  # lest this process wait for a CPU between its stamp and its write
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as reader:
            with pipe.open("wb", buffering=0) as to:
                for _ in range(records):
                    time.sleep(PAUSE_S)
                    to.write((bytes(8) + time.monotonic_ns().to_bytes(8, "little")).ljust(CONFIG.event_bytes))
            os.setpriority(os.PRIO_PROCESS, 0, 0)
            return from_json(Delivery, reader.communicate()[0])


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", 1)[0])
    parser.add_argument("--records", type=int, default=10_000, help="in each case (default: 10000)")
    options = parser.parse_args()
    ready = image.build(cli.cache_dir(), "trixie", Sources(), lambda *_: None)
    for name, processes in {"idle": 0, "busy": 2 * (os.cpu_count() or 1)}.items():
        with turn.alone(lambda *_: None), busy(processes):
            found = delays(ready, options.records).delay_ns
        if found is None:
            raise SystemExit("nothing was read")
        told = (("min", found.min), ("p50", found.p50), ("p99", found.p99), ("p99.9", found.p999), ("max", found.max))
        print(f"{name}: {', '.join(f'{what} {ns / 1000:.0f} us' for what, ns in told)}", flush=True)


if __name__ == "__main__":
    main()
