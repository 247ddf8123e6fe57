# SPDX-License-Identifier: Apache-2.0
"""The conformance suite: runs cases on tracers, and tells whatever each left behind, too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from bpfbench.inside import leftovers
from bpfbench.inside.conformance.cases import CASES
from bpfbench.model.check import CaseVerdict, CheckSpec, Ended, Subject

TEMPORARY = Path("/tmp")  # noqa: S108 - a tmpfs of the sandbox's


def run(spec: CheckSpec, tell: Callable[[CaseVerdict], None]) -> None:
    """Run the cases, each followed by a look for what the tracers left behind."""
    for name in spec.cases:
        before = leftovers.take(TEMPORARY)
        for verdict in CASES[name].run(name, spec.subjects):
            tell(verdict)
        for verdict in _left_behind(name, spec.subjects, before):
            tell(verdict)


def _left_behind(case: str, subjects: Sequence[Subject], before: leftovers.Inventory) -> list[CaseVerdict]:
    """Return a failure for whoever may have left something behind."""
    new = leftovers.settled_since(before, TEMPORARY)
    if not new:
        return []
    detail = "left behind: " + "; ".join(f"{kind}: {', '.join(sorted(items))}" for kind, items in new.items())
    return [CaseVerdict(case, subject.setup, subject.attach, "", Ended.FAILED, detail) for subject in subjects]
