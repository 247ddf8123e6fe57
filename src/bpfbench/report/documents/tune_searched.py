# SPDX-License-Identifier: Apache-2.0
"""What a search for a configuration saw: numbers that chose what was validated, and prove nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bpfbench.analysis.questions.tuning.aim import DEFAULT
from bpfbench.analysis.questions.tuning.search import Place, ranked
from bpfbench.analysis.questions.tuning.tuned import TunedSetup
from bpfbench.report.document import ABSENT, Block, Column, Field, Heading, Paragraph, Table
from bpfbench.report.documents.tuned import NOT_ASKED, UNITS, ahead_field, called_by_knobs, mean_field, word
from bpfbench.units import plural

SHOWN = 8
"""Configurations of a search that are shown."""


def searched(own: TunedSetup) -> Iterator[Block]:
    """Say what a search saw, the default first, then the best so far; nothing where nothing was tried."""
    order = [name for name in ranked(own.tried) if name != DEFAULT][:SHOWN]
    if not order:
        return
    yield Heading(f"What the search of {own.setup} saw")
    needs = own.aim.needs
    means = own.readings(own.searched, needs)
    columns = [Column("configuration", is_text=True), Column("blocks"), Column("front")]
    columns += [Column(word(need), UNITS.get(need.key, need.metric.unit)) for need in needs]
    columns += [Column(f"{word(need)} to default", "%", importance=NOT_ASKED) for need in own.aim.minimise]
    rows = []
    for name in (DEFAULT, *order):
        values = (list(means.get(name, {}).get(need.key, {}).values()) for need in needs)
        cells = [mean_field(need, own_values) for need, own_values in zip(needs, values, strict=True)]
        head = called_by_knobs(own, own.configs[name]), str(own.tried[name].rounds), _on_front(own, name)
        rows.append((*map(Field, head), *cells, *_to_default(own, name)))
    yield Table(tuple(columns), tuple(rows))
    front = sum(place is Place.FRONT for place in own.places.values())
    yield Paragraph(
        f"{plural(len(own.tried) - 1, 'configuration')} of {len(own.configs) - 1} tried, the best so far most often. "
        f"{front} on the front: these kept to the limits in each block, and no other of these is as good in every cost "
        "and better in one, by the means; who was tried less often than others is left out. These numbers chose what "
        "was validated, so that they prove nothing.",
        "fine",
    )


def _on_front(own: TunedSetup, name: str) -> str:
    return "yes" if own.places[name] is Place.FRONT else ABSENT


def _to_default(own: TunedSetup, name: str) -> Iterator[Field]:
    """Yield by how much more or less one takes than the default, and what that may be, cost by cost."""
    one = own.tried[name]
    for need, ahead, reach in zip(own.aim.minimise, one.ahead, one.range, strict=True):
        margin, is_same = need.scaled(own.aim.criteria), name == DEFAULT
        yield Field(ABSENT) if is_same else ahead_field(need, ahead * margin, reach.times(margin), one.rounds)


def searched_data(own: TunedSetup) -> list[dict[str, Any]]:
    """Say of all that were tried the same for programs."""
    return [
        {
            "name": one.name,
            "blocks": one.rounds,
            "place": own.places[one.name],
            "ahead_margins": one.ahead,
            "range_margins": [reach.ends for reach in one.range],
            "miss_margins": one.miss,
        }
        for one in own.tried.values()
    ]
