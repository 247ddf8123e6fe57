# SPDX-License-Identifier: Apache-2.0
"""Specifications: all that is told to what runs inside an image, and to who builds one."""

from __future__ import annotations

import os
from dataclasses import dataclass

from bpfbench.model.choices import Accelerator, Tool
from bpfbench.model.command import CommandTracer
from bpfbench.model.driven import DrivenTarget
from bpfbench.model.factors import TracerConfig
from bpfbench.model.record import RECORD_FORMAT, Record, Status
from bpfbench.model.study import Deadlines, Settings
from bpfbench.model.trial import Predecessor, Trial

COMM_BYTES = 15
"""What the kernel keeps of the name of a process."""


def comm_of(name: str) -> str:
    """Return what the kernel keeps of the name of a process, which may end within a character."""
    return os.fsdecode(os.fsencode(name)[:COMM_BYTES])


TARGET_COMM = "fio"
"""What fio's processes are called, which a trial's tracer watches unless another target is driven."""
OWN_COMM = "bpfbench-trace"
"""What processes of ours are called while one traces, lest they be traced: handing on an event would make another."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where packages come from; None: the defaults of mmdebstrap."""

    mirror: str | None = None
    suite: str | None = None
    ca_bundle: str | None = None


@dataclass(frozen=True, slots=True)
class TrialSpec:
    """All that the trial runner is told. Paths are as seen inside the image, and filled in by the testbed."""

    trial: Trial
    settings: Settings
    job_file: str = ""
    tracer_command: tuple[str, ...] | None = None
    session: str = ""
    output_disk_bytes: int | None = None
    """The most of the disk that the tracer's output may take. What outgrows it is checked and given back while the
    tracer writes; None: it is checked once fio has ended."""
    data_dir: str = ""
    output_dir: str = ""
    record_dir: str = ""
    accelerator: Accelerator | None = None
    """Of the virtual machine that the trial runs in, which cannot tell itself."""
    predecessor: Predecessor | None = None
    """None: nothing ran since the session, or the virtual machine, began."""
    place: int | None = None
    """In its block, from 1; None for a warm-up."""
    target: DrivenTarget | None = None
    """What is driven in the place of fio; its files are in a folder inside the image."""
    packages: str = ""
    """The root of what was installed for it, inside the image."""
    command: CommandTracer | None = None
    """The tracer, where it is a command, in the place of `tracer_command`."""
    command_files: str = ""
    """The folder of its own files, inside the image."""
    command_packages: str = ""
    """The root of what was installed for it."""

    @property
    def comm(self) -> str:
        """What the processes are called that are traced."""
        return self.target.comm if self.target else TARGET_COMM


@dataclass(frozen=True, slots=True)
class TraceSpec:
    """All that a trace is told. Paths are as seen inside the image."""

    tool: Tool
    config: TracerConfig
    comm: str
    """Whose events are traced."""
    output_limit_bytes: int
    """The most the tracer may write (RLIMIT_FSIZE)."""
    deadlines: Deadlines
    tracer_command: tuple[str, ...] = ()
    output_dir: str = ""


def blank_record(spec: TrialSpec, started_at: str, host: str) -> Record:
    """Return the record of a trial of which nothing is known yet, but that it has failed."""
    return Record(
        format=RECORD_FORMAT,
        trial=spec.trial,
        status=Status.FAILED,
        reason=None,
        started_at=started_at,
        session=spec.session,
        host=host,
        steps=(),
        checks=(),
        fio=None,
        summary=None,
        usage=None,
        idle=None,
        load=None,
        monitor_cpu_s=None,
        cpus={},
        notes={},
        predecessor=spec.predecessor,
        place=spec.place,
    )
