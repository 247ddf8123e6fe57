# SPDX-License-Identifier: Apache-2.0
"""system: the settings that make results noisy: shown, set for a while, and set back."""

from __future__ import annotations

import os
from collections.abc import Sequence

from cyclopts import App

from bpfbench.cli.show import Form
from bpfbench.cli.show import show as print_answer
from bpfbench.errors import MachineError
from bpfbench.machine import tune
from bpfbench.machine.tune import Change, Tuned
from bpfbench.report.document import Paragraph, table

system_app = App(
    name="system",
    help="Settings of this machine that make results noisy: show, tune, restore.",
    help_format="plaintext",
)


@system_app.command
def show(*, form: Form = Form()) -> int:
    """Show each setting, what is recommended, and what it was before it was tuned. Changes nothing."""
    states = tune.show()
    rows = [
        (
            state.setting.name,
            state.current or "not on this machine",
            state.setting.recommended,
            state.saved or "",
            "" if state.as_recommended else state.setting.reason,
        )
        for state in states
    ]
    print_answer(form, "settings", (table(("setting", "is", "recommended", "saved", "why"), rows, texts=5),), states)
    return 0


@system_app.command(name="tune")
def tune_(*, form: Form = Form()) -> int:
    """Set everything as recommended, until `restore` or a reboot. The originals are saved first. Needs root."""
    _require_root()
    return _report(tune.tune(), form, "nothing to do")


@system_app.command
def restore(*, form: Form = Form()) -> int:
    """Set everything that was tuned back to what it was before. Needs root."""
    _require_root()
    return _report(tune.restore(), form, "nothing was tuned")


def _require_root() -> None:
    if os.geteuid() != 0:
        raise MachineError("changing the settings of this machine needs root", "run the same command with sudo")


def _report(changes: Sequence[Change], form: Form, nothing: str) -> int:
    told = []
    for change in changes:
        what = f"{change.name} (/{change.path})"
        if change.outcome is Tuned.CHANGED:
            told.append(f"{what}: {change.before} -> {change.after}")
        elif change.outcome is Tuned.FAILED:
            told.append(f"{what}: stays {change.before}: {change.reason}")
    print_answer(form, "changes", tuple(map(Paragraph, told or [nothing])), changes)
    return 1 if any(change.outcome is Tuned.FAILED for change in changes) else 0
