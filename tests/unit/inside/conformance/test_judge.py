# SPDX-License-Identifier: Apache-2.0
"""The judge of the conformance suite believes a tracer that reports what was done, and no other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpfbench.inside.conformance.fork import NUMBERS
from bpfbench.inside.conformance.judge import (
    CLOCK_SLACK_NS,
    FailedError,
    agree,
    expect,
    in_order,
    match,
    match_counts,
    numbered,
    outliers,
)
from bpfbench.inside.conformance.output import Event
from bpfbench.inside.conformance.program import UNUSED_SYSCALL, Call, Did, Thread
from bpfbench.model import Tool

MS = 1_000_000
SHARED = [field.name for field in fields(Event) if field.name in {field.name for field in fields(Call)}]
IDS = ((100, 100), (100, 101), (200, 200))
"""pid and tid of each thread."""


def call(thread: int, number: int, **values: object) -> Call:
    """A read or, every other time, a write of a file of the thread's own."""
    begin = 1000 * MS + number * MS
    usual = Call(
        before_ns=begin,
        after_ns=begin + MS // 2,
        not_before_ns=begin,
        kind=("read", "pwrite64", "pread64", "write")[number % 4],
        offset=4096 * number,
        count=512,
        ret=3,
        inode=70 + thread,
        dev=8 << 20,
        op=number % 2,
        flags=2,
        uid=0,
        comm="conf",
        name=f"file{thread}",
        payload_len=3,
        payload="61 62 63",
        vfs=True,
    )
    return replace(usual, **values)  # type: ignore[arg-type]


def seen(made: Call, thread: int, **values: object) -> Event:
    """The event that a good tracer reports of a call."""
    pid, tid = IDS[thread]
    columns = {name: getattr(made, name) for name in SHARED}
    usual = Event(enter_ns=made.before_ns + 1000, exit_ns=made.after_ns - 1000, pid=pid, tid=tid, **columns)
    return replace(usual, **values)  # type: ignore[arg-type]


def did(*threads: Iterable[Call]) -> Did:
    """Three threads in two processes."""
    about = ((0, True), (0, False), (1, True))
    return Did(tuple(Thread(*about[number], tuple(calls)) for number, calls in enumerate(threads)), 7)


DONE = did(*([call(thread, number) for number in range(5)] for thread in range(3)))
SEEN = tuple(seen(made, number) for number, thread in enumerate(DONE.threads) for made in thread.calls)
"""All there is to report; five events of each thread."""


def judged(events: Iterable[Event], done: Did = DONE, *, complete: bool = True) -> dict[int, int]:
    return match(events, done, Tool.RW_TRACER_ALL, complete=complete)


def failure(events: Iterable[Event], done: Did = DONE, *, complete: bool = True) -> str:
    with pytest.raises(FailedError) as caught:
        judged(events, done, complete=complete)
    return str(caught.value)


def changed(number: int, **values: object) -> list[Event]:
    """All events, with one that differs."""
    return [replace(event, **values) if i == number else event for i, event in enumerate(SEEN)]  # type: ignore[arg-type]


class TestGood:
    @given(st.permutations(SEEN))
    def test_what_was_done_is_believed_in_any_order(self, events: list[Event]) -> None:
        assert judged(events) == {100: 0, 101: 1, 200: 2}

    @given(st.sets(st.sampled_from(SEEN)))
    def test_where_events_may_be_lost_any_part_of_it_is_believed(self, events: set[Event]) -> None:
        assert set(judged(events, complete=False)) == {event.tid for event in events}

    @pytest.mark.parametrize("slack", [0, CLOCK_SLACK_NS])
    def test_the_clocks_of_kernel_and_program_may_differ_a_little(self, slack: int) -> None:
        made = DONE.threads[0].calls[2]
        judged(changed(2, enter_ns=made.before_ns - slack, exit_ns=made.after_ns + slack))

    def test_rw_tracer_reports_the_same_without_payload(self) -> None:
        bare = [replace(event, payload_len=0, payload="") for event in SEEN]
        assert match(bare, DONE, Tool.RW_TRACER, complete=True) == {100: 0, 101: 1, 200: 2}
        with pytest.raises(FailedError, match=r"^payload_len is 3, not 0: "):
            match(SEEN, DONE, Tool.RW_TRACER, complete=True)

    def test_calls_that_are_alike_and_follow_each_other_fast_are_told_apart_by_their_number(self) -> None:
        one = call(0, 0, after_ns=1000 * MS + 2000)
        twins = [replace(one, before_ns=one.before_ns + n * 2000, after_ns=one.after_ns + n * 2000) for n in range(3)]
        events = [seen(twin, 0, enter_ns=twin.before_ns + 500, exit_ns=twin.after_ns - 500) for twin in twins]
        done = did(twins)
        assert judged(events, done) == {100: 0}
        assert failure(events[:2], done).startswith("1 calls are not reported, such as read(")
        assert failure([*events, events[1]], done).startswith("reported twice: event(")


class TestAgreement:
    """Hooks of the VFS see the same as tracepoints, a little later and for a little less long."""

    WITHIN = tuple(replace(event, enter_ns=event.enter_ns + 500, exit_ns=event.exit_ns - 500) for event in SEEN)

    @given(st.permutations(WITHIN), st.permutations(SEEN))
    def test_events_within_their_equals_agree_in_any_order(self, inner: list[Event], outer: list[Event]) -> None:
        agree(inner, outer)

    def test_calls_that_the_vfs_never_sees_are_no_disagreement(self) -> None:
        agree(self.WITHIN[::2], SEEN)

    @pytest.mark.parametrize(
        "values", [{"offset": 1}, {"ret": -9}, {"inode": 1}, {"pid": 1}, {"payload": "61 62 64"}, {"name": "other"}]
    )
    def test_a_column_that_differs_is_one(self, values: dict[str, object]) -> None:
        with pytest.raises(FailedError, match=r"^tracepoints saw event\(.*, and not event\("):
            agree([replace(self.WITHIN[3], **values)], SEEN)  # type: ignore[arg-type]

    @pytest.mark.parametrize(("column", "sign"), [("enter_ns", -1), ("exit_ns", 1)])
    def test_a_time_outside_its_equal_is_one(self, column: str, sign: int) -> None:
        moved = {column: getattr(SEEN[3], column) + sign * 2 * CLOCK_SLACK_NS}
        with pytest.raises(FailedError, match=r"^tracepoints saw "):
            agree([replace(SEEN[3], **moved)], SEEN)

    def test_an_event_of_a_thread_that_tracepoints_never_saw_is_one(self) -> None:
        with pytest.raises(FailedError, match=r"^before all that tracepoints saw of that thread: event"):
            agree([replace(self.WITHIN[0], tid=999)], SEEN)


class TestOrder:
    """Calls of one thread end one after the other; those of several threads in any order."""

    @given(st.permutations(range(3)))
    def test_threads_may_come_in_any_order(self, order: list[int]) -> None:
        in_order(event for thread in order for event in SEEN[5 * thread : 5 * thread + 5])
        in_order(SEEN[5 * thread + number] for number in range(5) for thread in order)

    def test_an_event_after_one_that_ended_later_is_shown(self) -> None:
        with pytest.raises(FailedError, match=r"^of one thread, event\(.* comes after event\("):
            in_order((*SEEN[:2], SEEN[3], SEEN[2]))

    @given(st.permutations(range(2)))
    def test_what_may_be_in_any_order_is_told_apart(self, order: list[int]) -> None:
        in_order((event for part in order for event in SEEN[part:5:2]), lambda event: SEEN.index(event) % 2)
        with pytest.raises(FailedError, match=r"^of one thread, "):
            in_order((SEEN[2], SEEN[0]), lambda event: SEEN.index(event) % 2)

    @given(st.permutations(SEEN[:5]))
    def test_times_put_the_numbers_of_reads_in_order(self, events: list[Event]) -> None:
        numbered(events)
        numbered(replace(event, offset=0) for event in events)
        with pytest.raises(FailedError, match=r"^of one thread, by their times, event\(.* comes after event\("):
            numbered([replace(event, offset=4096 * 5 - event.offset) for event in events])
        with pytest.raises(FailedError, match=r"^of one thread, by their times, "):
            numbered([*events, SEEN[3]])


class TestMissing:
    def test_a_call_that_is_not_reported_is_shown(self) -> None:
        events = [event for event in SEEN if event != SEEN[6]]
        assert failure(events) == (
            "1 calls are not reported, such as pwrite64(offset=4096, count=512, ret=3, inode=71, dev=8388608, op=1, "
            "flags=2, uid=0, comm='conf', name='file1', payload_len=3, payload='61 62 63')"
        )

    @pytest.mark.parametrize("thread", range(3))
    def test_a_whole_thread_that_is_not_reported_is_told(self, thread: int) -> None:
        events = [event for event in SEEN if event.tid != IDS[thread][1]]
        assert failure(events).startswith("no event of a whole thread, such as read(")

    def test_a_tracer_that_reports_nothing_is_no_good(self) -> None:
        assert failure([]).startswith("no event of a whole thread, such as read(")


class TestInvented:
    @pytest.mark.parametrize("complete", [True, False])
    def test_an_event_that_is_reported_twice_is_shown(self, complete: bool) -> None:
        assert failure([*SEEN, SEEN[3]], complete=complete).startswith("reported twice: event(enter_ns=1003001000, ")

    @pytest.mark.parametrize("complete", [True, False])
    @pytest.mark.parametrize("at_ns", [0, 999 * MS, 1002 * MS + 3 * MS // 4, 2000 * MS])
    def test_an_event_from_when_nothing_was_done_is_shown(self, complete: bool, at_ns: int) -> None:
        invented = replace(SEEN[2], enter_ns=at_ns, exit_ns=at_ns + 10)
        message = failure([*SEEN, invented], complete=complete)
        assert message.startswith(f"an event from when nothing was done: event(enter_ns={at_ns}, ")

    def test_an_event_of_a_thread_that_did_nothing_is_told(self) -> None:
        message = failure([*SEEN, replace(SEEN[2], tid=102)])
        assert message.startswith(
            "events of 4 tids [100, 101, 102, 200], where 3 threads did something; such as event("
        )


class TestColumns:
    @pytest.mark.parametrize(
        ("column", "value", "told"),
        [
            ("offset", 8193, "offset is 8193, not 8192"),
            ("count", 511, "count is 511, not 512"),
            ("ret", 0, "ret is 0, not 3"),
            ("inode", 0, "inode is 0, not 70"),
            ("dev", 8, "dev is 8, not 8388608"),
            ("op", 1, "op is 1, not 0"),
            ("flags", 0, "flags is 0, not 2"),
            ("uid", 1000, "uid is 1000, not 0"),
            ("comm", "conf-1", "comm is 'conf-1', not 'conf'"),
            ("name", "file", "name is 'file', not 'file0'"),
            ("payload_len", 2, "payload_len is 2, not 3"),
            ("payload", "61 62 64", "payload is '61 62 64', not '61 62 63'"),
        ],
    )
    @pytest.mark.parametrize("complete", [True, False])
    def test_a_column_that_differs_is_told_with_both_values_the_event_and_the_call(
        self, column: str, value: object, told: str, complete: bool
    ) -> None:
        message = failure(changed(2, **{column: value}), complete=complete)
        assert message.startswith(f"{told}: event(enter_ns=1002001000, ")
        assert "; what was done: pread64(offset=8192, " in message

    def test_every_column_is_compared_somehow(self) -> None:
        for field in fields(Event):
            wrong: object = "x" if field.type in ("str", str) else 7 * 10**12
            failure(changed(2, **{field.name: wrong}))

    def test_a_long_value_is_cut_in_messages(self) -> None:
        message = failure(changed(2, payload="00 " * 4096))
        assert "… (12290 characters)" in message
        assert len(message) < 1000


class TestTimes:
    def test_an_event_that_ends_after_its_call_is_told(self) -> None:
        made = DONE.threads[0].calls[2]
        message = failure(changed(2, exit_ns=made.after_ns + CLOCK_SLACK_NS + 1))
        assert message.startswith(f"the call was between {made.before_ns} and {made.after_ns}, not ")

    def test_an_event_that_begins_before_its_call_is_of_no_call(self) -> None:
        made = DONE.threads[0].calls[2]
        message = failure(changed(2, enter_ns=made.before_ns - CLOCK_SLACK_NS - 1))
        assert message.startswith("an event from when nothing was done: ")

    def test_an_event_that_ends_before_it_begins_is_told(self) -> None:
        assert failure(changed(2, exit_ns=SEEN[2].enter_ns - 1)).startswith("the call was between ")

    def test_a_call_that_waited_did_not_return_before_what_it_waited_for(self) -> None:
        waited = call(0, 0, after_ns=1030 * MS, not_before_ns=1020 * MS)
        good = seen(waited, 0)
        judged([good], did([waited]))
        judged([replace(good, exit_ns=waited.not_before_ns - CLOCK_SLACK_NS)], did([waited]))
        message = failure([replace(good, exit_ns=1010 * MS)], did([waited]))
        assert message.startswith("the call returned after 1020000000, not at 1010000000: event(")


class TestIds:
    def test_all_events_of_a_process_have_its_pid(self) -> None:
        assert failure(changed(7, pid=102)).startswith("pid is 102, and 100 in another event of that process: event(")

    def test_pid_and_tid_of_a_main_thread_are_the_same(self) -> None:
        events = [replace(event, pid=300) if event.tid == 200 else event for event in SEEN]
        assert failure(events).startswith("pid is 300 in the main thread 200: event(")

    def test_pid_and_tid_of_another_thread_are_not(self) -> None:
        alone = [replace(event, pid=101) for event in SEEN if event.tid == 101]
        assert failure(alone, complete=False).startswith("pid is 101 in another thread 101: event(")

    def test_pid_and_tid_that_are_swapped_are_found_out(self) -> None:
        failure([replace(event, pid=event.tid, tid=event.pid) for event in SEEN])

    def test_two_processes_have_two_pids(self) -> None:
        events = [replace(event, pid=200) for event in SEEN if event.tid != 100]
        assert failure(events, complete=False) == "2 processes have the pids [200, 200]"

    def test_a_thread_has_one_tid(self) -> None:
        message = failure(changed(2, tid=102))
        assert message.startswith("events of 4 tids [100, 101, 102, 200], where 3 threads did something")

    def test_two_threads_have_two_tids(self) -> None:
        failure([replace(event, tid=100) for event in SEEN])
        failure([replace(event, tid=100, pid=100) for event in SEEN], complete=False)


class TestOutliers:
    def test_those_that_agree_are_not_blamed(self) -> None:
        assert outliers({}, "tids") == {}
        assert outliers({"a": {1: 2}}, "tids") == {}
        assert outliers({"a": {1: 2, 3: 4}, "b": {3: 4, 1: 2}}, "tids") == {}

    def test_whoever_differs_from_most_is_told_in_what(self) -> None:
        reported = {"a": {1: 2, 3: 5}, "b": {1: 2, 3: 4}, "c": {1: 2, 3: 4}}
        assert outliers(reported, "counts") == {"a": "counts: [(3, 5)], where most other tracers report [(3, 4)]"}

    def test_what_is_lacking_or_too_much_differs_too(self) -> None:
        reported = {"a": {1: 2}, "b": {1: 2, 3: 4}, "c": {1: 2, 3: 4}, "d": {1: 2, 3: 4, 5: 6}}
        assert outliers(reported, "counts") == {
            "a": "counts: [], where most other tracers report [(3, 4)]",
            "d": "counts: [(5, 6)], where most other tracers report []",
        }


class TestCounts:
    PREAD, PWRITE = NUMBERS["pread64"], NUMBERS["pwrite64"]
    RIGHT = {NUMBERS["read"]: 6, NUMBERS["write"]: 3, PREAD: 3, PWRITE: 3, UNUSED_SYSCALL: 7}  # noqa: RUF012

    def test_what_was_done_is_believed_whatever_else_was_counted(self) -> None:
        match_counts({**self.RIGHT, 3: 1000}, DONE)

    @pytest.mark.parametrize("number", RIGHT)
    @pytest.mark.parametrize("more", [-1, 1])
    def test_a_wrong_count_is_told_with_both(self, number: int, more: int) -> None:
        wrong = {**self.RIGHT, number: self.RIGHT[number] + more}
        with pytest.raises(
            FailedError, match=f"^system call {number}: {wrong[number]} counted, {self.RIGHT[number]} made$"
        ):
            match_counts(wrong, DONE)

    @pytest.mark.parametrize("number", RIGHT)
    def test_a_count_that_is_missing_is_told(self, number: int) -> None:
        rest = {key: count for key, count in self.RIGHT.items() if key != number}
        with pytest.raises(FailedError, match=f"^system call {number}: 0 counted, "):
            match_counts(rest, DONE)

    def test_calls_the_tracer_says_it_lost_are_not_missing_from_its_counts(self) -> None:
        match_counts({**self.RIGHT, self.PREAD: 2, self.PWRITE: 2}, DONE, refused=2)
        with pytest.raises(FailedError, match=f"^system call {self.PWRITE}: 1 counted, 3 made$"):
            match_counts({**self.RIGHT, self.PREAD: 2, self.PWRITE: 1}, DONE, refused=2)


def test_what_does_not_hold_is_a_failure_with_its_message() -> None:
    expect(True, "x")
    with pytest.raises(FailedError, match=r"^so it is$"):
        expect(False, "so it is")
