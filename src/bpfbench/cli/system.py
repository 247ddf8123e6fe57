# SPDX-License-Identifier: Apache-2.0
"""system: the settings that make results noisy: shown, set for a while, and set back."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict

from cyclopts import App
from rich.table import Table

from bpfbench.cli.app import Json, app, print_json, stdout
from bpfbench.errors import MachineError
from bpfbench.machine import tune
from bpfbench.machine.tune import Change, Outcome

system_app = App(
    name="system",
    help="Settings of this machine that make results noisy: show, tune, restore.",
    help_format="plaintext",
)
app.command(system_app)


@system_app.command
def show(*, as_json: Json = False) -> int:
    """Show each setting, what is recommended, and what it was before it was tuned. Changes nothing."""
    states = tune.show()
    if as_json:
        print_json([asdict(state) for state in states])
        return 0
    table = Table("setting", "is", "recommended", "saved", "why", box=None, pad_edge=False)
    for state in states:
        why = "" if state.as_recommended else state.setting.reason
        table.add_row(
            state.setting.name,
            state.current or "not on this machine",
            state.setting.recommended,
            state.saved or "",
            why,
        )
    stdout.print(table)
    return 0


@system_app.command(name="tune")
def tune_(*, as_json: Json = False) -> int:
    """Set everything as recommended, until `restore` or a reboot. The originals are saved first. Needs root."""
    _require_root()
    return _report(tune.tune(), as_json, "nothing to do")


@system_app.command
def restore(*, as_json: Json = False) -> int:
    """Set everything that was tuned as it was before. Needs root."""
    _require_root()
    return _report(tune.restore(), as_json, "nothing was tuned")


def _require_root() -> None:
    if os.geteuid() != 0:
        raise MachineError("changing the settings of this machine needs root", "run the same command with sudo")


def _report(changes: Sequence[Change], as_json: bool, nothing: str) -> int:
    if as_json:
        print_json([asdict(change) for change in changes])
    else:
        told = [change for change in changes if change.outcome in (Outcome.CHANGED, Outcome.FAILED)]
        for change in told:
            what = f"{change.name} (/{change.path})"
            if change.outcome is Outcome.CHANGED:
                stdout.print(f"{what}: {change.before} -> {change.after}", highlight=False, soft_wrap=True)
            else:
                stdout.print(f"{what}: stays {change.before}: {change.reason}", highlight=False, soft_wrap=True)
        if not told:
            stdout.print(nothing, highlight=False)
    return 1 if any(change.outcome is Outcome.FAILED for change in changes) else 0
