# SPDX-License-Identifier: Apache-2.0
"""The drain rate: what is measured in which order, and how it is told."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bpfbench import catalogue
from bpfbench.analysis.questions.drain import drained
from bpfbench.analysis.questions.roofline import Range
from bpfbench.codec import from_json, to_json
from bpfbench.declare import study
from bpfbench.errors import MachineError, StepError
from bpfbench.machine import facts
from bpfbench.model import (
    EMULATED_REMARK,
    OPTIONS,
    Attach,
    Format,
    Setup,
    Study,
    Tool,
    TracerConfig,
    TunedValues,
)
from bpfbench.model.drain import Case, DrainResult, DrainSpec, KernelTime, Measured
from bpfbench.model.roofline import LeastSpeed, Roofline, Sink
from bpfbench.report.documents import drain as report
from bpfbench.report.write import terminal
from bpfbench.report.write.json import written
from bpfbench.run import drain
from bpfbench.run.progress import ProgressReporter
from bpfbench.testbed.host import HostTestbed

# The entry point reads sys.argv, as the command does.
pytestmark = pytest.mark.filterwarnings("ignore:Cyclopts application invoked without tokens")

KIB, MIB = 1024, 2**20
SLOT = 168


def wanted(repetitions: int = 3, seed: int = 1, brought: tuple[Setup, ...] = (), **changed: Any) -> Study:
    """What is measured by default, but for these factors."""
    factors = {
        "setups": tuple(catalogue.MAIN_SETUPS),
        "tools": (Tool.RW_TRACER, Tool.RW_TRACER_ALL),
        "attach": (Attach.TRACEPOINT,),
        "format": (Format.TEXT, Format.BINARY),
        "ringbuf_bytes": (64 * KIB, 256 * KIB, 4 * MIB, 64 * MIB),
    }
    usual = study.load(study.find("smoke"))
    found = replace(usual.factors, **{**factors, **changed})
    return replace(usual, factors=found, repetitions=repetitions, seed=seed, setups=brought)


def allowed(before: float, after: float) -> Roofline:
    """What the least tracer came to beside a drain rate."""
    rates = ((Sink.CACHED, before), (Sink.NULL, 20e6), (Sink.CACHED, after))
    return Roofline(least=tuple(LeastSpeed(156, Format.BINARY, sink, rate) for sink, rate in rates))


def result(**changed: object) -> DrainResult:
    """A drain rate of 1 M events/s with the tracer on its CPU all the time."""
    usual = DrainResult(
        slot_bytes=SLOT,
        slots=25_000,
        bursts=8,
        disturbed=0,
        coarse=False,
        events=200_000,
        seconds=0.2,
        cpu_s=0.2,
        cpu_events=200_000,
        burst_events_per_s=(0.9e6, 1e6, 1.1e6),
        events_total=200_001,
        kernel=None,
        allowed=allowed(4e6, 4e6),
        problems=(),
        versions={"libbpf": "1.5"},
        cpus={"tracer": (1,), "others": (0,)},
    )
    return replace(usual, **changed)  # type: ignore[arg-type]


def measured(
    setup: str = "libbpf", repetition: int = 1, ring: int = 4 * MIB, reason: str | None = None, **changed: object
) -> Measured:
    """One repetition of one setup."""
    config = TracerConfig(Attach.TRACEPOINT, Format.BINARY, ring, 100)
    case = Case(repetition, setup, 156, config, with_kernel=True)
    return Measured(case, "2026-01-02T03:04:05+00:00", None if reason else result(**changed), reason)


ABOUT = {
    "method": 1,
    "machine": {"host": "testhost", "cpus": 2, "cpu_model": "CPU", "kernel": "6.18"},
    "image": {"name": "trixie", "key": "0123456789abcdef"},
    "wanted": {"setups": list(catalogue.MAIN_SETUPS), "repetitions": 3},
}


class TestCases:
    def test_every_setup_is_measured_in_every_configuration_it_can_do(self) -> None:
        found = drain.cases(wanted(repetitions=1))
        assert len(found) == len(set(found))
        assert len(found) == 2 * 4 * (2 * len(catalogue.MAIN_SETUPS) - 1)
        assert {case.config.format for case in found if case.setup == "bpftrace"} == {Format.TEXT}
        assert {case.config.payload_bytes for case in found if case.event_bytes == 4252} == {4096}
        assert {case.tool for case in found if case.event_bytes == 156} == {Tool.RW_TRACER}

    def test_setups_alternate_within_what_they_are_compared_in(self) -> None:
        found = drain.cases(wanted())
        groups = [(case.repetition, *case.group) for case in found]
        changes = sum(one != other for one, other in itertools.pairwise(groups))
        assert changes + 1 == len(set(groups)), "no group is taken up again"

    def test_the_order_is_another_in_every_repetition_and_the_same_for_a_seed(self) -> None:
        def order(seed: int, repetition: int) -> list[Case]:
            found = drain.cases(wanted(seed=seed))
            return [replace(case, repetition=0) for case in found if case.repetition == repetition]

        assert order(1, 1) == order(1, 1)
        assert order(1, 1) != order(1, 2)
        assert order(1, 1) != order(2, 1)
        assert set(order(1, 1)) == set(order(2, 2))

    @pytest.mark.parametrize(
        ("rings", "chosen_ring"),
        [((64 * KIB, 4 * MIB, 64 * MIB), 4 * MIB), ((64 * KIB,), 64 * KIB), ((64 * KIB, 64 * MIB), 64 * MIB)],
    )
    def test_the_kernel_side_is_timed_with_one_ring_of_medium_size(
        self, rings: tuple[int, ...], chosen_ring: int
    ) -> None:
        found = drain.cases(wanted(ringbuf_bytes=rings))
        assert {case.config.ringbuf_bytes for case in found if case.with_kernel} == {chosen_ring}

    def test_a_setup_that_is_tuned_is_drained_as_that_too_and_told_apart(self) -> None:
        own = Setup("own", "", options=dict(OPTIONS), command=("/own",))
        tuned = TunedValues("own", Format.BINARY, 2**20, wakeup="never")
        both = replace(wanted(setups=("own", "bcc"), brought=(own,), repetitions=2), tuned=(tuned,))
        (small, large) = sorted((c for c in drain.cases(both) if c.tuned and c.repetition == 2), key=lambda c: c.tool)
        assert (small.called, small.config.wakeup, small.config.ringbuf_bytes) == ("own (tuned)", "never", 2**20)
        assert (small.event_bytes, large.event_bytes, large.config.payload_bytes) == (156, 4252, 4096)
        assert not small.with_kernel, "an event that wakes nobody waits for the time-out"
        assert drain.wanted(both)["setups"] == ("own", "bcc", "own (tuned)")
        assert list(drain.tuned_cases(replace(both, tuned=(replace(tuned, rings="4"),)))) == []

    def test_a_setup_without_the_tool_is_left_out(self) -> None:
        own = Setup("own", "", tools=(Tool.RW_TRACER,), command=("/own",))
        assert {case.event_bytes for case in drain.cases(wanted(setups=("own",), brought=(own,)))} == {156}


class Roomy(HostTestbed):
    """Has two CPUs, and room on its disk."""

    def __init__(self) -> None:
        pass

    @property
    def cpus(self) -> int:
        return 2

    def require_room(self, output_bytes: int, hint: str | None = None) -> None:
        assert output_bytes
        assert hint is None


def test_rings_that_memory_has_no_room_for_are_refused_before_anything_is_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(facts, "memory_available_bytes", lambda: 32 * MIB)
    with pytest.raises(MachineError, match="a tracer has rings of 64 MiB, and 32 MiB of memory are free"):
        drain.planned(wanted(), Roomy())
    assert drain.planned(wanted(ringbuf_bytes=(4 * MIB,)), Roomy())


class Asked(HostTestbed):
    """Says what it was asked, and fails for one setup."""

    def __init__(self) -> None:
        self.asked: list[DrainSpec] = []

    def drain(self, spec: DrainSpec) -> DrainResult:
        self.asked.append(spec)
        if spec.setup == "bcc":
            raise StepError("tracer was not READY after 90 s")
        return result(problems=("6 reads were done, the tracer intercepted 5",) if spec.setup == "libbpf" else ())


class Told(ProgressReporter):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__(Console(file=io.StringIO()))
        self.said: list[str] = []

    def measuring(self, what: str, done: int, total: int, left_s: float | None) -> None:
        assert what
        assert left_s is not None
        assert left_s > 0
        assert done < total

    def measured(self, what: str) -> None:
        self.said.append(what)


class TestMeasuring:
    def test_what_fails_is_kept_with_its_reason_and_the_rest_goes_on(self) -> None:
        planned = drain.cases(wanted(tools=(Tool.RW_TRACER,), ringbuf_bytes=(4 * MIB,), repetitions=1))
        testbed, reporter = Asked(), Told()
        found = tuple(drain.measure(planned, testbed, reporter))
        assert [item.case for item in found] == list(planned)
        reasons = {item.case.setup: item.reason for item in found}
        assert reasons["bcc"] == "tracer was not READY after 90 s"
        assert reasons["libbpf"] == "6 reads were done, the tracer intercepted 5"
        assert reasons["aya-sync"] is None
        assert all(spec.kernel_events for spec in testbed.asked)
        assert ["FAILED" in line for line in reporter.said] == [item.reason is not None for item in found]

    def test_what_crosses_into_the_image_survives_it(self) -> None:
        config = TracerConfig(Attach.TRACEPOINT, Format.TEXT, 4096, 100, 4096)
        spec = DrainSpec("libbpf", Tool.RW_TRACER_ALL, config, ("/t", "-x"), "/o", 90.0, 120.0, 5000)
        assert from_json(DrainSpec, to_json(spec)) == spec
        for one in (result(), result(burst_events_per_s=None, kernel=KernelTime(1.0, 2.0, 3.0, 4.0))):
            assert from_json(DrainResult, to_json(one)) == one


class TestReport:
    def test_a_row_has_the_median_and_the_range_of_the_repetitions_that_count(self) -> None:
        found = [
            measured(repetition=1, seconds=0.1),
            measured(repetition=2, seconds=0.2),
            measured(repetition=3, seconds=0.4),
            measured(repetition=4, reason="tracer died"),
        ]
        (row,) = drained(found)
        assert row.events_per_s == Range(median=1e6, min=0.5e6, max=2e6, n=3)
        assert row.bytes_per_s == Range(median=156e6, min=78e6, max=312e6, n=3)
        assert row.cpu_ns_per_event == Range(1000.0, 1000.0, 1000.0, 3)
        assert row.kernel_ns_per_event is None

    def test_a_share_is_of_what_the_machine_allowed_at_that_time(self) -> None:
        slow, fast = allowed(1e6, 3e6), allowed(9e6, 7e6)
        found = [
            measured(repetition=1, allowed=slow),
            measured(repetition=2, seconds=0.05, allowed=fast),
            measured(repetition=3, allowed=Roofline(absent={"least": "it could not be loaded"})),
        ]
        (row,) = drained(found)
        assert row.share is not None
        assert row.share.percent == Range(median=50.0, min=50.0, max=50.0, n=2)

    def test_where_the_machine_was_not_measured_there_is_no_share(self) -> None:
        (row,) = drained([measured(allowed=Roofline(absent={"least": "it could not be loaded"}))])
        assert row.share is None

    def test_json_has_every_repetition_and_null_for_what_is_not_known(self) -> None:
        kernel = KernelTime(waiting_ns=4000.0, busy_ns=300.0, full_ns=200.0, other_ns=80.0)
        found = [measured(kernel=kernel), measured("bcc", reason="tracer died")]
        data = json.loads(written(report.data(found, ABOUT)))
        assert data["method"] == 1
        libbpf, bcc = data["rows"]
        assert libbpf["events_per_s"]["median"] == 1e6
        assert libbpf["kernel_ns_per_event"]["waiting"]["median"] == 4000
        assert (bcc["events_per_s"], bcc["bytes_per_s"], bcc["kernel_ns_per_event"]) == (None, None, None)
        assert [item["reason"] for item in data["measurements"]] == [None, "tracer died"]
        assert data["measurements"][0]["result"]["events"] == 200_000

    def table(self, found: Sequence[Measured], width: int = 100) -> str:
        out = io.StringIO()
        terminal.write(report.document(found, ABOUT), Console(file=out, width=width))
        return out.getvalue()

    def test_the_table_has_a_row_per_setup_and_a_column_per_ring(self) -> None:
        rings = (64 * KIB, 256 * KIB, 4 * MIB, 64 * MIB)
        found = [
            measured(setup, repetition, ring, seconds=0.2 + 0.01 * repetition)
            for setup in catalogue.MAIN_SETUPS
            for repetition in (1, 2, 3)
            for ring in rings
        ]
        text = self.table(found)
        lines = text.splitlines()
        assert all(len(line) <= 100 for line in lines)
        assert all(line == line.rstrip() for line in lines)
        assert all(size in text for size in ("64 KiB", "256 KiB", "4 MiB", "64 MiB"))
        (row,) = (line for line in lines if line.startswith("ebpf-go@0.22"))
        assert row.split()[1:9] == ["909", "k"] * 4
        assert text.index("\nbpftrace") < text.index("\nlibbpf") < text.index("\naya-async")

    def test_what_failed_is_absent_with_its_reason(self) -> None:
        text = self.table([measured(), measured("bcc", reason="tracer died")])
        (row,) = (line for line in text.splitlines() if line.startswith("bcc "))
        assert set(row.split()[1:]) == {"-"}
        assert "Not counted (1)" in text
        assert "tracer died" in text

    def test_of_an_emulated_machine_only_that_every_event_was_accounted_for(self) -> None:
        found = [measured(), measured("bcc", reason="tracer died")]
        machine = {"host": "vm", "cpus": 2, "cpu_model": "CPU", "kernel": "6.12", "emulated": True}
        about = {**ABOUT, "machine": machine}
        out = io.StringIO()
        terminal.write(report.document(found, about), Console(file=out, width=300))
        text = out.getvalue()
        assert f"{EMULATED_REMARK} Every event was accounted for in 1 of 2 repetitions." in text
        assert "events/s" not in text
        assert "tracer died" in text
        data = json.loads(written(report.data(found, about)))
        assert (data["rows"], len(data["measurements"])) == ([], 2)

    def test_a_rate_that_is_only_a_bound_and_a_tracer_held_up_are_marked(self) -> None:
        assert ">1.00 M" in self.table([measured(coarse=True)])
        text = self.table([measured(cpu_s=0.1)])
        assert "Held up in 1 of 1" in text
        assert "50 %" in text
        assert "Held up" not in self.table([measured()])


Invoke = Callable[..., tuple[int, str, str]]


@pytest.fixture
def bpfbench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, invoke: Invoke) -> Invoke:
    """Call the entry point with these words, in an empty directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BPFBENCH_CACHE", str(tmp_path / "cache"))
    return invoke


class TestCommandLine:
    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (("--setups", "libpbf"), ("option --setups", "'libpbf'", "libbpf", "aya-async")),
            (("--setups", "vanilla"), ("option --setups", "no ring")),
            (("--setups", ""), ("option --setups", "empty")),
            (("--formats", "json"), ("option --formats", "'json'", "text, binary")),
            (("--setups", "bpftrace", "--formats", "binary"), ("none of these setups",)),
            (("--events", "157"), ("option --events", "157", "156, 4252")),
            (("--events", ""), ("option --events", "at least one of: 156, 4252")),
            (("--ringbuf-bytes", "65KiB"), ("option --ringbuf-bytes", "power of two", "65536 or 131072")),
            (("--ringbuf-bytes", "2KiB"), ("option --ringbuf-bytes", "4096 to 1073741824")),
            (("--ringbuf-bytes", "much"), ("option --ringbuf-bytes", "'much'")),
            (("--repetitions", "0"), ("option --repetitions", "1 to 10000")),
            (("--repetitions", "1.5"), ("option --repetitions",)),
            (("--image", "woody"), ("option --image", "trixie")),
            (("--study", "none.toml"), ("'none.toml' does not exist",)),
            (("--output", "nowhere/x.json"), ("option --output", "'nowhere/x.json'")),
            (("--rings", "4"), ("--rings",)),
        ],
    )
    def test_a_mistake_gets_one_line_that_names_it_and_the_choices(
        self, bpfbench: Invoke, words: tuple[str, ...], said: tuple[str, ...]
    ) -> None:
        status, out, err = bpfbench("bench", "drain", *words)
        first, *rest = err.splitlines()
        assert (status, out) == (2, "")
        assert len(rest) <= 1
        assert all(part in first for part in said), first

    def test_a_link_in_a_run_directory_is_not_written_through(self, bpfbench: Invoke, tmp_path: Path) -> None:
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "run.json").touch()
        (tmp_path / "run" / "roofline.json").symlink_to(tmp_path / "elsewhere")
        status, _, err = bpfbench("bench", "roofline", "--output", "run/roofline.json")
        assert (status, (tmp_path / "elsewhere").exists()) == (1, False)
        assert "run/roofline.json: is a link" in err
