# SPDX-License-Identifier: Apache-2.0
"""The replay testbed: answers from a recorded run, with no image, no kernel and no root.

A trial finds what the trial like it left: that of the same setup, tool, workload and configuration, and of the same
name or repetition where there is one. So everything that is not inside the image can be tried on what really happened:

    stage.VENUES["host"] = replay.venue(Run(path))
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from bpfbench.codec import decode, from_json, to_json
from bpfbench.machine.command import Finished
from bpfbench.model import RECORD_FORMAT, Accelerator, Attach, Record, Trial, TrialSpec
from bpfbench.store import Run
from bpfbench.testbed.base import Testbed, Venue
from bpfbench.testbed.image import Image
from bpfbench.testbed.job import Job


class ReplayTestbed(Testbed):
    """Answers from a recorded run; data files and output would be in the directories given."""

    def __init__(self, recorded: Run, data_dir: Path, output_dir: Path) -> None:
        study = recorded.info.study
        super().__init__(_image(recorded), data_dir, output_dir, study.setups, study.targets)
        self._recorded = recorded
        self._records = recorded.records()
        accelerator = recorded.info.machine.get("accelerator")
        self.accelerator = Accelerator(accelerator) if accelerator else None

    @property
    def setups(self) -> frozenset[str]:
        """Those of the run."""
        return frozenset(self._recorded.info.study.factors.setups)

    @property
    def hooks(self) -> frozenset[Attach]:
        """Those of the run."""
        return _hooks(self._recorded)

    @property
    def facts(self) -> dict[str, Any]:
        """Those of the run, in place of this machine's."""
        return self._recorded.info.machine

    def inside(self, job: Job, on_line: Callable[[str], None]) -> Finished:
        """Do as the command did that is on record; there are those of trials alone."""
        if job.argv[-1] == "layout":
            return Finished(0, "")
        if job.argv[-1] != "run" or job.record_dir is None:
            return Finished(1, "nothing but trials is on record")
        spec = from_json(TrialSpec, job.stdin)
        found = self._like(spec.trial)
        if found is None:
            on_line('{"event": "failed", "reason": "nothing like this trial is on record"}')
            return Finished(1, "")
        for step in found.steps:
            on_line(f'{{"event": "step", "name": "{step.name}"}}')
        shutil.copytree(self._recorded.path / "trials" / found.trial.id, job.record_dir, dirs_exist_ok=True)
        asked = replace(found, trial=spec.trial, session=spec.session, predecessor=spec.predecessor, place=spec.place)
        (job.record_dir / "record.json").write_text(to_json(replace(asked, format=RECORD_FORMAT)))
        return Finished(0, "")

    def discard_outputs(self) -> None:
        """Do nothing: there are none."""

    def _like(self, trial: Trial) -> Record | None:
        what = trial.setup, trial.tool, trial.workload, trial.config
        records = (
            record
            for record in self._records
            if (record.trial.setup, record.trial.tool, record.trial.workload, record.trial.config) == what
        )
        far = lambda record: (record.trial.id != trial.id, abs(record.trial.repetition - trial.repetition))  # noqa: E731
        return min(records, key=far, default=None)


def venue(recorded: Run) -> Venue:
    """Return where a run is replayed."""
    return Venue(
        check=lambda: None,
        hooks=lambda: _hooks(recorded),
        testbed=lambda ground: ReplayTestbed(recorded, ground.data_dir, ground.output_dir),
        image=lambda *_: _image(recorded),
    )


def _image(recorded: Run) -> Image:
    found: Image = decode(Image, recorded.info.image, "image")
    return found


def _hooks(recorded: Run) -> frozenset[Attach]:
    return frozenset(recorded.info.study.factors.attach)
