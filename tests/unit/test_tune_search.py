# SPDX-License-Identifier: Apache-2.0
"""benchmarks/tune_search.py: the surface is that of what was measured, whatever knobs were turned."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import tune_search
from builders import READ, make_config, make_fio, make_record, make_summary, make_trial, make_usage

from bpfbench.analysis.questions.tuning.aim import DEFAULT
from bpfbench.analysis.questions.tuning.tuned import TunedSetup, aim, shown
from bpfbench.declare import tuning
from bpfbench.model import Criteria, Record, TracerConfig
from bpfbench.model.tuning import TuningGoal

RINGS, WAKEUPS, OUTPUTS = tuple(2**power for power in range(16, 22)), ("adaptive", "never", "poll"), (2**16, 2**20)
GOAL = TuningGoal(("memory", "overhead"), 99.0, None, None, ("ringbuf_bytes", "wakeup", "output_bytes"), 900.0)
USUAL = make_config()
CONFIGS = tuple(
    replace(USUAL, ringbuf_bytes=ring, wakeup=wakeup, output_buffer_bytes=output)
    for ring, wakeup, output in itertools.product(RINGS, WAKEUPS, OUTPUTS)
)
NAMES = {DEFAULT if own == USUAL else name: own for own, name in tuning.names(CONFIGS, GOAL.knobs).items()}


def truth(config: TracerConfig) -> tuple[float, float, float]:
    """What is saved in per cent, runtime, and memory."""
    steps = math.log2(config.ringbuf_bytes or 1) - 18
    saved = 92 + 5 * steps - 30 * (config.wakeup == "never")
    return min(100.0, saved), 10.0 * (0.8 if config.wakeup == "poll" else 1.0), 2e6 * 1.3**steps


def trial(config: TracerConfig, block: int, random: np.random.Generator, drift: float) -> Record:
    own = make_trial("libbpf", block, config=config)
    saved, runtime_s, memory = truth(config)
    kept = round(1000 * min(100.0, saved + (random.normal(0, 0.5) if saved < 100 else 0)))
    return make_record(
        own,
        fio=make_fio(runtime_s=runtime_s * drift * math.exp(random.normal(0, 0.03))),
        summary=make_summary(own, saved=kept, lost={"ring_full": 100_000 - kept}),
        usage=make_usage(pss_peak_bytes=round(memory * math.exp(random.normal(0, 0.02)))),
    )


@pytest.fixture(scope="module")
def surface() -> tune_search.Surface:
    """That of a run in which configurations were chosen at random, on a machine that drifts."""
    random = np.random.default_rng(1)
    records = []
    for block in range(40):
        drift = math.exp(random.normal(0, 0.3))
        chosen = [USUAL, *(CONFIGS[at] for at in random.permutation(len(CONFIGS))[:4])]
        records += [trial(config, block, random, drift) for config in dict.fromkeys(chosen)]
    wanted = aim(GOAL, READ, Criteria())
    return tune_search.fitted(TunedSetup("libbpf", GOAL, wanted, NAMES, tuple(records), None, shown(GOAL, READ)))


def test_it_is_what_is_true_of_what_was_never_tried_as_well(surface: tune_search.Surface) -> None:
    assert set(surface.true) == set(NAMES)
    usual = surface.true[DEFAULT]
    for name, config in NAMES.items():
        saved, runtime_s, memory = truth(config)
        found = dict(zip((need.key for need in surface.aim.needs), surface.true[name], strict=True))
        of_default = dict(zip(found, usual, strict=True))
        assert tune_search.unit(True, found["fidelity"]) == pytest.approx(saved, abs=1.5)
        assert math.exp(of_default["overhead"] - found["overhead"]) == pytest.approx(runtime_s / 10, rel=0.05)
        assert math.exp(-found["memory"]) == pytest.approx(memory, rel=0.05)


def test_its_best_is_the_smallest_ring_that_saves_enough(surface: tune_search.Surface) -> None:
    best = NAMES[surface.best.name]
    assert (best.ringbuf_bytes, best.wakeup) == (2**20, "poll")  # as overhead comes second
    assert surface.regret(surface.best.name) == 0
    assert surface.regret(DEFAULT) == surface.worst > 0  # which misses the limit


def test_searches_draw_from_it_and_find_the_ring(surface: tune_search.Surface) -> None:
    method = next(iter(tune_search.METHODS))
    assert tune_search.regrets(surface, method, seed=1)[-1] < surface.worst / 2
    assert tune_search.gain(surface, method, seed=1) == "keeps-to-limits"
    assert tune_search.gain(surface.alike, method, seed=1) == "no-gain"
