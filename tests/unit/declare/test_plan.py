# SPDX-License-Identifier: Apache-2.0
"""A plan is balanced, in whole blocks, in an order that study and seed alone decide, whatever the study."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from itertools import groupby

import pytest
from builders import make_brought
from hypothesis import assume, given
from hypothesis import strategies as st

from bpfbench import catalogue
from bpfbench.declare import estimate, plan, study
from bpfbench.declare.plan import TWINS_FROM, Needs, Plan, needs, places, unroll, warm_up, warm_ups
from bpfbench.errors import StudyError
from bpfbench.model import (
    OPTIONS,
    PAPER_TOOLS,
    VANILLA,
    Assignment,
    Attach,
    Boot,
    DrivenTarget,
    Factors,
    Format,
    IoPace,
    Machine,
    Paths,
    RateProcess,
    Settings,
    Study,
    Tool,
    TracerConfig,
    Trial,
    Variant,
    Workload,
)

GIB = 2**30
MINIMAL = Study(
    name="x",
    description="",
    image="trixie",
    testbed="host",
    seed=1,
    repetitions=1,
    factors=Factors(
        setups=("libbpf",),
        tools=(Tool.RW_TRACER,),
        workloads=("read",),
        processes=(4,),
        scale=(1.0,),
        attach=(Attach.TRACEPOINT,),
        format=(Format.TEXT,),
        ringbuf_bytes=(262144,),
        poll_ms=(100,),
        payload_bytes=(4096,),
    ),
    settings=Settings(),
    paths=Paths(),
    output_limit_bytes=None,
)
OWN = make_brought(
    "own", tools=(Tool.SYSCOUNT, Tool.RW_TRACER), formats=(Format.BINARY,), options={"wakeup": ("watermark",)}
)
"""Lacks a tool and a format, and of version 2 all but watermarks."""


def with_factors(base: Study = MINIMAL, **values: tuple[object, ...]) -> Study:
    return replace(base, factors=replace(base.factors, **values))  # type: ignore[arg-type]


def some(choices: Iterable[object], least: int = 1, most: int = 3) -> st.SearchStrategy[tuple[object, ...]]:
    """Some of the choices, each once, in any order."""
    return st.lists(st.sampled_from(list(choices)), min_size=least, max_size=most, unique=True).map(tuple)


FACTORS: dict[str, st.SearchStrategy[tuple[object, ...]]] = {
    "setups": some((*catalogue.SETUPS, OWN.name), least=0),
    "tools": some(Tool),
    "workloads": some(catalogue.WORKLOADS),
    "processes": some((1, 2, 4), most=2),
    "scale": some((0.25, 1.0), most=2),
    "attach": some((Attach.TRACEPOINT, Attach.KPROBE), most=2),
    "format": some(Format),
    "ringbuf_bytes": some((4096, 262144), most=2),
    "poll_ms": some((50, 100), most=2),
    "payload_bytes": some((16, 4096), most=2),
    "rate_iops": some((None, 5000), most=2),
    "wakeup": some(("adaptive", "watermark:4095", "watermark:4096"), most=2),
    "rings": some(("1", "cpu"), most=2),
}


@st.composite
def studies(draw: st.DrawFn) -> Study:
    factors = {name: draw(values) for name, values in FACTORS.items()}
    base = replace(MINIMAL, seed=draw(st.integers(0, 2**40)), repetitions=draw(st.integers(1, 3)), setups=(OWN,))
    return with_factors(base, **factors)


def cell(trial: Trial) -> tuple[object, ...]:
    return trial.setup, trial.config


def cells(trials: Iterable[Trial]) -> Counter[tuple[object, ...]]:
    return Counter(map(cell, trials))


def blocks(found: Plan) -> list[list[Trial]]:
    """The trials by runs of one block number."""
    return [list(trials) for _, trials in groupby(found.trials, key=lambda trial: trial.block)]


def identities(found: Plan) -> list[tuple[object, ...]]:
    """What each trial is, without its place in the plan. Those of a block's two vanillas are the same."""
    return [(t.repetition, t.workload, t.tool, t.setup, t.config) for t in found.trials]


def in_order(some: Iterable[object], among: Iterable[object]) -> bool:
    """Tell whether all of `some` are found `among` others, in the same order."""
    left = iter(among)
    return all(one in left for one in some)


def has_twins(block: list[Trial]) -> bool:
    return sum(not trial.is_vanilla for trial in block) >= TWINS_FROM


RELEASED_ORDER = [
    "0001-read-rw-tracer-vanilla-r1",
    "0002-read-rw-tracer-libbpf-r1",
    "0003-read-rw-tracer-bcc-r1",
    "0004-read-rw-tracer-bpftrace-r1",
    "0005-read-syscount-vanilla-r1",
    "0006-read-syscount-libbpf-r1",
    "0007-read-syscount-bcc-r1",
    "0008-read-syscount-bpftrace-r1",
    "0009-read-syscount-bpftrace-r2",
    "0010-read-syscount-bcc-r2",
    "0011-read-syscount-libbpf-r2",
    "0012-read-syscount-vanilla-r2",
    "0013-read-rw-tracer-bcc-r2",
    "0014-read-rw-tracer-libbpf-r2",
    "0015-read-rw-tracer-vanilla-r2",
    "0016-read-rw-tracer-bpftrace-r2",
]
RELEASED_ORDER_OF_TWINS = [
    "0001-read-rw-tracer-vanilla-r1",
    "0002-read-rw-tracer-libbpf-r1",
    "0003-read-rw-tracer-bcc-r1",
    "0004-read-rw-tracer-vanilla-r1",
    "0005-read-rw-tracer-bpftrace-r1",
    "0006-read-rw-tracer-aya-sync-r1",
    "0007-read-syscount-vanilla-r1",
    "0008-read-syscount-vanilla-r1",
    "0009-read-syscount-aya-sync-r1",
    "0010-read-syscount-libbpf-r1",
    "0011-read-syscount-bcc-r1",
    "0012-read-syscount-bpftrace-r1",
    "0013-read-syscount-bpftrace-r2",
    "0014-read-syscount-bcc-r2",
    "0015-read-syscount-libbpf-r2",
    "0016-read-syscount-vanilla-r2",
    "0017-read-syscount-vanilla-r2",
    "0018-read-syscount-aya-sync-r2",
    "0019-read-rw-tracer-aya-sync-r2",
    "0020-read-rw-tracer-bcc-r2",
    "0021-read-rw-tracer-vanilla-r2",
    "0022-read-rw-tracer-libbpf-r2",
    "0023-read-rw-tracer-vanilla-r2",
    "0024-read-rw-tracer-bpftrace-r2",
]


class TestOrder:
    @given(studies())
    def test_study_and_seed_decide_everything(self, declared: Study) -> None:
        assert unroll(declared) == unroll(replace(declared, factors=replace(declared.factors)))

    @given(st.integers(0, 2**40), st.integers(0, 2**40))
    def test_another_seed_is_the_same_trials_in_another_order(self, one: int, other: int) -> None:
        assume(one != other)
        quick = study.load(study.find("quick"))
        first, second = (unroll(replace(quick, seed=seed)) for seed in (one, other))
        assert identities(first) != identities(second)
        assert Counter(identities(first)) == Counter(identities(second))

    def test_neither_the_name_nor_how_it_is_run_changes_the_order(self) -> None:
        quick = study.load(study.find("quick"))
        renamed = replace(quick, name="mine", description="x", settings=replace(quick.settings, keep_output=True))
        assert unroll(renamed) == unroll(quick)

    def test_the_order_in_which_a_factors_values_are_written_does_not_matter(self) -> None:
        one = with_factors(setups=("bcc", "libbpf"), tools=PAPER_TOOLS, workloads=("read", "write"))
        other = with_factors(setups=("libbpf", "bcc"), tools=PAPER_TOOLS[::-1], workloads=("write", "read"))
        assert unroll(one).trials == unroll(other).trials

    def test_the_order_stays_what_it_was_when_first_released(self) -> None:
        """A run must be repeatable with a later bpfbench, so this list never changes."""
        declared = with_factors(
            replace(MINIMAL, repetitions=2),
            setups=("bpftrace", "bcc", "libbpf"),
            tools=(Tool.SYSCOUNT, Tool.RW_TRACER),
        )
        assert [trial.id for trial in unroll(declared).trials] == RELEASED_ORDER
        grown = with_factors(declared, setups=(*declared.factors.setups, "aya-sync"))
        assert [trial.id for trial in unroll(grown).trials] == RELEASED_ORDER_OF_TWINS

    @given(studies())
    def test_every_repetition_is_whole_before_the_next_begins(self, declared: Study) -> None:
        repetitions = [trial.repetition for trial in unroll(declared).trials]
        assert repetitions == sorted(repetitions)
        per_repetition = Counter(repetitions)
        assert list(per_repetition) == list(range(1, declared.repetitions + 1))
        assert len(set(per_repetition.values())) == 1

    @given(studies())
    def test_trials_are_numbered_in_their_order(self, declared: Study) -> None:
        found = unroll(declared)
        assert [trial.index for trial in found.trials] == list(range(len(found.trials)))

    def test_vanilla_is_not_always_first_in_its_block(self) -> None:
        declared = with_factors(replace(MINIMAL, repetitions=50), setups=("bcc", "libbpf"))
        places = Counter([t.setup for t in block].index(VANILLA) for block in blocks(unroll(declared)))
        assert sorted(places) == [0, 1, 2]
        assert min(places.values()) >= 8  # of 50; about 17 are expected

    def test_two_vanillas_are_anywhere_in_their_block(self) -> None:
        declared = with_factors(replace(MINIMAL, repetitions=300), setups=("bcc", "bpftrace", "ebpf-go", "libbpf"))
        found = blocks(unroll(declared))
        pairs = Counter(tuple(place for place, trial in enumerate(block) if trial.is_vanilla) for block in found)
        assert len(pairs) == 15, "two of six places, whichever"
        assert max(pairs.values()) <= 40  # of 300; 20 are expected


class TestWarmUps:
    """A trial owes nothing to what was before it: where that was another workload, a discarded trial goes between."""

    TWO = replace(with_factors(workloads=("read", "write")), repetitions=2)

    def test_the_first_trial_of_all_is_warmed_up(self) -> None:
        first = unroll(MINIMAL).trials[0]
        assert warm_up(first, None) is not None

    def test_a_trial_like_the_one_before_is_not_whatever_traced_them(self) -> None:
        first, second = unroll(MINIMAL).trials
        assert first.setup != second.setup
        assert warm_up(second, first) is None
        other_tool = replace(second, tool=Tool.SYSCOUNT, block=7, repetition=9)
        assert warm_up(other_tool, first) is None

    @pytest.mark.parametrize(
        "changed",
        [
            {"workload": Workload("write", 4, 32 * GIB)},
            {"workload": Workload("mixed", 4, 32 * GIB)},
            {"workload": Workload("read", 2, 32 * GIB)},
            {"workload": Workload("read", 4, GIB)},
            {"workload": Workload("read", 4, 32 * GIB, 1000)},
            {"host": "vm2"},
            {"kernel": "sid"},
        ],
        ids=["workload", "other workload", "processes", "size", "rate", "host", "kernel"],
    )
    def test_a_trial_under_other_circumstances_than_the_one_before_is(self, changed: dict[str, object]) -> None:
        before, trial = unroll(MINIMAL).trials
        assert warm_up(replace(trial, **changed), before) is not None  # type: ignore[arg-type]
        assert warm_up(trial, replace(before, **changed)) is not None  # type: ignore[arg-type]

    @given(studies())
    def test_it_is_vanilla_under_the_trials_own_circumstances_whole(self, declared: Study) -> None:
        for trial in unroll(declared).trials:
            found = warm_up(trial, None)
            assert found is not None
            assert (found.is_vanilla, found.config, found.warm_up) == (True, None, True)
            assert (found.workload, found.host, found.kernel) == (trial.workload, trial.host, trial.kernel)
            assert (found.block, found.repetition, found.tool) == (trial.block, trial.repetition, trial.tool)
            assert found.id == f"{trial.id}-warm-up"
            assert warm_up(trial, found) is None, "one is enough"

    def test_no_trial_of_a_plan_is_one(self) -> None:
        assert not any(trial.warm_up for trial in unroll(self.TWO).trials)

    @given(studies())
    def test_a_plan_has_one_wherever_its_workload_changes(self, declared: Study) -> None:
        found = unroll(declared)
        stretches = [next(trials) for _, trials in groupby(found.trials, key=lambda trial: trial.workload)]
        assert [trial.id for trial in warm_ups(found.trials, declared)] == [
            f"{trial.id}-warm-up" for trial in stretches
        ]

    def test_a_plan_of_one_workload_has_one_in_all(self) -> None:
        declared = with_factors(replace(MINIMAL, repetitions=9), tools=PAPER_TOOLS, setups=("bcc", "libbpf"))
        assert len(warm_ups(unroll(declared).trials, declared)) == 1
        assert warm_ups((), declared) == ()


class TestPlaces:
    @given(studies())
    def test_a_trials_place_is_counted_from_1_in_its_block(self, declared: Study) -> None:
        found = unroll(declared)
        assert [places(found.trials)[t.id] for block in blocks(found) for t in block] == [
            place for block in blocks(found) for place in range(1, len(block) + 1)
        ]

    def test_nothing_has_no_places(self) -> None:
        assert places(()) == {}


class TestHooks:
    def test_auto_is_kprobe_where_the_kernel_has_it_as_in_the_paper(self) -> None:
        declared = with_factors(attach=(Attach.AUTO,))
        assert plan.resolve(declared, frozenset(Attach)).factors.attach == (Attach.KPROBE,)
        assert plan.resolve(declared, {Attach.TRACEPOINT}).factors.attach == (Attach.TRACEPOINT,)

    def test_auto_beside_what_it_comes_to_is_that_once(self) -> None:
        declared = with_factors(attach=(Attach.AUTO, Attach.TRACEPOINT))
        assert plan.resolve(declared, {Attach.TRACEPOINT}).factors.attach == (Attach.TRACEPOINT,)

    def test_a_hook_the_kernel_lacks_is_refused_with_those_it_has(self) -> None:
        with pytest.raises(StudyError) as caught:
            plan.resolve(with_factors(attach=(Attach.KPROBE,)), {Attach.TRACEPOINT})
        assert caught.value.message == "study x: attach kprobe: the kernel lacks it; it has: tracepoint"

    def test_syscount_has_one_hook_whatever_the_others_attach_by(self) -> None:
        declared = with_factors(tools=(Tool.SYSCOUNT,), attach=(Attach.KPROBE, Attach.FENTRY))
        assert {t.config.attach for t in unroll(declared).trials if t.config} == {Attach.TRACEPOINT}

    def test_a_plan_can_be_looked_at_before_auto_is_resolved(self) -> None:
        found = unroll(with_factors(attach=(Attach.AUTO,)))
        assert {trial.setup for trial in found.trials} == {VANILLA, "libbpf"}


class TestVariants:
    def test_each_is_a_trial_of_its_own_of_the_same_block(self) -> None:
        (block,) = blocks(unroll(with_factors(variants=tuple(Variant))))
        assert Counter(t.config.variant for t in block if t.config) == Counter(Variant)
        assert {t.id.split("-", 1)[1] for t in block if t.config} == {
            f"read-rw-tracer-libbpf-{variant}-r1" for variant in Variant
        }

    def test_syscount_which_has_no_ring_has_no_consumer_to_do_without(self) -> None:
        (block,) = blocks(unroll(with_factors(tools=(Tool.SYSCOUNT,), variants=tuple(Variant))))
        assert {t.config.variant for t in block if t.config} == {Variant.FULL, Variant.RUN_TIME}

    def test_what_writes_sums_has_no_delay_of_events(self) -> None:
        found = unroll(with_factors(tools=(Tool.FS_PROFILE,), format=(Format.TEXT,), variants=tuple(Variant)))
        assert {t.config.variant for t in found.trials if t.config} == set(Variant) - {Variant.DELAY}
        assert found.left_out == (
            "fs-profile: libbpf has no variant delay: most of what fs-profile writes is no single event",
        )


class TestServers:
    FOUR = replace(
        with_factors(setups=("bcc", "bpftrace", "libbpf"), workloads=("read", "write")),
        testbed="vm",
        hosts=("a", "b"),
        repetitions=2,
    )

    def test_whole_blocks_take_turns_on_the_hosts(self) -> None:
        found = blocks(unroll(self.FOUR))
        assert all(len({trial.host for trial in block}) == 1 for block in found)
        by_kind = Counter((block[0].workload.name, block[0].host) for block in found)
        assert by_kind == {(workload, host): 1 for workload in ("read", "write") for host in "ab"}

    def test_by_setup_each_setup_has_one_host_and_vanilla_all(self) -> None:
        found = unroll(replace(self.FOUR, assignment=Assignment.BY_SETUP))
        hosts = {setup: {t.host for t in found.trials if t.setup == setup} for setup in ("bcc", "bpftrace", "libbpf")}
        assert hosts == {"bcc": {"a"}, "bpftrace": {"b"}, "libbpf": {"a"}}
        for block in blocks(found):
            assert len({trial.host for trial in block}) == 1
            assert sum(trial.is_vanilla for trial in block) == 1
        assert len(blocks(found)) == 2 * 2 * 2

    def test_kernels_are_crossed_with_vanilla_on_each(self) -> None:
        found = blocks(unroll(with_factors(self.FOUR, kernels=("trixie", "sid"))))
        assert Counter(block[0].kernel for block in found) == {"trixie": 4, "sid": 4}
        for block in found:
            assert len({trial.kernel for trial in block}) == 1
            assert sum(trial.is_vanilla for trial in block) == 1

    def test_names_tell_host_and_kernel_where_they_vary(self) -> None:
        ids = [trial.id for trial in unroll(with_factors(self.FOUR, kernels=("trixie", "sid"))).trials]
        assert len(set(ids)) == len(ids)
        assert all(re.search(r"-(trixie|sid)-[ab]-", trial_id) for trial_id in ids)


class TestBalance:
    @given(studies())
    def test_a_block_is_one_repetition_of_one_workload_under_one_tool(self, declared: Study) -> None:
        for block in blocks(unroll(declared)):
            assert len({(trial.repetition, trial.workload, trial.tool) for trial in block}) == 1

    @given(studies())
    def test_blocks_are_contiguous_and_numbered_from_0(self, declared: Study) -> None:
        found = blocks(unroll(declared))
        assert [block[0].block for block in found] == list(range(len(found)))

    @given(studies())
    def test_every_combination_of_workload_size_and_tool_is_one_block_of_each_repetition(self, declared: Study) -> None:
        factors = declared.factors
        found = Counter((b[0].repetition, b[0].workload, b[0].tool) for b in blocks(unroll(declared)))
        workloads = len(factors.workloads) * len(factors.processes) * len(factors.scale) * len(factors.rate_iops)
        assert len(found) == declared.repetitions * workloads * len(factors.tools)
        assert set(found.values()) == {1}

    @given(studies())
    def test_vanilla_is_in_every_block_once_or_twice_where_it_has_four_tracers_or_more(self, declared: Study) -> None:
        assert TWINS_FROM == 4
        for block in blocks(unroll(declared)):
            assert [trial.config for trial in block if trial.is_vanilla] == [None] * (2 if has_twins(block) else 1)
            assert [trial.is_vanilla for trial in block] == [trial.setup == VANILLA for trial in block]

    @given(studies())
    def test_every_block_of_a_tool_has_every_setup_and_configuration_once(self, declared: Study) -> None:
        by_tool: dict[str, list[Counter[tuple[object, ...]]]] = {}
        for block in blocks(unroll(declared)):
            by_tool.setdefault(block[0].tool, []).append(cells(block))
        for found in by_tool.values():
            assert {number for (setup, _), number in found[0].items() if setup != VANILLA} <= {1}
            assert all(block == found[0] for block in found)

    def test_a_setup_is_crossed_with_every_value_of_every_factor_its_tool_uses(self) -> None:
        declared = with_factors(
            tools=(Tool.RW_TRACER_ALL,),
            format=(Format.TEXT, Format.BINARY),
            ringbuf_bytes=(4096, 8192),
            poll_ms=(50, 100),
            payload_bytes=(16, 32),
        )
        configs = {trial.config for trial in unroll(declared).trials} - {None}
        assert configs == {
            TracerConfig(Attach.TRACEPOINT, form, ring, poll, payload)
            for form in Format
            for ring in (4096, 8192)
            for poll in (50, 100)
            for payload in (16, 32)
        }

    @pytest.mark.parametrize(
        ("tool", "configs"),
        [
            (Tool.SYSCOUNT, {TracerConfig(Attach.TRACEPOINT, Format.TEXT)}),
            (Tool.RW_TRACER, {TracerConfig(Attach.TRACEPOINT, Format.TEXT, ring, 100) for ring in (4096, 8192)}),
            (
                Tool.RW_TRACER_ALL,
                {
                    TracerConfig(Attach.TRACEPOINT, Format.TEXT, ring, 100, payload)
                    for ring in (4096, 8192)
                    for payload in (16, 32)
                },
            ),
        ],
    )
    def test_a_factor_that_a_tool_does_not_use_is_not_crossed(self, tool: Tool, configs: set[TracerConfig]) -> None:
        declared = with_factors(tools=(tool,), ringbuf_bytes=(4096, 8192), payload_bytes=(16, 32))
        found = [trial.config for trial in unroll(declared).trials if trial.config]
        assert set(found) == configs
        assert len(found) == len(configs)

    def test_scales_that_come_to_the_same_number_of_blocks_are_one_workload(self) -> None:
        declared = with_factors(scale=(1 / 2**23, 1.1 / 2**23))
        assert len(unroll(declared).trials) == 2

    def test_a_scale_is_a_share_of_32_gib_per_process_in_whole_blocks(self) -> None:
        declared = with_factors(processes=(2,), scale=(1.0, 0.015625, 1 / 2**23, 1.6 / 2**23))
        assert {trial.workload for trial in unroll(declared).trials} == {
            Workload("read", 2, 32 * GIB),
            Workload("read", 2, 512 * 2**20),
            Workload("read", 2, 4096),
            Workload("read", 2, 8192),
        }


class TestNames:
    @given(studies())
    def test_ids_are_unique_and_fit_for_file_names(self, declared: Study) -> None:
        ids = [trial.id for trial in unroll(declared).trials]
        assert len({name.casefold() for name in ids}) == len(ids)
        assert all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9@._-]{0,199}", name) for name in ids)

    @given(studies())
    def test_ids_sort_in_the_order_of_the_plan(self, declared: Study) -> None:
        ids = [trial.id for trial in unroll(declared).trials]
        assert ids == sorted(ids)

    @given(studies())
    def test_what_is_said_of_a_trial_beyond_its_number_tells_it_from_all_others(self, declared: Study) -> None:
        """Of the two vanillas of a block neither is the first: they are named alike."""
        for block in blocks(unroll(declared)):
            vanilla = {trial.id.split("-", 1)[1] for trial in block if trial.is_vanilla}
            assert len(vanilla) == 1
        names = [trial.id.split("-", 1)[1] for trial in unroll(declared).trials if not trial.is_vanilla]
        assert len(set(names)) == len(names)

    def test_a_name_says_only_what_varies(self) -> None:
        declared = with_factors(ringbuf_bytes=(4096, 8192), format=(Format.TEXT,), poll_ms=(100,))
        names = {trial.id.split("-", 1)[1] for trial in unroll(declared).trials}
        assert names == {
            "read-rw-tracer-vanilla-r1",
            "read-rw-tracer-libbpf-ring4096-r1",
            "read-rw-tracer-libbpf-ring8192-r1",
        }

    def test_a_rate_is_named_where_it_varies(self) -> None:
        declared = with_factors(rate_iops=(None, 9000))
        names = {trial.id.split("-", 1)[1] for trial in unroll(declared).trials}
        assert names == {
            f"read-rw-tracer-{setup}-{rate}-r1" for setup in ("vanilla", "libbpf") for rate in ("unlimited", "rate9000")
        }
        assert not [trial.id for trial in unroll(with_factors(rate_iops=(9000,))).trials if "rate" in trial.id]

    def test_bursts_are_crossed_with_mean_rates_and_duty_cycles_and_what_is_steady_is_there_once(self) -> None:
        declared = with_factors(rate_iops=(None, 9000), burst_ios=(1, 64), duty_percent=(10.0, 100.0, 50.0))
        trials = unroll(declared).trials
        found = {trial.workload.pace[:3] for trial in trials}
        assert found == {(None, 1, 100.0), (9000, 1, 100.0), (9000, 64, 10.0), (9000, 64, 50.0)}
        names = {trial.id.split("-", 1)[1] for trial in trials if trial.workload.pace[:3] == (9000, 64, 10.0)}
        assert names == {f"read-rw-tracer-{setup}-rate9000-burst64-duty10-r1" for setup in ("vanilla", "libbpf")}

    def test_a_rate_comes_linearly_and_at_random_and_bursts_and_no_rate_are_there_once(self) -> None:
        both = (RateProcess.LINEAR, RateProcess.POISSON)
        trials = unroll(with_factors(rate_iops=(None, 9000), burst_ios=(1, 64), rate_process=both)).trials
        found = [trial.workload.pace for trial in trials if trial.is_vanilla and trial.repetition == 1]
        steady, random = IoPace(9000, 1, 100.0), IoPace(9000, 1, 100.0, RateProcess.POISSON)
        assert {*found} == {IoPace(None, 1, 100.0), steady, random, IoPace(9000, 64, 10.0)}
        (name,) = {trial.id for trial in trials if trial.workload.pace == random and not trial.is_vanilla}
        assert name.split("-", 1)[1] == "read-rw-tracer-libbpf-rate9000-burst1-poisson-r1"

    def test_what_a_tool_has_no_use_for_is_neither_crossed_nor_named(self) -> None:
        own = make_brought("own", tools=(Tool.SYSCOUNT, Tool.RW_TRACER), options=dict(OPTIONS))
        declared = replace(MINIMAL, setups=(own,))
        varied = {"wakeup": ("adaptive", "watermark:4096"), "rings": ("1", "cpu")}
        tools = (Tool.SYSCOUNT, Tool.RW_TRACER)
        found = unroll(with_factors(declared, setups=("own",), tools=tools, **varied))
        assert {trial.id.split("-", 1)[1] for trial in found.trials if not trial.is_vanilla} == {
            "read-syscount-own-r1",
            "read-rw-tracer-own-wake-adaptive-rings-1-r1",
            "read-rw-tracer-own-wake-adaptive-rings-cpu-r1",
            "read-rw-tracer-own-wake-watermark-4096-rings-1-r1",
            "read-rw-tracer-own-wake-watermark-4096-rings-cpu-r1",
        }

    def test_a_plan_that_varies_nothing_of_version_2_is_what_it_was_before(self) -> None:
        usual = unroll(with_factors(tools=tuple(Tool)))
        assert usual == unroll(with_factors(tools=tuple(Tool), wakeup=("adaptive",), rings=("1",)))
        assert not [trial.id for trial in usual.trials if "wake" in trial.id or "rings" in trial.id]


class TestLeftOut:
    def test_what_a_setup_cannot_be_set_to_is_left_out_and_so_is_what_contradicts_itself(self) -> None:
        own = make_brought("own", tools=(Tool.RW_TRACER,), options={"wakeup": ("watermark",)})
        wakeups = ("adaptive", "never", "watermark:262144")
        declared = with_factors(replace(MINIMAL, setups=(own,)), setups=("own", "bpftrace"), wakeup=wakeups)
        found = unroll(declared)
        assert {(trial.setup, trial.config.wakeup) for trial in found.trials if trial.config} == {
            ("own", "adaptive"),
            ("bpftrace", "adaptive"),
        }
        why = catalogue.SETUPS["bpftrace"].lacks["wakeup"]
        assert found.left_out == (
            "rw-tracer: own has no wakeup = never",
            "rw-tracer: a ring of 262144 bytes never holds more than a watermark of 262144",
            f"rw-tracer: bpftrace has no wakeup = never: {why}",
            f"rw-tracer: bpftrace has no wakeup = watermark:262144: {why}",
        )

    def test_bpftrace_writes_text_only(self) -> None:
        found = unroll(with_factors(setups=("bpftrace", "libbpf"), format=(Format.TEXT, Format.BINARY)))
        formats = {(trial.setup, trial.config.format) for trial in found.trials if trial.config}
        assert formats == {("bpftrace", Format.TEXT), ("libbpf", Format.TEXT), ("libbpf", Format.BINARY)}
        assert found.left_out == ("rw-tracer: bpftrace cannot write binary",)

    def test_bpftrace_polls_every_100_ms_only(self) -> None:
        found = unroll(with_factors(setups=("bpftrace", "bcc"), poll_ms=(50, 100)))
        polls = {(trial.setup, trial.config.poll_ms) for trial in found.trials if trial.config}
        assert polls == {("bpftrace", 100), ("bcc", 50), ("bcc", 100)}
        assert found.left_out == ("rw-tracer: bpftrace cannot poll every 50 ms",)

    def test_where_nothing_is_polled_the_poll_time_out_is_no_obstacle(self) -> None:
        found = unroll(with_factors(setups=("bpftrace",), tools=(Tool.SYSCOUNT,), poll_ms=(50,)))
        assert [trial.setup for trial in found.trials if trial.config] == ["bpftrace"]
        assert found.left_out == ()

    def test_a_hook_that_no_tracer_has_leaves_vanilla_alone(self) -> None:
        declared = replace(MINIMAL, setups=(OWN,))
        found = unroll(with_factors(declared, setups=("own",), format=(Format.BINARY,), attach=(Attach.KPROBE,)))
        assert [trial.setup for trial in found.trials] == [VANILLA]
        assert found.left_out == ("rw-tracer: own cannot attach by kprobe",)

    @given(studies())
    def test_each_reason_is_said_once_and_nothing_impossible_is_planned(self, declared: Study) -> None:
        found, setups = unroll(declared), catalogue.setups(declared)
        assert len(set(found.left_out)) == len(found.left_out)
        for trial in found.trials:
            assert trial.config is None or setups[trial.setup].refusal(trial.tool, trial.config) is None

    @given(studies())
    def test_nothing_is_left_out_without_a_reason(self, declared: Study) -> None:
        found = unroll(declared)
        setups = {(trial.tool, trial.setup) for trial in found.trials}
        for tool in declared.factors.tools:
            for setup in declared.factors.setups:
                whys = (f"{setup} cannot ", f"{setup} has no ", "a ring of ", "one ring has ", "a perf event array ")
                told = any(reason.startswith(tuple(f"{tool}: {why}" for why in whys)) for reason in found.left_out)
                assert told or (tool, setup) in setups


class TestBrought:
    """Setups that the study brings."""

    def brought(self, *names: str, **factors: tuple[object, ...]) -> Study:
        return with_factors(replace(MINIMAL, setups=(OWN,)), setups=names, **factors)

    def test_a_setup_of_ones_own_is_crossed_as_all_others_are(self) -> None:
        declared = self.brought("own", "libbpf", format=(Format.BINARY,), ringbuf_bytes=(4096, 8192))
        found = unroll(declared)
        configs = [TracerConfig(Attach.TRACEPOINT, Format.BINARY, ring, 100) for ring in (4096, 8192)]
        wanted = {(VANILLA, None), *((setup, config) for setup in ("own", "libbpf") for config in configs)}
        assert set(cells(found.trials)) == wanted
        assert found.left_out == ()

    def test_a_tool_that_a_setup_lacks_is_left_out_with_the_reason(self) -> None:
        found = unroll(self.brought("own", "libbpf", tools=PAPER_TOOLS, format=(Format.BINARY,)))
        tools = {(trial.setup, trial.tool) for trial in found.trials}
        assert ("own", Tool.RW_TRACER_ALL) not in tools
        assert {("own", Tool.SYSCOUNT), ("own", Tool.RW_TRACER), (VANILLA, Tool.RW_TRACER_ALL)} <= tools
        assert found.left_out == ("rw-tracer-all: own has no rw-tracer-all",)

    def test_a_format_that_a_setup_does_not_write_is_left_out_with_the_reason(self) -> None:
        found = unroll(self.brought("own", format=(Format.TEXT, Format.BINARY)))
        assert [trial.config.format for trial in found.trials if trial.config] == [Format.BINARY]
        assert found.left_out == ("rw-tracer: own cannot write text",)

    def test_what_is_brought_and_not_chosen_is_not_run(self) -> None:
        assert unroll(self.brought("libbpf")) == unroll(MINIMAL)

    def test_where_it_lies_on_this_machine_does_not_change_the_order(self) -> None:
        declared = self.brought("own", "libbpf", format=(Format.BINARY,))
        moved = replace(declared, setups=(replace(OWN, command=("/elsewhere/tracer", "-x"), description="moved"),))
        assert unroll(moved) == unroll(declared)

    def test_a_plan_of_nothing_but_what_cannot_run_is_refused_with_the_reasons(self) -> None:
        declared = self.brought("own", tools=(Tool.RW_TRACER_ALL,), format=tuple(Format))
        with pytest.raises(StudyError) as caught:
            plan.require_tracers(declared, unroll(declared))
        assert caught.value.message == ("study x: no tracer can run like this: rw-tracer-all: own has no rw-tracer-all")

    def test_vanilla_alone_is_a_plan_where_that_is_what_was_asked_for(self) -> None:
        declared = self.brought()
        plan.require_tracers(declared, unroll(declared))


class TestGrowing:
    """A study that grows keeps the trials it had, in their order, so that its results stay comparable."""

    @given(studies(), st.sampled_from(sorted(FACTORS)), st.data())
    def test_more_values_of_a_factor_leave_the_other_trials_in_their_order(
        self, declared: Study, factor: str, data: st.DataObject
    ) -> None:
        more = data.draw(FACTORS[factor])
        values = getattr(declared.factors, factor)
        grown = with_factors(declared, **{factor: tuple(dict.fromkeys((*values, *more)))})
        before, after = identities(unroll(declared)), identities(unroll(grown))
        known = set(before)
        kept = [trial for trial in after if trial in known]
        assert in_order(before, kept)
        # A block that grows to four tracers has vanilla once more; nothing else is there twice.
        assert {setup for _, _, _, setup, _ in Counter(kept) - Counter(before)} <= {VANILLA}
        assert max(Counter(after).values()) <= 2

    @given(studies())
    def test_a_second_vanilla_in_a_block_leaves_the_other_trials_in_the_order_they_had_without_it(
        self, declared: Study
    ) -> None:
        now = unroll(declared)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(plan, "TWINS_FROM", 10**9)  # as of bpfbench before there were twins
            before = unroll(declared)
        for new, old in zip(blocks(now), blocks(before), strict=True):
            assert (new[0].workload, new[0].tool) == (old[0].workload, old[0].tool)
            assert in_order(map(cell, old), map(cell, new))
            added = Counter(map(cell, new)) - Counter(map(cell, old))
            assert list(added.elements()) == ([(VANILLA, None)] if has_twins(new) else [])

    @given(studies())
    def test_more_repetitions_come_after_those_there_were(self, declared: Study) -> None:
        before = identities(unroll(declared))
        grown = identities(unroll(replace(declared, repetitions=declared.repetitions + 1)))
        assert grown[: len(before)] == before


def needs_of(declared: Study) -> Needs:
    return needs(unroll(declared), declared)


class TestNeeds:
    """Sizes: 4 processes x 32 GiB = 128 GiB of data = 33,554,432 events of 4 KiB."""

    EVENTS = 4 * 32 * GIB // 4096

    def test_data_files_of_one_workload(self) -> None:
        assert needs_of(MINIMAL).data_bytes == 128 * GIB

    def test_workloads_and_repetitions_of_one_size_share_their_files(self) -> None:
        declared = with_factors(
            replace(MINIMAL, repetitions=9), workloads=("read", "write", "mixed"), tools=PAPER_TOOLS
        )
        assert needs_of(declared).data_bytes == 128 * GIB

    def test_workloads_that_differ_in_their_rate_share_their_files(self) -> None:
        assert needs_of(with_factors(rate_iops=(None, 1000, 2000))).data_bytes == 128 * GIB

    def test_every_size_has_files_of_its_own(self) -> None:
        declared = with_factors(processes=(1, 2), scale=(1.0, 0.5))
        assert needs_of(declared).data_bytes == (32 + 64 + 16 + 32) * GIB

    def test_sizes_are_laid_out_largest_first(self) -> None:
        sets = plan.data_sets(unroll(with_factors(processes=(1, 2), scale=(1.0, 0.25))))
        assert [workload.total_bytes // GIB for workload in sets] == [64, 32, 16, 8]

    @pytest.mark.parametrize(
        ("tool", "form", "payload", "per_event"),
        [
            (Tool.SYSCOUNT, Format.TEXT, 4096, 0),
            (Tool.RW_TRACER, Format.BINARY, 4096, 156),
            (Tool.RW_TRACER, Format.TEXT, 4096, 210),
            (Tool.RW_TRACER_ALL, Format.BINARY, 4096, 156 + 4096),
            (Tool.RW_TRACER_ALL, Format.TEXT, 4096, 210 + 3 * 4096),
            (Tool.RW_TRACER_ALL, Format.BINARY, 16, 156 + 16),
        ],
    )
    def test_room_for_output_is_every_event_at_its_longest(
        self, tool: Tool, form: Format, payload: int, per_event: int
    ) -> None:
        declared = with_factors(tools=(tool,), format=(form,), payload_bytes=(payload,))
        assert needs_of(declared).output_bytes == self.EVENTS * per_event

    def test_every_ring_takes_memory(self) -> None:
        own = make_brought("own", tools=(Tool.RW_TRACER,), options=dict(OPTIONS))
        declared = replace(MINIMAL, setups=(own,))

        def memory(*rings: str) -> int:
            found = with_factors(declared, setups=("own",), ringbuf_bytes=(GIB,), rings=rings)
            return needs(unroll(found), found, 8).memory_bytes // GIB

        assert [memory("1"), memory("1", "4"), memory("4", "cpu")] == [1 + 1, 1 + 4, 1 + 8]

    def test_output_is_deleted_after_each_trial_so_the_largest_counts_alone(self) -> None:
        declared = with_factors(
            replace(MINIMAL, repetitions=5), tools=PAPER_TOOLS, format=(Format.BINARY,), setups=("bcc", "libbpf")
        )
        assert needs_of(declared).output_bytes == self.EVENTS * (156 + 4096)

    def test_a_limit_bounds_the_room_for_output_and_never_raises_it(self) -> None:
        declared = with_factors(format=(Format.BINARY,))
        assert needs_of(replace(declared, output_limit_bytes=GIB)).output_bytes == GIB
        assert needs_of(replace(declared, output_limit_bytes=10**15)).output_bytes == self.EVENTS * 156

    def test_output_that_is_kept_adds_up_over_all_trials(self) -> None:
        declared = with_factors(
            replace(MINIMAL, repetitions=5, settings=Settings(keep_output=True)),
            tools=(Tool.RW_TRACER, Tool.RW_TRACER_ALL),
            format=(Format.BINARY,),
            setups=("bcc", "libbpf"),
        )
        assert needs_of(declared).output_bytes == 5 * 2 * self.EVENTS * (156 + 156 + 4096)

    def test_a_limit_bounds_each_output_that_is_kept_not_their_sum(self) -> None:
        declared = with_factors(
            replace(MINIMAL, repetitions=5, settings=Settings(keep_output=True)),
            tools=(Tool.RW_TRACER, Tool.RW_TRACER_ALL),
            format=(Format.BINARY,),
        )
        bounded = replace(declared, output_limit_bytes=6 * GIB)  # rw-tracer writes 4.9 GiB, rw-tracer-all 133 GiB
        assert needs_of(bounded).output_bytes == 5 * (self.EVENTS * 156 + 6 * GIB)

    def test_vanilla_alone_needs_no_room_for_output(self) -> None:
        assert needs_of(with_factors(setups=())).output_bytes == 0

    def test_memory_is_1_gib_and_the_largest_ring(self) -> None:
        assert needs_of(with_factors(ringbuf_bytes=(4096, 2**26))).memory_bytes == GIB + 2**26
        assert needs_of(with_factors(tools=(Tool.SYSCOUNT,))).memory_bytes == GIB

    def test_time_grows_with_repetitions(self) -> None:
        once, thrice = (needs_of(replace(MINIMAL, repetitions=n)).seconds for n in (1, 3))
        (discarded,) = warm_ups(unroll(replace(MINIMAL, repetitions=3)).trials, MINIMAL)
        first_s = estimate.seconds(MINIMAL)(discarded)
        assert once > first_s > 0
        assert thrice - first_s == pytest.approx(3 * (once - first_s))

    def test_at_a_limited_rate_fio_takes_the_time_its_ios_need(self) -> None:
        # 32 GiB per process at 2048 I/Os of 4 KiB per second: 4096 s, for the warm-up, for vanilla and for the tracer
        seconds = needs_of(with_factors(rate_iops=(2048,))).seconds
        assert seconds == pytest.approx(3 * 4096 + 2 * estimate.SECONDS_AROUND_VANILLA + estimate.SECONDS_AROUND_TRACER)

    def test_a_target_takes_the_time_that_it_says_and_at_a_rate_what_its_operations_need(self) -> None:
        services = study.load(study.find("services"))
        says = {own.name: own for own in services.targets}["postgres"]
        driven = Trial("", 0, 0, 1, VANILLA, Tool.RW_TRACER, Workload("postgres", 0, 0), None)
        at_a_rate = replace(driven, workload=Workload("postgres", 0, 0, 400))

        def seconds(trial: Trial, target: DrivenTarget) -> float:
            around_s = estimate.SECONDS_AROUND_VANILLA + estimate.SECONDS_AROUND_TARGET
            return estimate.seconds(replace(services, targets=(target,)))(trial) - around_s

        assert seconds(driven, replace(says, seconds=7.0)) == pytest.approx(7)
        assert seconds(driven, replace(says, seconds=None)) == pytest.approx(estimate.TARGET_SECONDS)
        assert seconds(at_a_rate, replace(says, operations_at=4000)) == pytest.approx(10)

    @given(studies())
    def test_the_time_of_a_plan_is_that_of_its_trials_and_warm_ups(self, declared: Study) -> None:
        found = unroll(declared)
        run = (*found.trials, *warm_ups(found.trials, declared))
        assert needs(found, declared).seconds == pytest.approx(sum(map(estimate.seconds(declared), run)))

    @given(studies())
    def test_where_the_cpu_is_emulated_nothing_is_warmed_up(self, declared: Study) -> None:
        found = unroll(declared)
        seconds = sum(map(estimate.seconds(declared, emulated=True), found.trials))
        assert needs(found, declared, emulated=True).seconds == pytest.approx(seconds)

    @given(studies())
    def test_warm_ups_need_no_room_that_trials_do_not(self, declared: Study) -> None:
        found = unroll(declared)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(plan, "warm_up", lambda *_: None)
            without = needs(found, declared)
        assert replace(needs(found, declared), seconds=without.seconds) == without

    def test_a_virtual_machine_boots_for_every_block_or_for_every_trial(self) -> None:
        declared = replace(MINIMAL, testbed="vm", repetitions=3)
        found = unroll(declared)
        trials_s = sum(map(estimate.seconds(declared), found.trials))
        warm_up_s = estimate.seconds(declared)(warm_ups(found.trials, declared)[0])
        for boot, boots, discarded in ((Boot.BLOCK, 3, 3), (Boot.TRIAL, 6, 0)):
            booting = replace(declared, machine=Machine(boot=boot))
            assert len(warm_ups(found.trials, booting)) == discarded, "what has just booted is warmed up"
            wanted = trials_s + discarded * warm_up_s + boots * estimate.BOOT_SECONDS
            assert needs_of(booting).seconds == pytest.approx(wanted)

    def test_the_papers_study_wants_what_its_file_says(self) -> None:
        paper = study.load(study.find("paper"))
        assert paper.output_limit_bytes == 64 * GIB
        found = needs_of(paper)
        assert found.data_bytes == 128 * GIB
        assert found.output_bytes == 64 * GIB
        assert needs_of(replace(paper, testbed="vm")).memory_bytes == 16 * GIB
        # every event in text: 33,554,432 x (210 + 3 x 4096) bytes
        assert needs_of(replace(paper, output_limit_bytes=None)).output_bytes == 33_554_432 * 12_498
