# SPDX-License-Identifier: Apache-2.0
"""`python3 -m bpfbench.conformance`: reads a CheckSpec as JSON from stdin, prints each Verdict as a JSON line."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from bpfbench.codec import from_json, to_json
from bpfbench.conformance.cases import CASES
from bpfbench.conformance.model import CheckSpec, Outcome, Subject, Verdict
from bpfbench.trial import leftovers

TEMPORARY = Path("/tmp")  # noqa: S108 - a tmpfs of the sandbox's


def main() -> None:
    """Run the cases, and then look for what the tracers left behind."""
    spec = from_json(CheckSpec, sys.stdin.read())
    for name in spec.cases:
        before = leftovers.take(TEMPORARY)
        for verdict in CASES[name].run(name, spec.subjects):
            _tell(verdict)
        for verdict in _left_behind(name, spec.subjects, before):
            _tell(verdict)


def _left_behind(case: str, subjects: Sequence[Subject], before: leftovers.Inventory) -> list[Verdict]:
    """Return a failure for whoever may have left something behind."""
    new = leftovers.settled_since(before, TEMPORARY)
    if not new:
        return []
    detail = "left behind: " + "; ".join(f"{kind}: {', '.join(sorted(items))}" for kind, items in new.items())
    return [Verdict(case, subject.setup, subject.attach, "", Outcome.FAILED, detail) for subject in subjects]


def _tell(verdict: Verdict) -> None:
    sys.stdout.write(to_json(verdict, indent=None))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
