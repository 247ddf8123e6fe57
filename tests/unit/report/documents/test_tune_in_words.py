# SPDX-License-Identifier: Apache-2.0
"""What tuning came to: facts are told as facts, failures with the reason, and what is no gain is written nowhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from builders import READ, make_config, make_failure, make_fio, make_record, make_summary, make_trial, make_usage

from bpfbench.analysis.questions.tuning.aim import DEFAULT
from bpfbench.analysis.questions.tuning.tuned import TunedSetup, aim, shown
from bpfbench.analysis.questions.tuning.validation import Gain
from bpfbench.model import VANILLA, Criteria, Record, TracerConfig
from bpfbench.model.tuning import Finalists, TuningGoal
from bpfbench.report.document import Bullets, Document, Field, Paragraph, Table
from bpfbench.report.documents.tune import data, document
from bpfbench.report.documents.tune_in_words import headline

GOAL = TuningGoal(("overhead",), 99.0, None, None, ("ringbuf_bytes",), 900.0)
USUAL = make_config()
BEST, NEAR = (replace(USUAL, ringbuf_bytes=size) for size in (2**20, 2**21))
CONFIGS = {DEFAULT: USUAL, "ring1": BEST, "ring2": NEAR}

Does = Callable[[TracerConfig, int], tuple[float, float, float] | None]
"""Of a configuration and a block: what is saved in per cent, runtime, and memory in MiB; None: the trial fails."""


def tuned(does: Does, blocks: int = 12, before: Does | None = None, goal: TuningGoal = GOAL) -> TunedSetup:
    """A setup of which so many blocks are validated, after three of a search, which did the same unless told."""
    random = np.random.default_rng(1)
    records: list[Record] = []
    for number in range(3 + blocks):
        drift = float(np.exp(random.normal(0, 0.2)))
        for at in range(2):
            own = make_trial(VANILLA, number)
            runtime_s = 10.0 * drift * float(np.exp(random.normal(0, 0.01)))
            records.append(make_record(replace(own, id=f"{own.id}-{at}"), fio=make_fio(runtime_s=runtime_s)))
        for name, config in CONFIGS.items():
            trial = make_trial("libbpf", number, config=config)
            trial = replace(trial, id=f"{trial.id}-{name}")
            found = (before or does if number < 3 else does)(config, number)
            if found is None:
                records.append(make_failure(trial, "no probe"))
                continue
            saved, runtime_s, memory = found
            noise = np.exp(random.normal(0, [0.01, 0.01]))
            kept = round(saved * 10)
            records.append(
                make_record(
                    trial,
                    fio=make_fio(runtime_s=runtime_s * drift * float(noise[0])),
                    summary=make_summary(trial, saved=kept, lost={"ring_full": 1000 - kept}),
                    usage=make_usage(pss_peak_bytes=round(memory * 2**20 * float(noise[1]))),
                )
            )
    wanted, finalists = aim(goal, READ, Criteria()), Finalists("libbpf", 3, BEST, (NEAR,))
    return TunedSetup("libbpf", goal, wanted, CONFIGS, tuple(records), finalists, shown(goal, READ))


def all_or_little(config: TracerConfig, number: int) -> tuple[float, float, float]:
    return (60.0 + number % 3 if config == USUAL else 100.0), 10.0, 2.0


def bullets(found: Document) -> str:
    return "\n".join(line for block in found if isinstance(block, Bullets) for line in block.lines)


def test_what_kept_to_the_limit_in_each_trial_is_said_to_have_done_so() -> None:
    own = tuned(all_or_little)
    assert headline(own) == (
        "libbpf: with ring 1 MiB it kept to 99 % saved in all 12 fresh trials; the default is known not to."
    )
    assert (
        "12 fresh trials without a miss are no promise: as far as they tell, up to 29 % of all may miss the limits "
        "(95 %)." in bullets(document([own]))
    )
    assert "In 12 blocks it kept to the limits and the default did not; in 0 the reverse." in bullets(document([own]))
    (found,) = data([own])
    assert own.chosen == BEST
    rows = {row["name"]: row for row in found["validated"]}
    assert (rows["ring1"]["keeps_to_limits"], rows["ring1"]["limits"]) == (None, "in-each-trial")
    assert (rows["ring1"]["fresh_trials"], rows["ring1"]["within_limits"]) == (12, 12)
    assert 28 < rows["ring1"]["may_miss_percent"] < 29
    assert rows[DEFAULT]["keeps_to_limits"] is False
    low, high = rows["ring1"]["needs"]["fidelity"]["interval"]
    assert low < 70
    assert high == 100


def test_a_busy_hour_of_the_search_is_no_gain() -> None:
    def busy(config: TracerConfig, number: int) -> tuple[float, float, float]:
        return (97.0 - number if config == USUAL else 100.0), 10.0, 2.0

    own = tuned(lambda *_: (100.0, 10.0, 2.0), before=busy)
    assert headline(own) == (
        "libbpf: no gain found in 12 fresh blocks. The default kept to 99 % saved in all 12 fresh trials."
    )
    (row,) = (row for row in data([own])[0]["validated"] if row["name"] == DEFAULT)
    assert row["needs"]["fidelity"]["mean"] == 100
    assert own.lost == {}


def test_who_fails_in_fresh_trials_is_told() -> None:
    def failing(config: TracerConfig, number: int) -> tuple[float, float, float] | None:
        return None if config != USUAL and number in (5, 7) else all_or_little(config, number)

    own = tuned(failing)
    assert headline(own) == "libbpf: no gain found: with ring 1 MiB, 2 of 12 fresh trials did not end well."
    said = bullets(document([own]))
    assert "Fresh trials that did not end well, and are in no number here: 2 of ring 1 MiB." in said
    assert "Fresh trials that did not end well, and are in no number here: 2 of ring 2 MiB." in said
    assert own.chosen == USUAL
    (found,) = data([own])
    assert found["failed_fresh_trials"] == {"ring1": 2, "ring2": 2}
    assert [row["failed_trials"] for row in found["validated"]] == [0, 2, 2]


def test_who_never_ends_well_is_told_too() -> None:
    own = tuned(lambda *given: None if given[0] != USUAL else all_or_little(*given), before=all_or_little)
    assert headline(own) == "libbpf: no gain found: with ring 1 MiB, 12 of 12 fresh trials did not end well."


def test_the_ceiling_is_told_where_nobody_saves_enough() -> None:
    def little(config: TracerConfig, number: int) -> tuple[float, float, float]:
        return (60.0 if config == NEAR else 50.0) + 2 * (number + (config == BEST)) % 4, 10.0, 2.0

    found = headline(tuned(little, blocks=6))
    assert found.startswith("libbpf: no gain found in 6 fresh blocks. No configuration that was validated can")
    assert "can save 99 %: the ceiling is 61.00 % [" in found
    assert found.endswith("with ring 2 MiB.")


def test_so_it_is_beside_a_gain() -> None:
    def more(config: TracerConfig, number: int) -> tuple[float, float, float]:
        return (50.0 if config == USUAL else 60.0) + number % 2, 10.0, 2.0

    found = headline(tuned(more))
    assert found.startswith("libbpf: ring 1 MiB is better than the default in saved; neither keeps to 99 % saved. No")
    assert "can save 99 %: the ceiling is" in found


def test_a_trade_is_told_and_not_written() -> None:
    def trading(config: TracerConfig, _: int) -> tuple[float, float, float]:
        return 100.0, (10.0 if config == USUAL else 8.0), (2.0 if config == USUAL else 4.0)

    own = tuned(trading, goal=replace(GOAL, minimise=("overhead", "memory")))
    assert own.validation is not None
    assert own.validation.gain is Gain.TRADE
    assert own.chosen == USUAL
    assert headline(own) == (
        "libbpf: a trade: ring 1 MiB is better than the default in overhead, and worse in memory; it kept to 99 % "
        "saved in all 12 fresh trials, as did the default."
    )
    (found,) = data([own])
    assert found["chosen"] == {"ringbuf_bytes": USUAL.ringbuf_bytes}
    assert found["trade"] == {"ringbuf_bytes": 2**20}
    pages = document([own, own])
    assert "A trade is yours to make" in bullets(pages)
    assert any(field.text == "a trade: ring 1 MiB" for field in fields(pages))


def fields(found: Document) -> list[Field]:
    return [field for block in found if isinstance(block, Table) for row in block.rows for field in row]


def test_what_saves_less_than_a_default_that_saved_enough_is_told_in_trials() -> None:
    def cheaper(config: TracerConfig, number: int) -> tuple[float, float, float]:
        return (100.0 if config == USUAL else 98.5 + number % 3), (10.0 if config == USUAL else 5.0), 2.0

    assert headline(tuned(cheaper)) == (
        "libbpf: no gain found in 12 fresh blocks. Ring 1 MiB kept to 99 % saved in 8 of 12 fresh trials; the default "
        "kept to them in all 12 fresh trials."
    )


def test_side_by_side_says_how_many_setups_had_an_error_of_their_own() -> None:
    own = tuned(all_or_little)
    said = [block.text for block in document([own, own, own]) if isinstance(block, Paragraph)]
    assert any("3 setups were tuned, each with an error of 5 % of its own" in text for text in said)
    assert any("may be as likely as 15 %" in text for text in said)
