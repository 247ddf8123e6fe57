# SPDX-License-Identifier: Apache-2.0
"""The process that runs a block: `python -m bpfbench.cluster.block SPOOL CACHE`, on a host.

It is not the worker's: a worker that is killed, cut off, or left by its scheduler does not take the block with it. It
does what `bpfbench run` does, on the same stage and by the same campaign, in the run directory of its spool.
"""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console

from bpfbench.cluster.order import BlockOrder
from bpfbench.cluster.spool import Spool
from bpfbench.declare.plan import Plan
from bpfbench.errors import BpfbenchError, StoreError
from bpfbench.machine import facts
from bpfbench.model import Sources, Trial, Workload
from bpfbench.run import campaign
from bpfbench.run.progress import ProgressReporter, set_up_logging
from bpfbench.run.stage import Means, Stage
from bpfbench.store import Run
from bpfbench.testbed import image as images
from bpfbench.testbed.base import Sizes, Testbed
from bpfbench.testbed.image import Image


class Reporter(ProgressReporter):
    """Tells of a block in its log, and of the moment in its spool."""

    def __init__(self, console: Console, spool: Spool) -> None:
        super().__init__(console)
        self._spool = spool

    def _tell(self, trial: str, step: str) -> None:
        self._spool.write("news.json", {"trial": trial, "step": step, "since": time.time()})

    def building(self, what: str, share: float) -> None:
        """The ground is prepared."""
        super().building(what, share)
        self._tell("", what)

    def laying_out(self, workload: Workload, done_bytes: int) -> None:
        """Data files are being written."""
        super().laying_out(workload, done_bytes)
        self._tell("", "data files")

    def trial_began(self, trial: Trial, done: int, total: int, left_s: float) -> None:
        """A trial begins."""
        super().trial_began(trial, done, total, left_s)
        self._tell(trial.id, "begins")

    def trial_event(self, trial: Trial, event: dict[str, Any]) -> None:
        """A trial takes a step."""
        super().trial_event(trial, event)
        if event.get("event") == "step":
            self._tell(trial.id, str(event.get("name", ""))[:80])


def run(spool: Spool, cache: Path, console: Console) -> None:
    """Run the block of a spool to its end, from what there is of it.

    Raises:
        BpfbenchError: it cannot be run here; says why.
    """
    order = spool.order()
    if campaign.digests(order.study) != order.executables:
        raise StoreError("an executable or file that the study brings is another on this host", "copy it here")
    waits = lambda message: console.print(f"{message}; waiting for it")  # noqa: E731
    means = Means(cache, Sources(), console, waits)
    unrolled = Plan(order.trials, ())
    disks = Sizes(order.data_bytes, order.output_bytes)
    with Stage(order.study, means, disks, lambda _: image(cache, order)) as stage:
        spool.write("facts.json", ground(stage.testbed))
        if not order.trials:
            return
        if spool.run_dir.exists():
            found = Run(spool.run_dir)
            campaign.require_same_machine(found, stage.testbed)
        else:
            found = campaign.start(stage.study, unrolled, stage.testbed, spool.run_dir)
        with Reporter(console, spool) as reporter:
            campaign.execute(found, stage.testbed, reporter)


def ground(testbed: Testbed) -> dict[str, Any]:
    """Return what the controller needs to know of the ground that is open here."""
    paths = {"data": testbed.data_dir, "output": testbed.output_dir}
    return {
        "facts": {**testbed.facts, "storage": facts.storage_facts(paths)},
        "hooks": sorted(testbed.hooks),
        "setups": sorted(testbed.setups),
        "emulated": testbed.emulated,
    }


def image(cache: Path, order: BlockOrder) -> Image:
    """Return the image that a block is run in, with the packages of its targets and commands.

    Raises:
        StoreError: not all of it is on this host.
    """
    found = images.with_key(cache, order.image, order.parts)
    if found is None:
        packages = f", or not all of its packages: {', '.join(order.parts)}" if order.parts else ""
        raise StoreError(f"image {order.image} is not on this host{packages}", "`bpfbench cluster up` brings them")
    return found


class _StoppedError(BaseException):
    """The controller, or who ended the worker, wants the block ended."""


def _stopped(*_: object) -> NoReturn:
    raise _StoppedError


def main(path: str, cache: str) -> None:
    """Run the block of the spool at a path, and leave in it how that ended."""
    signal.signal(signal.SIGTERM, _stopped)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    console = Console(file=sys.stderr, width=200)
    set_up_logging(console, verbose=True)
    spool = Spool(Path(path))
    with spool.held() as ours:
        if not ours:
            return
        reason: str | None = None
        try:
            run(spool, Path(cache), console)
        except BpfbenchError as error:
            reason = f"{error.message} ({error.hint})" if error.hint else error.message
        except OSError as error:
            reason = f"{error.filename or 'the system'}: {error.strerror or error}"
        except _StoppedError:
            reason = "it was stopped"
        if reason:
            console.print(reason, markup=False, highlight=False, soft_wrap=True)
        spool.write("end.json", {"reason": reason})


if __name__ == "__main__":
    main(*sys.argv[1:])
