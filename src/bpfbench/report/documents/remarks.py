# SPDX-License-Identifier: Apache-2.0
"""What stands beneath a table: its numbers read aloud, and what it has no column for.

Every remark is derived from the numbers of one group; nothing is judged that the numbers do not say.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate

from bpfbench.analysis import commanded, metrics
from bpfbench.analysis.anytime import ROUNDS_LEAST
from bpfbench.analysis.apart import Verdict
from bpfbench.analysis.decision import within
from bpfbench.analysis.results import PaperRule
from bpfbench.analysis.summary import Group
from bpfbench.model import RATE_TOLERANCE
from bpfbench.report.documents.marks import Marks
from bpfbench.report.numbers import share
from bpfbench.report.wording import change, row_name

LONGEST_LIST = 110
"""Characters of a list of rows in one remark; a crossed study has dozens of rows."""


LEAST_KEPT = 100 * (1 - RATE_TOLERANCE)

APART = (Verdict.MORE, Verdict.LESS, PaperRule.BEYOND)
ALIKE = (Verdict.OPEN, PaperRule.INCONCLUSIVE)
BY_ROUNDS = (
    "differs from vanilla's:",
    "cannot be told from vanilla's:",
    f"cannot be judged by fewer than {ROUNDS_LEAST} rounds",
)
BY_PAPER = (
    "is beyond vanilla's SD:",
    "is within vanilla's SD (inconclusive):",
    "is not assessable against vanilla (needs 2 repetitions)",
)
"""How it is said that a runtime is apart from vanilla's, is not, and that neither can be said."""


def remarks(group: Group, marks: Marks) -> Iterator[str]:
    """Read a group's table aloud, one remark each."""
    if group.emulated:
        yield from _reconciled(group)
        yield from _uncounted(group)
        return
    yield from _fidelity(group)
    yield from _cost(group, marks)
    if group.from_sending:
        yield "Latency is from the sending of each operation: what waited to be sent is in none (docs/targets.md)."
    yield from _unkept(group)
    yield from _losses(group)
    yield from _uncounted(group)
    yield from _by_own_word(group)
    yield from _unpaired(group)


def _reconciled(group: Group) -> Iterator[str]:
    proved = sum(row.n for row in group.rows if metrics.INTERCEPTED in row.samples)
    if proved:
        trials = "1 trial" if proved == 1 else f"each of {proved} trials"
        yield f"Every call accounted for: in {trials}, intercepted = saved + lost, and the output holds what was saved."


def _fidelity(group: Group) -> Iterator[str]:
    """Say who saves most and least, where the rounds tell anybody apart."""
    rows = [row for row in group.rows if metrics.SAVED_PERCENT in row.samples]
    if len(rows) < 2:
        return
    shares = {str(at): row.samples[metrics.SAVED_PERCENT].spread.mean for at, row in enumerate(rows)}
    if len({share(mean) for mean in shares.values()}) == 1:
        yield f"Saved: all {share(shares['0'])} %."
        return
    found = within({str(at): {None: row.samples[metrics.SAVED_PERCENT].by_round(float)} for at, row in enumerate(rows)})
    if not found.ruled_out:
        span = f"{share(min(shares.values()))} to {share(max(shares.values()))} %"
        yield f"Saved: {span}; nobody is told apart from the others."
        return
    order = sorted(found.order, key=lambda own: -shares[own])
    named = {own: f"{row_name(rows[int(own)], group)} {share(shares[own])} %" for own in order}
    most = [named[own] for own in order if own not in found.ruled_out]
    less = [named[own] for own in order if own in found.ruled_out]
    yield f"Saved: most {_listed(most, 'or')}; known to save less: {_listed(less)}."


def _cost(group: Group, marks: Marks) -> Iterator[str]:
    """Say whose runtime is apart from vanilla's, or at a rate, which runtime follows, whose latency is."""
    limited = group.workload.rate_iops is not None
    metric, word = (metrics.LATENCY, "Latency") if limited else (metrics.RUNTIME, "Runtime")
    apart, alike, open_ = BY_PAPER if marks.paper_rule else BY_ROUNDS
    rows = [(row, row.samples[metric]) for row in group.rows if metric in row.samples]
    found = [(marks.judged(row, metric), row, own.change) for row, own in rows]
    ordered = sorted(found, key=lambda item: item[2].mean if item[2] else 0.0, reverse=True)
    changes = [
        f"{row_name(row, group)} {change(own) or '(no pair)'}" for verdict, row, own in ordered if verdict in APART
    ]
    within_ = [row_name(row, group) for verdict, row, _ in found if verdict in ALIKE]
    parts = [f"{apart} {_listed(changes)}"] if changes else []
    parts += [f"{alike} {_listed(within_)}"] if within_ else []
    if any(verdict in (Verdict.TOO_FEW, PaperRule.NOT_ASSESSABLE) for verdict, *_ in found):
        parts.append(open_)
    if parts:
        yield f"{word} {'; '.join(parts)}."


def _unkept(group: Group) -> Iterator[str]:
    """Say who could not do what was offered: there, latency says how long the trial was, and nothing of a tracer."""
    shares = {row_name(row, group): own.spread.min for row in group.rows if (own := row.samples.get(metrics.RATE_KEPT))}
    short = [f"{name} {share(percent)} %" for name, percent in shares.items() if percent < LEAST_KEPT]
    if short:
        yield f"Done at least of the rate offered: {_listed(short)}; latency is left out where the rate was not kept."


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


def _by_own_word(group: Group) -> Iterator[str]:
    """Say of commands what is known of what they miss, and that it is no more."""
    rows = [row for row in group.rows if row.cell.is_command and row.n]
    told = {row_name(row, group): row.spread(commanded.TOLD_PERCENT) for row in rows}
    said = [f"{name} {share(found.mean)} %" for name, found in told.items() if found]
    if said:
        yield f"Received, by its own word: {_listed(said)}."
    if silent := [name for name, found in told.items() if found is None]:
        yield f"What it misses is not known, as it keeps no contract and does not say: {_listed(silent)}."


def _unpaired(group: Group) -> Iterator[str]:
    rows = [row for row in group.rows if not row.cell.is_vanilla and row.n_paired < row.n]
    if rows:
        names = [f"{row_name(row, group)} {row.n_paired} of {row.n}" for row in rows]
        yield (
            "Vanilla is missing, or was run in another session, in some blocks;"
            f" the differences are over {_listed(names)} trials."
        )


def _listed(names: Sequence[str], last: str = "") -> str:
    """The names that fit, at least one, and how many more there are; `last` stands before the last of all."""
    ends = accumulate(len(name) + len(", ") for name in names)
    fitting = max(1, sum(end <= LONGEST_LIST for end in ends))
    more = len(names) - fitting
    if last and not more and fitting > 1:
        return f"{', '.join(names[:-1])} {last} {names[-1]}"
    return ", ".join(names[:fitting]) + (f" and {more} more" if more else "")
