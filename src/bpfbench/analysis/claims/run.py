# SPDX-License-Identifier: Apache-2.0
"""What a run knows of the cells: 95 % confidence intervals over its trials.

Two setups in one place ran in the same blocks and are compared within them: Student's t on the differences, of the
logarithms for ratios. Cells of different places share no block: Welch's t (B. L. Welch, Biometrika 34, 1947), on the
logarithms likewise. Spreads: Snedecor's F on the variances of the logarithms. All suppose that repetitions scatter
about normally on that scale; with the few there are, that cannot be checked.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from scipy import stats

from bpfbench.analysis.claims.evidence import Cell, Known, Missing, Quantity, Scale
from bpfbench.analysis.claims.interval import Interval
from bpfbench.analysis.compare import Pairing, pairing
from bpfbench.model import EMULATED_REMARK, VANILLA, Attach, Format, Record, Status, Tool, Trial, Variant

LEAST = 2
"""Values an interval needs."""

PAPER_CONFIG = {"ringbuf_bytes": 256 * 1024, "poll_ms": 100, "payload_bytes": 4096, "variant": Variant.FULL}
"""What the paper's tracers were configured with; a tool has None for what it does not use."""

PAPER_BYTES_PER_PROCESS = 32 * 2**30

PREFERRED_ATTACH = (Attach.KPROBE, Attach.FENTRY, Attach.TRACEPOINT)
PREFERRED_FORMAT = (Format.TEXT, Format.BINARY)


@dataclass(frozen=True, slots=True)
class RunEvidence:
    """What the trials of one run know."""

    trials: Mapping[Cell, Sequence[Record]]
    """Those that ended ok. Vanilla's are under each tool they were run beside, and under None, all together."""
    planned: Collection[Cell]
    """What was tried, whatever came of it."""
    emulated: Collection[Cell]
    """What was tried on an emulated machine, which is no evidence: it proves correctness only."""
    kprobes: bool
    remarks: tuple[str, ...]
    confidence: float = 0.95
    """Of each interval."""

    def level(self, quantity: Quantity, cell: Cell) -> Known | Missing:
        """Return the mean."""
        values = self._values(quantity, cell)
        if isinstance(values, Missing):
            return values
        found = _student([value for _, value in values], self.confidence)
        if isinstance(found, Missing) or quantity.scale is not Scale.DIFFERENCE:
            return found
        shares = Interval(max(0.0, found.interval.low), min(100.0, found.interval.high))
        return replace(found, interval=shares)

    def factor(self, quantity: Quantity, cell: Cell) -> Known | Missing:
        """Return the geometric mean of the ratios to vanilla of the same block."""
        return self.contrast(quantity, cell, cell._replace(setup=VANILLA), relative=False)

    def contrast(self, quantity: Quantity, one: Cell, other: Cell, *, relative: bool) -> Known | Missing:
        """Compare two cells: within blocks where they share them, else as independent samples."""
        paired = one.place == other.place
        ours = self._scaled(quantity, one, relative=relative and not paired)
        theirs = self._scaled(quantity, other, relative=relative and not paired)
        if isinstance(ours, Missing):
            return ours
        if isinstance(theirs, Missing):
            return theirs
        if quantity.scale is Scale.SPREAD:
            return _snedecor(list(ours.values()), list(theirs.values()), self.confidence)
        if paired:
            found = _student([value - theirs[pair] for pair, value in ours.items() if pair in theirs], self.confidence)
        else:
            found = _welch(list(ours.values()), list(theirs.values()), self.confidence)
        return found if isinstance(found, Missing) or quantity.scale is Scale.DIFFERENCE else _mapped(math.exp, found)

    def stricter(self, statements: int) -> RunEvidence:
        """Return the same with wider intervals, after Bonferroni."""
        return replace(self, confidence=1 - (1 - self.confidence) / statements)

    def _scaled(self, quantity: Quantity, cell: Cell, *, relative: bool) -> dict[Pairing, float] | Missing:
        """Return a cell's values by block and session on the scale they are compared on: as they are, or logarithms."""
        values = self._values(quantity, cell)
        if isinstance(values, Missing):
            return values
        scale: Callable[[float], float] = (lambda value: value) if quantity.scale is Scale.DIFFERENCE else math.log
        own = _by_pair([(pair, scale(v)) for pair, v in values if v > 0 or quantity.scale is Scale.DIFFERENCE])
        if not relative:
            return own
        base = self._scaled(quantity, cell._replace(setup=VANILLA), relative=False)
        if isinstance(base, Missing):
            return base
        return {pair: value - base[pair] for pair, value in own.items() if pair in base}

    def _values(self, quantity: Quantity, cell: Cell) -> list[tuple[Pairing, float]] | Missing:
        """Return a cell's values, each with the block and session it is from."""
        trials = self.trials.get(cell, ())
        if not trials:
            return Missing(self._absent(cell))
        read = ((pairing(record), quantity.metric.read(record)) for record in trials)
        values = [(pair, value) for pair, value in read if value is not None and math.isfinite(value)]
        return values or Missing(quantity.lacking)

    def _absent(self, cell: Cell) -> str:
        if not any(planned.workload == cell.workload for planned in self.planned):
            return f"{cell.workload} runs"
        if not any(planned.place == cell.place for planned in self.planned):
            return f"{cell.workload} runs of {cell.tool}"
        if cell in self.emulated:
            return "a CPU that is not emulated"
        tried = "trials of {} that ended ok" if cell in self.planned else "trials of {}"
        return tried.format(" ".join(filter(None, (cell.setup, cell.tool))))


def evidence_of(records: Sequence[Record]) -> RunEvidence:
    """Take from a run what is nearest to the paper's configuration.

    Trials with another ring, poll time-out, payload or variant than the paper's, or a limited rate, are left aside. Of
    what else a run may vary, one is taken: the kernel with the most trials, each workload at its largest, per tool the
    hook in the order kprobe, fentry, tracepoint, and text before binary. Remarks name what was taken.
    """
    taken = [record for record in records if _like_paper(record.trial)]
    taken = _only(taken, lambda trial: trial.kernel, lambda found: found.most_common(1)[0][0])
    for workload in {record.trial.workload.name for record in taken}:
        taken = _only(taken, partial(_size, workload), lambda found: max(found))
    for tool in Tool:
        taken = _only(taken, partial(_attach, tool), partial(min, key=PREFERRED_ATTACH.index))
    taken = _only(taken, _format, partial(min, key=PREFERRED_FORMAT.index))
    trials: defaultdict[Cell, list[Record]] = defaultdict(list)
    for record in taken:
        if record.status is Status.OK and not record.emulated:
            for cell in _cells(record.trial):
                trials[cell].append(record)
    hooks = {r.trial.config.attach for r in taken if r.trial.config and r.trial.tool is not Tool.SYSCOUNT}
    emulated = frozenset(cell for record in taken if record.emulated for cell in _cells(record.trial))
    return RunEvidence(
        trials=trials,
        planned=frozenset(cell for record in taken for cell in _cells(record.trial)),
        emulated=emulated,
        kprobes=hooks == {Attach.KPROBE},
        remarks=tuple(_remarks(len(records) - len(taken), taken, hooks, emulated=bool(emulated))),
    )


def _remarks(left_aside: int, taken: Sequence[Record], hooks: AbstractSet[Attach], *, emulated: bool) -> Iterator[str]:
    if others := sorted(hooks - {Attach.KPROBE}):
        yield f"The hook is {', '.join(others)}; the paper's are kprobes on vfs_read and vfs_write."
    if emulated:
        yield EMULATED_REMARK
    for workload in {r.trial.workload.name: r.trial.workload for r in taken}.values():
        if workload.bytes_per_process != PAPER_BYTES_PER_PROCESS:
            share = 100 * workload.bytes_per_process / PAPER_BYTES_PER_PROCESS
            yield f"{workload.name} moves {share:.3g} % of the paper's data per process; caches matter more."
    if left_aside:
        yield f"{left_aside} trials in other configurations than the one judged are left aside."


def _cells(trial: Trial) -> tuple[Cell, ...]:
    cell = Cell(trial.workload.name, trial.tool, trial.setup)
    return (cell, cell._replace(tool=None)) if trial.is_vanilla else (cell,)


def _like_paper(trial: Trial) -> bool:
    if trial.workload.rate_iops is not None:
        return False
    config = trial.config
    return config is None or all(getattr(config, key) in (None, value) for key, value in PAPER_CONFIG.items())


def _size(workload: str, trial: Trial) -> int | None:
    return trial.workload.total_bytes if trial.workload.name == workload else None


def _attach(tool: Tool, trial: Trial) -> Attach | None:
    return trial.config.attach if trial.config is not None and trial.tool is tool else None


def _format(trial: Trial) -> Format | None:
    return trial.config.format if trial.config is not None else None


T = TypeVar("T")


def _only(
    records: Sequence[Record], factor: Callable[[Trial], T | None], choose: Callable[[Counter[T]], T]
) -> list[Record]:
    """Keep the records with the chosen one of a factor's values, and those without any."""
    values = Counter(value for value in (factor(record.trial) for record in records) if value is not None)
    chosen = choose(values) if values else None
    return [record for record in records if factor(record.trial) in (None, chosen)]


def _by_pair(values: Iterable[tuple[Pairing, float]]) -> dict[Pairing, float]:
    """Average what shares a block and session, which normally is a single value."""
    found: defaultdict[Pairing, list[float]] = defaultdict(list)
    for pair, value in values:
        found[pair].append(value)
    return {pair: statistics.fmean(values) for pair, values in found.items()}


def _student(values: Sequence[float], confidence: float) -> Known | Missing:
    if len(values) < LEAST:
        return _too_few(len(values))
    mean = statistics.fmean(values)
    half = _quantile(len(values) - 1, confidence) * statistics.stdev(values) / math.sqrt(len(values))
    return Known(Interval(mean - half, mean + half), mean, len(values))


def _welch(ours: Sequence[float], theirs: Sequence[float], confidence: float) -> Known | Missing:
    n = min(len(ours), len(theirs))
    if n < LEAST:
        return _too_few(n)
    mean = statistics.fmean(ours) - statistics.fmean(theirs)
    parts = [(statistics.variance(values) / len(values), len(values) - 1) for values in (ours, theirs)]
    variance = sum(part for part, _ in parts)
    if not variance:
        return Known(Interval(mean, mean), mean, n)
    freedom = variance**2 / sum(part**2 / degrees for part, degrees in parts)
    half = _quantile(freedom, confidence) * math.sqrt(variance)
    return Known(Interval(mean - half, mean + half), mean, n)


def _snedecor(ours: Sequence[float], theirs: Sequence[float], confidence: float) -> Known | Missing:
    """The ratio of two standard deviations."""
    n = min(len(ours), len(theirs))
    if n < LEAST:
        return _too_few(n)
    spread, base = statistics.variance(ours), statistics.variance(theirs)
    if not spread or not base:
        return Missing("repetitions that scatter")
    tails = stats.f.ppf([(1 + confidence) / 2, (1 - confidence) / 2], len(ours) - 1, len(theirs) - 1)
    low, high = (math.sqrt(spread / base / float(tail)) for tail in tails)
    return Known(Interval(low, high), math.sqrt(spread / base), n)


def _quantile(freedom: float, confidence: float) -> float:
    return float(stats.t.ppf((1 + confidence) / 2, freedom))


def _too_few(n: int) -> Missing:
    return Missing(f"{LEAST} repetitions ({n} here)")


def _mapped(function: Callable[[float], float], known: Known) -> Known:
    interval = Interval(function(known.interval.low), function(known.interval.high))
    return Known(interval, None if known.estimate is None else function(known.estimate), known.n)
