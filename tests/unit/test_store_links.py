# SPDX-License-Identifier: Apache-2.0
"""No link in a run directory is followed: not to write, whichever file it is, and not to read."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bpfbench import store
from bpfbench.cluster import connection
from bpfbench.cluster.connection import Connection
from bpfbench.codec import to_json
from bpfbench.errors import StoreError
from bpfbench.model.live import LIVE_FORMAT, Live
from bpfbench.model.tuning import TUNING_FORMAT, Tuning, TuningGoal
from bpfbench.report import samples
from bpfbench.store import Run

RUN = Path(__file__).parent.parent / "data" / "runs" / "format-5"
LIVE = Live(LIVE_FORMAT, 0.0, "r1", "tls://h:1", None, ended=True, left_s=0.0, hosts=(), said=())
TUNING = Tuning(TUNING_FORMAT, TuningGoal(("overhead",), 99.0, None, None, (), 60.0), {})
REFUSED = "is a link|Too many levels of symbolic links"
TRIAL = Run(RUN).plan()[0].id
(WARM_UP,) = (path.name for path in (RUN / "warm-ups").iterdir())

Act = Callable[[Run], object]


def written_live(run: Run) -> None:
    # What cluster/live.py does of each; it itself needs what a cluster needs.
    store.write_whole(run.path / "live.json", to_json(LIVE))
    store.write_whole(run.path / "live.html", "<html>")


WRITTEN: dict[str, Act] = {
    "run.json": lambda run: run.revise(run.info, run.plan()),
    "plan.json": lambda run: run.revise(run.info, run.plan()),
    "tune.json": lambda run: run.keep_tuning(TUNING),
    "live.json": written_live,
    "live.html": written_live,
    connection.FILE: lambda run: connection.keep(run.path, Connection("tls://h:1")),
}
READ: dict[str, Act] = {
    "run.json": lambda run: Run(run.path),
    "plan.json": lambda run: run.plan(),
    "tune.json": lambda run: run.tuning(),
    "live.json": lambda run: run.live(),
    connection.FILE: lambda run: connection.kept(run.path),
    "trials": lambda run: run.records(),
    "warm-ups": lambda run: run.warm_ups(),
    f"warm-ups/{WARM_UP}": lambda run: run.warm_ups(),
    f"warm-ups/{WARM_UP}/record.json": lambda run: run.warm_ups(),
    "superseded": lambda run: run.superseded(),
    f"trials/{TRIAL}/samples.csv": lambda run: samples.read(run.path / "trials" / TRIAL / "samples.csv"),
}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return a run with all that one can have."""
    made = Run(shutil.copytree(RUN, tmp_path / "run"))
    (made.path / "superseded").mkdir()
    for name in ("lock", "log.txt", f"trials/{TRIAL}/samples.csv"):
        (made.path / name).touch()
    for write in WRITTEN.values():
        write(made)
    return made


@pytest.mark.parametrize("name", WRITTEN)
@pytest.mark.parametrize("dangling", [False, True])
def test_who_writes_follows_none(run: Run, tmp_path: Path, name: str, *, dangling: bool) -> None:
    partial, elsewhere = run.path / f".{name}.partial", tmp_path / "elsewhere"
    if not dangling:
        elsewhere.write_text("mine")
    partial.symlink_to(elsewhere)
    if name not in ("run.json", "plan.json"):  # which are read before
        (run.path / name).unlink()
        (run.path / name).symlink_to(elsewhere)
    WRITTEN[name](run)
    assert (run.path / name).read_text().startswith(("{", "<"))
    assert not (run.path / name).is_symlink()
    assert not os.path.lexists(partial)
    assert elsewhere.exists() is not dangling
    assert dangling or elsewhere.read_text() == "mine"


@pytest.mark.parametrize("name", WRITTEN)
def test_what_a_writer_left_that_was_killed_is_no_obstacle(run: Run, name: str) -> None:
    (partial := run.path / f".{name}.partial").write_text("half of a fi")
    WRITTEN[name](run)
    assert "half" not in (run.path / name).read_text()
    assert not partial.exists()


def test_a_link_that_is_put_there_meanwhile_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").write_text("mine")
    monkeypatch.setattr(Path, "unlink", lambda own, **_: own.symlink_to(tmp_path / "elsewhere"))
    with pytest.raises(FileExistsError):
        store.write_whole(tmp_path / "file", "ours")
    assert (tmp_path / "elsewhere").read_text() == "mine"


@pytest.mark.parametrize("name", store.OURS)
def test_a_campaign_begins_with_none(run: Run, tmp_path: Path, name: str) -> None:
    if os.path.lexists(run.path / name):
        (run.path / name).rename(tmp_path / "elsewhere")
    (run.path / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match=f"{name}: is a link, and bpfbench follows none"), run.locked():
        pytest.fail("it began")


@pytest.mark.parametrize("name", READ)
def test_who_reads_follows_none(run: Run, tmp_path: Path, name: str) -> None:
    READ[name](run)
    (run.path / name).rename(tmp_path / "elsewhere")
    (run.path / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match=REFUSED):
        READ[name](run)


@pytest.mark.parametrize("name", [f"trials/{TRIAL}", f"trials/{TRIAL}/record.json"])
def test_a_record_that_is_one_counts_for_nothing(run: Run, tmp_path: Path, name: str) -> None:
    (run.path / name).rename(tmp_path / "elsewhere")
    (run.path / name).symlink_to(tmp_path / "elsewhere")
    (record,) = (record for record in run.records() if record.trial.id == TRIAL)
    assert record.reason is not None
    assert any(said in record.reason for said in REFUSED.split("|"))


def test_whether_it_runs_is_asked_of_no_link_and_no_pipe(run: Run, tmp_path: Path) -> None:
    (run.path / "lock").unlink()
    with (tmp_path / "held").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        (run.path / "lock").symlink_to(tmp_path / "held")
        assert not run.is_locked()
    (run.path / "lock").unlink()
    os.mkfifo(run.path / "lock")
    assert not run.is_locked()
