# SPDX-License-Identifier: Apache-2.0
"""A job: what a testbed is asked to run in the image, and what that sees there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bpfbench.machine.command import Hold


@dataclass(frozen=True, slots=True)
class Job:
    """A command to be run in the image, where, and what it sees there besides. Directories are below INSIDE."""

    argv: tuple[str, ...]
    stdin: str = ""
    timeout_s: float | None = None
    host: str | None = None
    """None: whichever."""
    kernel: str | None = None
    block: int | None = None
    """Of the plan; None: no matter."""
    data: str | None = None
    """The name of the directory of data files seen at `data`; kept."""
    output: str | None = None
    """The name of a fresh directory seen at `output`."""
    keep_output_as: str | None = None
    """What that is to be called afterwards; None: it is deleted."""
    record_dir: Path | None = None
    """Ours, which gets what is written to `record`."""
    own_network: bool = False
    """Whether it has a network of its own, with nothing but a loopback device."""
    hold: Hold | None = None
    """Keeps its stdin open; on this machine's own kernel only."""
