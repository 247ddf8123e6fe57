# SPDX-License-Identifier: Apache-2.0
"""Good evidence passes every check; each single lie fails the one check that is about it, and shows the numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import pytest
from builders import make_config, make_delivery, make_fio, make_record, make_summary, make_trial

from bpfbench.inside.trial.verify import Proof, checks, completed, expected_content
from bpfbench.model import (
    Attach,
    Buffer,
    CallAccount,
    Check,
    Format,
    Hook,
    RateProcess,
    RingAccount,
    Slots,
    Tool,
    TracerConfig,
    TracerSummary,
    Trial,
    Variant,
    Workload,
)

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
    "attached as asked",
    "every read counted",
    "every write counted",
    KIND := "every kind accounted",
    "every read seen",
    "every write seen",
)
RING = "ring is as large as asked"
EMPTIED = "ring was emptied"
THROUGH = "saved went through the ring"
WRITTEN = "saved was written"
RINGS = (RING, EMPTIED, THROUGH)
COUNTED = ("every read counted", "every write counted")

CALLS = ("read", "pread64", "write", "pwrite64")
TARGETS = {
    Attach.TRACEPOINT: [("tracepoint", f"sys_{way}_{call}") for way in ("enter", "exit") for call in CALLS],
    Attach.KPROBE: [(kind, f"vfs_{op}") for kind in ("kprobe", "kretprobe") for op in ("read", "write")],
    Attach.FENTRY: [(kind, f"vfs_{op}") for kind in ("fentry", "fexit") for op in ("read", "write")],
}


def hooks_of(trial: Trial) -> tuple[Hook, ...]:
    """What the kernel says of a tracer that does as its trial asks."""
    if trial.config is None or trial.config.attach is None:
        return ()
    rw = TARGETS[trial.config.attach]
    targets = [("tracepoint", "sys_enter")] if trial.tool is Tool.SYSCOUNT else rw
    return tuple(Hook(kind, target, f"handle_{target}"[:15]) for kind, target in targets)


def ring_of(config: TracerConfig | None, saved: int) -> tuple[RingAccount, ...]:
    """The ring a trial asks for; so many events and nothing else went through it, each in whole 8 bytes."""
    if config is None or config.ringbuf_bytes is None:
        return ()
    taken = saved * (8 + 160 + (config.payload_bytes or 0))
    return (RingAccount(config.ringbuf_bytes, taken, taken),)


def changed(proof: Proof, **changes: Any) -> Proof:
    """The proof with something else in it or in its record."""
    own = {name: changes.pop(name) for name in tuple(changes) if name in OF_PROOF}
    return replace(proof, record=replace(proof.record, **changes), **own)


OF_PROOF = {field.name for field in fields(Proof)}


def vanilla(**changes: Any) -> Proof:
    good = Proof(
        record=replace(make_record(make_trial(workload=READ)), fio=FIO),
        machine="x86_64",
        cached_bytes=0,
        leftovers={},
        tracer_status=None,
        output_bytes=None,
        output_events=None,
    )
    return changed(good, **changes)


def traced(summary: Mapping[str, Any] | None = None, **changes: Any) -> Proof:
    """A libbpf rw-tracer saw 4000 reads and 100 of fio's own writes, all the kernel accounted, and lost 100 of them."""
    trial = changes.get("trial") or make_trial("libbpf", workload=READ)
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
        calls=CallAccount(reads=4000, writes=100),
        hooks=hooks_of(trial),
        rings=ring_of(trial.config, account.saved),
        written_bytes=account.bytes,
    )
    return changed(good, **changes)


def unaccounted(summary: Mapping[str, Any] | None = None, **changes: Any) -> Proof:
    """The same on a kernel that keeps no account of calls."""
    return traced(summary, calls=None, **changes)


def counted(syscalls: dict[str, int] | None, machine: str = "x86_64", calls: CallAccount | None = None) -> Proof:
    """A syscount trial that counted these system calls."""
    config = make_config(attach=Attach.TRACEPOINT, ringbuf_bytes=None, poll_ms=None)
    trial = make_trial("bcc", tool=Tool.SYSCOUNT, workload=READ, config=config)
    total = sum((syscalls or {}).values())
    account = replace(make_summary(trial, saved=total), intercepted={"syscall": total}, syscalls=syscalls)
    return vanilla(
        trial=trial,
        machine=machine,
        summary=account,
        tracer_status=0,
        output_bytes=account.bytes,
        output_events=account.saved,
        calls=calls,
        hooks=hooks_of(trial),
        written_bytes=account.bytes,
    )


def named(evidence: Proof, name: str) -> Check:
    (check,) = (check for check in checks(evidence) if check.name == name)
    return check


def failed(evidence: Proof) -> list[Check]:
    return [check for check in checks(evidence) if not check.ok]


def only_failure(evidence: Proof) -> Check:
    (check,) = failed(evidence)
    return check


class TestTruth:
    def test_a_good_vanilla_trial_passes_what_applies_to_it(self) -> None:
        assert tuple(check.name for check in checks(vanilla())) == PERFORMANCE
        assert not failed(vanilla())

    def test_a_good_traced_trial_passes_everything(self) -> None:
        assert tuple(check.name for check in checks(traced())) == (*PERFORMANCE, *TRACER, *RINGS, WRITTEN)
        assert not failed(traced())

    def test_every_check_shows_what_it_compared(self) -> None:
        assert all(check.detail for check in checks(traced()))

    def test_a_good_syscount_trial_passes_what_applies_to_it_which_has_no_ring(self) -> None:
        good = counted({"0": 140, "17": 4000, "1": 5, "257": 80}, calls=CallAccount(4140, 5))
        assert tuple(check.name for check in checks(good)) == (*PERFORMANCE, *TRACER, WRITTEN)
        assert not failed(good)

    def test_reads_and_writes_have_other_numbers_on_arm(self) -> None:
        arm = {"63": 140, "67": 4000, "64": 5}
        assert not failed(counted(arm, machine="aarch64"))
        assert not failed(counted(arm, machine="aarch64", calls=CallAccount(4140, 5)))
        assert only_failure(counted({"63": 140, "67": 4000}, machine="x86_64")).name == "every read seen"

    def test_a_mixed_trial_is_checked_in_both_directions(self) -> None:
        both = replace(FIO, read_ios=1990, write_ios=2010)
        summary = {"intercepted": {"read": 2090, "write": 2010}}
        calls = CallAccount(2090, 2010)
        trial = make_trial("libbpf", workload=MIXED)
        assert not failed(traced(summary, trial=trial, fio=both, calls=calls))
        one_less = {"intercepted": {"read": 2091, "write": 2009}}
        assert only_failure(unaccounted(one_less, trial=trial, fio=both)) == Check(
            "every write seen", ok=False, detail="fio 2010, tracer 2009, at most 1000 of fio's own"
        )
        found = failed(traced(one_less, trial=trial, fio=both, calls=calls))
        assert [check.name for check in found] == [*COUNTED, "every write seen"]


class TestVariants:
    """No-output leaves nothing to count, no-consumer saves what a ring holds; all else holds as ever."""

    def of(self, variant: Variant, summary: Mapping[str, Any] | None = None, **changes: Any) -> Proof:
        trial = make_trial("libbpf", workload=READ, config=make_config(variant=variant))
        return traced(summary, trial=trial, **changes)

    def test_without_output_the_tracers_own_count_is_taken(self) -> None:
        evidence = self.of(Variant.NO_OUTPUT, output_events=None, output_bytes=None)
        assert not failed(evidence)
        assert "output holds what was saved" not in [check.name for check in checks(evidence)]
        assert only_failure(changed(evidence, tracer_status=1)).name == "tracer ended well"

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
        summary = {"intercepted": {"read": 3999, "write": 100}, "saved": 1000, "lost": {"ring_full": 3099}}
        evidence = self.of(Variant.NO_CONSUMER, summary, output_events=1000)
        assert [check.name for check in failed(evidence)] == ["every read counted", "every read seen"]
        assert only_failure(changed(evidence, calls=None)).name == "every read seen"

    def test_what_came_out_of_the_pipe_has_to_be_what_was_saved_and_each_record_to_have_its_delay(self) -> None:
        evidence = self.of(Variant.DELAY, delivery=make_delivery(records=4000))
        assert not failed(evidence)
        assert named(evidence, "every delay was taken").detail == "4000 records timed"
        assert only_failure(changed(evidence, output_events=3999)).name == "output holds what was saved"
        for fault, said in {"torn": "1 torn", "impossible": "1 impossible", "notices": "1 no records"}.items():
            wrong = changed(evidence, delivery=make_delivery(records=4000, **{fault: 1}))
            assert only_failure(wrong) == Check("every delay was taken", ok=False, detail=said)

    def test_bpftrace_puts_notices_among_the_records_of_a_pipe(self) -> None:
        trial = make_trial("bpftrace", workload=READ, config=make_config(variant=Variant.DELAY, format=Format.TEXT))
        assert not failed(traced(trial=trial, delivery=make_delivery(records=4000, notices=3)))

    def test_counting_system_calls_has_no_ring_to_hold_anything(self) -> None:
        config = make_config(attach=Attach.TRACEPOINT, ringbuf_bytes=None, poll_ms=None, variant=Variant.NO_CONSUMER)
        evidence = counted({"17": 4000})
        assert not failed(changed(evidence, trial=replace(evidence.record.trial, config=config)))


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

    def test_by_chance_it_may_be_a_little_faster(self) -> None:
        random = replace(READ, rate_iops=85_000, rate_process=RateProcess.POISSON)
        assert not failed(vanilla(trial=make_trial(workload=random)))  # 1000 I/Os, give or take 5 times 32
        check = only_failure(vanilla(trial=make_trial(workload=replace(random, rate_iops=75_000))))
        assert check.name == "rate limit kept"

    def test_a_last_burst_without_a_pause_behind_it_is_no_fault_but_bursts_without_pauses_are(self) -> None:
        # 1000 I/Os of each process at 60,000 a second take 16.7 ms. In bursts of 750, the last 250 come at once.
        bursts = replace(READ, rate_iops=60_000, burst_ios=750, duty_percent=10.0)
        assert not failed(vanilla(trial=make_trial(workload=bursts)))
        check = only_failure(vanilla(trial=make_trial(workload=replace(bursts, burst_ios=100))))
        assert check.detail == "100000 I/Os per second and process, limit 60000, at most 72200 allowed"


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
        calls = CallAccount(4000, 100 + missing)
        check = only_failure(traced({"intercepted": {"read": 4000, "write": 100 + missing}}, calls=calls))
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
        check = only_failure(unaccounted({"intercepted": {"read": 3999, "write": 101}}))
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
        rings = ring_of(make_config(), 4000 + own)
        size = 156 * (4000 + own)
        evidence = unaccounted({**summary, "bytes": size}, output_bytes=size, fio=fio, rings=rings)
        found = failed(evidence)
        assert [check.name for check in found] == ([] if ok else ["every read seen"])
        assert all(f"at most {own - 1} of fio's own" in check.detail for check in found)

    def test_what_the_kernel_skipped_may_have_been_others_and_breaks_nothing(self) -> None:
        lost = {"ring_full": 100, "map_full": 0, "recursion": 0, "missed": 3000, "output_error": 0}
        assert not failed(unaccounted({"intercepted": {"read": 7000, "write": 100}, "lost": lost}))
        check = only_failure(unaccounted({"intercepted": {"read": 3999, "write": 3101}, "lost": lost}))
        assert check.detail.endswith("at most 1000 of fio's own, 3000 skipped by the kernel, of whomever")

    def test_a_kind_that_the_tracer_does_not_mention_was_not_seen_and_one_that_there_is_not_is_refused(self) -> None:
        checks_failed = failed(unaccounted({"intercepted": {"other": 4100}}))
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
        assert [check.name for check in failed(unaccounted({"intercepted": intercepted, "lost": lost}))] == wrong

    def test_one_event_of_unknown_kind_stands_for_a_read_or_a_write_and_not_for_both(self) -> None:
        both = replace(FIO, read_ios=2000, write_ios=2000)
        lost = {"ring_full": 90, "map_full": 10, "recursion": 0, "missed": 0, "output_error": 0}
        intercepted = {"read": 1990, "write": 1990, "unknown": 10}
        found = failed(
            unaccounted(
                {"intercepted": intercepted, "lost": lost}, trial=make_trial("bpftrace", workload=MIXED), fio=both
            )
        )
        assert KIND in [check.name for check in found]

    @pytest.mark.parametrize(
        "sizes", [(), (131_072,), (524_288,), (262_143,), (262_144, 262_144), (262_144, 4096), (4096, 262_144)], ids=str
    )
    def test_a_ring_of_another_size_than_asked_or_one_too_many(self, sizes: tuple[int, ...]) -> None:
        check = named(traced(rings=tuple(RingAccount(size, 10**6, 10**6) for size in sizes)), RING)
        assert check == Check(RING, ok=False, detail=f"asked 262144 bytes, rings made: {sizes}")

    def test_the_ring_that_is_asked_for_is_the_trials(self) -> None:
        trial = make_trial("libbpf", workload=READ, config=make_config(ringbuf_bytes=4096))
        assert not failed(traced(trial=trial, rings=(RingAccount(4096, 10**6, 10**6),)))
        assert only_failure(traced(trial=trial, rings=(RingAccount(262_144, 10**6, 10**6),))).name == RING

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
            hooks=(),
            rings=(RingAccount(4096, 2, 1),),
            written_bytes=1,
        )
        assert {check.name for check in failed(lies)} == {*PERFORMANCE, *TRACER, *RINGS, WRITTEN}


class TestCounted:
    """The kernel accounts every call of read and write and their kin, of all fio's processes: the truth."""

    def test_as_many_as_the_kernel_accounted_are_right(self) -> None:
        assert [named(traced(), name).detail for name in COUNTED] == [
            "the kernel accounted 4000, the tracer intercepted 4000",
            "the kernel accounted 100, the tracer intercepted 100",
        ]

    @pytest.mark.parametrize("wrong", [-1, 1, -100, 100])
    @pytest.mark.parametrize("kind", ["read", "write"])
    def test_one_too_few_or_too_many_is_one_wrong(self, kind: str, wrong: int) -> None:
        true = {"read": 4100, "write": 100}  # of the reads 100 are fio's own, so that the old bound sees nothing
        summary = {"intercepted": {**true, kind: true[kind] + wrong}, "lost": {"ring_full": 200 + wrong}}
        check = only_failure(traced(summary, calls=CallAccount(4100, 100)))
        assert check.name == f"every {kind} counted"
        assert check.detail == f"the kernel accounted {true[kind]}, the tracer intercepted {true[kind] + wrong}"
        assert not failed(unaccounted(summary))

    def test_one_too_many_of_one_kind_makes_up_for_none_of_the_other(self) -> None:
        found = failed(traced({"intercepted": {"read": 4001, "write": 99}}))
        assert [check.name for check in found] == list(COUNTED)

    @pytest.mark.parametrize(("surplus", "ok"), [(0, True), (1, True), (7, True), (8, False)])
    def test_what_the_kernel_skipped_explains_so_many_of_others_at_most(self, surplus: int, ok: bool) -> None:
        """A skipped run is counted with its kind, whoever called."""
        lost = {"ring_full": 93 + surplus, "recursion": 4, "missed": 3}
        evidence = traced({"intercepted": {"read": 4000 + surplus, "write": 100}, "lost": lost})
        check = named(evidence, "every read counted")
        assert check.ok is ok
        assert check.detail.endswith(", at most 7 skipped by the kernel, of whomever")
        assert [found.name for found in failed(evidence)] == ([] if ok else ["every read counted"])

    def test_it_explains_both_kinds_together_not_each(self) -> None:
        lost = {"ring_full": 101, "recursion": 7}
        assert not failed(traced({"intercepted": {"read": 4004, "write": 103}, "lost": {**lost, "ring_full": 100}}))
        found = failed(traced({"intercepted": {"read": 4004, "write": 104}, "lost": lost}))
        assert [check.name for check in found] == list(COUNTED)

    def test_it_explains_none_that_lacks_where_it_is_counted_with_its_kind(self) -> None:
        lost = {"ring_full": 92, "recursion": 7}
        assert only_failure(traced({"intercepted": {"read": 4000, "write": 99}, "lost": lost})).name == COUNTED[1]

    @pytest.mark.parametrize(("lack", "ok"), [(0, True), (1, True), (7, True), (8, False)])
    def test_where_a_tracer_cannot_tell_the_kind_it_explains_so_many_that_lack(self, lack: int, ok: bool) -> None:
        intercepted = {"read": 4000, "write": 100 - lack, "unknown": 7}
        lost = {"ring_full": 100 - lack, "map_full": 5, "recursion": 2}
        evidence = traced({"intercepted": intercepted, "lost": lost})
        assert [found.name for found in failed(evidence)] == ([] if ok else ["every write counted"])
        assert named(evidence, COUNTED[1]).detail.endswith(f"the tracer intercepted {100 - lack} and 7 of no kind")

    def test_and_none_that_is_too_many(self) -> None:
        intercepted = {"read": 4000, "write": 101, "unknown": 7}
        evidence = traced({"intercepted": intercepted, "lost": {"ring_full": 101, "recursion": 7}})
        assert only_failure(evidence).name == "every write counted"

    @pytest.mark.parametrize("number", ["0", "17", "19", "295", "327"])
    def test_of_system_calls_all_that_the_kernel_accounts_as_reads_count(self, number: str) -> None:
        syscalls = {"17": 4000, "1": 5, number: 4000 + (7 if number == "17" else -3993)}
        reads = sum(n for key, n in syscalls.items() if key != "1")
        assert not failed(counted(syscalls, calls=CallAccount(reads, 5)))
        assert only_failure(counted(syscalls, calls=CallAccount(reads + 1, 5))).name == "every read counted"
        assert only_failure(counted(syscalls, calls=CallAccount(reads - 1, 5))).name == "every read counted"

    def test_of_system_calls_those_lost_are_in_no_count_and_explain_what_lacks(self) -> None:
        evidence = counted({"17": 4000, "1": 5}, calls=CallAccount(4003, 5))
        assert evidence.record.summary is not None
        lost = {**evidence.record.summary.lost, "recursion": 3}
        summary = replace(evidence.record.summary, intercepted={"syscall": 4008}, lost=lost)
        assert not failed(changed(evidence, summary=summary))
        assert failed(changed(evidence, summary=summary, calls=CallAccount(4004, 5)))

    def test_without_an_account_the_old_bound_is_all_there_is(self) -> None:
        names = [check.name for check in checks(unaccounted())]
        assert not set(COUNTED) & set(names)
        assert {"every read seen", "every write seen"} <= set(names)
        assert not failed(unaccounted())

    def test_with_one_fios_own_count_is_the_second_check(self) -> None:
        """Where the kernel's account and the tracer's are wrong alike."""
        check = only_failure(traced({"intercepted": {"read": 3990, "write": 110}}, calls=CallAccount(3990, 110)))
        assert check.name == "every read seen"


class TestCompleted:
    """A kprobe that the kernel tells nobody of misses what it accounted and the tracer did not intercept."""

    CALLS = CallAccount(4000, 100)

    def account(self, attach: Attach = Attach.KPROBE, **values: Any) -> TracerSummary:
        config = make_config(attach=attach)
        trial = make_trial("bcc", workload=READ, config=config)
        unavailable = {"missed": "no link to ask", "recursion": "before 6.7"}
        summary = make_summary(trial, saved=3985, lost={"missed": None, "recursion": None}, unavailable=unavailable)
        return replace(summary, **{"intercepted": {"read": 3990, "write": 95}, **values})

    def lost(self, **causes: int | None) -> dict[str, int | None]:
        return {**self.account().lost, "ring_full": 100, **causes}

    def test_what_lacks_was_missed(self) -> None:
        found = completed(self.account(lost=self.lost()), Attach.KPROBE, self.CALLS)
        assert found.intercepted == {"read": 4000, "write": 100}
        assert found.lost == self.lost(missed=15)
        assert found.unavailable == {"recursion": "before 6.7"}

    def test_every_event_is_still_saved_or_lost(self) -> None:
        before = self.account(lost=self.lost())
        assert before.intercepted_total == before.saved + before.lost_total
        found = completed(before, Attach.KPROBE, self.CALLS)
        assert found.intercepted_total == found.saved + found.lost_total == 4100

    def test_such_a_trial_is_good_by_every_check(self) -> None:
        trial = make_trial("bcc", workload=READ)
        summary = completed(self.account(lost=self.lost()), Attach.KPROBE, self.CALLS)
        evidence = traced(trial=trial)
        evidence = changed(evidence, summary=summary, output_bytes=summary.bytes, output_events=summary.saved)
        assert not failed(evidence)

    def test_nothing_that_lacks_is_none_missed(self) -> None:
        whole = self.account(intercepted={"read": 4000, "write": 100})
        found = completed(whole, Attach.KPROBE, self.CALLS)
        assert (found.intercepted, found.lost["missed"]) == (whole.intercepted, 0)

    @pytest.mark.parametrize("attach", [Attach.TRACEPOINT, Attach.FENTRY])
    def test_a_hook_that_misses_nothing_is_not_excused(self, attach: Attach) -> None:
        summary = self.account(attach)
        assert completed(summary, attach, self.CALLS) == summary

    def test_a_tracer_that_can_tell_is_taken_at_its_word(self) -> None:
        for missed in (0, 3):
            summary = self.account(lost=self.lost(missed=missed))
            assert completed(summary, Attach.KPROBE, self.CALLS) == summary

    def test_a_tracer_that_does_not_mention_it_is_not_excused(self) -> None:
        summary = self.account(lost={"ring_full": 100})
        assert completed(summary, Attach.KPROBE, self.CALLS) == summary

    def test_a_tracer_that_saw_what_was_not_there_is_not_excused(self) -> None:
        """One that takes writes for reads misses none."""
        summary = self.account(intercepted={"read": 4010, "write": 90})
        assert completed(summary, Attach.KPROBE, self.CALLS) == summary

    @pytest.mark.parametrize(
        ("unknown", "missed", "left"), [(5, 10, None), (15, 0, None), (20, 0, 5)], ids=["fewer", "as many", "more"]
    )
    def test_those_of_no_kind_are_not_missed_but_among_those_that_lack(
        self, unknown: int, missed: int, left: int | None
    ) -> None:
        lost = self.lost(map_full=unknown)
        before = self.account(intercepted={"read": 3990, "write": 95, "unknown": unknown}, lost=lost)
        found = completed(before, Attach.KPROBE, self.CALLS)
        assert found.intercepted == {"read": 4000, "write": 100, **({"unknown": left} if left else {})}
        assert found.lost["missed"] == missed
        assert before.intercepted_total == before.saved + before.lost_total
        assert found.intercepted_total == found.saved + found.lost_total


class TestAttached:
    """What the tracer's programs hang on, as the kernel says, whatever the summary does."""

    def of(self, attach: Attach) -> Trial:
        return make_trial("libbpf", workload=READ, config=make_config(attach=attach))

    @pytest.mark.parametrize("attach", TARGETS)
    def test_each_flavour_has_its_hooks(self, attach: Attach) -> None:
        check = named(traced(trial=self.of(attach)), "attached as asked")
        assert check.ok
        assert check.detail.startswith(f"asked {attach}; the kernel says: ")
        assert all(f"{kind} {target}" in check.detail for kind, target in TARGETS[attach])

    @pytest.mark.parametrize("attach", TARGETS)
    def test_one_that_is_not_there_or_one_too_many_is_found(self, attach: Attach) -> None:
        trial = self.of(attach)
        for number in range(len(TARGETS[attach])):
            hooks = hooks_of(trial)[:number] + hooks_of(trial)[number + 1 :]
            assert only_failure(traced(trial=trial, hooks=hooks)).name == "attached as asked"
        more = (*hooks_of(trial), Hook(TARGETS[attach][0][0], "vfs_open", "x"))
        assert only_failure(traced(trial=trial, hooks=more)).name == "attached as asked"

    @pytest.mark.parametrize("attach", TARGETS)
    @pytest.mark.parametrize("really", TARGETS)
    def test_one_of_another_kind_than_it_says_is_found(self, attach: Attach, really: Attach) -> None:
        trial = self.of(attach)
        found = failed(traced(trial=trial, hooks=hooks_of(self.of(really))))
        assert [check.name for check in found] == ([] if attach is really else ["attached as asked"])

    def test_a_kretprobe_alone_is_no_pair(self) -> None:
        trial = self.of(Attach.KPROBE)
        hooks = tuple(hook for hook in hooks_of(trial) if hook.kind == "kretprobe")
        assert only_failure(traced(trial=trial, hooks=hooks)).name == "attached as asked"

    def test_several_programs_may_share_a_hook_whatever_they_are_called(self) -> None:
        trial = self.of(Attach.TRACEPOINT)
        again = tuple(replace(hook, program="other") for hook in hooks_of(trial))
        assert not failed(traced(trial=trial, hooks=hooks_of(trial) + again))

    def test_nothing_attached_is_told(self) -> None:
        check = only_failure(traced(hooks=()))
        assert check == Check("attached as asked", ok=False, detail="asked kprobe; the kernel says: nothing")

    def test_counting_system_calls_takes_one_hook(self) -> None:
        good = counted({"17": 4000})
        assert named(good, "attached as asked").detail == "asked tracepoint; the kernel says: tracepoint sys_enter"
        assert not failed(good)
        raw = Hook("raw-tracepoint", "sys_enter", "x")
        assert not failed(changed(good, hooks=(raw,)))
        both, exit_ = (raw, Hook("tracepoint", "sys_enter", "x")), (Hook("raw-tracepoint", "sys_exit", "x"),)
        for hooks in ((), hooks_of(self.of(Attach.TRACEPOINT)), both, exit_):
            assert only_failure(changed(good, hooks=hooks)).name == "attached as asked"


class TestRing:
    """By its own positions. Events of rw-tracer take 8 + 156 bytes of it at least."""

    def test_what_was_not_taken_out_of_it_is_found(self) -> None:
        check = only_failure(traced(rings=(RingAccount(262_144, 672_168, 672_000),)))
        assert check == Check(EMPTIED, ok=False, detail="672000 of 672168 bytes were taken out of it")

    def test_what_never_was_in_it_is_found(self) -> None:
        assert not failed(traced(rings=(RingAccount(262_144, 656_000, 656_000),)))
        check = only_failure(traced(rings=(RingAccount(262_144, 655_999, 655_999),)))
        assert check.name == THROUGH
        assert check.detail == "4000 saved, 655999 bytes taken out of it, at least 164 an event"

    def test_more_may_have_gone_through_it_than_was_saved(self) -> None:
        assert not failed(traced(rings=(RingAccount(262_144, 10**9, 10**9),)))

    def test_payloads_go_through_it_too(self) -> None:
        config = make_config(payload_bytes=4096)
        trial = make_trial("libbpf", tool=Tool.RW_TRACER_ALL, workload=READ, config=config)
        size = 4000 * (156 + 4096)
        least = 4000 * (8 + 156 + 4096)
        for through, ok in ((least, True), (least - 1, False)):
            evidence = traced(
                {"bytes": size},
                trial=trial,
                output_bytes=size,
                written_bytes=size,
                rings=(RingAccount(262_144, through, through),),
            )
            assert [check.name for check in failed(evidence)] == ([] if ok else [THROUGH])

    @pytest.mark.parametrize(("rings", "made"), [("3", 3), ("cpu", 2)])
    def test_as_many_are_there_as_were_asked_for_each_of_that_size(self, rings: str, made: int) -> None:
        trial = make_trial("libbpf", workload=READ, config=make_config(rings=rings))
        own = RingAccount(262_144, 672_000, 672_000)
        evidence = traced({"contract": 2}, trial=trial, rings=(own,) * made, possible_cpus=2)
        assert not failed(evidence)
        for wrong in ((own,) * (made - 1), (own,) * (made + 1), (replace(own, bytes=4096), *(own,) * (made - 1))):
            assert only_failure(changed(evidence, rings=wrong)).name == RING
        evidence = changed(evidence, rings=(replace(own, produced_bytes=672_001), *(own,) * (made - 1)))
        assert only_failure(evidence).name == EMPTIED

    def test_records_of_the_length_they_need_may_come_without_payload(self) -> None:
        config = make_config(payload_bytes=4096, records=Slots.VARIABLE)
        trial = make_trial("libbpf", tool=Tool.RW_TRACER_ALL, workload=READ, config=config)
        size = 4000 * (156 + 4096)
        for through, ok in ((4000 * 164, True), (4000 * 164 - 1, False)):
            rings = (RingAccount(262_144, through, through),)
            said = {"bytes": size, "contract": 2}
            evidence = traced(said, trial=trial, output_bytes=size, written_bytes=size, rings=rings)
            assert [check.name for check in failed(evidence)] == ([] if ok else [THROUGH])

    def test_each_cpu_that_is_there_has_a_perf_buffer(self) -> None:
        trial = make_trial("libbpf", workload=READ, config=make_config(buffer=Buffer.PERF))
        own = RingAccount(262_144, 672_000, 672_000)
        evidence = traced({"contract": 2}, trial=trial, rings=(own,) * 2, possible_cpus=3, online_cpus=2)
        assert not failed(evidence)
        assert only_failure(changed(evidence, rings=(own,) * 3)).name == RING
        left = replace(own, consumed_bytes=671_832)
        assert only_failure(changed(evidence, rings=(own, left))).name == EMPTIED

    def test_where_none_is_asked_for_nothing_is_said_of_one(self) -> None:
        assert not {check.name for check in checks(counted({"17": 4000}))} & set(RINGS)


class TestVersion2:
    def test_what_is_asked_of_version_2_was_done_only_by_who_keeps_it(self) -> None:
        trial = make_trial("libbpf", workload=READ, config=make_config(wakeup="never"))
        assert not failed(traced({"contract": 2}, trial=trial))
        check = only_failure(traced({"contract": 1}, trial=trial))
        assert check.name == "tracer did what was asked"
        assert check.detail.endswith("contract 2 or later wanted, 1 kept")
        assert not failed(traced({"contract": 2}))

    def test_the_order_of_a_thread_is_not_asked_for_where_each_cpu_has_a_ring(self) -> None:
        for rings, ordered in (("1", True), ("4", True), ("cpu", False)):
            trial = make_trial("libbpf", workload=READ, config=make_config(rings=rings))
            record = replace(make_record(trial), fio=FIO)
            assert expected_content(record, make_summary(trial), (0.0, 1.0)).ordered is ordered

    def test_who_is_never_woken_may_be_silent_for_as_long_as_it_sleeps(self) -> None:
        for wakeup, longest_s in (("adaptive", 1.0), ("watermark:4096", 1.0), ("never", 3.0)):
            trial = make_trial("libbpf", workload=READ, config=make_config(wakeup=wakeup, poll_ms=2000))
            record = replace(make_record(trial), fio=FIO)
            assert expected_content(record, make_summary(trial), (0.0, 1.0)).silence_most_s == longest_s


class TestWritten:
    """What was passed to write(2), as the kernel says, has what the tracer saved, also if nothing is left of it."""

    @pytest.mark.parametrize(("written", "ok"), [(624_000, True), (624_001, True), (623_999, False), (0, False)])
    def test_what_was_saved_was_written(self, written: int, ok: bool) -> None:
        evidence = traced(written_bytes=written)
        assert [check.name for check in failed(evidence)] == ([] if ok else [WRITTEN])
        assert named(evidence, WRITTEN).detail == (
            f"{written} bytes passed to write(2), 624000 by the summary, at least 156 for each of 4000 events"
        )

    @pytest.mark.parametrize(
        ("values", "tool", "least"),
        [
            ({"format": Format.BINARY}, Tool.RW_TRACER, 156),
            ({"format": Format.BINARY, "payload_bytes": 16}, Tool.RW_TRACER_ALL, 172),
            ({"format": Format.TEXT}, Tool.RW_TRACER, 50),
            ({"format": Format.TEXT, "payload_bytes": 16}, Tool.RW_TRACER_ALL, 50),
        ],
        ids=["binary", "binary with payload", "text", "text with payload"],
    )
    def test_an_event_takes_its_bytes(self, values: dict[str, Any], tool: Tool, least: int) -> None:
        trial = make_trial("libbpf", tool=tool, workload=READ, config=make_config(**values))
        for size, ok in ((4000 * least, True), (4000 * least - 1, False)):
            summary = {"bytes": size}
            rings = (RingAccount(262_144, 10**9, 10**9),)
            evidence = traced(summary, trial=trial, rings=rings, output_bytes=size, written_bytes=size)
            assert [check.name for check in failed(evidence)] == ([] if ok else [WRITTEN])

    def test_a_tracer_without_output_must_have_written_all_the_same(self) -> None:
        trial = make_trial("libbpf", workload=READ, config=make_config(variant=Variant.NO_OUTPUT))
        nowhere: dict[str, Any] = {"trial": trial, "output_events": None, "output_bytes": None}
        assert not failed(traced(**nowhere))
        assert only_failure(traced(**nowhere, written_bytes=100)).name == WRITTEN
        assert only_failure(traced({"bytes": 0}, **nowhere)).name == WRITTEN

    def test_counts_of_system_calls_take_next_to_nothing(self) -> None:
        good = counted({"17": 4000})
        assert good.record.summary is not None
        small = changed(good, summary=replace(good.record.summary, bytes=8), output_bytes=8, written_bytes=8)
        assert not failed(small)
        assert only_failure(changed(small, written_bytes=7)).name == WRITTEN

    def test_where_the_kernel_does_not_tell_nothing_is_said(self) -> None:
        assert WRITTEN not in [check.name for check in checks(traced(written_bytes=None))]
        assert not failed(traced(written_bytes=None))


def test_the_account_of_the_evidence_is_what_its_builder_says() -> None:
    summary = traced().record.summary
    assert isinstance(summary, TracerSummary)
    assert (summary.intercepted_total, summary.saved, summary.lost_total, summary.bytes) == (4100, 4000, 100, 624_000)
