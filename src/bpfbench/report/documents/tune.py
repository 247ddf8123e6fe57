# SPDX-License-Identifier: Apache-2.0
"""What tuning came to: the configuration to take, what is sure of it, and what each knob contributed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

from bpfbench.analysis.anytime import ROUNDS_LEAST
from bpfbench.analysis.gaps import Gap
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
from bpfbench.report.documents.tuned import (
    UNITS,
    called_by_knobs,
    change_field,
    from_to,
    held,
    mean_field,
    need_fields,
    shown_for_longer,
    word,
)
from bpfbench.report.numbers import share
from bpfbench.report.wording import listed
from bpfbench.units import plural, size

SCHEMA = 1
SHOWN = 8
"""Configurations of a search that are shown."""
SYMPTOMS = {
    "fidelity": "events are lost",
    "overhead": "the target takes longer",
    "memory": "the tracer takes memory",
    "cpu": "the tracer takes CPU time",
    "latency": "slow calls get slower",
    "startup": "it starts slowly",
    "energy": "it takes energy",
    "delay": "events come late",
}


def document(found: Sequence[TunedSetup]) -> Document:
    """Say it, setup by setup; then all of them; and last, how a tracer of the reader's own does what was chosen."""
    return (*(block for own in found for block in _blocks(own)), *_side_by_side(found), *_in_your_own(found))


def data(found: Sequence[TunedSetup]) -> list[dict[str, Any]]:
    """Say the same for programs."""
    return [_data(own) for own in found]


def headline(own: TunedSetup) -> str:
    """Say what a setup's tuning came to, in a sentence."""
    found = own.validation
    tried = plural(max(0, len(own.tried) - 1), "configuration")
    if found is None:
        if not own.is_searched:
            return f"{own.setup}: nothing can be compared with the default: {own.unsearched}."
        return f"{own.setup}: no gain found. Of {tried}, none looked better than the default by more than the margin."
    limits = _limits(own)
    if found.rounds < ROUNDS_LEAST:
        return f"{own.setup}: not decided: it takes {ROUNDS_LEAST} fresh blocks, and there are {found.rounds}."
    called = "the default" if found.chosen == DEFAULT else called_by_knobs(own, own.configs[found.chosen])
    match found.gain:
        case Gain.KEEPS:
            return f"{own.setup}: with {called} it keeps to {limits}; the default does not."
        case Gain.BETTER:
            kept = _kept(found, limits)
            return f"{own.setup}: {called} is better than the default in {_better(found)}{kept}."
        case Gain.TRADE:
            kept, worse = _kept(found, limits), listed([word(need) for need in _told(found, is_better=False)])
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
        f"{called_by_knobs(own, own.configs[best])}."
    )


def _told(found: Validation, *, is_better: bool) -> list[Need]:
    return [need for need in found.aim.needs if found.told(need) is is_better]


def _better(found: Validation) -> str:
    return listed([word(need) for need in _told(found, is_better=True)])


def _limits(own: TunedSetup) -> str:
    goal = own.goal
    said = [f"{goal.min_fidelity_percent:g} % saved"]
    if goal.max_memory_bytes is not None:
        said.append(f"{size(round(goal.max_memory_bytes))} of memory")
    if goal.max_cpu_percent is not None:
        said.append(f"{goal.max_cpu_percent:g} % of a CPU")
    if goal.max_delay_ms is not None:
        said.append(f"{goal.max_delay_ms:g} ms of delay by the settings")
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


def _columns(needs: Iterable[Need]) -> Iterator[Column]:
    """Yield those of `need_fields`."""
    for need in needs:
        yield Column(word(need), UNITS.get(need.key, "% over vanilla"))
        yield Column(f"{word(need)} to default", "points" if need.by_points else "%")


def _validated(own: TunedSetup, found: Validation) -> Table:
    columns = (Column("configuration", is_text=True), *_columns(own.shown))
    rows = [
        (Field(_role(own, found, name)), *(field for need in own.shown for field in need_fields(found, need, name)))
        for name in dict.fromkeys((DEFAULT, found.last.best, *found.last.nearest))
        if name in next(iter(found.means.values()), {})
    ]
    return Table(columns, tuple(rows), leads=True)


def _role(own: TunedSetup, found: Validation, name: str) -> str:
    role = "default" if name == DEFAULT else "tuned" if name == found.last.best else "near it"
    return f"{role}: {called_by_knobs(own, own.configs[name])}"


def _contributions(own: TunedSetup, found: Validation) -> Table:
    """Say what each knob does: what changes where it alone is set back."""
    columns = [Column("set back", is_text=True), Column("from", is_text=True), Column("to", is_text=True)]
    columns += [Column(word(need), "points" if need.by_points else "%") for need in own.shown]
    best, usual = own.configs[found.last.best], own.configs[DEFAULT]
    rows = []
    for knob, name in found.last.backs.items():
        row = KNOBS[knob]
        changes = [change_field(need, found.over_best[need.key].get(name)) for need in own.shown]
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
    level = next(need_fields(found, need, DEFAULT))
    unit = f"{UNITS[need.key]} {word(need)}" if need.key in UNITS else "% over vanilla"
    return level if level.text == ABSENT else replace(level, text=f"{level.text} {unit}")


def _turned(own: TunedSetup, found: Validation, knob: str) -> tuple[Field, Field, Field]:
    """Name a knob, and its values by default and at best."""
    usual, best = map(Field, from_to(knob, own.configs[DEFAULT], own.configs[found.last.best]))
    return Field(knob), usual, best


def _then(need: Need, gap: Gap) -> Field:
    """Say what turning a knob does."""
    change = change_field(need, gap)
    unit = "points" if need.by_points else "%"
    return replace(change, text=f"{change.text} {unit} {word(need)}", weight="good" if gap.mean > 0 else "bad")


def _caveats(own: TunedSetup, found: Validation) -> Iterator[str]:
    if not found.is_decided and found.rounds >= ROUNDS_LEAST:
        yield "Not all is decided: --resume with a longer --for, which is the time in all, tells more."
    if found.keeps(DEFAULT) is False and found.keeps(found.chosen) and own.lost:
        yield "The default loses events, which were never consumed: what it costs is no fair comparison."
    if found.chosen != found.last.best:
        yield f"What looked best in the search, {called_by_knobs(own, own.configs[found.last.best])}, did not hold."
    yield from held(own, found)
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
    columns += [Column(word(need), UNITS.get(need.key, need.metric.unit)) for need in needs]
    rows = []
    for name in (DEFAULT, *order):
        values = (list(means.get(name, {}).get(need.key, {}).values()) for need in needs)
        cells = [mean_field(need, own_values) for need, own_values in zip(needs, values, strict=True)]
        rows.append((Field(called_by_knobs(own, own.configs[name])), Field(str(own.tried[name].rounds)), *cells))
    yield Table(tuple(columns), tuple(rows))
    yield Paragraph(
        f"{plural(len(own.tried) - 1, 'configuration')} of {len(own.configs) - 1} tried, the best so far most often. "
        "These numbers chose what was validated, so that they prove nothing.",
        "fine",
    )


def _side_by_side(found: Sequence[TunedSetup]) -> Iterator[Block]:
    """Put what was chosen beside the default, setup by setup, where there are several."""
    if len(found) < 2:
        return
    yield Heading("Side by side", 1)
    columns = (*texts("setup", "configuration"), *_columns(found[0].shown))
    yield Table(columns, tuple(row for own in found for row in _pair(own)))
    yield Paragraph(
        "Setup was tuned after setup: a row compares with the default above it, and not with other setups, whose "
        "blocks came at other times. A run of what --output writes has all of them in the same blocks.",
        "fine",
    )


def _pair(own: TunedSetup) -> Iterator[tuple[Field, ...]]:
    """Yield the rows of a setup: its default, and what is chosen instead, or that nothing is."""
    found, nothing = own.validation, [Field(ABSENT)] * 2 * len(own.shown)

    def values(name: str) -> list[Field]:
        return [each for need in own.shown for each in need_fields(found, need, name)] if found else nothing

    yield (Field(own.setup), Field("default"), *values(DEFAULT))
    usual, chosen = own.configs[DEFAULT], own.chosen
    if found is None or chosen == usual:
        yield (Field(""), Field("no gain found" if own.is_searched else "nothing can be compared"), *nothing)
        return
    pairs = (from_to(knob, usual, chosen) for knob in own.goal.knobs)
    changed = ", ".join(tuned for default, tuned in pairs if tuned != default)
    yield (Field(""), Field(f"tuned: {changed}"), *values(found.chosen))


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
            usual, tuned = from_to(knob, own.configs[DEFAULT], own.chosen)
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


def _data(own: TunedSetup) -> dict[str, Any]:
    found = own.validation
    return {
        "setup": own.setup,
        "goal": asdict(own.goal),
        "said": headline(own),
        "gain": found.gain if found else Gain.NONE,
        "chosen": _values(own, own.chosen),
        "rings_hold_percent": own.held_percent(own.chosen),
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
        "rings_hold_percent": own.held_percent(own.configs[name]),
        "shown_for_longer_percent": shown_for_longer(own, found, name),
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
