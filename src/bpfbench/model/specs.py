# SPDX-License-Identifier: Apache-2.0
"""The specification of a trial: all that the trial runner is told."""

from __future__ import annotations

from dataclasses import dataclass

from bpfbench.model.choices import Accelerator
from bpfbench.model.study import Settings
from bpfbench.model.trial import Predecessor, Trial


@dataclass(frozen=True, slots=True)
class TrialSpec:
    """All that the trial runner is told. Paths are as seen inside the image."""

    trial: Trial
    settings: Settings
    job_file: str
    tracer_command: tuple[str, ...] | None
    session: str
    output_disk_bytes: int | None
    """The most of the disk that the tracer's output may take. What outgrows it is checked and given back while the
    tracer writes; None: it is checked once fio has ended."""
    data_dir: str
    output_dir: str
    record_dir: str
    accelerator: Accelerator | None = None
    """Of the virtual machine that the trial runs in, which cannot tell itself."""
    predecessor: Predecessor | None = None
    """None: nothing ran since the session, or the virtual machine, began."""
    place: int | None = None
    """In its block, from 1; None for a warm-up."""
