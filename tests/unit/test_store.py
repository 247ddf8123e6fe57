# SPDX-License-Identifier: Apache-2.0
"""A run directory holds whole records only, whatever happens to who writes it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from builders import make_delivery, make_record, make_trial

from bpfbench import store
from bpfbench.codec import to_json
from bpfbench.declare import study
from bpfbench.declare.plan import unroll, warm_up
from bpfbench.errors import StoreError
from bpfbench.model import RECORD_FORMAT, Record, Status, Trial
from bpfbench.model.tuning import TUNING_FORMAT, Tuning, TuningGoal
from bpfbench.store import RUN_FORMAT, Run, RunInfo

STUDY = study.load(study.find("smoke"))
TRIALS = unroll(STUDY).trials[:4]
RUNS = Path(__file__).parent.parent / "data" / "runs"


def make_info(run_id: str = "r1", trials: int = len(TRIALS)) -> RunInfo:
    return RunInfo(
        format=RUN_FORMAT,
        id=run_id,
        created_at="2026-01-02T03:04:05+00:00",
        bpfbench_version="0.1.0",
        study=STUDY,
        trials_planned=trials,
        left_out=("rw-tracer: bpftrace cannot write binary",),
        image={"name": "trixie", "key": "0123456789abcdef", "versions": {"bcc": "0.31"}},
        machine={"host": "testhost", "kernel": "6.12", "cpus": 4, "cpu_model": "CPU", "governor": None},
    )


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return store.create(tmp_path / "runs" / "r1", make_info(), TRIALS)


def write(run: Run, trial: Trial, started_at: str = "2026-01-02T03:04:05Z") -> Record:
    """Do what a campaign does for a trial."""
    record = make_record(trial, started_at=started_at)
    folder = run.begin(trial)
    (folder / "record.json").write_text(to_json(record))
    (folder / "fio.json").write_text("{}")
    run.commit(trial)
    return record


def read_all(path: Path) -> None:
    Run(path).plan()
    Run(path).records()


def reason_of(run: Run) -> str:
    """What is said of the one record, which is damaged."""
    (record,) = run.records()
    assert (record.status, record.trial) == (Status.INVALID, TRIALS[0])
    assert (record.fio, record.driven, record.summary, record.load, record.steps) == (None, None, None, None, ())
    assert record.reason is not None
    assert "\n" not in record.reason
    return record.reason


def complaint(path: Path) -> StoreError:
    with pytest.raises(StoreError) as caught:
        read_all(path)
    error = caught.value
    assert error.exit_status == 1
    assert "\n" not in error.message
    return error


class TestCreate:
    def test_a_run_says_what_it_is(self, run: Run) -> None:
        again = Run(run.path)
        assert again.info == make_info()
        assert again.plan() == TRIALS
        assert again.records() == ()
        assert again.done() == frozenset()

    def test_parents_are_made(self, tmp_path: Path) -> None:
        assert store.create(tmp_path / "a" / "b" / "r1", make_info(), TRIALS).path.is_dir()

    def test_nothing_but_the_run_is_left_beside_it(self, run: Run) -> None:
        assert [path.name for path in run.path.parent.iterdir()] == ["r1"]

    @pytest.mark.parametrize("content", [None, "mine"], ids=["empty", "filled"])
    def test_an_existing_directory_is_refused_and_untouched(self, tmp_path: Path, content: str | None) -> None:
        path = tmp_path / "r1"
        path.mkdir()
        if content:
            (path / "notes").write_text(content)
        with pytest.raises(StoreError) as caught:
            store.create(path, make_info(), TRIALS)
        assert caught.value.message == f"{path} exists already"
        assert caught.value.hint == "choose another --run-dir, or --resume it"
        assert [file.name for file in path.iterdir()] == (["notes"] if content else [])
        assert [file.name for file in tmp_path.iterdir()] == ["r1"]

    def test_the_current_directory_is_refused_like_any_other(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        with pytest.raises(StoreError, match="exists already"):
            store.create(Path(), make_info(), TRIALS)

    def test_an_existing_run_is_refused_and_untouched(self, run: Run) -> None:
        write(run, TRIALS[0])
        with pytest.raises(StoreError, match="exists already"):
            store.create(run.path, make_info(), TRIALS)
        assert len(Run(run.path).records()) == 1

    def test_a_failure_half_way_leaves_nothing(self, tmp_path: Path) -> None:
        unwritable = replace(make_info(), machine={"host": object()})
        with pytest.raises(TypeError):
            store.create(tmp_path / "r1", unwritable, TRIALS)
        assert list(tmp_path.iterdir()) == []

    def test_it_is_on_disk_when_it_is_there(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        synced: list[str] = []

        def fsync(number: int) -> None:
            found = os.fstat(number)
            synced.extend(
                str(path.relative_to(tmp_path))
                for path in (tmp_path, *tmp_path.rglob("*"))
                if (path.stat().st_dev, path.stat().st_ino) == (found.st_dev, found.st_ino)
            )

        monkeypatch.setattr(os, "fsync", fsync)
        store.create(tmp_path / "a" / "runs" / "r1", make_info(), TRIALS)
        partial = "a/runs/.r1.partial"
        assert synced == [
            f"{partial}/.run.json.partial",
            partial,
            f"{partial}/.plan.json.partial",
            partial,
            "a/runs",
            "a",
            ".",
        ]

    def test_a_place_that_cannot_be_written_is_named_with_the_reason(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(StoreError) as caught:
            store.create(tmp_path / "file" / "r1", make_info(), TRIALS)
        assert caught.value.message == f"{tmp_path}/file/r1: cannot be written: Not a directory"

    def test_what_a_killed_creation_left_is_no_run_and_no_obstacle(self, tmp_path: Path) -> None:
        made = store.create(tmp_path / "r1", make_info(), TRIALS)
        made.path.rename(tmp_path / ".r1.partial")  # all is written, and the last rename was never reached
        with pytest.raises(StoreError):
            store.find(tmp_path, "latest")
        store.create(tmp_path / "r1", make_info(), TRIALS)
        assert [path.name for path in tmp_path.iterdir()] == ["r1"]


class TestRecords:
    def test_a_record_is_read_as_it_was_written(self, run: Run) -> None:
        record = write(run, TRIALS[0])
        assert Run(run.path).records() == (record,)
        assert Run(run.path).done() == {TRIALS[0].id}

    def test_all_files_of_a_trial_lie_beside_its_record(self, run: Run) -> None:
        write(run, TRIALS[0])
        folder = run.path / "trials" / TRIALS[0].id
        assert sorted(path.name for path in folder.iterdir()) == ["fio.json", "record.json"]

    def test_records_come_in_the_order_of_the_plan_not_of_writing(self, run: Run) -> None:
        for trial in reversed(TRIALS):
            write(run, trial)
        assert [record.trial for record in run.records()] == list(TRIALS)

    def test_that_order_holds_beyond_ten_thousand_trials(self, tmp_path: Path) -> None:
        late, later = (replace(TRIALS[0], index=n - 1, id=f"{n:04d}-read") for n in (9999, 10000))
        run = store.create(tmp_path / "long", make_info("long"), (late, later))
        write(run, later)
        write(run, late)
        assert [record.trial.id for record in run.records()] == ["9999-read", "10000-read"]

    def test_a_trial_begins_in_an_empty_directory(self, run: Run) -> None:
        assert list(run.begin(TRIALS[0]).iterdir()) == []

    def test_a_partial_trial_is_never_read(self, run: Run) -> None:
        write(run, TRIALS[0])
        folder = run.begin(TRIALS[1])
        (folder / "record.json").write_text(to_json(make_record(TRIALS[1])))
        again = Run(run.path)
        assert [record.trial for record in again.records()] == [TRIALS[0]]
        assert again.done() == {TRIALS[0].id}

    def test_what_an_interrupted_trial_left_can_be_discarded_and_the_trial_begun_again(self, run: Run) -> None:
        write(run, TRIALS[0])
        (run.begin(TRIALS[1]) / "fio.json").write_text("{")
        run.discard_partial()
        assert list(run.begin(TRIALS[1]).iterdir()) == []
        assert run.done() == {TRIALS[0].id}

    def test_discarding_where_there_is_nothing_does_nothing(self, run: Run) -> None:
        run.discard_partial()
        assert run.records() == ()

    def test_a_forgotten_trial_is_to_be_run_again_and_its_files_are_kept(self, run: Run) -> None:
        write(run, TRIALS[0])
        write(run, TRIALS[1])
        run.forget(TRIALS[0].id)
        assert run.done() == {TRIALS[1].id}
        assert [record.trial for record in run.records()] == [TRIALS[1]]
        kept = [path.relative_to(run.path).parts[0] for path in run.path.glob("*/*/record.json")]
        assert sorted(kept) == ["superseded", "trials"]

    def test_a_trial_may_be_forgotten_again_and_again(self, run: Run) -> None:
        for _ in range(3):
            write(run, TRIALS[0])
            run.forget(TRIALS[0].id)
        assert run.done() == frozenset()
        assert len(list((run.path / "superseded").glob("*/record.json"))) == 3

    def test_how_many_records_were_set_aside_is_counted(self, run: Run) -> None:
        write(run, TRIALS[0])
        assert run.superseded() == 0
        run.forget(TRIALS[0].id)
        assert run.superseded() == 1
        for trial in TRIALS[:2]:
            write(run, trial)
            run.forget(trial.id)
        assert Run(run.path).superseded() == 3


def warm_up_of(trial: Trial) -> Trial:
    found = warm_up(trial, None)
    assert found is not None
    return found


class TestWarmUps:
    """Records of a kind of their own, which count nowhere."""

    def test_one_is_read_as_it_was_written_and_is_no_record_of_the_runs(self, run: Run) -> None:
        record = write(run, warm_up_of(TRIALS[0]))
        again = Run(run.path)
        assert again.warm_ups() == (record,)
        assert record.trial.warm_up
        assert (again.records(), again.done(), again.superseded()) == ((), frozenset(), 0)

    def test_one_never_stands_for_the_trial_it_is_for(self, run: Run) -> None:
        write(run, warm_up_of(TRIALS[0]))
        record = write(run, TRIALS[0])
        assert run.records() == (record,)
        assert run.done() == {TRIALS[0].id}

    def test_a_trial_that_is_begun_again_is_warmed_up_again_and_every_record_is_kept(self, run: Run) -> None:
        times = ("2026-01-02T03:04:05Z", "2026-01-02T03:05:05Z", "2026-01-02T03:06:05Z")
        records = tuple(write(run, warm_up_of(TRIALS[0]), time) for time in times)
        assert run.warm_ups() == records
        assert sorted(path.name for path in (run.path / "warm-ups").iterdir()) == [
            f"{TRIALS[0].id}-warm-up.{number}" for number in range(3)
        ]

    def test_they_come_in_the_order_they_were_run_in(self, run: Run) -> None:
        late = write(run, warm_up_of(TRIALS[0]), "2026-01-02T09:00:00Z")
        early = write(run, warm_up_of(TRIALS[1]), "2026-01-02T08:00:00Z")
        assert run.warm_ups() == (early, late)

    def test_one_that_was_interrupted_leaves_nothing(self, run: Run) -> None:
        folder = run.begin(warm_up_of(TRIALS[0]))
        (folder / "record.json").write_text(to_json(make_record(warm_up_of(TRIALS[0]))))
        run.discard_partial()
        assert run.warm_ups() == ()
        assert list(run.begin(warm_up_of(TRIALS[0])).iterdir()) == []

    def test_a_run_that_has_none_has_no_directory_for_them(self, run: Run) -> None:
        write(run, TRIALS[0])
        assert run.warm_ups() == ()
        assert not (run.path / "warm-ups").exists()

    def test_a_damaged_one_is_named(self, run: Run) -> None:
        write(run, warm_up_of(TRIALS[0]))
        path = run.path / "warm-ups" / f"{TRIALS[0].id}-warm-up.0" / "record.json"
        path.write_text("{")
        with pytest.raises(StoreError) as caught:
            run.warm_ups()
        assert caught.value.message.startswith(f"{path}: ")


class TestFormats:
    def test_what_is_written_now_is_format_6(self, run: Run) -> None:
        record = write(run, TRIALS[0])
        assert RUN_FORMAT == RECORD_FORMAT == run.info.format == record.format == 6
        assert json.loads((run.path / "plan.json").read_text())["format"] == 6

    @pytest.mark.parametrize("number", [1, 2, 3])
    def test_older_ones_are_read_and_what_they_lack_is_absent(self, number: int) -> None:
        old = Run(RUNS / f"format-{number}")
        records = old.records()
        assert old.info.format == number
        assert len(records) == len(old.plan()) == old.info.trials_planned > 0
        assert old.warm_ups() == ()
        assert not any(trial.warm_up for trial in old.plan())
        for record in records:
            assert record.format == number
            assert (record.predecessor, record.place, record.drop_gap_s) == (None, None, None)
            assert (record.at_start, record.at_end, record.calls, record.written_bytes) == (None, None, None, None)
            assert (record.hooks, record.rings) == ((), ())


@contextlib.contextmanager
def someone_else() -> Iterator[None]:
    """Be a user whom file modes bind, where tests run as root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


class TestLock:
    def test_two_campaigns_exclude_each_other(self, run: Run) -> None:
        with run.locked():
            with pytest.raises(StoreError) as caught, Run(run.path).locked():
                pytest.fail("the second campaign was let in")
            assert caught.value.message == f"{run.path}: another bpfbench is running this"
            assert caught.value.hint == "wait for it, or stop it"

    def test_after_the_first_the_second_may(self, run: Run) -> None:
        with run.locked():
            pass
        with Run(run.path).locked():
            pass

    def test_a_campaign_that_fails_gives_up_its_lock(self, run: Run) -> None:
        with pytest.raises(ZeroDivisionError), run.locked():
            raise ZeroDivisionError
        assert not run.is_locked()

    def test_whether_a_campaign_is_running_can_be_asked_without_disturbing_it(self, run: Run) -> None:
        assert not run.is_locked()
        with run.locked():
            assert Run(run.path).is_locked()
            assert Run(run.path).is_locked()
        assert not run.is_locked()

    def test_asking_before_the_first_campaign_leaves_nothing(self, run: Run) -> None:
        assert not run.is_locked()
        assert not (run.path / "lock").exists()

    def test_two_who_ask_at_once_do_not_take_each_other_for_a_campaign(self, run: Run) -> None:
        (run.path / "lock").touch()
        with (run.path / "lock").open() as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            assert not run.is_locked()

    def test_it_can_be_asked_by_someone_who_may_not_write(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        lock = Path("r1/lock")
        monkeypatch.chdir(run.path.parent)  # relative paths, because the folders above may be closed to others
        lock.touch()
        for path, mode in ((Path(), 0o755), (Path("r1"), 0o555), (Path("r1/run.json"), 0o444), (lock, 0o444)):
            path.chmod(mode)
        with contextlib.ExitStack() as campaign:
            file = campaign.enter_context(lock.open())
            campaign.enter_context(someone_else())
            with pytest.raises(PermissionError):
                lock.open("w")
            assert not Run(lock.parent).is_locked()
            fcntl.flock(file, fcntl.LOCK_EX)
            assert Run(lock.parent).is_locked()

    def test_the_runs_of_different_directories_do_not_exclude_each_other(self, tmp_path: Path) -> None:
        one, other = (store.create(tmp_path / name, make_info(name), TRIALS) for name in ("one", "other"))
        with one.locked(), other.locked():
            pass


class TestDamage:
    @pytest.mark.parametrize("file", ["run.json", "plan.json", "trials/ID/record.json"])
    @pytest.mark.parametrize(
        ("text", "fault"),
        [
            ("[" * 100_000, "nested too deep"),
            ("", "Expecting value"),
            ('{"format": 1', "Expecting"),
            ("[1, 2]", "expected dict, got list"),
            ("{}", "field 'format' is missing"),
            ('{"format": 99}', "has format 99; this bpfbench reads formats 1 to 6"),
            ('{"format": "1"}', "has format 1; this bpfbench reads formats 1 to 6"),
            ('{"format": 1, "colour": "red"}', "unknown field 'colour'"),
        ],
        ids=["deep", "empty", "cut", "list", "nothing", "later format", "format as text", "other fields"],
    )
    def test_a_file_that_is_not_what_it_should_be_is_named_with_the_fault(
        self, run: Run, file: str, text: str, fault: str
    ) -> None:
        write(run, TRIALS[0])
        path = run.path / file.replace("ID", TRIALS[0].id)
        path.write_text(text)
        if "trials" in file:
            assert fault in reason_of(run)
            return
        message = complaint(run.path).message
        assert message.startswith(f"{path}: ")
        assert fault in message

    def test_a_run_of_another_format_is_told_which_bpfbench_reads_it(self, run: Run) -> None:
        data = json.loads((run.path / "run.json").read_text())
        (run.path / "run.json").write_text(json.dumps({**data, "format": 7, "colour": "red"}))
        error = complaint(run.path)
        assert error.message == f"{run.path}/run.json: has format 7; this bpfbench reads formats 1 to 6"
        assert error.hint == "use the bpfbench version that run.json names"

    def test_a_file_that_is_no_text_is_named(self, run: Run) -> None:
        (run.path / "run.json").write_bytes(b"\xff\xfe\xfd")
        assert complaint(run.path).message.startswith(f"{run.path}/run.json: ")

    def test_a_record_that_is_missing_is_told(self, run: Run) -> None:
        write(run, TRIALS[0])
        path = run.path / "trials" / TRIALS[0].id / "record.json"
        path.unlink()
        assert reason_of(run) == "its record cannot be used: No such file or directory"

    def test_what_a_run_tunes_is_read_as_all_else_of_it(self, run: Run) -> None:
        assert run.tuning() is None
        run.keep_tuning(kept := Tuning(TUNING_FORMAT, TuningGoal(("overhead",), 99.0, None, None, (), 60.0), {}))
        assert run.tuning() == kept
        path = run.path / "tune.json"
        path.write_text(path.read_text().replace('"format": 1', '"format": 9'))
        with pytest.raises(StoreError, match="has format 9; this bpfbench reads formats 1 to 1"):
            run.tuning()

    def test_records_that_are_missing_altogether_are_told(self, run: Run) -> None:
        (run.path / "trials").rmdir()
        assert complaint(run.path).message == f"{run.path}/trials: No such file or directory"

    @pytest.mark.parametrize(
        ("before", "after", "fault"),
        [
            ('"runtime_s": 10.0', '"runtime_s": "fast"', "fio.runtime_s: expected float, got str"),
            ('"runtime_s": 10.0', '"runtime_s": -10.0', "fio.runtime_s: -10.0 is impossible"),
            ('"runtime_s": 10.0', '"runtime_s": NaN', "fio.runtime_s: nan is impossible"),
            ('"runtime_s": 10.0', '"runtime_s": 1e999', "fio.runtime_s: inf is impossible"),
            ('"runtime_s": 10.0', f'"runtime_s": {"9" * 400}', "fio.runtime_s: 9999"),
            ('"runtime_s": 10.0', '"runtime_s": 0', "runtime_s: 0 s is no runtime"),
            ('"saved": 1000', '"saved": 1001', "summary.saved: 1001 events saved, of 1000 intercepted"),
            ('"cpu_percent": 24.0', '"cpu_percent": 240.0', "load.cpu_percent: 240 % of all CPUs"),
            ('"99.000000": 27.0', '"99.000000": 2.0', "a higher percentile is lower"),
            ('"setup": "libbpf"', '"setup": "bcc"', "it is of another trial than the plan has by this id"),
            ('"repetition": 1', '"repetition": 2', "it is of another trial than the plan has by this id"),
        ],
    )
    def test_a_record_that_cannot_be_true_is_an_invalid_trial_and_all_others_are_read(
        self, tmp_path: Path, before: str, after: str, fault: str
    ) -> None:
        trials = tuple(replace(make_trial("libbpf", n), index=n, repetition=1) for n in range(2))
        run = store.create(tmp_path / "two", make_info("two"), trials)
        for trial in trials:
            write(run, trial)
        path = run.path / "trials" / trials[0].id / "record.json"
        text = path.read_text()
        assert before in text
        path.write_text(text.replace(before, after))
        first, second = run.records()
        assert (first.status, second.status) == (Status.INVALID, Status.OK)
        assert first.trial == trials[0]
        assert fault in str(first.reason)

    def test_so_is_one_whose_delays_cannot_be(self, run: Run) -> None:
        record = replace(make_record(TRIALS[0]), delivery=make_delivery())
        folder = run.begin(TRIALS[0])
        (folder / "record.json").write_text(to_json(record).replace('"p99": 4000000', '"p99": 1'))
        run.commit(TRIALS[0])
        (found,) = run.records()
        assert found.reason is not None
        assert "delivery.delay_ns: a higher percentile is lower than another" in found.reason

    def test_text_that_looks_like_an_impossible_number_is_none(self, run: Run) -> None:
        record = make_record(TRIALS[0], reason="x: -5, [-1, NaN] and 1e999")
        folder = run.begin(TRIALS[0])
        (folder / "record.json").write_text(to_json(record))
        run.commit(TRIALS[0])
        assert run.records() == (record,)

    def test_a_damaged_record_can_be_set_aside_so_that_its_trial_is_run_again(self, run: Run) -> None:
        write(run, TRIALS[0])
        (run.path / "trials" / TRIALS[0].id / "record.json").write_bytes(b"\xff")
        assert "no UTF-8 text at byte 0" in reason_of(run)
        assert run.done() == {TRIALS[0].id}
        run.forget(TRIALS[0].id)
        assert (run.records(), run.superseded()) == ((), 1)

    def test_a_wrong_key_of_a_plan_is_named_with_what_to_do(self, run: Run) -> None:
        path = run.path / "plan.json"
        data = json.loads(path.read_text())
        data["trials"][1]["index"] = "second"
        path.write_text(json.dumps(data))
        error = complaint(run.path)
        assert error.message == f"{path}: trials[1].index: expected int, got str"
        assert error.hint == "put back the file as it was, or start a new run"


class TestFind:
    @pytest.fixture
    def runs(self, tmp_path: Path) -> Path:
        for name in ("20260101-000000-quick", "20260203-000000-smoke", "20260102-000000-quick"):
            store.create(tmp_path / "runs" / name, make_info(name), TRIALS)
        (tmp_path / "runs" / "zzz-no-run").mkdir()
        return tmp_path / "runs"

    def test_by_path(self, runs: Path) -> None:
        path = runs / "20260101-000000-quick"
        assert store.find(Path("elsewhere"), str(path)).path == path

    def test_by_id(self, runs: Path) -> None:
        assert store.find(runs, "20260102-000000-quick").info.id == "20260102-000000-quick"

    @pytest.mark.parametrize("name", ["20260101-000000-quick", "20260203-000000-smoke", "20260102-000000-quick"])
    def test_the_latest_is_the_one_begun_last_whatever_its_name(self, runs: Path, name: str) -> None:
        for path in runs.glob("*/run.json"):
            os.utime(path, (1e9, 2e9 if path.parent.name == name else 1e9))
        assert store.find(runs, "latest").info.id == name

    @pytest.mark.parametrize("name", ["20260104", "zzz-no-run", "/no/where"])
    def test_a_run_that_does_not_exist_is_refused_with_those_that_do(self, runs: Path, name: str) -> None:
        with pytest.raises(StoreError) as caught:
            store.find(runs, name)
        assert caught.value.message == (
            f"{name!r} is no run: neither a run directory nor a run in {runs} "
            "(there: 20260101-000000-quick, 20260102-000000-quick, 20260203-000000-smoke)"
        )

    @pytest.mark.parametrize("name", ["latest", "20260104"])
    def test_where_there_are_no_runs_yet_it_says_so(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(StoreError) as caught:
            store.find(tmp_path / "runs", name)
        assert caught.value.message.endswith("(there: none yet)")

    def test_of_many_runs_the_last_five_are_listed(self, tmp_path: Path) -> None:
        for number in range(7):
            store.create(tmp_path / f"run{number}", make_info(), TRIALS)
        with pytest.raises(StoreError) as caught:
            store.find(tmp_path, "nope")
        assert caught.value.message.endswith("(there: run2, run3, run4, run5, run6)")


class TestStrangers:
    """A run directory may be anybody's: it leads nowhere else."""

    def test_what_is_of_no_trial_in_the_plan_is_not_read_and_is_told(self, run: Run) -> None:
        write(run, TRIALS[0])
        write(run, make_trial("bcc"))
        (run.path / "trials" / "lost+found").mkdir()
        assert [record.trial for record in run.records()] == [TRIALS[0]]
        assert run.strays() == ("lost+found", make_trial("bcc").id)

    @pytest.mark.parametrize(
        ("field", "value", "fault"),
        [
            ("id", "../../../escape", "trials[1].id: '../../../escape' is no name of ours"),
            ("id", "/etc/cron.d/x", "trials[1].id: '/etc/cron.d/x' is no name of ours"),
            ("id", "..", "trials[1].id: '..' is no name of ours"),
            ("id", "a\nb", "is no name of ours"),
            ("id", "", "trials[1].id: '' is no name of ours"),
            ("id", TRIALS[0].id, f"trials[1].id: {TRIALS[0].id!r} is there twice"),
            ("setup", "../libbpf", "trials[1].setup: '../libbpf' is no name of ours"),
            ("host", "../x", "trials[1].host: '../x' is no name of ours"),
            ("kernel", "../x", "trials[1].kernel: '../x' is no name"),
            ("repetition", 0, "trials[1].repetition: they are counted from 1"),
            ("block", -1, "trials[1].block: -1 is impossible"),
        ],
    )
    def test_a_plan_that_leads_elsewhere_is_refused(self, run: Run, field: str, value: object, fault: str) -> None:
        path = run.path / "plan.json"
        data = json.loads(path.read_text())
        data["trials"][1][field] = value
        path.write_text(json.dumps(data))
        assert fault in complaint(run.path).message

    @pytest.mark.parametrize(
        ("place", "value", "fault"),
        [
            (("study", "name"), "../x", "study.name: '../x' is no name"),
            (("study", "hosts"), ["a/b"], "study.hosts[0]: 'a/b' is no name of ours"),
            (("study", "paths", "data"), "../../etc", "study.paths.data: '../../etc' is no absolute path"),
            (("study", "repetitions"), -1, "study.repetitions: -1 is impossible"),
            (("image", "key"), 5, "image.key: a text is wanted"),
            (("machine",), {"cpus": 2, "cpu_model": "x"}, "machine: field 'kernel' is missing"),
            (("machine", "cpus"), "two", "machine.cpus: expected int, got str"),
            (("machine", "hosts"), {"a": 1}, "machine.hosts.a: expected dict, got int"),
        ],
    )
    def test_a_run_that_leads_elsewhere_is_refused(
        self, run: Run, place: tuple[str, ...], value: object, fault: str
    ) -> None:
        path = run.path / "run.json"
        data = json.loads(path.read_text())
        part = data
        for key in place[:-1]:
            part = part[key]
        part[place[-1]] = value
        path.write_text(json.dumps(data))
        assert fault in complaint(run.path).message

    def test_a_record_that_is_a_pipe_is_not_waited_for(self, run: Run) -> None:
        write(run, TRIALS[0])
        path = run.path / "trials" / TRIALS[0].id / "record.json"
        path.unlink()
        os.mkfifo(path)
        assert "it is no file" in reason_of(run)
