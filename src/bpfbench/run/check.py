# SPDX-License-Identifier: Apache-2.0
"""The conformance suite on a stage: its cases, and who is tried by which hooks."""

from __future__ import annotations

from collections.abc import Sequence

from bpfbench.errors import UsageError
from bpfbench.inside.conformance.suite import CASES
from bpfbench.model import Attach, Setup, Tool
from bpfbench.model.check import Subject

CASE_NAMES = tuple(CASES)


def subjects(setups: Sequence[Setup], hooks: Sequence[Attach], *, all_of_them: bool) -> tuple[Subject, ...]:
    """Return each setup with those of the hooks it can attach by.

    One that can by none is tried by the first of its own; with `all_of_them`, it is left out.

    Raises:
        UsageError: none can.
    """
    can = {
        setup: [attach for attach in hooks if attach in setup.attaches] or ([] if all_of_them else setup.attaches[:1])
        for setup in setups
    }
    found = tuple(
        Subject(setup.name, (), attach, tuple(map(Tool, setup.tools)), setup.formats, setup.options, setup.with_perf)
        for setup, those in can.items()
        for attach in those
    )
    if not found:
        raise UsageError(f"option --attach: none of these setups can attach by {', '.join(hooks)}")
    return found
