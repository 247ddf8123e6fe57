# SPDX-License-Identifier: Apache-2.0
"""`python3 -m bpfbench.inside run|layout|drain|roofline|trace|check|overhead`: a spec from stdin, events to stdout.

Each is a line of JSON.

Exit status 0: the work was done, also where it led to a failed trial's record. 1: it was not; the reason is an event:
`failed`. Where a file system is full, which is the machine's fault and not the trial's, it has an `errno` and a `path`.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bpfbench.codec import from_json
from bpfbench.errors import StepError
from bpfbench.model import TraceSpec, TrialSpec

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


def notify(event: dict[str, Any]) -> None:
    """Tell the controller."""
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def main() -> int:
    """Do what the first argument says."""
    verbs = {
        "run": _run,
        "layout": _lay_out,
        "drain": _drain,
        "roofline": _roofline,
        "trace": _trace,
        "check": _check,
        "overhead": _overhead,
    }
    try:
        verbs[sys.argv[1]](sys.stdin.readline())
    except StepError as error:
        notify({"event": "failed", "reason": error.message})
        return 1
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        path, said = error.filename, os.strerror(error.errno)
        notify({"event": "failed", "reason": f"{path}: {said}" if path else said, "errno": error.errno, "path": path})
        return 1
    return 0


# Each verb imports what it needs: the others' modules would take a tenth of a second of every trial.


def _run(text: str) -> None:
    from bpfbench.inside.trial import runner

    runner.run(from_json(TrialSpec, text), notify)


def _lay_out(text: str) -> None:
    from bpfbench.inside.trial.workload import lay_out

    spec = from_json(TrialSpec, text)
    workload, timeout_s = spec.trial.workload, spec.settings.deadlines.layout_s
    if spec.target:
        from bpfbench.inside.trial import driven

        directory = Path(spec.data_dir)
        driven.lay_out(driven.Places.of(spec.target, spec), directory, timeout_s)
        return
    report = lambda done: notify({"event": "progress", "bytes": done})  # noqa: E731
    lay_out(spec.job_file, workload, Path(spec.data_dir), timeout_s, report)


def _drain(text: str) -> None:
    from bpfbench.inside.drain import rate
    from bpfbench.model.drain import DrainSpec

    notify({"event": "result", "result": asdict(rate.run(from_json(DrainSpec, text)))})


def _roofline(text: str) -> None:
    from bpfbench.inside import roofline
    from bpfbench.model.roofline import RooflineSpec

    notify({"event": "result", "result": asdict(roofline.run(from_json(RooflineSpec, text)))})


def _trace(text: str) -> None:
    from bpfbench.inside import trace

    trace.run(from_json(TraceSpec, text), notify)


def _check(text: str) -> None:
    from bpfbench.inside.conformance import suite
    from bpfbench.model.check import CheckSpec

    suite.run(from_json(CheckSpec, text), lambda verdict: notify(asdict(verdict)))


def _overhead(text: str) -> None:
    from bpfbench.inside.overhead import runner
    from bpfbench.model.target import OverheadSpec

    notify({"event": "result", "result": asdict(runner.run(from_json(OverheadSpec, text)))})


if __name__ == "__main__":
    sys.exit(main())
