# SPDX-License-Identifier: Apache-2.0
"""The run directory: layout, format version, atomic writes.

    RUN/run.json            what this run is: format, study as resolved, plan size, image, machine
    RUN/plan.json           every trial in its order
    RUN/log.txt             what bpfbench said and ran
    RUN/lock                held while a campaign runs
    RUN/trials/ID/          one record: record.json, fio.json, summary.json, samples.csv, *.stderr
    RUN/warm-ups/ID.N/      the records of warm-ups: discarded trials, in no plan and counted nowhere
    RUN/partial/ID/         the trial in flight; never read
    RUN/tune.json           what is tuned, and which configurations are validated, of a run that tunes
    RUN/live.{json,html}    how a campaign on a cluster is going

It may come from anybody, and be damaged. Nothing of it is believed before `soundness` has looked at it, and no link in
it is followed. A trial whose record cannot be believed is an invalid one, with the reason.

docs/result-format.md describes every file. What overhead measures has a directory of another kind.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

from bpfbench import soundness
from bpfbench.codec import decode, to_json
from bpfbench.errors import StoreError
from bpfbench.model import RECORD_FORMAT, Record, Settings, Status, Study, Trial, TrialSpec, blank_record
from bpfbench.model.live import LIVE_FORMAT, Live
from bpfbench.model.tuning import TUNING_FORMAT, Tuning

RUN_FORMAT = 6
"""Version of the run directory. History: 1 (first); 2 (hosts, kernels, variants, virtual machines);
3 (rate-limited workloads); 4 (warm-ups; vanilla twice in a block); 5 (targets besides fio);
6 (tracers that are commands)."""


@dataclass(frozen=True, slots=True)
class RunInfo:
    """What a run is; fixed when it starts, but for its repetitions, which can become more."""

    format: int
    id: str
    created_at: str
    bpfbench_version: str
    study: Study
    trials_planned: int
    left_out: tuple[str, ...]
    image: dict[str, Any]
    """Name, key, versions: as image.json has it."""
    machine: dict[str, Any]
    """Facts about machine and kernel."""
    executables: dict[str, str] = field(default_factory=dict)
    """SHA-256 of the tracers that the study brings, by setup, and of the files of its targets, by path."""

    @property
    def parts(self) -> tuple[str, ...]:
        """The layers of packages that it began with, beside the image."""
        return tuple(self.image.get("parts", ()))


OURS = (
    "lock",
    "log.txt",
    "run.json",
    "plan.json",
    "trials",
    "warm-ups",
    "partial",
    "superseded",
    "tune.json",
    "live.json",
    "live.html",
    "connection.json",
)
"""What a campaign writes to, in the run directory."""


@dataclass(frozen=True, slots=True)
class _StoredPlan:
    format: int
    trials: tuple[Trial, ...]


class Run:
    """An existing run directory.

    Raises:
        StoreError: it cannot be read, or cannot be what it says.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.info = _read(
            RunInfo,
            path / "run.json",
            RUN_FORMAT,
            numbers_at="study",
            check=lambda info: soundness.run(info.study, info.image, info.machine),
        )

    @property
    def log_file(self) -> Path:
        """The run's log."""
        return self.path / "log.txt"

    def plan(self) -> tuple[Trial, ...]:
        """Return every trial of the run in its order.

        Raises:
            StoreError: the plan cannot be read, or cannot be one.
        """
        return _read(
            _StoredPlan, self.path / "plan.json", RUN_FORMAT, check=lambda plan: soundness.plan(plan.trials)
        ).trials

    def extend(self, study: Study, trials: Sequence[Trial]) -> None:
        """Add a round to the plan: `study` is the same with one repetition more.

        Raises:
            StoreError: it cannot be written.
        """
        self.revise(replace(self.info, study=study), (*self.plan(), *trials))

    def revise(self, info: RunInfo, trials: Sequence[Trial]) -> None:
        """Have another plan from now on, of which whatever has a record is as it was.

        Raises:
            StoreError: it cannot be written.
        """
        info = replace(info, trials_planned=len(trials))
        with writing(self.path):
            # In this order: a plan that is longer than run.json says is run to its end all the same.
            write_whole(self.path / "plan.json", to_json(_StoredPlan(RUN_FORMAT, tuple(trials))), synced=True)
            write_whole(self.path / "run.json", to_json(info), synced=True)
        self.info = info

    @property
    def tunes(self) -> bool:
        """Whether it looks for the best configuration."""
        return (self.path / "tune.json").exists()

    def tuning(self) -> Tuning | None:
        """Return what is tuned, and how far that is; None of a run that tunes nothing.

        Raises:
            StoreError: it cannot be read.
        """
        return _read(Tuning, self.path / "tune.json", TUNING_FORMAT) if self.tunes else None

    def keep_tuning(self, tuning: Tuning) -> None:
        """Keep how far tuning is, on disk before this returns.

        Raises:
            StoreError: it cannot be written.
        """
        with writing(self.path):
            write_whole(self.path / "tune.json", to_json(tuning), synced=True)

    def live(self) -> Live | None:
        """Return how a campaign on a cluster is going; None of a run that was never on one."""
        path = self.path / "live.json"
        return _read(Live, path, LIVE_FORMAT) if path.exists() else None

    def records(self) -> tuple[Record, ...]:
        """Return the record of every trial that has one, in the order of the plan.

        One that is damaged, or cannot be true, is that of an invalid trial, with the reason and without a number. What
        is a record of no trial in the plan is none of the run's (`strays`).

        Raises:
            StoreError: plan or directory cannot be read.
        """
        done = self.done()
        return tuple(self._record(trial) for trial in self.plan() if trial.id in done)

    def _record(self, trial: Trial) -> Record:
        try:
            _no_link(folder := self.path / "trials" / trial.id)
            found = _read(Record, folder / "record.json", RECORD_FORMAT, check=soundness.record)
        except StoreError as error:
            fault = error.message.removeprefix(f"{folder / 'record.json'}: ")
        else:
            if found.trial == trial:
                return found
            fault = "it is of another trial than the plan has by this id"
        blank = blank_record(TrialSpec(trial, Settings()), "", "")
        return replace(blank, status=Status.INVALID, reason=f"its record cannot be used: {fault}")

    def strays(self) -> tuple[str, ...]:
        """Return what is among the records, and of no trial in the plan."""
        return tuple(sorted(self.done() - {trial.id for trial in self.plan()}))

    def warm_ups(self) -> tuple[Record, ...]:
        """Return the records of warm-ups in the order they were run in; those of formats 1 to 3 had none.

        Raises:
            StoreError: a record cannot be read.
        """
        paths = _entries_if_any(self.path / "warm-ups")
        for path in paths:
            _no_link(path)
        records = (_read(Record, path / "record.json", RECORD_FORMAT, check=soundness.record) for path in paths)
        return tuple(sorted(records, key=lambda record: record.started_at))

    def done(self) -> frozenset[str]:
        """Return the ids of the trials that have a record."""
        return frozenset(path.name for path in _entries(self.path / "trials"))

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep a second campaign out; the kernel drops the lock when its holder dies.

        Raises:
            StoreError: another campaign is running, or what it would write to is a link, or anybody's.
        """
        for name in OURS:
            _no_link(self.path / name)
        self._require_unexposed()
        with _opened(self.path / "lock", os.O_RDWR | os.O_CREAT) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StoreError(f"{self.path}: another bpfbench is running this", "wait for it, or stop it") from None
            yield

    def _require_unexposed(self) -> None:
        if reason := soundness.exposed(self.path.absolute().parent):
            raise StoreError(reason, "move the run to where nobody but root and you can write")
        for folder in (self.path, self.path / "trials"):
            if reason := soundness.exposed(folder):
                raise StoreError(reason, f"make it root's: chown -R root: {self.path}; chmod -R go-w {self.path}")

    def is_locked(self) -> bool:
        """Tell whether a campaign is running; works for whoever may read the run."""
        try:
            with _opened(self.path / "lock", os.O_RDONLY) as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return False
        except BlockingIOError:
            return True
        except OSError:
            return False  # there is no lock file before the first campaign

    def superseded(self) -> int:
        """Return how many records of failed trials were set aside because the trials were run again."""
        return len(_entries_if_any(self.path / "superseded"))

    def begin(self, trial: Trial) -> Path:
        """Return an empty directory for the files of a trial."""
        folder = self._partial(trial)
        folder.mkdir(parents=True)
        return folder

    def commit(self, trial: Trial) -> None:
        """Move a finished trial's directory into place, whole or not at all, on disk before this returns."""
        partial = self._partial(trial)
        for path in partial.iterdir():
            _sync(path)
        _sync(partial)
        # A warm-up may be run again: an interruption before the trial that it is for makes that necessary.
        target = self._numbered("warm-ups", trial.id) if trial.warm_up else self.path / "trials" / trial.id
        partial.rename(target)
        _sync(target.parent)

    def discard_partial(self) -> None:
        """Delete what an interrupted trial left."""
        shutil.rmtree(self.path / "partial", ignore_errors=True)

    def forget(self, trial_id: str) -> None:
        """Set a record aside, so that its trial is run again: it moves to RUN/superseded."""
        (self.path / "trials" / trial_id).rename(self._numbered("superseded", trial_id))

    def _numbered(self, folder: str, trial_id: str) -> Path:
        """Return the next free name for a trial in a folder that may have it more than once."""
        made = self.path / folder
        made.mkdir(exist_ok=True)
        return made / f"{trial_id}.{len(list(made.glob(f'{trial_id}.*')))}"

    def _partial(self, trial: Trial) -> Path:
        return self.path / "partial" / trial.id


def require_place(path: Path) -> None:
    """Refuse a place that a run directory cannot be made in.

    Raises:
        StoreError: something is there, or others could put links on the way to it.
    """
    if path.exists():
        raise StoreError(f"{path} exists already", "choose another --run-dir, or --resume it")
    if reason := soundness.exposed(path):
        raise StoreError(reason, "choose another directory: --run-dir")


def create(path: Path, info: RunInfo, trials: tuple[Trial, ...]) -> Run:
    """Make a run directory, whole or not at all, on disk before this returns.

    Raises:
        StoreError: it exists, or cannot be written.
    """
    partial = path.parent / f".{path.name}.partial"
    made = [own for own in path.absolute().parents if not own.exists()]
    try:
        with writing(path):
            require_place(path)
            shutil.rmtree(partial, ignore_errors=True)  # of one that was killed
            partial.mkdir(parents=True)
            (partial / "trials").mkdir()
            write_whole(partial / "run.json", to_json(info), synced=True)
            write_whole(partial / "plan.json", to_json(_StoredPlan(RUN_FORMAT, trials)), synced=True)
            partial.rename(path)
            for own in (path, *made):
                _sync(own.absolute().parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return Run(path)


def find(runs_dir: Path, name: str) -> Run:
    """Open a run by path, by id, or `latest`.

    Raises:
        StoreError: there is no such run; lists the runs there are.
    """
    known = sorted(path.parent for path in runs_dir.glob("[!.]*/run.json"))
    if name == "latest" and known:
        return Run(max(known, key=lambda path: (path / "run.json").stat().st_mtime))
    for path in (Path(name), runs_dir / name):
        if (path / "run.json").is_file():
            return Run(path)
    runs = ", ".join(path.name for path in known[-5:]) or "none yet"
    raise StoreError(f"{name!r} is no run: neither a run directory nor a run in {runs_dir} (there: {runs})")


T = TypeVar("T")


def _read(
    cls: type[T], path: Path, version: int, *, numbers_at: str = "", check: Callable[[T], None] = lambda _: None
) -> T:
    """Read one of our JSON files.

    Args:
        cls: what it holds.
        path: where it is.
        version: of the format, at most.
        numbers_at: the key below which numbers have to be possible; empty: everywhere.
        check: refuses what cannot be true (ValueError).

    Raises:
        StoreError: it cannot be read, or believed; says which key is wrong, and what to do.
    """
    try:
        data = soundness.parsed(soundness.content(path), numbers_at)
        if isinstance(data, dict) and data.get("format", version) not in range(1, version + 1):
            raise StoreError(
                f"{path}: has format {data['format']!s:.20}; this bpfbench reads formats 1 to {version}",
                "use the bpfbench version that run.json names",
            )
        found = cast("T", decode(cls, data, ""))
        check(found)
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        fault = str(error).removeprefix(".").removeprefix(": ")  # a key of its own, or the whole of it
        raise StoreError(f"{path}: {fault:.300}", "put back the file as it was, or start a new run") from error
    return found


def _no_link(path: Path) -> None:
    """Refuse a link in the place of what is ours.

    Raises:
        StoreError: it is one.
    """
    if path.is_symlink():
        raise StoreError(
            f"{path}: is a link, and bpfbench follows none in a run directory", "put what it leads to there"
        )


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Have what cannot be written be said of a run.

    Raises:
        StoreError: so it is.
    """
    try:
        yield
    except OSError as error:
        raise StoreError(f"{path}: cannot be written: {error.strerror}") from error


def _entries(directory: Path) -> list[Path]:
    _no_link(directory)
    try:
        return list(directory.iterdir())
    except OSError as error:
        raise StoreError(f"{directory}: {error.strerror}") from error


def _entries_if_any(directory: Path) -> list[Path]:
    return _entries(directory) if os.path.lexists(directory) else []


def _opened(path: Path, flags: int) -> BinaryIO:
    """Open a file, through no link, and without waiting for a pipe."""
    fd = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    return open(fd, "rb", buffering=0)  # noqa: PTH123


def write_whole(path: Path, text: str, *, synced: bool = False) -> None:
    """Write a file anew: who reads it finds all of it, or what was there; `synced`: also after a power cut.

    No link is followed: neither in its own place nor in that of the file that it is written to first.

    Raises:
        OSError: it cannot be written.
    """
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)  # of a writer that was killed, or a link
    with partial.open("x") as file:  # O_EXCL: of whoever puts a link there now, it is not followed
        file.write(text)
        if synced:
            file.flush()
            os.fsync(file.fileno())
    partial.rename(path)
    if synced:
        _sync(path.parent)


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
