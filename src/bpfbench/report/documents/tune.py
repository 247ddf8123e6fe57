# SPDX-License-Identifier: Apache-2.0
"""What tuning came to: the configuration to take, what is sure of it, and what each knob contributed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

from bpfbench.analysis import metrics
from bpfbench.analysis.anytime import ROUNDS_LEAST
from bpfbench.analysis.gaps import Gap
from bpfbench.analysis.inference import Interval
from bpfbench.analysis.questions.needs import Need
from bpfbench.analysis.questions.tuning.aim import DEFAULT
from bpfbench.analysis.questions.tuning.search import ranked
from bpfbench.analysis.questions.tuning.tuned import TunedSetup
from bpfbench.analysis.questions.tuning.validation import Gain, Validation
from bpfbench.factors import KNOBS
from bpfbench.model import VANILLA, TracerConfig
from bpfbench.report import snippets
from bpfbench.report.document import (
    ABSENT,
    Block,
    Bullets,
    Code,
    Column,
    Document,
    Field,
    Heading,
    Paragraph,
    Table,
    texts,
)
from bpfbench.report.numbers import rounded, share
from bpfbench.report.wording import listed
from bpfbench.units import plural, size

SCHEMA = 1
SHOWN = 8
"""Configurations of a search that are shown."""
WORDS = {"fidelity": "saved", "overhead": "overhead", "memory": "memory", "cpu": "CPU", "latency": "p99 latency"}
SYMPTOMS = {
    "fidelity": "events are lost",
    "overhead": "the target takes longer",
    "memory": "the tracer takes memory",
    "cpu": "the tracer takes CPU time",
    "latency": "slow calls get slower",
    "startup": "it starts slowly",
    "energy": "it takes energy",
}
UNITS = {"fidelity": "%", "memory": "MiB", "cpu": "% of one", "startup": "s"}


def document(found: Sequence[TunedSetup]) -> Document:
    """Say it, setup by setup; and last, how a tracer of the reader's own does what was chosen."""
    return (*(block for own in found for block in _blocks(own)), *_in_your_own(found))


def data(found: Sequence[TunedSetup]) -> list[dict[str, Any]]:
    """Say the same for programs."""
    return [_data(own) for own in found]


def headline(own: TunedSetup) -> str:
    """Say what a setup's tuning came to, in a sentence."""
    found = own.validation
    tried = plural(max(0, len(own.tried) - 1), "configuration")
    if found is None:
        if not own.is_searched:
            return f"{own.setup}: nothing was tried."
        return f"{own.setup}: no gain found. Of {tried}, none looked better than the default by more than the margin."
    limits = _limits(own)
    if found.rounds < ROUNDS_LEAST:
        return f"{own.setup}: not decided: it takes {ROUNDS_LEAST} fresh blocks, and there are {found.rounds}."
    called = "the default" if found.chosen == DEFAULT else _called(own, own.configs[found.chosen])
    match found.gain:
        case Gain.KEEPS:
            return f"{own.setup}: with {called} it keeps to {limits}; the default does not."
        case Gain.BETTER:
            kept = _kept(found, limits)
            return f"{own.setup}: {called} is better than the default in {_better(found)}{kept}."
        case Gain.TRADE:
            kept, worse = _kept(found, limits), listed([_word(need) for need in _told(found, is_better=False)])
            traded = f"{called} is better than the default in {_better(found)}, and worse in {worse}"
            return f"{own.setup}: a trade: {traded}{kept}."
        case _:
            return f"{own.setup}: no gain found in {plural(found.rounds, 'fresh block')}.{_why(own, found, called)}"


def _why(own: TunedSetup, found: Validation, called: str) -> str:
    """Say what stands against a gain."""
    limits, keeps = _limits(own), found.keeps(DEFAULT)
    if found.chosen == DEFAULT:
        return f" What looked best misses {limits}, which the default keeps to."
    if keeps is None and found.keeps(found.chosen):
        return f" {_first(called)} keeps to {limits}; whether the default does, so few blocks do not tell."
    if keeps:
        return f" The default keeps to {limits}."
    return _ceiling(own, found) or f" Nothing that was validated is known to keep to {limits}."


def _first(text: str) -> str:
    return text[:1].upper() + text[1:]


def _kept(found: Validation, limits: str) -> str:
    match found.keeps(found.chosen):
        case True:
            return f"; both keep to {limits}" if found.keeps(DEFAULT) else f"; it keeps to {limits}"
        case False:
            return f"; neither keeps to {limits}"
        case _:
            return f"; whether it keeps to {limits} is undecided"


def _ceiling(own: TunedSetup, found: Validation) -> str:
    """Say what the most was that anything saved, where nothing saves enough."""
    limit = found.aim.limits[0]
    if any(found.keeps(name) is not False for name in found.last.names):
        return ""
    best = max(found.means[limit.need.key], key=found.means[limit.need.key].__getitem__)
    level = found.levels[limit.need.key][best]
    return (
        f" No configuration that was validated can save {limit.bound:g} %: the ceiling is "
        f"{share(found.means[limit.need.key][best])} % [{share(level.low)}, {share(level.high)}], with "
        f"{_called(own, own.configs[best])}."
    )


def _told(found: Validation, *, is_better: bool) -> list[Need]:
    return [need for need in found.aim.needs if found.told(need) is is_better]


def _better(found: Validation) -> str:
    return listed([_word(need) for need in _told(found, is_better=True)])


def _limits(own: TunedSetup) -> str:
    goal = own.goal
    said = [f"{goal.min_fidelity_percent:g} % saved"]
    if goal.max_memory_bytes is not None:
        said.append(f"{size(round(goal.max_memory_bytes))} of memory")
    if goal.max_cpu_percent is not None:
        said.append(f"{goal.max_cpu_percent:g} % of a CPU")
    return listed(said)


def _blocks(own: TunedSetup) -> Iterator[Block]:
    yield Heading(f"Tuned: {own.setup}", 1)
    yield Paragraph(headline(own), "lead")
    found = own.validation
    if found is not None and found.rounds:
        yield _validated(own, found)
        if found.last.backs:
            yield Heading(f"What each knob of {own.setup} contributes: the tuned, with that alone set back")
            yield _contributions(own, found)
            yield Heading(f"Which knob of {own.setup} to turn against what")
            yield _against_symptoms(own, found)
        yield Bullets(tuple(_caveats(own, found)))
        yield Paragraph(
            f"By {plural(found.rounds, 'fresh block')} of two vanilla trials and one of each. In brackets: what the "
            "mean may be; intervals hold at every look, and all at once. ~ cannot be told from no difference.",
            "fine",
        )
    yield from _searched(own)


def _validated(own: TunedSetup, found: Validation) -> Table:
    columns = [Column("configuration", is_text=True)]
    for need in own.shown:
        unit = UNITS.get(need.key, "% over vanilla")
        columns.append(Column(_word(need), unit))
        columns.append(Column(f"{_word(need)} to default", "points" if need.by_points else "%"))
    rows = [
        (Field(_role(own, found, name)), *(field for need in own.shown for field in _fields(found, need, name)))
        for name in dict.fromkeys((DEFAULT, found.last.best, *found.last.nearest))
        if name in next(iter(found.means.values()), {})
    ]
    return Table(tuple(columns), tuple(rows), leads=True)


def _role(own: TunedSetup, found: Validation, name: str) -> str:
    role = "default" if name == DEFAULT else "tuned" if name == found.last.best else "near it"
    return f"{role}: {_called(own, own.configs[name])}"


def _fields(found: Validation, need: Need, name: str) -> Iterator[Field]:
    mean, level = found.means[need.key].get(name), found.levels[need.key].get(name)
    if need.key in UNITS:
        yield Field(ABSENT) if mean is None or level is None else _level(need, mean, level)
    else:
        yield _change(need, found.over_vanilla[need.key].get(name))
    yield Field(ABSENT) if name == DEFAULT else _change(need, found.over_default[need.key].get(name))


def _level(need: Need, mean: float, level: Interval) -> Field:
    unit = 2**20 if need.key == "memory" else 1
    write = share if need.by_points else lambda value: rounded(value / unit, 2)
    return Field(write(mean), detail=f"[{write(level.low)}, {write(level.high)}]")


def _change(need: Need, gap: Gap | None) -> Field:
    if gap is None:
        return Field(ABSENT)
    changes = need.changes(gap.interval)
    said = rounded(need.change(gap.mean), 1, "+")
    if gap.rounds < ROUNDS_LEAST:
        return Field(said, mark="?")
    told = changes.low > 0 or changes.high < 0
    between = f"[{rounded(changes.low, 1, '+')}, {rounded(changes.high, 1, '+')}]"
    return Field(said, detail=between, mark="" if told else "~")


def _contributions(own: TunedSetup, found: Validation) -> Table:
    """Say what each knob does: what changes where it alone is set back."""
    columns = [Column("set back", is_text=True), Column("from", is_text=True), Column("to", is_text=True)]
    columns += [Column(_word(need), "points" if need.by_points else "%") for need in own.shown]
    best, usual = own.configs[found.last.best], own.configs[DEFAULT]
    rows = []
    for knob, name in found.last.backs.items():
        row = KNOBS[knob]
        changes = [_change(need, found.over_best[need.key].get(name)) for need in own.shown]
        values = (row.called(getattr(best, row.field)), row.called(getattr(usual, row.field)))
        rows.append((Field(knob), *map(Field, values), *changes))
    return Table(tuple(columns), tuple(rows))


def _against_symptoms(own: TunedSetup, found: Validation) -> Table:
    """Say of each thing that may be wrong which knobs are known to change it, for the better or the worse."""
    columns = texts("what is wrong", "by default", "knob", "from", "to", "changes it by")
    nothing = Field(ABSENT)
    rows: list[tuple[Field, ...]] = []
    for need in own.shown:
        first = Field(_symptom(own, need)), _by_default(found, need)
        told = [(*_turned(own, found, knob), _then(need, gap)) for knob, gap in found.turned(need).items()]
        for turned in told or [(Field("none is known to change it"), nothing, nothing, nothing)]:
            rows.append((*first, *turned))
            first = Field(""), Field("")
    return Table(columns, tuple(rows))


def _symptom(own: TunedSetup, need: Need) -> str:
    if need.key != "fidelity" or not own.lost:
        return SYMPTOMS[need.key]
    return f"{SYMPTOMS[need.key]}: {listed([f'{cause} {share(lost)} %' for cause, lost in own.lost.items()])}"


def _by_default(found: Validation, need: Need) -> Field:
    level = next(_fields(found, need, DEFAULT))
    unit = f"{UNITS[need.key]} {_word(need)}" if need.key in UNITS else "% over vanilla"
    return level if level.text == ABSENT else replace(level, text=f"{level.text} {unit}")


def _turned(own: TunedSetup, found: Validation, knob: str) -> tuple[Field, Field, Field]:
    """Name a knob, and its values by default and at best."""
    usual, best = map(Field, _from_to(knob, own.configs[DEFAULT], own.configs[found.last.best]))
    return Field(knob), usual, best


def _from_to(knob: str, *configs: TracerConfig) -> list[str]:
    """Call the value of a knob in each of these."""
    row = KNOBS[knob]
    return [row.called(getattr(config, row.field)) for config in configs]


def _then(need: Need, gap: Gap) -> Field:
    """Say what turning a knob does."""
    change = _change(need, gap)
    unit = "points" if need.by_points else "%"
    return replace(change, text=f"{change.text} {unit} {_word(need)}", weight="good" if gap.mean > 0 else "bad")


def _caveats(own: TunedSetup, found: Validation) -> Iterator[str]:
    if not found.is_decided and found.rounds >= ROUNDS_LEAST:
        yield "Not all is decided: a longer --for would tell more."
    if found.keeps(DEFAULT) is False and found.keeps(found.chosen):
        yield "The default loses events, which were never consumed: what it costs is no fair comparison."
    if found.chosen != found.last.best:
        yield f"What looked best in the search, {_called(own, own.configs[found.last.best])}, did not hold."
    if own.failed:
        yield f"Not tried again, as all trials of theirs failed: {', '.join(sorted(own.failed))}."


def _searched(own: TunedSetup) -> Iterator[Block]:
    order = [name for name in ranked(own.tried) if name != DEFAULT][:SHOWN]
    if not order:
        return
    yield Heading(f"What the search of {own.setup} saw")
    needs = own.aim.needs
    means = own.readings(own.searched, needs)
    columns = [Column("configuration", is_text=True), Column("blocks")]
    columns += [Column(_word(need), UNITS.get(need.key, need.metric.unit)) for need in needs]
    rows = []
    for name in (DEFAULT, *order):
        values = (list(means.get(name, {}).get(need.key, {}).values()) for need in needs)
        cells = [_mean(need, own_values) for need, own_values in zip(needs, values, strict=True)]
        rows.append((Field(_called(own, own.configs[name])), Field(str(own.tried[name].rounds)), *cells))
    yield Table(tuple(columns), tuple(rows))
    yield Paragraph(
        f"{plural(len(own.tried) - 1, 'configuration')} of {len(own.configs) - 1} tried, the best so far most often. "
        "These numbers chose what was validated, so that they prove nothing.",
        "fine",
    )


def _in_your_own(found: Sequence[TunedSetup]) -> Iterator[Block]:
    """Show, of each setup that was tuned, the lines of our tracer that do what is not the default."""
    shown = [(own, knobs) for own in found if (knobs := _changed(own))]
    if not shown:
        return
    yield Heading("In a tracer of your own", 1)
    yield Paragraph(
        "What bpfbench's tracers do for each knob that is not the default, in lines of their sources, "
        "bpfbench/tracers. Values come from their command line: options, wakeup_bytes, ring_count and the like."
    )
    for own, knobs in shown:
        for knob, files in knobs.items():
            usual, tuned = _from_to(knob, own.configs[DEFAULT], own.chosen)
            yield Heading(f"{knob} of {own.setup}: {tuned}, not {usual}")
            for file, lines in files.items():
                yield Paragraph(f"{file}:", "fine")
                yield Code(lines, file)


def _changed(own: TunedSetup) -> dict[str, dict[str, tuple[str, ...]]]:
    """Return the lines, by file, of each knob that is not the default in what was chosen; none of a user's setup."""
    fields = {knob: KNOBS[knob].field for knob in own.goal.knobs}
    usual, tuned = own.configs[DEFAULT], own.chosen
    changed = (knob for knob, field in fields.items() if getattr(usual, field) != getattr(tuned, field))
    return {knob: files for knob in changed if (files := snippets.of(own.setup, knob))}


def _mean(need: Need, values: Sequence[float]) -> Field:
    if not values:
        return Field(ABSENT)
    mean = sum(values) / len(values)
    return Field(share(mean) if need.by_points else rounded(mean / (2**20 if need.key == "memory" else 1), 2))


def _word(need: Need) -> str:
    """Call it what it is measured by: beside a target with a rate of its own, overhead is what an I/O takes longer."""
    return "latency" if need.metric is metrics.LATENCY else WORDS.get(need.key, need.key)


def _called(own: TunedSetup, config: TracerConfig) -> str:
    knobs = (KNOBS[name] for name in own.goal.knobs)
    return ", ".join(knob.called(getattr(config, knob.field)) for knob in knobs)


def _data(own: TunedSetup) -> dict[str, Any]:
    found = own.validation
    return {
        "setup": own.setup,
        "goal": asdict(own.goal),
        "said": headline(own),
        "gain": found.gain if found else Gain.NONE,
        "chosen": _values(own, own.chosen),
        "in_your_own": _changed(own),
        "tried": len(own.tried) - 1,
        "configurations": len(own.configs) - 1,
        "fresh_blocks": found.rounds if found else 0,
        "decided": bool(found and found.is_decided),
        "lost_percent": own.lost,
        "turned": _all_turned(own, found) if found and found.rounds else {},
        "validated": [_row(own, found, name) for name in found.last.names] if found and found.rounds else [],
        "search": [
            {"name": one.name, "blocks": one.rounds, "ahead_margins": one.ahead, "miss_margins": one.miss}
            for one in own.tried.values()
        ],
    }


def _all_turned(own: TunedSetup, found: Validation) -> dict[str, Any]:
    return {
        need.key: {knob: _gap(need, gap) for knob, gap in turned.items()}
        for need in own.shown
        if (turned := found.turned(need))
    }


def _values(own: TunedSetup, config: TracerConfig) -> dict[str, Any]:
    return {knob: getattr(config, KNOBS[knob].field) for knob in own.goal.knobs}


def _row(own: TunedSetup, found: Validation, name: str) -> dict[str, Any]:
    roles = {**dict.fromkeys(found.last.nearest, "near"), DEFAULT: "default", found.last.best: "tuned"}
    return {
        "name": name,
        "role": roles.get(name, "set-back"),
        "set_back": [knob for knob, back in found.last.backs.items() if back == name],
        "values": _values(own, own.configs[name]),
        "keeps_to_limits": found.keeps(name),
        "needs": {need.key: _numbers(found, need, name) for need in own.shown if name in found.means[need.key]},
    }


def _numbers(found: Validation, need: Need, name: str) -> dict[str, Any]:
    bases = {"default": found.over_default, "best": found.over_best, VANILLA: found.over_vanilla}
    level = found.levels[need.key].get(name)
    return {
        "metric": need.metric.key,
        "mean": found.means[need.key][name],
        "interval": level and level.ends,
        **{f"over_{base}": _gap(need, gaps[need.key].get(name)) for base, gaps in bases.items()},
    }


def _gap(need: Need, gap: Gap | None) -> dict[str, Any] | None:
    if gap is None:
        return None
    told = gap.rounds >= ROUNDS_LEAST
    interval = need.changes(gap.interval).ends if told else None
    return {"change": need.change(gap.mean), "interval": interval, "n": gap.rounds}
