# SPDX-License-Identifier: Apache-2.0
"""Good evidence passes every check; each single lie fails the one check that is about it, and shows the numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from builders import make_config, make_fio, make_summary, make_trial

from bpfbench.model import Attach, Check, Format, Tool, TracerSummary, Variant, Workload
from bpfbench.trial.verify import Evidence, checks

# 4 processes x 1000 blocks of 4 KiB = 16,384,000 bytes; 1 % may be cached: 163,840 bytes.
READ = Workload("read", processes=4, bytes_per_process=1000 * 4096)
MIXED = replace(READ, name="mixed")
# IOPS x latency / processes: 4000 / 0.01 s x 9 us / 4 = 0.9
FIO = make_fio(runtime_s=0.01, ios=4000, latency_us=9.0)
PERFORMANCE = ("page cache dropped", "fio did all its I/O", "Little's law", "nothing left behind")
TRACER = (
    "tracer ended well",
    "tracer did what was asked",
    "intercepted = saved + lost",
    "output holds what was saved",
    KIND := "every kind accounted",
    "every read seen",
    "every write seen",
)
RING = "ring is as large as asked"


def vanilla(**changes: Any) -> Evidence:
    good = Evidence(
        trial=make_trial(workload=READ),
        machine="x86_64",
        block_bytes=4096,
        cached_bytes=0,
        fio=FIO,
        leftovers={},
        summary=None,
        tracer_status=None,
        output_bytes=None,
        output_events=None,
    )
    return replace(good, **changes)


def traced(summary: Mapping[str, Any] | None = None, **changes: Any) -> Evidence:
    """A libbpf rw-tracer saw 4000 reads and 100 of fio's own writes, and lost 100 of them all."""
    trial = make_trial("libbpf", workload=READ)
    account = replace(
        make_summary(trial, saved=4000, lost={"ring_full": 100}),
        **{"intercepted": {"read": 4000, "write": 100}, **(summary or {})},
    )
    good = vanilla(
        trial=trial,
        summary=account,
        tracer_status=0,
        output_bytes=account.bytes,
        output_events=account.saved,
        ring_bytes=(262_144,),
    )
    return replace(good, **changes)


def counted(syscalls: dict[str, int] | None, machine: str = "x86_64") -> Evidence:
    """A syscount trial that counted these system calls."""
    trial = make_trial("bcc", tool=Tool.SYSCOUNT, workload=READ, config=make_config(ringbuf_bytes=None, poll_ms=None))
    total = sum((syscalls or {}).values())
    account = replace(make_summary(trial, saved=total), intercepted={"syscall": total}, syscalls=syscalls)
    return vanilla(
        trial=trial,
        machine=machine,
        summary=account,
        tracer_status=0,
        output_bytes=account.bytes,
        output_events=account.saved,
    )


def failed(evidence: Evidence) -> list[Check]:
    return [check for check in checks(evidence) if not check.ok]


def only_failure(evidence: Evidence) -> Check:
    (check,) = failed(evidence)
    return check


class TestTruth:
    def test_a_good_vanilla_trial_passes_what_applies_to_it(self) -> None:
        assert tuple(check.name for check in checks(vanilla())) == PERFORMANCE
        assert not failed(vanilla())

    def test_a_good_traced_trial_passes_everything(self) -> None:
        assert tuple(check.name for check in checks(traced())) == (*PERFORMANCE, *TRACER, RING)
        assert not failed(traced())

    def test_every_check_shows_what_it_compared(self) -> None:
        assert all(check.detail for check in checks(traced()))

    def test_a_good_syscount_trial_passes_what_applies_to_it_which_has_no_ring(self) -> None:
        good = counted({"0": 140, "17": 4000, "1": 5, "257": 80})
        assert tuple(check.name for check in checks(good)) == (*PERFORMANCE, *TRACER)
        assert not failed(good)

    def test_reads_and_writes_have_other_numbers_on_arm(self) -> None:
        assert not failed(counted({"63": 140, "67": 4000, "64": 5}, machine="aarch64"))
        assert only_failure(counted({"63": 140, "67": 4000}, machine="x86_64")).name == "every read seen"

    def test_a_mixed_trial_is_checked_in_both_directions(self) -> None:
        both = replace(FIO, read_ios=1990, write_ios=2010)
        summary = {"intercepted": {"read": 2090, "write": 2010}}
        trial = make_trial("libbpf", workload=MIXED)
        assert not failed(traced(summary, trial=trial, fio=both))
        assert only_failure(traced({"intercepted": {"read": 2091, "write": 2009}}, trial=trial, fio=both)) == Check(
            "every write seen", ok=False, detail="fio 2010, tracer 2009, at most 1000 of fio's own"
        )


class TestVariants:
    """No-output leaves nothing to count, no-consumer saves what a ring holds; all else holds as ever."""

    def of(self, variant: Variant, summary: Mapping[str, Any] | None = None, **changes: Any) -> Evidence:
        trial = make_trial("libbpf", workload=READ, config=make_config(variant=variant))
        return traced(summary, trial=trial, **changes)

    def test_without_output_the_tracers_own_count_is_taken(self) -> None:
        evidence = self.of(Variant.NO_OUTPUT, output_events=None, output_bytes=None)
        assert not failed(evidence)
        assert "output holds what was saved" not in [check.name for check in checks(evidence)]
        assert only_failure(replace(evidence, tracer_status=1)).name == "tracer ended well"

    def test_where_run_time_is_counted_everything_must_hold(self) -> None:
        assert not failed(self.of(Variant.RUN_TIME))
        assert only_failure(self.of(Variant.RUN_TIME, output_events=1)).name == "output holds what was saved"

    # 262144 bytes / (8 of the header + 156) = 1598.4
    @pytest.mark.parametrize(("saved", "ok"), [(1598, True), (1599, False)])
    def test_without_consumer_no_more_is_saved_than_the_ring_holds(self, saved: int, ok: bool) -> None:
        lost = {"ring_full": 4100 - saved}
        evidence = self.of(Variant.NO_CONSUMER, {"saved": saved, "lost": lost}, output_events=saved)
        assert [check.name for check in failed(evidence)] == ([] if ok else ["saved is what the ring held"])

    def test_without_consumer_every_io_is_intercepted_all_the_same(self) -> None:
        summary = {"intercepted": {"read": 3999}, "saved": 1000, "lost": {"ring_full": 2999}}
        assert only_failure(self.of(Variant.NO_CONSUMER, summary, output_events=1000)).name == "every read seen"

    def test_counting_system_calls_has_no_ring_to_hold_anything(self) -> None:
        config = make_config(ringbuf_bytes=None, poll_ms=None, variant=Variant.NO_CONSUMER)
        evidence = counted({"17": 4000})
        assert not failed(replace(evidence, trial=replace(evidence.trial, config=config)))


class TestPageCache:
    def test_one_per_cent_of_the_data_may_be_cached(self) -> None:
        assert not failed(vanilla(cached_bytes=163_840))

    def test_more_is_no_cold_start(self) -> None:
        check = only_failure(vanilla(cached_bytes=163_841))
        assert check.name == "page cache dropped"
        assert check.detail == "163841 bytes of the data cached before fio, at most 163840 allowed"


class TestAllIos:
    @pytest.mark.parametrize("ios", [3999, 4001])
    def test_fio_does_every_io_and_none_more(self, ios: int) -> None:
        check = only_failure(vanilla(fio=replace(FIO, read_ios=ios)))
        assert check == Check("fio did all its I/O", ok=False, detail=f"{ios} of 4000")

    def test_reads_and_writes_count_together(self) -> None:
        assert not failed(vanilla(fio=replace(FIO, read_ios=1500, write_ios=2500)))


class TestLittlesLaw:
    @pytest.mark.parametrize(("latency_us", "share"), [(2.0, 0.2), (9.0, 0.9), (10.0, 1.0), (10.4, 1.04)])
    def test_processes_are_inside_their_ios_most_of_the_time(self, latency_us: float, share: float) -> None:
        (law,) = (
            check for check in checks(vanilla(fio=replace(FIO, latency_mean_us=latency_us))) if "Little" in check.name
        )
        assert law.ok
        assert law.detail.startswith(f"IOPS x mean latency / processes = {share:.3f}")

    @pytest.mark.parametrize(
        ("latency_us", "share"),
        [(9000.0, "900.000"), (0.009, "0.001"), (11.0, "1.100"), (1.9, "0.190"), (float("nan"), "nan")],
        ids=["milliseconds taken for microseconds", "the reverse", "too long", "too short", "no number"],
    )
    def test_a_latency_that_cannot_be_is_found_out(self, latency_us: float, share: str) -> None:
        check = only_failure(vanilla(fio=replace(FIO, latency_mean_us=latency_us)))
        assert check.name == "Little's law"
        assert check.detail == f"IOPS x mean latency / processes = {share}, 0.2 to 1.05 allowed"


class TestLimitedRate:
    """4000 I/Os in 0.01 s by 4 processes: 100,000 per second and process."""

    @pytest.mark.parametrize("latency_us", [0.1, 9.0])
    def test_a_process_that_sleeps_between_its_ios_is_no_fault(self, latency_us: float) -> None:
        trial = make_trial(workload=replace(READ, rate_iops=100_000))
        assert not failed(vanilla(trial=trial, fio=replace(FIO, latency_mean_us=latency_us)))

    def test_a_latency_longer_than_there_was_time_for_is(self) -> None:
        trial = make_trial(workload=replace(READ, rate_iops=100_000))
        check = only_failure(vanilla(trial=trial, fio=replace(FIO, latency_mean_us=11.0)))
        assert check.name == "Little's law"
        assert check.detail == "IOPS x mean latency / processes = 1.100, 0 to 1.05 allowed"

    @pytest.mark.parametrize("limit", [95_300, 100_000, 10**9])
    def test_fio_may_be_slower_than_its_limit(self, limit: int) -> None:
        found = checks(vanilla(trial=make_trial(workload=replace(READ, rate_iops=limit))))
        assert [check.ok for check in found if check.name == "rate limit kept"] == [True]

    def test_but_not_faster(self) -> None:
        check = only_failure(vanilla(trial=make_trial(workload=replace(READ, rate_iops=95_000))))
        assert check.name == "rate limit kept"
        assert check.detail == "100000 I/Os per second and process, limit 95000, at most 99950 allowed"


class TestLeftovers:
    def test_what_is_left_is_listed_by_kind(self) -> None:
        left = {"mounts": frozenset({"tmpfs /x"}), "BPF maps": frozenset({"12", "11"})}
        check = only_failure(vanilla(leftovers=left))
        assert check.name == "nothing left behind"
        assert check.detail == "BPF maps: 11, 12; mounts: tmpfs /x"


class TestTracerLies:
    @pytest.mark.parametrize(
        ("status", "error"), [(1, None), (-9, None), (None, None), (0, "disk full"), (1, "disk full")]
    )
    def test_a_tracer_that_did_not_end_well(self, status: int | None, error: str | None) -> None:
        check = only_failure(traced({"error": error}, tracer_status=status))
        assert check == Check("tracer ended well", ok=False, detail=f"exit status {status}, error: {error}")

    @pytest.mark.parametrize(
        ("field", "lie"), [("setup", "bcc"), ("tool", "syscount"), ("attach", "fentry"), ("format", "text")]
    )
    def test_a_tracer_that_did_something_else_than_asked(self, field: str, lie: str) -> None:
        check = only_failure(traced({field: lie}))
        assert check.name == "tracer did what was asked"
        assert repr(lie) in check.detail
        assert "asked ('libbpf', 'rw-tracer', 'kprobe', 'binary')" in check.detail

    @pytest.mark.parametrize(
        ("config", "summary"),
        [
            (make_config(attach=Attach.FENTRY), {"attach": "fentry"}),
            (make_config(format=Format.TEXT), {"format": "text"}),
        ],
    )
    def test_what_was_asked_is_what_the_trial_says(self, config: Any, summary: dict[str, str]) -> None:
        assert not failed(traced(summary, trial=make_trial("libbpf", workload=READ, config=config)))

    @pytest.mark.parametrize("missing", [1, -1, 100])
    def test_events_that_are_neither_saved_nor_lost(self, missing: int) -> None:
        check = only_failure(traced({"intercepted": {"read": 4000, "write": 100 + missing}}))
        assert check.name == "intercepted = saved + lost"
        assert check.detail == f"{4100 + missing} = 4000 + 100"

    def test_a_cause_that_cannot_be_counted_counts_as_none_lost(self) -> None:
        lost = {"ring_full": 100, "recursion": None, "missed": None}
        assert not failed(traced({"lost": lost}))

    def test_losses_by_every_cause_count(self) -> None:
        lost = {"ring_full": 70, "map_full": 20, "recursion": 5, "missed": 4, "output_error": 1}
        assert not failed(traced({"lost": lost}))

    def test_an_output_with_fewer_events_than_the_summary_says(self) -> None:
        check = only_failure(traced(output_events=3999))
        assert check.name == "output holds what was saved"
        assert check.detail == "3999 events in 624000 bytes, summary says 4000 in 624000"

    def test_an_output_of_another_size_than_the_summary_says(self) -> None:
        check = only_failure(traced(output_bytes=623_999))
        assert check.name == "output holds what was saved"
        assert check.detail == "4000 events in 623999 bytes, summary says 4000 in 624000"

    def test_a_read_of_fio_that_the_tracer_did_not_see(self) -> None:
        check = only_failure(traced({"intercepted": {"read": 3999, "write": 101}}))
        assert check.name == "every read seen"
        assert check.detail == "fio 4000, tracer 3999, at most 1000 of fio's own"

    @pytest.mark.parametrize(
        ("runtime_s", "own", "ok"),
        [(0.01, 1000, True), (0.01, 1001, False), (10.0, 1200, True), (10.0, 1201, False), (600.0, 13_000, True)],
    )
    def test_fios_own_accesses_are_bounded_by_1000_and_20_per_second(
        self, runtime_s: float, own: int, ok: bool
    ) -> None:
        fio = make_fio(runtime_s=runtime_s, ios=4000, latency_us=900 * runtime_s)  # within its I/Os 90 % of the time
        summary = {"intercepted": {"read": 4000 + own, "write": 100}, "saved": 4000 + own}
        found = failed(traced(summary, output_events=4000 + own, fio=fio))
        assert [check.name for check in found] == ([] if ok else ["every read seen"])
        assert all(f"at most {own - 1} of fio's own" in check.detail for check in found)

    def test_what_the_kernel_skipped_may_have_been_others_and_breaks_nothing(self) -> None:
        lost = {"ring_full": 100, "map_full": 0, "recursion": 0, "missed": 3000, "output_error": 0}
        assert not failed(traced({"intercepted": {"read": 7000, "write": 100}, "lost": lost}))
        check = only_failure(traced({"intercepted": {"read": 3999, "write": 3101}, "lost": lost}))
        assert check.detail.endswith("at most 1000 of fio's own, 3000 skipped by the kernel, of whomever")

    def test_a_kind_that_the_tracer_does_not_mention_was_not_seen_and_one_that_there_is_not_is_refused(self) -> None:
        checks_failed = failed(traced({"intercepted": {"other": 4100}}))
        assert [check.name for check in checks_failed] == [KIND, "every read seen"]

    @pytest.mark.parametrize(
        ("intercepted", "lost", "wrong"),
        [
            # 10 events of the tracer's own account were lost unseen, and which kind they were of it cannot tell.
            ({"read": 4000, "write": 90, "unknown": 10}, {"map_full": 10}, []),
            ({"read": 3990, "write": 100, "unknown": 10}, {"map_full": 10}, []),
            ({"read": 3990, "write": 100, "unknown": 10}, {"map_full": 3, "recursion": 7}, []),
            # It saw fewer reads than it could have lost so.
            (
                {"read": 3989, "write": 101, "unknown": 10},
                {"map_full": 10},
                [KIND, "every read seen"],
            ),
            # It calls unknown what it lost otherwise, or did not lose.
            ({"read": 3990, "write": 100, "unknown": 10}, {"ring_full": 100}, [KIND]),
            ({"read": 4000, "write": 90, "unknown": 10}, {"map_full": 9, "ring_full": 91}, [KIND]),
        ],
    )
    def test_events_of_unknown_kind_are_those_lost_unseen(
        self, intercepted: dict[str, int], lost: dict[str, int], wrong: list[str]
    ) -> None:
        lost = {"ring_full": 90, "map_full": 0, "recursion": 0, "missed": 0, "output_error": 0, **lost}
        assert [check.name for check in failed(traced({"intercepted": intercepted, "lost": lost}))] == wrong

    def test_one_event_of_unknown_kind_stands_for_a_read_or_a_write_and_not_for_both(self) -> None:
        both = replace(FIO, read_ios=2000, write_ios=2000)
        lost = {"ring_full": 90, "map_full": 10, "recursion": 0, "missed": 0, "output_error": 0}
        intercepted = {"read": 1990, "write": 1990, "unknown": 10}
        found = failed(
            traced({"intercepted": intercepted, "lost": lost}, trial=make_trial("bpftrace", workload=MIXED), fio=both)
        )
        assert KIND in [check.name for check in found]

    @pytest.mark.parametrize(
        "rings", [(), (131_072,), (524_288,), (262_143,), (262_144, 262_144), (262_144, 4096), (4096, 262_144)], ids=str
    )
    def test_a_ring_of_another_size_than_asked_or_one_too_many(self, rings: tuple[int, ...]) -> None:
        check = only_failure(traced(ring_bytes=rings))
        assert check == Check(RING, ok=False, detail=f"asked 262144 bytes, rings made: {rings}")

    def test_the_ring_that_is_asked_for_is_the_trials(self) -> None:
        trial = make_trial("libbpf", workload=READ, config=make_config(ringbuf_bytes=4096))
        assert not failed(traced(trial=trial, ring_bytes=(4096,)))
        assert only_failure(traced(trial=trial)).name == RING

    @pytest.mark.parametrize("syscalls", [{"17": 3999}, {"0": 3999, "1": 4000}, {"67": 4000}, {}, None], ids=str)
    def test_a_count_of_system_calls_that_lacks_reads(self, syscalls: dict[str, int] | None) -> None:
        assert "every read seen" in [check.name for check in failed(counted(syscalls))]

    def test_every_lie_is_found_also_beside_others(self) -> None:
        lies = traced(
            {"error": "x", "setup": "bcc", "intercepted": {"read": 1, "write": 9000, "other": 1}},
            cached_bytes=10**9,
            fio=replace(FIO, read_ios=3000, latency_mean_us=9000.0),
            leftovers={"files": frozenset({"/tmp/x"})},
            output_events=1,
            ring_bytes=(4096,),
        )
        assert {check.name for check in failed(lies)} == {*PERFORMANCE, *TRACER, RING}


def test_the_account_of_the_evidence_is_what_its_builder_says() -> None:
    summary = traced().summary
    assert isinstance(summary, TracerSummary)
    assert (summary.intercepted_total, summary.saved, summary.lost_total, summary.bytes) == (4100, 4000, 100, 624_000)
