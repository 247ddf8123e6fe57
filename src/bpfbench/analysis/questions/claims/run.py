# SPDX-License-Identifier: Apache-2.0
"""What a run knows of its contestants: 95 % confidence intervals over its trials.

A block is one observation: where it has several trials of a contestant, as of vanilla, they count as their mean. Two
setups at one task ran in the same blocks and are compared within them (Student's t); those of different tasks share no
block (Welch's t); ratios by their logarithms. Spreads are compared by how far repetitions lie from their median (M. B.
Brown, A. B. Forsythe, J. American Statistical Association 69, 1974). What does not scatter at all says nothing of its
error, but for shares, which are counts. docs/claims.md says why so.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from bpfbench.analysis.inference import Difference, Interval, Noise, student, welch
from bpfbench.analysis.inference import noise as noise_of
from bpfbench.analysis.questions.claims.witness import Contestant, Known, Measure, Missing, Scale
from bpfbench.analysis.results import Pairing, pairing
from bpfbench.model import (
    COUNTING_TOOLS,
    EMULATED_REMARK,
    OUTPUT_BYTES,
    PAPER_TOOLS,
    VANILLA,
    Attach,
    Buffer,
    Consumers,
    Epoll,
    Format,
    Record,
    Slots,
    Status,
    Trial,
    Variant,
    Waking,
)

LEAST = 2
"""Blocks an interval needs."""
LEAST_OF_SPREADS = 3
"""Those that comparing two spreads needs."""
NOTHING = Difference(0, 0.0)
"""Of no blocks at all."""

PAPER_CONFIG = {
    "ringbuf_bytes": (256 * 1024, "a ring of 256 KiB"),
    "poll_ms": (100, "a poll time-out of 100 ms"),
    "payload_bytes": (4096, "payloads of up to 4 KiB"),
    "variant": (Variant.FULL, "all of the tracer's work"),
    "wakeup": (Waking.ADAPTIVE, "adaptive wake-ups"),
    "rings": ("1", "one ring"),
    "consumers": (Consumers.ONE, "one consumer"),
    "output_buffer_bytes": (OUTPUT_BYTES, "an output buffer of 64 KiB"),
    "records": (Slots.FIXED, "records of one length"),
    "buffer": (Buffer.RING, "a ring buffer"),
    "epoll": (Epoll.LEVEL, "waits as each setup does by itself"),
}
"""What the paper's tracers were configured with, as value and in words; a tool has None for what it does not use."""

PAPER_PROCESSES = 4
PAPER_BYTES_PER_PROCESS = 32 * 2**30

HOOKS = (Attach.KPROBE, Attach.FENTRY, Attach.TRACEPOINT)
FORMATS = (Format.TEXT, Format.BINARY)
"""The nearest to the paper's first."""


@dataclass(frozen=True, slots=True)
class RunWitness:
    """What the trials of one run know."""

    records: Sequence[Record]
    """Those that are judged: like the paper's, as far as the run has such, and ended ok."""
    trials: Mapping[Contestant, Sequence[Record]]
    """The same by contestant. Vanilla's are under each tool they were run beside, and under None, all together."""
    planned: Collection[Contestant]
    """What was tried, whatever came of it."""
    emulated: Collection[Contestant]
    """What was tried on an emulated machine, which is no evidence: it proves correctness only."""
    aside: Mapping[Contestant, str]
    """What it takes of trials that were left aside to be like the paper's."""
    kprobes: bool
    remarks: tuple[str, ...]
    confidence: float = 0.95
    """Of each interval."""

    def level(self, measure: Measure, contestant: Contestant) -> Known | Missing:
        """Return the mean over blocks."""
        if missing := self._missing(measure, contestant):
            return missing
        means = list(map(statistics.fmean, self._blocks(measure, contestant).values()))
        exact = measure.scale is Scale.DIFFERENCE
        found = _known(student(means, self.confidence), exact=exact)
        if isinstance(found, Missing) or not exact:
            return found
        return replace(found, interval=found.interval.mapped(lambda end: min(100.0, max(0.0, end))))

    def contrast(self, measure: Measure, one: Contestant, other: Contestant, *, over_vanilla: bool) -> Known | Missing:
        """Compare two contestants: within blocks where they share them, else as independent samples."""
        paired = one.task == other.task
        over_vanilla = measure.scale is Scale.SPREAD or (over_vanilla and not paired)
        ours, theirs = (self._scaled(measure, own, over_vanilla=over_vanilla) for own in (one, other))
        looked_at = (one, one.vanilla, other, other.vanilla) if over_vanilla else (one, other)
        if not (ours and theirs) and (missing := self._missing(measure, *looked_at)):
            return missing
        both = [(value, theirs[pair]) for pair, value in ours.items() if pair in theirs]
        if measure.scale is Scale.SPREAD:
            return _spread(both, self.confidence)
        found, reach = NOTHING, 0.0
        if paired and both:
            found = student([a - b for a, b in both], self.confidence)
            noise = self._noise(measure, one.workload)
            reach = noise.reach(len(both), self.confidence) if noise else 0.0
        elif ours and theirs and not paired:
            found = welch(list(theirs.values()), list(ours.values()), self.confidence)
        exact = measure.scale is Scale.DIFFERENCE
        return _known(found, exact=exact, reach=reach, scale=float if exact else math.exp)

    def stricter(self, statements: int) -> RunWitness:
        """Return the same with wider intervals, after Bonferroni."""
        return replace(self, confidence=1 - (1 - self.confidence) / statements)

    def _noise(self, measure: Measure, workload: str) -> Noise | None:
        """Return what vanilla against vanilla comes to; None where no two blocks have two vanillas."""
        if measure.scale is not Scale.RATIO:
            return None
        return noise_of(self._blocks(measure, Contestant(workload, None, VANILLA), logarithms=True).values())

    def _scaled(self, measure: Measure, own: Contestant, *, over_vanilla: bool) -> dict[Pairing, float]:
        """Return its mean in each block, on the scale that is compared: of logarithms, or as it is."""
        blocks = self._blocks(measure, own, logarithms=measure.scale is not Scale.DIFFERENCE)
        means = {pair: statistics.fmean(values) for pair, values in blocks.items()}
        if not over_vanilla:
            return means
        base = self._scaled(measure, own.vanilla, over_vanilla=False)
        return {pair: value - base[pair] for pair, value in means.items() if pair in base}

    def _blocks(
        self, measure: Measure, contestant: Contestant, *, logarithms: bool = False
    ) -> dict[Pairing, list[float]]:
        """Return its values by block and session, where there normally is a single one but of vanilla."""
        blocks: defaultdict[Pairing, list[float]] = defaultdict(list)
        for pair, value in self._values(measure, contestant):
            if value > 0 or not logarithms:
                blocks[pair].append(math.log(value) if logarithms else value)
        return blocks

    def _values(self, measure: Measure, contestant: Contestant) -> list[tuple[Pairing, float]]:
        read = ((pairing(record), measure.metric.read(record)) for record in self.trials.get(contestant, ()))
        return [(pair, value) for pair, value in read if value is not None and math.isfinite(value)]

    def _missing(self, measure: Measure, *contestants: Contestant) -> Missing | None:
        """Say what the first of them is lacking that has no value; None where all have some."""
        for own in contestants:
            if not self._values(measure, own):
                return Missing(measure.lacking if self.trials.get(own) else self._absent(own))
        return None

    def _absent(self, contestant: Contestant) -> str:
        """Say which trials are lacking: all of the workload, of the task, or of the contestant."""
        trials = f"trials of {' '.join(filter(None, (contestant.setup, contestant.tool)))}"
        workload = f"{contestant.workload} runs"
        for extent, what in enumerate((workload, f"{workload} of {contestant.tool}", trials), 1):
            own = contestant[:extent]
            if all(planned[:extent] != own for planned in self.planned):
                unlike = next((takes for other, takes in self.aside.items() if other[:extent] == own), None)
                return f"{what} with {unlike}" if unlike else what
        return "a CPU that is not emulated" if contestant in self.emulated else f"{trials} that ended ok"


def run_witness(records: Sequence[Record]) -> RunWitness:
    """Take from a run what is nearest to the paper's configuration.

    Trials with another number of processes, ring, poll time-out, payload or variant than the paper's, or a limited
    rate, are left aside. Of what else a run may vary, one is taken: the kernel with the most trials, each workload at
    its largest, per tool the hook in the order kprobe, fentry, tracepoint, and text before binary. Remarks name what
    was taken; circumstances.py sets beside the paper's what is still different.
    """
    aside = {record.trial: lacking for record in records if (lacking := _unlike_paper(record.trial))}
    taken = [record for record in records if record.trial not in aside]
    taken = _nearest(taken, lambda _: None, lambda t: t.kernel, lambda found: found.most_common(1)[0][0])
    taken = _nearest(taken, lambda t: t.workload.name, lambda t: t.workload.total_bytes, lambda found: max(found))
    taken = _nearest(taken, lambda t: t.tool, lambda t: t.config and t.config.attach, partial(min, key=HOOKS.index))
    taken = _nearest(taken, lambda _: None, lambda t: t.config and t.config.format, partial(min, key=FORMATS.index))
    ok = [record for record in taken if record.status is Status.OK and not record.emulated]
    trials: defaultdict[Contestant, list[Record]] = defaultdict(list)
    for record in ok:
        for contestant in _contestants(record.trial):
            trials[contestant].append(record)
    configs = [r.trial.config for r in taken if r.trial.config and r.trial.tool not in COUNTING_TOOLS]
    hooks = {config.attach for config in configs if config.attach}
    emulated = frozenset(contestant for record in taken if record.emulated for contestant in _contestants(record.trial))
    return RunWitness(
        records=ok,
        trials=trials,
        planned=frozenset(contestant for record in taken for contestant in _contestants(record.trial)),
        aside={contestant: lacking for trial, lacking in aside.items() for contestant in _contestants(trial)},
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
        yield (
            f"{left_aside} trials in other configurations than the one judged are left aside: other than"
            f" {PAPER_PROCESSES} processes, a limited rate, another ring, poll time-out, payload or variant than the"
            " paper's, or a smaller size, another hook, format or kernel than what is judged."
        )


def _contestants(trial: Trial) -> tuple[Contestant, ...]:
    contestant = Contestant(trial.workload.name, trial.tool, trial.setup)
    return (contestant, contestant._replace(tool=None)) if trial.is_vanilla else (contestant,)


def _unlike_paper(trial: Trial) -> str:
    """Say what a trial lacks to be like the paper's; empty if nothing."""
    found = [] if trial.workload.processes == PAPER_PROCESSES else [f"{PAPER_PROCESSES} processes"]
    if trial.workload.rate_iops is not None:
        found.append("no limit to the rate")
    if trial.tool not in PAPER_TOOLS:
        found.append("a tool of the paper's")
    if trial.config is not None:
        config = ((getattr(trial.config, key), *paper) for key, paper in PAPER_CONFIG.items())
        found += [words for here, paper, words in config if here not in (None, paper)]
    return ", ".join(found)


T = TypeVar("T")


def _nearest(
    records: Sequence[Record],
    alike: Callable[[Trial], object],
    factor: Callable[[Trial], T | None],
    choose: Callable[[Counter[T]], T],
) -> list[Record]:
    """Keep the records with the chosen one of a factor's values among those that are alike, and those without any."""
    values: defaultdict[object, Counter[T]] = defaultdict(Counter)
    for trial in (record.trial for record in records):
        if (value := factor(trial)) is not None:
            values[alike(trial)][value] += 1
    chosen = {key: choose(found) for key, found in values.items()}
    return [r for r in records if factor(r.trial) in (None, chosen.get(alike(r.trial)))]


def _spread(both: Sequence[tuple[float, float]], confidence: float) -> Known | Missing:
    """Compare by how much two setups scatter: the difference of their mean absolute deviations from their medians."""
    if len(both) < LEAST_OF_SPREADS:
        return Missing(f"{LEAST_OF_SPREADS} repetitions ({len(both)} here)")
    middles = [statistics.median(values) for values in zip(*both, strict=True)]
    deviations = ([100 * abs(value - middle) for value, middle in zip(pair, middles, strict=True)] for pair in both)
    return _known(student([one - other for one, other in deviations], confidence))


def _known(
    found: Difference, *, exact: bool = False, reach: float = 0.0, scale: Callable[[float], float] = float
) -> Known | Missing:
    """Take an estimate for known.

    Args:
        found: the estimate.
        exact: values that do not scatter have no error; else nothing is known of it.
        reach: how far noise makes an interval go on either side at least: a few values can be alike by luck.
        scale: what brings the estimate to the scale that is spoken of.
    """
    n, mean = found.n, found.mean
    if n < LEAST:
        return Missing(f"{LEAST} repetitions ({n} here)")
    interval = found.interval or (Interval(mean, mean) if exact else None)
    if interval is None:
        return Missing("repetitions that scatter")
    interval = Interval(min(interval.low, mean - reach), max(interval.high, mean + reach))
    return Known(interval.mapped(scale), scale(mean), n, swamped=abs(mean) < reach)
