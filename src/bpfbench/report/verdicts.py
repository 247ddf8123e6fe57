# SPDX-License-Identifier: Apache-2.0
"""What the conformance suite found, for the eye: a table of cases and setups, then each failure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bpfbench.model.check import CaseVerdict, Ended

WORDS = {Ended.PASSED: "ok", Ended.FAILED: "FAILED", Ended.SKIPPED: "-"}
STYLES = {Ended.PASSED: "green", Ended.FAILED: "bold red", Ended.SKIPPED: "dim"}


def render(verdicts: Sequence[CaseVerdict], console: Console) -> None:
    """Print all of it."""
    subjects = list(dict.fromkeys((verdict.setup, verdict.attach) for verdict in verdicts))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("case", no_wrap=True)
    for setup, attach in subjects:
        table.add_column(Text(f"{setup}\n{attach}"))
    for case in dict.fromkeys(verdict.case for verdict in verdicts):
        of_case = [verdict for verdict in verdicts if verdict.case == case]
        cells = (_cell(verdict for verdict in of_case if (verdict.setup, verdict.attach) == each) for each in subjects)
        table.add_row(case, *cells)
    console.print(table)
    for outcome in (Ended.SKIPPED, Ended.FAILED):
        for verdict in verdicts:
            if verdict.outcome is outcome:
                what = " ".join(filter(None, (verdict.setup, verdict.attach, verdict.case, verdict.variant)))
                console.print(Text(f"{what}: {outcome}: {verdict.detail}", style=STYLES[outcome]), soft_wrap=True)
    counts = {outcome: sum(verdict.outcome is outcome for verdict in verdicts) for outcome in Ended}
    console.print(", ".join(f"{n} {outcome}" for outcome, n in counts.items()), highlight=False)


def _cell(verdicts: Iterable[CaseVerdict]) -> Text:
    """The worst of a setup's variants."""
    outcomes = {verdict.outcome for verdict in verdicts}
    for outcome in (Ended.FAILED, Ended.PASSED, Ended.SKIPPED):
        if outcome in outcomes:
            return Text(WORDS[outcome], style=STYLES[outcome])
    return Text("")
