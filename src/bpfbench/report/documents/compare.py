# SPDX-License-Identifier: Apache-2.0
"""Two runs side by side, for the eye and for programs.

Data:

    before, after  ids of the runs
    differences[]  what, before, after: facts in which the runs differ
    shifts[]       the cell, metric, unit, versus_vanilla, before, after, n_before, n_after, is_ratio, change,
                   interval {low, high}, p, p_corrected (null of too few trials, or without any spread), finding
    only_before[], only_after[]   cells that one run alone has
    trials_before, trials_after   {order, noise}: what each run says of its own trials, as order.py describes it
    gate[]         of each limit and cell: the cell, metric, limit, change, is_ratio, unit, n_before, n_after, verdict
                   (failed, passed, undecided); `change` in per cent where is_ratio, null where it is absent after
    unjudged[]     cell, metric, limit: runtime at a limited rate, against which no limit is held
    same           whether both are one run
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, groupby
from typing import Any

from bpfbench.analysis import metrics, results
from bpfbench.analysis.anytime import ROUNDS_LEAST
from bpfbench.analysis.inference import Finding
from bpfbench.analysis.questions.compare import RunComparison, Shift
from bpfbench.analysis.questions.gate import Gated, GateVerdict, Limit, Unjudged
from bpfbench.analysis.results import Cell
from bpfbench.model import TracerConfig
from bpfbench.report import wording
from bpfbench.report.document import (
    ABSENT,
    Block,
    Bullets,
    Column,
    Document,
    Field,
    Heading,
    Paragraph,
    Table,
    section,
    table,
    texts,
)
from bpfbench.report.numbers import rounded
from bpfbench.report.quantities import BY_METRIC, MIB, Quantity
from bpfbench.units import plural

SCHEMA = 3
"""Version of the data. History: 1 (first); 2 (in the envelope of all answers); 3 (gate: what is absent, unjudged)."""

SHOWN = {
    metric.key: BY_METRIC[metric]
    for metric in (
        metrics.RUNTIME,
        metrics.LATENCY_P99,
        metrics.CPU,
        metrics.TARGET_CPU,
        metrics.MEMORY_GROWTH,
        metrics.ENERGY,
        metrics.SAVED_PERCENT,
        metrics.TRACER_CPU,
        metrics.PSS_PEAK,
    )
}
"""What people are shown; JSON has everything."""

LISTED = 10
"""Cases of which one run alone has some, that people are shown."""

MOST_DECIMALS = 6

TOLD = (Finding.HIGHER, Finding.LOWER)

Saids = tuple[wording.Said, wording.Said]
NOTHING_SAID: Saids = (wording.Said(), wording.Said())

MANIFOLD = 10.0
"""From here on, a change is a factor and no longer per cent."""

READING = (
    "Of what vanilla has too, the ratio to vanilla of the same block is compared, so that a faster machine alone is no"
    " change; x 1.07 is 7 % more than vanilla. Of vanilla itself and of the rest, the values are compared.",
    "n: trials; of vanilla, blocks. 95 %: the interval of the change (Welch).",
    f"A change is told where both runs have {ROUNDS_LEAST} trials or more, and p, corrected over all cells of the"
    " metric (Holm), is at most 0.05. Intervals and p are of runs that were not stopped by what they said of it.",
    "--json has more metrics.",
)

GATE_WEIGHTS = {GateVerdict.FAILED: "bad", GateVerdict.PASSED: "good", GateVerdict.UNDECIDED: "open"}


def data(
    found: RunComparison,
    before: str,
    after: str,
    said: Saids = NOTHING_SAID,
    gate: Sequence[Gated] = (),
    aside: Sequence[Unjudged] = (),
    *,
    same: bool = False,
) -> dict[str, Any]:
    """Return a comparison for programs."""
    return {
        "before": before,
        "after": after,
        "differences": found.facts,
        "shifts": [_shift(shift) for shift in found.shifts],
        "only_before": [cell.columns for cell in found.only_before],
        "only_after": [cell.columns for cell in found.only_after],
        "trials_before": dict(said[0].document),
        "trials_after": dict(said[1].document),
        "gate": [_gated(own) for own in gate],
        "unjudged": [own.cell.columns | _limit(own.limit) for own in aside],
        "same": same,
    }


def _gated(own: Gated) -> dict[str, Any]:
    told = ("change", "is_ratio", "unit", "n_before", "n_after", "verdict")
    return own.cell.columns | _limit(own.limit) | {key: getattr(own, key) for key in told}


def _limit(own: Limit) -> dict[str, str]:
    return {"metric": own.metric, "limit": own.text}


def _shift(shift: Shift) -> dict[str, Any]:
    flat = dataclasses.asdict(shift) | {"finding": shift.finding.value}
    del flat["cell"]
    return shift.cell.columns | flat


def document(
    found: RunComparison,
    before: str,
    after: str,
    said: Saids = NOTHING_SAID,
    gate: Sequence[Gated] = (),
    aside: Sequence[Unjudged] = (),
    *,
    whole: bool = True,
) -> Document:
    """Describe a comparison; `whole`: with what did not change, too."""
    return (*_gate(gate, aside), *_blocks(found, before, after, said, whole=whole))


def of_itself(run: str) -> Document:
    """Say that a run was compared with itself."""
    return (
        Heading(f"{run} is compared with itself"),
        Paragraph("Both are the same run, record by record: there is nothing to compare.", "warning"),
    )


def _gate(gate: Sequence[Gated], aside: Sequence[Unjudged]) -> Iterator[Block]:
    """Say what passed and what failed: what failed first."""
    if gate or aside:
        yield Heading("The limits")
    for text, count in Counter(own.limit.text for own in aside).items():
        yield Paragraph(
            f"{text} is not judged in {plural(count, 'cell')} at a limited rate, where runtime says nothing: "
            f"there, hold {metrics.LATENCY.key}."
        )
    if not gate:
        return
    counts = Counter(own.verdict for own in gate)
    yield Paragraph(", ".join(f"{counts[verdict]} {verdict}" for verdict in GateVerdict if counts[verdict]) + ".")
    rows = [
        (
            Field(own.verdict.value, weight=GATE_WEIGHTS[own.verdict]),
            Field(own.limit.text),
            Field(_case(own.cell)),
            Field(own.cell.setup),
            Field(_config(own.cell)),
            Field(_changed(own)),
        )
        for own in sorted(gate, key=lambda own: list(GateVerdict).index(own.verdict))
    ]
    yield Table((*texts("", "limit", "case", "setup", "configuration"), Column("change")), tuple(rows))


def absent(own: Gated, after: str) -> str:
    """Say of what the run after has no value, though the one before has."""
    return f"{own.limit.text}: {after} has no value of {own.cell.setup} to compare ({_case(own.cell)})"


def _changed(own: Gated) -> str:
    if own.change is None:
        return ABSENT
    if own.is_ratio:
        return f"{own.change:+.1f} %"
    return wording.signed_size(own.change) if own.unit == "bytes" else f"{own.change:+.2f} points"


def _case(cell: Cell) -> str:
    return f"{wording.whole(cell.workload)}: {cell.tool}"


def _config(cell: Cell) -> str:
    return ", ".join(wording.factor(name, value) for name, value in results.said(cell.config).items())


def _blocks(found: RunComparison, before: str, after: str, said: Saids, *, whole: bool) -> Iterator[Block]:
    """Describe a comparison: what came of it, what is different about the runs, then what each says of its trials."""
    called = {"before": before, "after": after}
    shown = [shift for shift in found.shifts if shift.metric in SHOWN]
    told = [shift for shift in shown if shift.finding in TOLD]
    rest = [shift for shift in shown if shift.finding not in TOLD]
    cases = _cases(found)
    yield from section("What changed", (f"From {before} to {after}: {_answer(shown, told)}",))
    for (when, name), own in zip(called.items(), said, strict=True):
        yield from (Paragraph(f"{name} ({when}): {text}", "warning") for text in own.warnings)
    yield from _tables(told, found, cases, _told_table)
    if rest and not whole:
        others = f"the other {len(rest)}, of which no change can be told" if told else f"all {len(rest)}"
        yield Paragraph(f"--all shows {others}.")
    yield from _differences(found, cases)
    for (when, name), own in zip(called.items(), said, strict=True):
        if own.sentences:
            yield from section(f"The trials of {name} ({when})", own.sentences)
    if rest and whole:
        yield Heading("What cannot be told to have changed")
        yield from _tables(rest, found, cases, _rest_table)
    yield from section("How to read this", (), Bullets(READING, "fine"))


def _answer(shown: Sequence[Shift], told: Sequence[Shift]) -> str:
    """Say in short what came of it."""
    few = sum(shift.has_too_few for shift in shown)
    if few == len(shown):
        return f"too few trials to tell; a change takes {ROUNDS_LEAST} in both runs, which none of {few} numbers has."
    answer = f"no change can be told from noise, of {len(shown)} numbers that were looked at."
    if told:
        vanilla = sum(shift.cell.is_vanilla for shift in told)
        own = f", {vanilla} of them vanilla's own, which is the machine's doing" if vanilla else ""
        answer = f"{len(told)} of {len(shown)} numbers changed beyond noise{own}."
    lacking = f" Of {few}, there are fewer than {ROUNDS_LEAST} trials in a run: too few to tell." if few else ""
    return answer + lacking


def _differences(found: RunComparison, cases: Mapping[Cell, Sequence[TracerConfig]]) -> Iterator[Block]:
    """Say what is different about the runs: facts, and what one alone has."""
    rows = tuple((item.what, item.before or ABSENT, item.after or ABSENT) for item in found.facts)
    alike = () if rows else ("Nothing that was recorded: same machine, kernel, image and study.",)
    yield from section("What is different about the runs", alike, table(("", "before", "after"), rows, texts=3))
    alone = [
        (when, wording.case_title(case.workload, case.tool, case.kernel), wording.listed(_setups(own, cases[case])))
        for when, cells in (("before", found.only_before), ("after", found.only_after))
        for case, own in _by_case(cells, found).items()
    ]
    if alone:
        more = (f"And in {len(alone) - LISTED} more cases: --json has all of it.",) if len(alone) > LISTED else ()
        listed = table(("only", "case", "setups"), alone[:LISTED], texts=3)
        lacking = ("The other run has no trial of these that counts.",)
        yield from section("What one run alone has", lacking, listed, *map(Paragraph, more))


def _case_of(cell: Cell, found: RunComparison) -> Cell:
    """The case a cell is of, as its vanilla; with the kernel where that tells cases apart."""
    return dataclasses.replace(cell.vanilla, kernel=cell.kernel if found.by_kernel else None)


def _by_case(cells: Iterable[Cell], found: RunComparison) -> dict[Cell, list[Cell]]:
    own: dict[Cell, list[Cell]] = {}
    for cell in cells:
        own.setdefault(_case_of(cell, found), []).append(cell)
    return own


def _cases(found: RunComparison) -> dict[Cell, list[TracerConfig]]:
    """Return the configurations of each case in both runs, so that a setup has one name wherever it is named."""
    cells = chain((shift.cell for shift in found.shifts), found.only_before, found.only_after)
    by_case = _by_case(dict.fromkeys(cells), found)
    return {case: [cell.config for cell in own if cell.config is not None] for case, own in by_case.items()}


def _setups(cells: Iterable[Cell], configs: Sequence[TracerConfig]) -> list[str]:
    varying = results.varying(configs)
    return list(dict.fromkeys(wording.setup_name(cell.setup, cell.config, varying) for cell in cells))


def _tables(
    shifts: Iterable[Shift],
    found: RunComparison,
    cases: Mapping[Cell, Sequence[TracerConfig]],
    make: Callable[[Sequence[Shift], Sequence[TracerConfig]], Table],
) -> Iterator[Block]:
    for case, group in groupby(shifts, key=lambda shift: _case_of(shift.cell, found)):
        common = ", ".join(wording.factor(name, value) for name, value in results.common(cases[case]).items())
        title = wording.case_title(case.workload, case.tool, case.kernel)
        yield Heading(title, 3)
        yield from map(Paragraph, filter(None, (common,)))
        yield make(list(group), cases[case])


def _told_table(shifts: Sequence[Shift], configs: Sequence[TracerConfig]) -> Table:
    return Table(_columns(), tuple(_rows(shifts, configs)))


def _rest_table(shifts: Sequence[Shift], configs: Sequence[TracerConfig]) -> Table:
    rows = zip(_rows(shifts, configs), map(_untold, shifts), strict=True)
    because = Column("because", is_text=True, importance=1)
    return Table((*_columns(), because), tuple((*row, Field(why)) for row, why in rows))


def _columns() -> tuple[Column, ...]:
    numbers = (Column("before (n)"), Column("after (n)"), Column("change"))
    return (*texts("setup", "what"), *numbers, Column("95 %", importance=2))


def _rows(shifts: Iterable[Shift], configs: Sequence[TracerConfig]) -> Iterator[tuple[Field, ...]]:
    """Yield a row for each number; a setup is named where its rows begin."""
    varying, last = results.varying(configs), None
    for shift in shifts:
        cell = shift.cell
        own = (
            wording.setup_name(cell.setup, cell.config, varying) if cell != last else "",
            _what(shift),
            f"{_number(shift.before, shift)} ({shift.n_before})",
            f"{_number(shift.after, shift)} ({shift.n_after})",
            *_change(shift),
        )
        yield tuple(map(Field, own))
        last = cell


def _untold(shift: Shift) -> str:
    """Say why no change is told."""
    if shift.has_too_few:
        return "too few trials"
    if shift.p is not None:
        return "it may be noise"
    unchanged = math.isclose(shift.change, 1.0 if shift.is_ratio else 0.0, abs_tol=1e-9)
    return "the same in all trials" if unchanged else "nothing scatters"


def _what(shift: Shift) -> str:
    """Name a number as other tables do, with its unit; a ratio to vanilla has none."""
    own = SHOWN[shift.metric]
    if not shift.versus_vanilla:
        return own.column.heading
    return f"{own.title} over vanilla" + ("" if shift.is_ratio else f", {own.unit}")


def _number(value: float, shift: Shift) -> str:
    own = SHOWN[shift.metric]
    if shift.versus_vanilla and shift.is_ratio:
        return f"x {value:.3f}"
    digits = _digits(own, shift)
    return rounded(value / own.scale, digits, "+") if shift.versus_vanilla else own.number(value, digits)


def _digits(own: Quantity, shift: Shift) -> int:
    """Return the decimals of both numbers: as other tables have, or more, until the larger has three figures."""
    largest = max(abs(shift.before), abs(shift.after)) / own.scale
    figures = 2 - math.floor(math.log10(largest)) if largest else 0
    return min(max(own.decimals, figures), MOST_DECIMALS)


def _change(shift: Shift) -> tuple[str, str]:
    """Write a change, and its interval, without the unit."""
    change, interval = shift.change, shift.interval
    unit = " MiB" if shift.unit == "bytes" else " points"
    if shift.is_ratio:
        unit = " %" if change < MANIFOLD else ""
    ends = f"[{', '.join(_signed(shift, interval.low, interval.high))}]" if interval else ABSENT
    return f"{_signed(shift, change)[0]}{unit}", ends


def _signed(shift: Shift, *changes: float) -> list[str]:
    """Write changes in the same unit: MiB, points, per cent, or where that were thousands, factors."""
    if not shift.is_ratio:
        scale, digits = (MIB, 1) if shift.unit == "bytes" else (1, 2)
        return [rounded(change / scale, digits, "+") for change in changes]
    if max(changes) < MANIFOLD:
        return [rounded(100 * (change - 1), 1, "+") for change in changes]
    return [f"x {change:.3g}" for change in changes]
