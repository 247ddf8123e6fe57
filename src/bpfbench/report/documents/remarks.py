# SPDX-License-Identifier: Apache-2.0
"""What stands beneath a table: its numbers read aloud, and what it has no column for.

Every remark is derived from the numbers of one group; nothing is judged that the numbers do not say.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate

from bpfbench.analysis import metrics
from bpfbench.analysis.results import PaperRule
from bpfbench.analysis.summary import Group
from bpfbench.report.numbers import share
from bpfbench.report.wording import change, row_name

LONGEST_LIST = 110
"""Characters of a list of rows in one remark; a crossed study has dozens of rows."""


def remarks(group: Group) -> Iterator[str]:
    """Read a group's table aloud, one remark each."""
    if group.emulated:
        yield from _reconciled(group)
        yield from _uncounted(group)
        return
    yield from _fidelity(group)
    yield from _runtime(group)
    yield from _losses(group)
    yield from _uncounted(group)
    yield from _unpaired(group)


def _reconciled(group: Group) -> Iterator[str]:
    proved = sum(row.n for row in group.rows if metrics.INTERCEPTED in row.samples)
    if proved:
        trials = "1 trial" if proved == 1 else f"each of {proved} trials"
        yield f"Every call accounted for: in {trials}, intercepted = saved + lost, and the output holds what was saved."


def _fidelity(group: Group) -> Iterator[str]:
    saved = [(row, found) for row in group.rows if (found := row.spread(metrics.SAVED_PERCENT))]
    ranks: dict[str, list[str]] = {}
    for row, estimate in sorted(saved, key=lambda pair: -pair[1].mean):
        ranks.setdefault(share(estimate.mean), []).append(row_name(row, group))
    if len(saved) < 2:
        return
    first, *others = ranks.items()
    if not others:
        yield f"Saved: all {first[0]} %."
        return
    (runner_up, names), last = others[0], list(ranks.items())[-1]
    end = f"; least {_listed(last[1])} {last[0]} %" if len(others) > 1 else ""
    yield f"Saved: most {_listed(first[1])} {first[0]} %, then {_listed(names)} {runner_up} %{end}."


def _runtime(group: Group) -> Iterator[str]:
    rows = [(row, found) for row in group.rows if (found := row.samples.get(metrics.RUNTIME))]
    of = {verdict: [(row, own.change) for row, own in rows if own.rule is verdict] for verdict in PaperRule}
    beyond = sorted(of[PaperRule.BEYOND], key=lambda pair: pair[1].mean if pair[1] else 0.0, reverse=True)
    changes = [f"{row_name(row, group)} {change(found) or '(no pair)'}" for row, found in beyond]
    within = [row_name(row, group) for row, _ in of[PaperRule.INCONCLUSIVE]]
    parts = []
    if changes:
        parts.append(f"beyond vanilla's SD {_listed(changes)}")
    if within:
        span = "it" if changes else "vanilla's SD"
        parts.append(f"within {span} (inconclusive) {_listed(within)}")
    if of[PaperRule.NOT_ASSESSABLE]:
        parts.append("not assessable against vanilla (needs 2 repetitions)")
    if parts:
        yield f"Runtime: {'; '.join(parts)}."


def _losses(group: Group) -> Iterator[str]:
    lost = [
        (cause, found.mean, row) for row in group.rows for cause, found in row.lost_percent_by_cause.items() if found
    ]
    by_cause: dict[str, list[str]] = {}
    for cause, percent, row in sorted(lost, key=lambda item: item[1], reverse=True):
        if percent > 0:
            by_cause.setdefault(cause, []).append(f"{row_name(row, group)} {share(percent)} %")
    for cause, names in by_cause.items():
        yield f"Lost to {cause}: {_listed(names)}."


def _uncounted(group: Group) -> Iterator[str]:
    setups: dict[str, list[str]] = {}
    for row in group.rows:
        for cause in (cause for cause, found in row.lost_percent_by_cause.items() if found is None):
            causes = setups.setdefault(row.cell.setup, [])
            if cause not in causes:
                causes.append(cause)
    if setups:
        listed = [f"{setup} {', '.join(causes)}" for setup, causes in setups.items()]
        yield f"Losses that cannot be counted: {'; '.join(listed)}."


def _unpaired(group: Group) -> Iterator[str]:
    rows = [row for row in group.rows if not row.cell.is_vanilla and row.n_paired < row.n]
    if rows:
        names = [f"{row_name(row, group)} {row.n_paired} of {row.n}" for row in rows]
        yield (
            "Vanilla is missing, or was run in another session, in some blocks;"
            f" the differences are over {_listed(names)} trials."
        )


def _listed(names: Sequence[str]) -> str:
    """The names that fit, at least one, and how many more there are."""
    ends = accumulate(len(name) + len(", ") for name in names)
    fitting = max(1, sum(end <= LONGEST_LIST for end in ends))
    more = len(names) - fitting
    return ", ".join(names[:fitting]) + (f" and {more} more" if more else "")
