# SPDX-License-Identifier: Apache-2.0
"""What is tuned, and what is not even tried."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bpfbench.declare import estimate, plan, tuning
from bpfbench.declare.study import parse, to_toml
from bpfbench.errors import StudyError, UsageError
from bpfbench.factors import KNOBS
from bpfbench.model import OPTIONS, Attach, Buffer, Format, Study, Tool
from bpfbench.model.tuning import Tuning, TuningGoal

MINE = """name = "mine"
[factors]
setups = ["libbpf", "bpftrace"]
workloads = "write"
tools = "rw-tracer"
scale = 0.00390625
"""
GOAL = TuningGoal(("overhead", "memory"), 99.0, None, None, tuple(KNOBS), 900.0)
LOTS = 2**40


def study(more: str = "") -> Study:
    found = parse(MINE + more, "mine.toml")
    return replace(found, factors=replace(found.factors, attach=(Attach.TRACEPOINT,)))


def varied(own: Study, free_bytes: int = LOTS, goal: TuningGoal = GOAL) -> tuple[Study, tuple[str, ...]]:
    return tuning.varied(own, tuple(KNOBS.values()), free_bytes, goal)


def test_every_knob_has_the_values_of_its_row_and_the_default() -> None:
    found, _ = varied(study("ringbuf_bytes = 4096\n"))
    assert found.factors.ringbuf_bytes[0] == 4096
    assert {2**16, 2**20} <= set(found.factors.ringbuf_bytes)
    assert found.factors.format == (Format.TEXT, Format.BINARY)


def test_every_value_of_a_knob_is_one_that_a_study_may_have() -> None:
    for factor in KNOBS.values():
        assert factor.knob is not None
        assert factor.read(list(factor.knob.values)) == factor.knob.values


def test_memory_that_is_not_free_is_not_locked() -> None:
    found, left_out = varied(study(), free_bytes=2**21)
    assert max(found.factors.ringbuf_bytes) == 2**21
    assert any("more memory than the 2 MiB that are free" in reason for reason in left_out)


@pytest.mark.parametrize("bursts", ["", "burst_ios = 1000\nrate_iops = 5000\n"], ids=["steady", "bursts"])
def test_a_ring_that_holds_a_tenth_of_a_trial_is_not_tried(bursts: str) -> None:
    found, left_out = varied(study(bursts))  # 131,072 events of 168 bytes in the ring: 21 MiB
    assert max(found.factors.ringbuf_bytes) == 2**21
    (reason,) = (own for own in left_out if own.startswith("ring 4 MiB, ring 8 MiB"))
    assert reason.endswith("may be tried with --scale 0.0078125")
    larger, _ = varied(replace(study(), factors=replace(study().factors, scale=(0.0078125,))))
    assert max(larger.factors.ringbuf_bytes) == 2**22


def mine(knobs: str = "wakeup, rings, consumers, output_bytes, buffer") -> Study:
    """A study of a tracer that can be set to anything."""
    lines = [f"{name} = {list(OPTIONS[name])}".replace("'", '"') for name in knobs.split(", ")]
    return study("\n[setups.own]\ncommand = '/bin/true'\ncontract = 2\n" + "\n".join(lines) + "\n")


def test_rings_together_hold_no_more_than_one_may_and_take_no_more_than_is_free() -> None:
    own = replace(mine(), factors=replace(mine().factors, setups=("own",)))
    found, _ = varied(own)
    for free_bytes, most in ((LOTS, 2**21), (2**20, 2**20)):
        known = Tuning(1, GOAL, {}, ring_bytes_most=tuning.ring_bytes_most(own, free_bytes), cpus=2)
        spaces = tuning.spaces(found, known.allows)
        configs = spaces.by_setup["own"]
        assert max(config.ring_bytes(2) for config in configs) == most
        assert {config.rings for config in configs} == {"1", "2", "4", "cpu"}
        demanding = tuning.demanding(found, spaces, cpus=2)
        assert max(t.config.ring_bytes(2) for t in demanding.trials if t.config) == most
        assert {t.config.format for t in demanding.trials if t.config} >= {Format.TEXT}


def test_only_knobs_that_some_setup_can_be_turned_by_are_tuned() -> None:
    def turned(own: Study) -> tuple[str, ...]:
        return tuning.turned(own, tuning.spaces(own), GOAL.knobs)

    always = ("format", "ringbuf_bytes", "poll_ms")
    of_contract = ("wakeup", "rings", "consumers", "output_bytes", "buffer", "epoll")
    assert turned(varied(study())[0]) == (*always, *of_contract)
    own = replace(mine("wakeup"), factors=replace(mine().factors, setups=("own",)))
    assert turned(varied(own)[0]) == (*always, "wakeup")
    scripts = replace(study(), factors=replace(study().factors, setups=("bpftrace",)))
    few = replace(GOAL, knobs=("wakeup", "rings"))
    found, _ = tuning.varied(scripts, (KNOBS["wakeup"], KNOBS["rings"]), LOTS, few)
    with pytest.raises(
        StudyError, match=r"there is nothing to choose from: .*bpftrace has no wakeup = never: bpftrace"
    ):
        tuning.turned(found, tuning.spaces(found), few.knobs)


def test_setups_without_a_choice_are_refused_or_left_out_each_with_the_reason() -> None:
    known = Tuning(1, GOAL, tuning.usual(study()))
    found, _ = varied(study())
    assert tuning.tunable(found, tuning.spaces(found), known, strict=True) == (found, ())
    found, _ = tuning.varied(study(), (KNOBS["wakeup"],), LOTS, GOAL)
    spaces = tuning.spaces(found)
    why = "bpftrace: there is nothing to choose from; rw-tracer: bpftrace has no wakeup = never"
    with pytest.raises(StudyError, match=why) as refused:
        tuning.tunable(found, spaces, known, strict=True)
    assert refused.value.hint == "tune the others: --setups libbpf"
    left, others = tuning.tunable(found, spaces, known, strict=False)
    assert left.factors.setups == ("libbpf",)
    assert [reason.startswith(why) for reason in others] == [True]


def test_a_default_that_may_not_be_tried_is_no_default() -> None:
    found, _ = varied(study())
    known = Tuning(1, GOAL, tuning.usual(study()), ring_bytes_most=2**17)
    with pytest.raises(StudyError, match="libbpf: by default its rings take 256 KiB, and more than 128 KiB"):
        tuning.tunable(found, tuning.spaces(found, known.allows), known, strict=False)


def test_what_contradicts_itself_is_not_tried() -> None:
    own = replace(mine(), factors=replace(mine().factors, setups=("own",)))
    configs = tuning.spaces(varied(own)[0]).by_setup["own"]
    assert {config.wakeup for config in configs} == set(KNOBS["wakeup"].knob.values if KNOBS["wakeup"].knob else ())
    assert all((config.watermark_bytes or 0) < (config.ringbuf_bytes or 0) for config in configs)
    assert not [config for config in configs if config.rings == "1" and config.consumers == "ring"]
    names = tuning.names(configs, GOAL.knobs)
    assert len(set(names.values())) == len(configs)
    assert not [name for name in names.values() if ":" in name]


def test_what_a_library_cannot_be_set_to_is_not_tried() -> None:
    spaces, left_out = tuning.spaces(varied(study())[0])
    assert {config.format for config in spaces["bpftrace"]} == {Format.TEXT}
    assert len(spaces["libbpf"]) > len(spaces["bpftrace"])
    assert any("bpftrace cannot write binary" in reason for reason in left_out)
    with_perf = {config.wakeup for config in spaces["libbpf"] if config.buffer is Buffer.PERF}
    assert with_perf == {config.wakeup for config in spaces["libbpf"]}
    assert {config.rings for config in spaces["libbpf"] if config.buffer is Buffer.PERF} == {"1"}


def test_the_default_of_each_setup_is_the_studys() -> None:
    usual = tuning.usual(study())
    assert {config.ringbuf_bytes for config in usual.values()} == {2**18}
    assert {config.format for config in usual.values()} == {Format.TEXT}
    assert tuning.usual(study('format = "binary"\n'))["bpftrace"].format is Format.TEXT  # it has no other


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("rate_iops = [5000, 10000]", "tune looks at one case, and factors.rate_iops has 2 values"),
        ('workloads = ["read", "write"]', "tune looks at one target, and here are 2: read, write"),
        ('tools = ["rw-tracer", "rw-tracer-all"]', "factors.tools has 2 values"),
        ('tools = "syscount"', "syscount has no ring, and saves every count; choose from: rw-tracer, rw-tracer-all"),
        ('setups = "vanilla"', "vanilla alone has nothing to tune"),
        ("[criteria]\nruntime_margin_percent = 0", "criteria.runtime_margin_percent is 0: tune weighs one cost"),
        ("[criteria]\nfidelity_margin_points = 0", "more than 0: --fidelity-margin-points"),
        ("[tuned.libbpf]\npoll_ms = 1", "[tuned.libbpf]: that is what tune finds; leave it out"),
    ],
)
def test_one_case_is_looked_at(more: str, message: str) -> None:
    key = more.partition(" =")[0]
    lines = [line for line in MINE.splitlines() if not line.startswith(key)]
    with pytest.raises(StudyError) as refused:
        tuning.require_one_case(parse("\n".join([*lines, more]), "mine.toml"))
    assert message in "; ".join(filter(None, (refused.value.message, refused.value.hint)))


def test_a_study_that_says_what_a_knob_is_does_not_leave_it_to_be_tuned() -> None:
    with pytest.raises(StudyError, match=r"mine\.toml: factors\.poll_ms: that is to be tuned") as refused:
        tuning.knobs(None, Tool.RW_TRACER, {"poll_ms": "mine.toml: factors.poll_ms"})
    others = "format,ringbuf_bytes,wakeup,rings,consumers,output_bytes,buffer,epoll"
    assert refused.value.hint == f"leave it out, or tune the others: --knobs {others}"
    found = tuning.knobs(("format", "ringbuf_bytes"), Tool.RW_TRACER, {"poll_ms": "mine.toml: factors.poll_ms"})
    assert [own.name for own in found] == ["format", "ringbuf_bytes"]


def test_a_time_without_room_for_a_validation_is_refused_with_one_that_has() -> None:
    with pytest.raises(UsageError, match="option --for: 10 s is too short") as refused:
        tuning.require_time(study(), replace(GOAL, seconds=10.0))
    assert refused.value.hint is not None
    minutes = int(refused.value.hint.split()[1].removesuffix("min"))
    tuning.require_time(study(), replace(GOAL, seconds=60.0 * minutes))


@pytest.mark.parametrize("knobs", [("format",), tuple(KNOBS)], ids=["one knob", "all knobs"])
def test_the_least_time_has_room_for_the_trials_of_its_blocks(knobs: tuple[str, ...]) -> None:
    own = study("rate_iops = 2500\n")
    configs = tuning.spaces(varied(own)[0]).by_setup["libbpf"]
    # a default beside four others; the default, the best, two near it, and that with each knob set back
    blocks = [plan.block(own, "libbpf", configs[:most], 0, 0) for most in 3 * (5,) + 3 * (4 + len(knobs),)]
    takes_s = sum(map(estimate.seconds(own), (trial for block in blocks for trial in block)))
    assert takes_s <= tuning.least_s(own, replace(GOAL, knobs=knobs)) < 1.2 * takes_s


def test_less_memory_than_any_ring_takes_can_be_met_by_none() -> None:
    with pytest.raises(UsageError, match="no configuration can do with 32 KiB: the smallest ring alone takes 64 KiB"):
        varied(study(), goal=replace(GOAL, max_memory_bytes=2.0**15))

    with pytest.raises(UsageError, match="no configuration can do with 1 KiB: the smallest ring alone takes 256 KiB"):
        tuning.varied(study(), (KNOBS["format"],), LOTS, replace(GOAL, max_memory_bytes=1024.0))


def test_several_values_of_a_knob_that_is_not_tuned_are_refused() -> None:
    own = study('format = ["text", "binary"]\n')
    with pytest.raises(StudyError, match=r"factors\.format is not tuned, and has 2 values: text, binary") as refused:
        tuning.varied(own, (KNOBS["ringbuf_bytes"],), LOTS, GOAL)
    assert refused.value.hint == (
        "choose one with --format, or have it tuned: no --format, and --knobs ringbuf_bytes,format"
    )
    unused = study('records = ["fixed", "variable"]\n')  # rw-tracer has no use for it
    assert tuning.varied(unused, (KNOBS["ringbuf_bytes"],), LOTS, GOAL)
    with pytest.raises(StudyError, match="differ by what is not tuned"):
        tuning.names(tuning.spaces(own).by_setup["libbpf"], ("ringbuf_bytes",))


def limited(max_delay_ms: float, more: str = "rate_iops = 2500\n") -> tuple[Study, Tuning]:
    """A search at 10,000 events a second, where 64 KiB of text are full after up to 131 ms."""
    own, goal = study(more), replace(GOAL, max_delay_ms=max_delay_ms)
    few = tuple(KNOBS[name] for name in ("ringbuf_bytes", "poll_ms", "wakeup", "output_bytes"))
    return tuning.varied(own, few, LOTS, goal)[0], Tuning(
        1, goal, tuning.usual(own), events_per_s=tuning.events_per_s(own)
    )


def test_what_lets_events_wait_too_long_by_its_settings_is_not_tried() -> None:
    found, known = limited(135)
    assert tuning.delayed(found, known)[0].endswith("at 10,000 events/s they would let events wait beyond 135 ms")
    configs = tuning.spaces(found, known.allows).by_setup["libbpf"]
    assert {own.output_buffer_bytes for own in configs} == {2**16}
    assert {own.poll_ms for own in configs if own.wakeup == "watermark:1048576"} == {1, 3}  # that ends its wait
    assert {own.poll_ms for own in configs if own.wakeup == "never"} == {1, 3}
    found, known = limited(50, "")  # at what rate, only trials tell
    assert {own.poll_ms for own in tuning.spaces(found, known.allows).by_setup["libbpf"] if own.wakeup == "never"} == {
        *(1, 3, 10, 30)
    }


def test_a_delay_that_all_settings_are_beyond_is_refused_and_the_default_is_compared_with_in_any_case() -> None:
    found, known = limited(100)
    with pytest.raises(UsageError, match=r"can do with 100 ms: at 10,000 events/s the least .* 131 ms"):
        tuning.delayed(found, known)
    assert known.usual["libbpf"] in tuning.spaces(found, known.allows).by_setup["libbpf"]
    sums = replace(found, factors=replace(found.factors, tools=(Tool.FS_PROFILE,)))
    with pytest.raises(UsageError, match="option --max-delay: fs-profile delivers sums"):
        tuning.delayed(sums, known)


def test_a_block_is_vanilla_twice_and_each_configuration_in_random_order() -> None:
    found, _ = varied(study())
    configs = tuning.spaces(found).by_setup["libbpf"][:5]
    one, other = (plan.block(found, "libbpf", configs, number, 7 * number) for number in (0, 1))
    assert sorted(trial.setup for trial in one) == ["libbpf"] * 5 + ["vanilla"] * 2
    assert {trial.config for trial in one} - {None} == set(configs)
    assert [trial.config for trial in one] != [trial.config for trial in other]
    assert len({trial.id for trial in (*one, *other)}) == 14
    assert [trial.index for trial in (*one, *other)] == list(range(14))
    assert {trial.repetition for trial in other} == {2}


def test_a_rate_of_all_is_shared_by_processes() -> None:
    assert tuning.rate_iops(200_000, 4) == 50_000
    assert tuning.rate_iops(1, 4) == 2


def test_what_is_tuned_is_written_and_read_and_holds_for_tools_that_use_it() -> None:
    lines = "[tuned.own]\nwakeup = 'watermark:64KiB'\nrings = 4\nrecords = 'variable'\noutput_bytes = '1MiB'\n"
    text = to_toml(mine("wakeup, rings, output_bytes, records")) + lines
    own = parse(text, "mine.toml")
    assert parse(to_toml(own), "mine.toml") == own
    own = replace(own, factors=replace(own.factors, setups=("own",), tools=(Tool.SYSCOUNT, Tool.RW_TRACER)))
    found = {(t.tool, *t.config.options.items()) for t in plan.unroll(own).trials if t.config}
    tuned = (("wakeup", "watermark:65536"), ("rings", "4"), ("output_bytes", 2**20))
    assert found == {("syscount",), ("rw-tracer",), ("rw-tracer", *tuned)}


def test_a_tuned_setup_runs_beside_its_default() -> None:
    own = study('[tuned.libbpf]\nringbuf_bytes = "1MiB"\nformat = "binary"\n')
    trials = [trial for trial in plan.unroll(replace(own, repetitions=1)).trials if trial.config]
    assert sorted((t.setup, t.config.format, t.config.ringbuf_bytes) for t in trials if t.config) == [
        ("bpftrace", "text", 2**18),
        ("libbpf", "binary", 2**20),
        ("libbpf", "text", 2**18),
    ]
    assert len({trial.id for trial in trials}) == 3
    assert parse(to_toml(own), "again") == own


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("[tuned.libbfp]\npoll_ms = 1\n", "tuned.libbfp: 'libbfp' is not one of"),
        ("[tuned.libbpf]\npoll_ms = [1, 2]\n", "tuned.libbpf.poll_ms: one value is wanted, not [1, 2]"),
        ("[tuned.libbpf]\nattach = 'kprobe'\n", "tuned.libbpf.attach: unknown key"),
        ("[tuned.libbpf]\nringbuf_bytes = 5000\n", "tuned.libbpf.ringbuf_bytes: a BPF ring buffer is a power of two"),
    ],
)
def test_what_is_wrong_with_a_tuned_table(table: str, message: str) -> None:
    with pytest.raises(StudyError) as refused:
        study(table)
    assert message in refused.value.message
