# SPDX-License-Identifier: Apache-2.0
"""A case of the suite: one thing that the contract says, and what finds out who keeps it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bpfbench.inside.conformance import program
from bpfbench.model import Tool
from bpfbench.model.check import CaseVerdict, Ended, Subject

RW_TOOLS = (Tool.RW_TRACER, Tool.RW_TRACER_ALL)
COMM = program.COMM[:9]
"""A short name."""

Runner = Callable[[str, Sequence[Subject]], Iterator[CaseVerdict]]
"""Runs a case, given its name and those to run it with."""


@dataclass(frozen=True, slots=True)
class ContractCase:
    """One thing that the contract says."""

    name: str
    description: str
    run: Runner


def verdict(case: str, subject: Subject, ended: Ended, detail: str, variant: str = "") -> CaseVerdict:
    """Return what a case found of one subject."""
    return CaseVerdict(case, subject.setup, subject.attach, variant, ended, detail)


def made(path: Path) -> Path:
    """Make a directory."""
    path.mkdir()
    return path
