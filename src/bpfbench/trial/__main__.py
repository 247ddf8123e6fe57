# SPDX-License-Identifier: Apache-2.0
"""`python3 -m bpfbench.trial run|layout`: reads a TrialSpec as JSON from stdin, prints events as JSON lines.

Exit status 0: the work was done, also where it led to a failed trial's record. 1: it was not; the reason is an event.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from bpfbench.codec import from_json
from bpfbench.errors import StepError
from bpfbench.model import TrialSpec
from bpfbench.trial import runner
from bpfbench.trial.workload import lay_out


def notify(event: dict[str, Any]) -> None:
    """Tell the controller."""
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def main() -> int:
    """Do what the first argument says."""
    spec = from_json(TrialSpec, sys.stdin.read())
    try:
        if sys.argv[1] == "layout":
            workload, timeout_s = spec.trial.workload, spec.settings.deadlines.layout_s
            report = lambda done: notify({"event": "progress", "bytes": done})  # noqa: E731
            lay_out(spec.job_file, workload, Path(spec.data_dir), timeout_s, report)
        else:
            runner.run(spec, notify)
    except StepError as error:
        notify({"event": "failed", "reason": error.message})
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
