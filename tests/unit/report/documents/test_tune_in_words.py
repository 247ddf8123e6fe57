# SPDX-License-Identifier: Apache-2.0
"""What tuning came to: facts are told as facts, failures with the reason, and what is no gain is written nowhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from builders import READ, make_config, make_failure, make_fio, make_record, make_summary, make_trial, make_usage

from bpfbench.analysis.questions.tuning.aim import DEFAULT
from bpfbench.analysis.questions.tuning.tuned import TunedSetup, aim, shown
from bpfbench.analysis.questions.tuning.validation import Gain
from bpfbench.model import VANILLA, Criteria, Record, TracerConfig
from bpfbench.model.tuning import Finalists, TuningGoal
from bpfbench.report.document import Bullets, Document, Field, Heading, Paragraph, Table
from bpfbench.report.documents.tune import data, document
from bpfbench.report.documents.tune_in_words import headline

GOAL = TuningGoal(("overhead",), 99.0, None, None, ("ringbuf_bytes",), 900.0)
USUAL = make_config()
BEST, NEAR = (replace(USUAL, ringbuf_bytes=size) for size in (2**20, 2**21))
CONFIGS = {DEFAULT: USUAL, "ring1": BEST, "ring2": NEAR}

Does = Callable[[TracerConfig, int], tuple[float, float, float] | None]
"""Of a configuration and a block: what is saved in per cent, runtime, and memory in MiB; None: the trial fails."""


def tuned(
    does: Does,
    blocks: int = 12,
    before: Does | None = None,
    goal: TuningGoal = GOAL,
    configs: dict[str, TracerConfig] = CONFIGS,
) -> TunedSetup:
    """A setup of which so many blocks are validated, after three of a search, which did the same unless told."""
    random = np.random.default_rng(1)
    records: list[Record] = []
    for number in range(3 + blocks):
        drift = float(np.exp(random.normal(0, 0.2)))
        for at in range(2):
            own = make_trial(VANILLA, number)
            runtime_s = 10.0 * drift * float(np.exp(random.normal(0, 0.01)))
            records.append(make_record(replace(own, id=f"{own.id}-{at}"), fio=make_fio(runtime_s=runtime_s)))
        for name, config in configs.items():
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
    return TunedSetup("libbpf", goal, wanted, configs, tuple(records), finalists, shown(goal, READ))


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
    assert found.startswith("libbpf: no gain found in 6 fresh blocks. Of those that may be chosen, none can keep")
    assert "can keep to 99 % saved: the ceiling is 61.00 % [" in found
    assert found.endswith("with ring 2 MiB.")


def test_so_it_is_beside_a_gain() -> None:
    def more(config: TracerConfig, number: int) -> tuple[float, float, float]:
        return (50.0 if config == USUAL else 60.0) + number % 2, 10.0, 2.0

    found = headline(tuned(more))
    assert found.startswith("libbpf: ring 1 MiB is better than the default in saved; neither keeps to 99 % saved. Of")
    assert "can keep to 99 % saved: the ceiling is" in found


def too_little(config: TracerConfig, number: int) -> tuple[float, float, float]:
    return (80.0 if config == NEAR else 60.0) + number % 3, 10.0, 2.0


def test_so_it_is_of_what_was_tried_where_nothing_was_validated() -> None:
    own = replace(tuned(too_little), finalists=None, offered_bytes=2**30)
    found = headline(own)
    assert found.startswith("libbpf: no gain found. Of 2 configurations, none looked better than the default")
    assert ". Of those that were tried, none can keep to 99 % saved: the ceiling is 81.00 % [" in found
    assert found.endswith("with ring 2 MiB.")
    (unmet,) = data([own])[0]["unkept_limits"]
    assert (unmet["limit"], unmet["name"], unmet["mean"]) == ("fidelity", "ring2", pytest.approx(81))
    assert (unmet["trials"], unmet["within_limit"], unmet["all_known_to_miss"]) == (15, 0, True)


def test_of_two_trials_the_ceiling_is_what_was_seen() -> None:
    own = replace(tuned(too_little, blocks=-1), finalists=None, offered_bytes=2**30)
    assert headline(own).endswith(
        "Of those that were tried, none kept to 99 % saved in each trial: the most was 80.50 %, with ring 2 MiB, which "
        "kept to it in 0 of 2 trials."
    )


def test_each_limit_that_nothing_keeps_to_has_the_least_that_was_seen() -> None:
    def large(config: TracerConfig, number: int) -> tuple[float, float, float]:
        return (60.0 + number % 3 if config == USUAL else 100.0), 10.0, (4.0 if config == BEST else 3.0)

    own = tuned(large, goal=replace(GOAL, max_memory_bytes=2**20))
    found = headline(own)
    assert "neither keeps to 99 % saved and 1 MiB of memory. Of those that may be chosen, none kept to all" in found
    assert "all limits at once. 99 % saved alone was kept to in all 12 trials by ring 1 MiB. Of those" in found
    assert "none can keep to 1 MiB of memory: the least is 2.99 MiB [2.95, 3.03], with ring 2 MiB." in found
    saved, memory = data([own])[0]["unkept_limits"]
    assert (saved["limit"], saved["within_limit"], saved["all_known_to_miss"]) == ("fidelity", 12, False)
    assert (memory["limit"], memory["bound"], memory["all_known_to_miss"]) == ("memory", 2**20, True)


def test_who_kept_to_the_limits_with_a_knob_set_back_is_told_though_it_cannot_be_chosen() -> None:
    both = ("ringbuf_bytes", "poll_ms")
    configs = {f"{name}-{poll}": replace(own, poll_ms=poll) for name, own in CONFIGS.items() for poll in (10, 100)}
    configs = {DEFAULT if own == USUAL else name: own for name, own in configs.items()}
    best, other = configs["ring1-10"], configs["ring1-100"]

    def does(config: TracerConfig, number: int) -> tuple[float, float, float]:
        return (100.0 if config == other else 60.0 + 10 * (config == best) + number % 3), 10.0, 2.0

    goal = replace(GOAL, knobs=both)
    own = tuned(does, goal=goal, configs=configs)
    own = replace(own, finalists=Finalists("libbpf", 3, best, ()))
    assert headline(own).endswith(
        "with ring 1 MiB, poll 10 ms. Ring 1 MiB, poll 100 ms is not one of them, but the best with poll_ms set back, "
        "and kept to 99 % saved in all 12 fresh trials."
    )


def test_where_something_keeps_to_all_limits_there_is_no_ceiling() -> None:
    assert data([tuned(all_or_little)])[0]["unkept_limits"] == []


def test_where_another_than_the_best_of_the_search_is_chosen_that_is_the_tuned() -> None:
    def treacherous(config: TracerConfig, number: int) -> tuple[float, float, float]:
        return (98.0 if config == BEST else 100.0) if config != USUAL else 60.0 + number % 3, 10.0, 2.0

    own = tuned(treacherous, before=all_or_little)
    assert own.chosen == NEAR
    said = document([own])
    assert {"tuned: ring 2 MiB", "best of the search, did not hold: ring 1 MiB"} <= {f.text for f in fields(said)}
    headings = [block.text for block in said if isinstance(block, Heading)]
    assert "What each knob of libbpf contributes: the best of the search, with that alone set back" in headings
    (remark,) = (block.text for block in said if isinstance(block, Paragraph) and block.tone == "note")
    assert remark.startswith("This table and the next are about ring 1 MiB: the best of the search, which did not hold")
    (found,) = data([own])
    assert {row["name"]: row["role"] for row in found["validated"]} == {
        DEFAULT: "default",
        "ring1": "best-did-not-hold",
        "ring2": "tuned",
    }
    assert found["turned_of"] == "ring1"


def test_without_a_gain_nothing_is_called_tuned() -> None:
    own = replace(tuned(lambda *_: (100.0, 10.0, 2.0), blocks=6), offered_bytes=2**30)
    rows = {field.text for field in fields(document([own]))}
    assert {"best of the search: ring 1 MiB"} <= rows
    assert any(text.startswith("near the best, ") and text.endswith(": ring 2 MiB") for text in rows)
    assert {row["role"] for row in data([own])[0]["validated"]} == {"default", "best", "near"}


def test_the_search_shows_who_is_on_the_front_and_how_far_from_the_default_one_may_be() -> None:
    def cheaper(config: TracerConfig, number: int) -> tuple[float, float, float]:
        return (60.0 + number % 3 if config == USUAL else 100.0), (8.0 if config == BEST else 10.0), 2.0

    own = replace(tuned(cheaper), finalists=None, offered_bytes=2**30)
    (table,) = (block for block in document([own]) if isinstance(block, Table))
    titles = [column.title for column in table.columns]
    assert titles == ["configuration", "blocks", "front", "saved", "runtime", "runtime to default"]
    front = {row[0].text: row[2].text for row in table.rows}
    assert front == {"ring 256 KiB": "-", "ring 1 MiB": "yes", "ring 2 MiB": "-"}
    change = next(row[5] for row in table.rows if row[0].text == "ring 1 MiB")
    assert change.text.startswith("-20")
    assert change.detail.startswith("[-2")
    places = {row["name"]: row["place"] for row in data([own])[0]["search"]}
    assert places == {DEFAULT: "missed-limits", "ring1": "front", "ring2": "left-out"}  # surely beaten
    assert all(row["range_margins"] for row in data([own])[0]["search"])


def test_a_trade_is_told_and_not_written() -> None:
    def trading(config: TracerConfig, _: int) -> tuple[float, float, float]:
        return 100.0, (10.0 if config == USUAL else 8.0), (2.0 if config == USUAL else 4.0)

    own = tuned(trading, goal=replace(GOAL, minimise=("overhead", "memory")))
    assert own.validation is not None
    assert own.validation.gain is Gain.TRADE
    assert own.chosen == USUAL
    assert headline(own) == (
        "libbpf: a trade: ring 1 MiB is better than the default in runtime, and worse in memory; it kept to 99 % "
        "saved in all 12 fresh trials, as did the default."
    )
    (found,) = data([own])
    assert found["chosen"] == {"ringbuf_bytes": USUAL.ringbuf_bytes}
    assert found["trade"] == {"ringbuf_bytes": 2**20}
    pages = document([own, own])
    assert "whoever minds runtime and not memory gets it by --minimise overhead." in bullets(pages)
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
