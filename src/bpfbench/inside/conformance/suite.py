# SPDX-License-Identifier: Apache-2.0
"""The conformance suite: runs cases on tracers, and tells whatever each left behind, too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bpfbench.inside import leftovers
from bpfbench.inside.conformance import alone, knobs, profiles, together
from bpfbench.inside.conformance.case import verdict
from bpfbench.model.check import CaseVerdict, CheckSpec, Ended

CASES = {**together.CASES, **profiles.CASES, **alone.CASES, **knobs.CASES}

TEMPORARY = Path("/tmp")  # noqa: S108 - a tmpfs of the sandbox's


def run(spec: CheckSpec, tell: Callable[[CaseVerdict], None]) -> None:
    """Run the cases, each followed by a look for what the tracers left behind; any of them may have."""
    for name in spec.cases:
        before = leftovers.take(TEMPORARY)
        for found in CASES[name](name, spec.subjects):
            tell(found)
        if left := leftovers.settled_since(before, TEMPORARY):
            detail = "left behind: " + "; ".join(f"{kind}: {', '.join(sorted(items))}" for kind, items in left.items())
            for subject in spec.subjects:
                tell(verdict(name, subject, Ended.FAILED, detail))
