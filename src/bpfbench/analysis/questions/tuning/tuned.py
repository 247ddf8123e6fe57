# SPDX-License-Identifier: Apache-2.0
"""A run that tunes, read: of each setup how its search stands, and what its validation says.

All is told from the records and from who was chosen (model/tuning.py), so that a run that was killed goes on where it
was, and says the same whenever it is read.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from bpfbench.analysis import inference
from bpfbench.analysis.gaps import BlockId
from bpfbench.analysis.inference import ALPHA
from bpfbench.analysis.metrics import loss_percent
from bpfbench.analysis.questions.evidence import Quality
from bpfbench.analysis.questions.needs import Need
from bpfbench.analysis.questions.preference import NEED_OF
from bpfbench.analysis.questions.tuning.aim import (
    DEFAULT,
    DELAY,
    Aim,
    Bound,
    Readings,
    Tried,
    by_itself,
    fidelity,
    need_of,
    weigh,
)
from bpfbench.analysis.questions.tuning.search import Dial, LastRound, Place, Space, places
from bpfbench.analysis.questions.tuning.unkept import Unkept, unkept
from bpfbench.analysis.questions.tuning.validation import Gain, Validation, validate
from bpfbench.analysis.results import Results, describe
from bpfbench.factors import KNOBS
from bpfbench.model import (
    EVENT_TOOLS,
    VANILLA,
    Criteria,
    Record,
    Status,
    TracerConfig,
    TracerSummary,
    Workload,
    ring_record_bytes,
)
from bpfbench.model.tuning import HELD_MOST, Finalists, Tuning, TuningGoal


def aim(goal: TuningGoal, work: Workload, criteria: Criteria) -> Aim:
    """Return what is wanted, by what it is measured with."""
    limits = [fidelity(goal.min_fidelity_percent)]
    if goal.max_memory_bytes is not None:
        limits.append(Bound(need_of(Quality.MEMORY, work), goal.max_memory_bytes))
    if goal.max_cpu_percent is not None:
        limits.append(Bound(need_of(Quality.CPU, work), goal.max_cpu_percent))
    if goal.max_delay_ms is not None:
        limits.append(Bound(DELAY, goal.max_delay_ms))
    return Aim(tuple(need_of(Quality(name), work) for name in goal.minimise), tuple(limits), criteria)


def shown(goal: TuningGoal, work: Workload) -> tuple[Need, ...]:
    """Return what a table of configurations has: what is wanted, and what each takes in any case."""
    taken = (Quality.OVERHEAD, Quality.MEMORY, Quality.CPU)
    asked = dict.fromkeys((Quality.FIDELITY, *map(Quality, goal.minimise), *taken))
    return (*(need_of(quality, work) for quality in asked if quality in NEED_OF), DELAY)


@dataclass(frozen=True)
class TunedSetup:
    """What a run knows of a setup that it tunes."""

    setup: str
    goal: TuningGoal
    aim: Aim
    configs: Mapping[str, TracerConfig]
    """Every one that may be tried, by name; the default is called so."""
    records: tuple[Record, ...]
    """Of its blocks."""
    finalists: Finalists | None
    shown: tuple[Need, ...]
    cpus: int = 1
    """Of the machine, each of which may have a ring."""
    offered_bytes: int | None = None
    """What the events of a trial take in rings, as far as that was known before any was run."""

    @cached_property
    def names(self) -> Mapping[TracerConfig, str]:
        """The names of configurations."""
        return {config: name for name, config in self.configs.items()}

    @cached_property
    def space(self) -> Space:
        """What may be tried, as the search sees it."""
        fields = [KNOBS[name].field for name in self.goal.knobs]
        values = {field: sorted({getattr(own, field) for own in self.configs.values()}) for field in fields}
        rows = [KNOBS[name] for name in self.goal.knobs]
        dials = [Dial(row.name, len(values[row.field]), row.knob is not None and row.knob.ordered) for row in rows]
        points = {
            name: tuple(values[field].index(getattr(own, field)) for field in fields)
            for name, own in self.configs.items()
        }
        return Space(tuple(dials), points)

    @cached_property
    def tried(self) -> dict[str, Tried]:
        """How all do that were searched."""
        return weigh(self._searched_readings, self.aim)

    @cached_property
    def _searched_readings(self) -> Readings:
        found, left_out = self.readings(self.searched, self.aim.needs), {VANILLA, *self.too_large}
        return {name: own for name, own in found.items() if name not in left_out}

    @cached_property
    def places(self) -> Mapping[str, Place]:
        """Where they stand at the end of the search."""
        return places(self.tried)

    @cached_property
    def offered(self) -> float | None:
        """What the events of a trial take in rings; where nobody knew before, as the default's trials had it."""
        if self.offered_bytes is not None:
            return self.offered_bytes
        events = describe(account.intercepted_total for account in self._of_default(self.records))
        slot = ring_record_bytes(self.configs[DEFAULT].event_bytes)
        return events.mean * slot if events and events.mean else None

    def _of_default(self, records: Sequence[Record]) -> list[TracerSummary]:
        """Return what the default's trials account for, of these that ended well."""
        default = self.configs[DEFAULT]
        own = (each for each in records if each.trial.config == default and each.status is Status.OK)
        return [each.summary for each in own if each.summary is not None]

    def held_percent(self, config: TracerConfig) -> float | None:
        """Return what share of a trial's events the rings of a configuration can hold; None as long as nobody knows.

        So much less may be saved of a target that runs for longer: that it was saved here is the ring's doing.
        """
        return min(100.0, 100 * config.ring_bytes(self.cpus) / self.offered) if self.offered else None

    @cached_property
    def too_large(self) -> frozenset[str]:
        """Those whose rings hold too much of a trial, where only trials tell how much it has: they are not tried."""
        if self.offered is None or self.offered_bytes is not None:
            return frozenset()
        most = HELD_MOST * self.offered
        return frozenset(n for n, own in self.configs.items() if n != DEFAULT and own.ring_bytes(self.cpus) > most)

    @property
    def searched(self) -> tuple[Record, ...]:
        """The records of the search."""
        return tuple(own for own in self.records if not self.finalists or own.trial.block < self.finalists.first_block)

    @property
    def fresh(self) -> tuple[Record, ...]:
        """Those of the validation."""
        return tuple(own for own in self.records if self.finalists and own.trial.block >= self.finalists.first_block)

    @property
    def failed(self) -> frozenset[str]:
        """The configurations of which no trial ended well: they are not tried again."""
        configs = [own.trial.config for own in self.searched if own.status is not Status.OK]
        names = (self.names[config] for config in configs if config is not None and config in self.names)
        return frozenset(names) - self.tried.keys()

    @property
    def lost(self) -> dict[str, float]:
        """What the default loses, by cause, in per cent of the events: means of its trials, of causes that lost any.

        Of fresh trials, where there are some.
        """
        accounts = self._of_default(self.fresh or self.records)
        causes = dict.fromkeys(cause for account in accounts for cause in account.lost)
        means = {cause: describe(loss_percent(account, cause) for account in accounts) for cause in causes}
        return {cause: found.mean for cause, found in means.items() if found is not None and found.mean > 0}

    @property
    def is_searched(self) -> bool:
        """Whether anything was tried."""
        return len(self.tried) > 1

    @property
    def unsearched(self) -> str:
        """Why nothing can be compared with the default, where that is so."""
        default = self.configs[DEFAULT]
        if not self.records:
            return "it was not tried"
        if not any(own.trial.config == default and own.status is Status.OK for own in self.records):
            last = next((own for own in reversed(self.records) if own.trial.config == default), None)
            return f"no trial of the default ended well; the last: {last.reason if last else 'not run'}"
        known = self.readings(self.records, self.aim.needs).get(DEFAULT, {})
        if absent := [need.key for need in self.aim.minimise if need.key not in known]:
            return f"there are no numbers for: {', '.join(absent)}"
        ended = (own.trial.config for own in self.records if own.status is Status.OK)
        if any(self.names.get(config) in self.too_large for config in ended if config is not None):
            return "rings of all others tried hold more than a tenth of a trial's events; a longer target has more"
        return "no trial of anything else ended well"

    @property
    def chosen(self) -> TracerConfig:
        """What to run: the default, unless fresh blocks say better. A trade is for the user to make."""
        found = self.validation
        return self.configs[found.chosen if found and found.gain in (Gain.KEEPS, Gain.BETTER) else DEFAULT]

    @property
    def traded(self) -> TracerConfig | None:
        """What is better than the default in one cost and worse in another, where that is what was found."""
        found = self.validation
        return self.configs[found.chosen] if found and found.gain is Gain.TRADE else None

    @cached_property
    def last(self) -> LastRound | None:
        """Who is validated; None as long as that is not known."""
        if self.finalists is None:
            return None
        best, nearest = self.names[self.finalists.best], map(self.names.__getitem__, self.finalists.nearest)
        return LastRound(best, tuple(nearest), self.space.set_back(best, self.failed))

    @cached_property
    def validation(self) -> Validation | None:
        """What fresh blocks say; None without any."""
        if self.last is None:
            return None
        needs = tuple({need.key: need for need in (*self.aim.needs, *self.shown)}.values())
        noise = {need.key: sd for need in needs if (sd := self._noise(need)) is not None}
        configs = [own.trial.config for own in self.fresh if own.status is not Status.OK]
        failed = Counter(self.names[config] for config in configs if config is not None and config in self.names)
        return validate(self.readings(self.fresh, needs), self.last, self.aim, needs, noise, failed)

    @cached_property
    def unkept(self) -> tuple[Unkept, ...]:
        """How near anything came to each limit, where nothing kept to all of them: by fresh blocks, if there are some.

        Intervals are those of these blocks, of all that are looked at and all limits at once.
        """
        limits, found = self.aim.limits, self.validation
        if found is None:
            searched, alpha = {name: self._searched_readings[name] for name in self.tried}, ALPHA / len(limits)
            levels = {limit.need.key: by_itself(searched, limit.need, alpha) for limit in limits}
            return unkept(searched, levels, limits)
        fresh = self.readings(self.fresh, [limit.need for limit in limits])
        return unkept({name: fresh[name] for name in found.rivals if name in fresh}, found.levels, limits)

    def _noise(self, need: Need) -> float | None:
        """Return the SD of the difference of two vanilla trials of a block, on the scale of a need."""
        twins: defaultdict[tuple[int, str], list[float]] = defaultdict(list)
        for record in self.records:
            if record.trial.is_vanilla and record.status is Status.OK and need.metric.versus_vanilla:
                value = need.metric.read(record)
                if value is not None and (worth := need.worth(value)) is not None:
                    twins[record.trial.block, record.session].append(worth)
        found = inference.noise(twins.values())
        return found.sd if found else None

    def readings(self, records: Sequence[Record], needs: Sequence[Need]) -> Readings:
        """Read records that count: of every configuration, and of vanilla what it has, the mean of a block."""
        found: dict[str, dict[str, dict[BlockId, list[float]]]] = defaultdict(
            lambda: defaultdict(lambda: defaultdict(list))
        )
        for record in records:
            if record.status is not Status.OK:
                continue
            config = record.trial.config
            name = VANILLA if config is None else self.names.get(config)
            for need in needs if name is not None else ():
                value = need.metric.read(record) if config is not None or need.metric.versus_vanilla else None
                if value is not None and name is not None:
                    found[name][need.key][record.trial.block, record.session].append(value)
        return {
            name: {key: {block: sum(own) / len(own) for block, own in by.items()} for key, by in of.items()}
            for name, of in found.items()
        }


def tuned(
    results: Results, tuning: Tuning, setup: str, configs: Mapping[TracerConfig, str], work: Workload
) -> TunedSetup:
    """Read what a run knows of a setup.

    Args:
        results: of the run.
        tuning: what it is for.
        setup: which.
        configs: all that may be tried, with their names.
        work: beside what.
    """
    names = {DEFAULT if config == tuning.usual[setup] else name: config for config, name in configs.items()}
    blocks = {own.trial.block for own in results.records if own.trial.setup == setup}
    records = tuple(own for own in results.records if own.trial.block in blocks)
    criteria = results.info.study.criteria if results.info else Criteria()
    wanted = aim(tuning.goal, work, criteria)
    told = shown(tuning.goal, work)
    if results.info and not set(results.info.study.factors.tools) & set(EVENT_TOOLS):
        told = tuple(need for need in told if need is not DELAY)
    size = tuning.cpus, work.ios and work.ios * ring_record_bytes(tuning.usual[setup].event_bytes)
    return TunedSetup(setup, tuning.goal, wanted, names, records, tuning.of(setup), told, *size)
