# SPDX-License-Identifier: Apache-2.0
"""What comes next of a setup that is tuned, where nothing can be compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from builders import READ, make_config, make_failure, make_fio, make_record, make_trial

from bpfbench.analysis.questions.tuning.aim import DEFAULT
from bpfbench.analysis.questions.tuning.search import at_random
from bpfbench.analysis.questions.tuning.tuned import TunedSetup, aim, shown
from bpfbench.model import Criteria, Record, TracerConfig
from bpfbench.model.tuning import TuningGoal
from bpfbench.report.documents.tune_in_words import headline
from bpfbench.run.tune import following

GOAL = TuningGoal(("overhead",), 99.0, None, None, ("ringbuf_bytes",), 900.0)
USUAL = make_config()
CONFIGS = {DEFAULT: USUAL, **{f"ring{size}": replace(USUAL, ringbuf_bytes=size) for size in (2**20, 2**21, 2**22)}}


def setup(records: Sequence[Record], goal: TuningGoal = GOAL) -> TunedSetup:
    return TunedSetup("libbpf", goal, aim(goal, READ, Criteria()), CONFIGS, tuple(records), None, shown(goal, READ))


def block(number: int, failing: Sequence[TracerConfig]) -> list[Record]:
    trials = [make_trial("libbpf", number, config=config) for config in CONFIGS.values()]
    return [
        make_failure(trial, "no probe") if trial.config in failing else make_record(trial, fio=make_fio())
        for trial in trials
    ]


def test_a_setup_whose_default_never_ends_well_is_given_up_after_three_blocks() -> None:
    records = [record for number in range(3) for record in block(number, [USUAL])]
    assert following(setup(records[:8]), seed=1, number=2, propose=at_random).members
    own = setup(records)
    assert following(own, seed=1, number=3, propose=at_random).said == (
        "libbpf is given up: no trial of the default ended well; the last: no probe."
    )
    assert headline(own) == (
        "libbpf: nothing can be compared with the default: no trial of the default ended well; the last: no probe."
    )


@pytest.mark.parametrize(
    ("minimise", "failing", "why"),
    [
        (("energy",), [], "there are no numbers for: energy"),
        (("overhead",), [own for own in CONFIGS.values() if own != USUAL], "no trial of anything else ended well"),
    ],
)
def test_so_is_one_of_which_nothing_is_known(minimise: tuple[str, ...], failing: list[TracerConfig], why: str) -> None:
    records = [record for number in range(3) for record in block(number, failing)]
    found = following(setup(records, replace(GOAL, minimise=minimise)), seed=1, number=3, propose=at_random)
    assert (found.members, found.said) == ((), f"libbpf is given up: {why}.")


def test_what_was_not_tried_is_said_to_be_so() -> None:
    assert headline(setup([])) == "libbpf: nothing can be compared with the default: it was not tried."
