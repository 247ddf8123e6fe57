# SPDX-License-Identifier: Apache-2.0
"""What tuning came to: the configuration to take, what is sure of it, and what each knob contributed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

from bpfbench.analysis.anytime import ROUNDS_LEAST
from bpfbench.analysis.gaps import Gap
from bpfbench.analysis.inference import ALPHA
from bpfbench.analysis.questions.needs import Need
from bpfbench.analysis.questions.tuning.aim import DEFAULT, TUNABLE
from bpfbench.analysis.questions.tuning.search import Knobs, Place
from bpfbench.analysis.questions.tuning.tuned import TunedSetup
from bpfbench.analysis.questions.tuning.unkept import Unkept
from bpfbench.analysis.questions.tuning.validation import Gain, Keeping, Validation
from bpfbench.factors import KNOBS
from bpfbench.model import VANILLA, TracerConfig
from bpfbench.report import snippets
from bpfbench.report.document import (
    ABSENT,
    ALWAYS,
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
from bpfbench.report.documents.tune_in_words import headline, told
from bpfbench.report.documents.tune_searched import searched, searched_data
from bpfbench.report.documents.tuned import (
    NOT_ASKED,
    UNITS,
    called_by_knobs,
    change_field,
    from_to,
    held,
    need_fields,
    shown_for_longer,
    word,
)
from bpfbench.report.numbers import share
from bpfbench.report.wording import listed
from bpfbench.units import plural

SCHEMA = 1
ROLES = {
    "default": "default",
    "tuned": "tuned",
    "trade": "a trade",
    "best": "best of the search",
    "best-did-not-hold": "best of the search, did not hold",
}
"""What those that may be chosen are, as programs and readers are told; others of the search are told by PLACES."""
PLACES = {
    Place.FRONT: "near the best, on the front",
    Place.BEHIND: "near the best, behind the front",
    Place.MISSED: "near the best, missed a limit in the search",
    Place.LEFT_OUT: "near the best",
}
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


def _blocks(own: TunedSetup) -> Iterator[Block]:
    yield Heading(f"Tuned: {own.setup}", 1)
    yield Paragraph(headline(own), "lead")
    found = own.validation
    if found is not None and found.rounds:
        yield _validated(own, found)
        if found.last.backs:
            best = found.last.best
            which = {"tuned": "the tuned", "trade": "the trade"}.get(_role(found, best), "the best of the search")
            yield Heading(f"What each knob of {own.setup} contributes: {which}, with that alone set back")
            if found.chosen != best:
                yield Paragraph(
                    f"This table and the next are about {called_by_knobs(own, own.configs[best])}: the best of the "
                    "search, which did not hold. Nothing else was run with knobs set back.",
                    "note",
                )
            yield _contributions(own, found)
            yield Heading(f"Which knob of {own.setup} to turn against what")
            yield _against_symptoms(own, found)
        yield Bullets(tuple(_caveats(own, found)))
        yield Paragraph(
            f"By {plural(found.rounds, 'fresh block')} of two vanilla trials and one of each. In brackets: what the "
            "mean may be; intervals hold at every look, and all at once. That of the share saved takes nothing for "
            "granted but 0 to 100 %, so that few blocks leave it wide. ~ cannot be told from no difference.",
            "fine",
        )
    yield from searched(own)


def _columns(own: TunedSetup) -> Iterator[Column]:
    """Yield those of `need_fields`. A narrow terminal has less of what was not asked for."""
    for need in own.shown:
        level, change = (ALWAYS, ALWAYS) if need in own.aim.needs else (NOT_ASKED, NOT_ASKED - 1)
        yield Column(word(need), UNITS.get(need.key, "% over vanilla"), importance=level)
        yield Column(f"{word(need)} to default", "points" if need.by_points else "%", importance=change)


def _validated(own: TunedSetup, found: Validation) -> Table:
    columns = (Column("configuration", is_text=True), *_columns(own))
    rows = [
        (Field(_called(own, found, name)), *(field for need in own.shown for field in need_fields(found, need, name)))
        for name in dict.fromkeys((DEFAULT, found.chosen, found.last.best, *found.last.nearest))
        if name in next(iter(found.means.values()), {})
    ]
    return Table(columns, tuple(rows), leads=True)


def _role(found: Validation, name: str) -> str:
    """Say what a configuration is by what was chosen, which the best of the search need not be."""
    if name == DEFAULT:
        return "default"
    if name == found.chosen and found.gain is not Gain.NONE:
        return "trade" if found.gain is Gain.TRADE else "tuned"
    if name == found.last.best:
        return "best" if name == found.chosen else "best-did-not-hold"
    return "near" if name in found.last.nearest else "set-back"


def _called(own: TunedSetup, found: Validation, name: str) -> str:
    role = _role(found, name)
    place = own.places.get(name, Place.LEFT_OUT)
    return f"{ROLES.get(role) or PLACES[place]}: {called_by_knobs(own, own.configs[name])}"


def _contributions(own: TunedSetup, found: Validation) -> Table:
    """Say what each knob does: what changes where it alone is set back."""
    columns = [Column("set back", is_text=True), Column("from", is_text=True), Column("to", is_text=True)]
    columns += [Column(word(need), "points" if need.by_points else "%") for need in own.shown]
    best, usual = own.configs[found.last.best], own.configs[DEFAULT]
    rows = []
    for knobs, name in found.last.backs.items():
        changes = [change_field(need, found.over_best[need.key].get(name)) for need in own.shown]
        rows.append((Field(_together(knobs)), *map(Field, _values_of(knobs, best, usual)), *changes))
    return Table(tuple(columns), tuple(rows))


def _together(knobs: Knobs) -> str:
    """Name a knob, and those without which it cannot be set back."""
    return f"{knobs[0]} with {listed(knobs[1:])}" if knobs[1:] else knobs[0]


def _values_of(knobs: Knobs, *configs: TracerConfig) -> list[str]:
    by_knob = [from_to(knob, *configs) for knob in knobs]
    return [", ".join(values) for values in zip(*by_knob, strict=True)]


def _against_symptoms(own: TunedSetup, found: Validation) -> Table:
    """Say of each thing that may be wrong which knobs are known to change it, for the better or the worse."""
    columns = texts("what is wrong", "by default", "knob", "from", "to", "changes it by")
    nothing = Field(ABSENT)
    rows: list[tuple[Field, ...]] = []
    for need in own.shown:
        first = Field(_symptom(own, need)), _by_default(found, need)
        rest = [(*_turned(own, found, knobs), _then(need, gap)) for knobs, gap in found.turned(need).items()]
        for turned in rest or [(Field("none is known to change it"), nothing, nothing, nothing)]:
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


def _turned(own: TunedSetup, found: Validation, knobs: Knobs) -> tuple[Field, Field, Field]:
    """Name a knob, or those that are turned together, and the values by default and at best."""
    usual, best = map(Field, _values_of(knobs, own.configs[DEFAULT], own.configs[found.last.best]))
    return Field(_together(knobs)), usual, best


def _then(need: Need, gap: Gap) -> Field:
    """Say what turning a knob does."""
    change = change_field(need, gap)
    unit = "points" if need.by_points else "%"
    return replace(change, text=f"{change.text} {unit} {word(need)}", weight="good" if gap.mean > 0 else "bad")


def _caveats(own: TunedSetup, found: Validation) -> Iterator[str]:
    if not found.is_decided and found.rounds >= ROUNDS_LEAST:
        yield "Not all is decided: --resume with a longer --for, which is the time in all, tells more."
    if found.kept(found.chosen) is Keeping.IN_EACH:
        trials = plural(found.trials[found.chosen], "fresh trial")
        yield (
            f"{trials} without a miss are no promise: as far as they tell, up to "
            f"{100 * found.missing_at_most(found.chosen):.0f} % of all may miss the limits ({100 - 100 * ALPHA:.0f} %)."
        )
    if found.gain is Gain.KEEPS:
        alone, reverse = found.only[found.chosen]
        yield f"In {plural(alone, 'block')} it kept to the limits and the default did not; in {reverse} the reverse."
    if own.traded:
        better, worse = (listed([word(need) for need in told(found, is_better=it)]) for it in (True, False))
        named = ",".join(need.key for need in told(found, is_better=True) if need.key in TUNABLE)
        how = f", and whoever minds {better} and not {worse} gets it by --minimise {named}" if named else ""
        yield f"A trade is yours to make: --output has none{how}."
    for name in (name for name in found.last.names if found.failed.get(name)):
        who = "the default" if name == DEFAULT else called_by_knobs(own, own.configs[name])
        yield f"Fresh trials that did not end well, and are in no number here: {found.failed[name]} of {who}."
    if found.kept(DEFAULT) is Keeping.MISSED and found.kept(found.chosen).holds and own.lost:
        yield "The default loses events, which were never consumed: what it costs is no fair comparison."
    if found.chosen != found.last.best:
        yield f"What looked best in the search, {called_by_knobs(own, own.configs[found.last.best])}, did not hold."
    yield from held(own, found)
    if own.failed:
        yield f"Not tried again, as all trials of theirs failed: {', '.join(sorted(own.failed))}."


def _side_by_side(found: Sequence[TunedSetup]) -> Iterator[Block]:
    """Put what was chosen beside the default, setup by setup, where there are several."""
    if len(found) < 2:
        return
    yield Heading("Side by side", 1)
    columns = (*texts("setup", "configuration"), *_columns(found[0]))
    yield Table(columns, tuple(row for own in found for row in _pair(own)))
    yield Paragraph(
        "Setup was tuned after setup: a row compares with the default above it, and not with other setups, whose "
        "blocks came at other times. A run of what --output writes has all of them in the same blocks. "
        f"{len(found)} setups were tuned, each with an error of {100 * ALPHA:.0f} % of its own: that any of them has a "
        f"gain that is none may be as likely as {min(100, 100 * ALPHA * len(found)):.0f} %.",
        "fine",
    )


def _pair(own: TunedSetup) -> Iterator[tuple[Field, ...]]:
    """Yield the rows of a setup: its default, and what is chosen instead, or that nothing is."""
    found, nothing = own.validation, [Field(ABSENT)] * 2 * len(own.shown)

    def values(name: str) -> list[Field]:
        return [each for need in own.shown for each in need_fields(found, need, name)] if found else nothing

    yield (Field(own.setup), Field("default"), *values(DEFAULT))
    usual, chosen = own.configs[DEFAULT], own.chosen
    shown = own.traded or chosen
    if found is None or shown == usual:
        yield (Field(""), Field("no gain found" if own.is_searched else "nothing can be compared"), *nothing)
        return
    pairs = (from_to(knob, usual, shown) for knob in own.goal.knobs)
    changed = ", ".join(tuned for default, tuned in pairs if tuned != default)
    yield (Field(""), Field(f"{'a trade' if own.traded else 'tuned'}: {changed}"), *values(found.chosen))


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
        "trade": _values(own, own.traded) if own.traded else None,
        "in_your_own": _changed(own),
        "tried": len(own.tried) - 1,
        "configurations": len(own.configs) - 1,
        "fresh_blocks": found.rounds if found else 0,
        "decided": bool(found and found.is_decided),
        "failed_fresh_trials": dict(found.failed) if found else {},
        "lost_percent": own.lost,
        "turned_of": found.last.best if found and found.rounds else None,
        "turned": _all_turned(own, found) if found and found.rounds else {},
        "unkept_limits": [_unmet(own, each) for each in own.unkept],
        "validated": [_row(own, found, name) for name in found.last.names] if found and found.rounds else [],
        "search": searched_data(own),
    }


def _unmet(own: TunedSetup, found: Unkept) -> dict[str, Any]:
    """Say how near anything came to a limit, where nothing kept to all of them."""
    return {
        "limit": found.limit.need.key,
        "bound": found.limit.bound,
        "name": found.name,
        "values": _values(own, own.configs[found.name]),
        "mean": found.mean,
        "interval": found.level.ends,
        "trials": found.trials,
        "within_limit": found.within,
        "all_known_to_miss": found.is_missed,
    }


def _all_turned(own: TunedSetup, found: Validation) -> dict[str, Any]:
    return {
        need.key: {_together(knobs): _gap(need, gap) for knobs, gap in turned.items()}
        for need in own.shown
        if (turned := found.turned(need))
    }


def _values(own: TunedSetup, config: TracerConfig) -> dict[str, Any]:
    return {knob: getattr(config, KNOBS[knob].field) for knob in own.goal.knobs}


def _row(own: TunedSetup, found: Validation, name: str) -> dict[str, Any]:
    kept = found.kept(name)
    return {
        "name": name,
        "role": _role(found, name),
        "place": own.places.get(name),
        "set_back": [knob for knobs, back in found.last.backs.items() if back == name for knob in knobs],
        "values": _values(own, own.configs[name]),
        "rings_hold_percent": own.held_percent(own.configs[name]),
        "shown_for_longer_percent": shown_for_longer(own, found, name),
        "keeps_to_limits": {Keeping.KNOWN: True, Keeping.MISSED: False}.get(kept),
        "limits": kept,
        "fresh_trials": found.trials.get(name, 0),
        "within_limits": found.within.get(name, 0),
        "failed_trials": found.failed.get(name, 0),
        "may_miss_percent": 100 * found.missing_at_most(name) if kept is Keeping.IN_EACH else None,
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
    interval = need.changes(gap.interval).ends if gap.rounds >= ROUNDS_LEAST else None
    return {"change": need.change(gap.mean), "interval": interval, "n": gap.rounds}
