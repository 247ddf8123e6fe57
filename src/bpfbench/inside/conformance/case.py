# SPDX-License-Identifier: Apache-2.0
"""What a case of the suite is made of: something that finds out which tracers keep one thing that the contract says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from bpfbench.model.check import CaseVerdict, Ended, Subject

Case = Callable[[str, Sequence[Subject]], Iterator[CaseVerdict]]
"""Given its name, and those to run it with."""


def verdict(case: str, subject: Subject, ended: Ended, detail: str = "", variant: str = "") -> CaseVerdict:
    """Return what a case found of one subject."""
    return CaseVerdict(case, subject.setup, subject.attach, variant, ended, detail)
