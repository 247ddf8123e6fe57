# SPDX-License-Identifier: Apache-2.0
"""From argv to the page, on what really happened: a recorded run is run again, and says the same."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bpfbench.declare.study import to_toml
from bpfbench.machine import facts, turn
from bpfbench.machine.facts import Storage
from bpfbench.model import Status
from bpfbench.run import stage
from bpfbench.store import Run
from bpfbench.testbed import image as images
from bpfbench.testbed import replay

pytestmark = pytest.mark.filterwarnings("ignore:Cyclopts application invoked without tokens")
RUNS = Path(__file__).parents[2] / "data" / "runs"

Invoke = Callable[..., tuple[int, str, str]]


@pytest.fixture(params=["format-1", "format-2", "format-3", "format-4", "format-5"])
def recorded(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A real run, replayed in place of what the host would do; its study is there as study.toml."""
    found = Run(RUNS / str(request.param))
    roomy = Storage("/", 1, "/dev/vda", "ext4", 10**15)
    monkeypatch.setattr(facts, "storage", lambda path: replace(roomy, path=str(path)))
    monkeypatch.setitem(stage.VENUES, "host", replay.venue(found))
    monkeypatch.setenv("BPFBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("BPFBENCH_WAIT", raising=False)
    monkeypatch.chdir(tmp_path)
    Path("study.toml").write_text(to_toml(found.info.study))
    return found


def numbers(invoke: Invoke, run: Path) -> object:
    """What a run found: its summary without what was before it."""
    status, out, _ = invoke("summary", str(run), "--json")
    assert status == 0
    return json.loads(out)["data"]["groups"]


def test_a_run_says_what_the_recorded_one_says(invoke: Invoke, recorded: Run) -> None:
    status, out, err = invoke("run", "study.toml", "--run-dir", "again")
    again = Run(Path("again"))
    assert status == (0 if all(record.status is Status.OK for record in recorded.records()) else 1), err
    assert "Results: again" in err
    assert out
    assert [record.trial for record in again.records()] == list(again.plan())
    assert {trial.id for trial in again.plan()} == {trial.id for trial in recorded.plan()}
    assert again.warm_ups()[0].trial.is_vanilla
    assert again.info.machine["cpu_model"] == recorded.info.machine["cpu_model"]
    assert numbers(invoke, again.path) == numbers(invoke, recorded.path)


@pytest.mark.parametrize("recorded", ["format-3"], indirect=True)
def test_its_page_is_written(invoke: Invoke, recorded: Run) -> None:
    invoke("run", "study.toml", "--run-dir", "again")
    status, _, err = invoke("report", "again", "--output", "report")
    assert status == 0, err
    page = Path("report/index.html").read_text()
    assert all(f">{setup}<" in page for setup in recorded.info.study.factors.setups)


@pytest.mark.parametrize("recorded", ["format-3"], indirect=True)
def test_what_is_not_on_record_fails_and_is_run_again_when_it_is(
    invoke: Invoke, recorded: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(stage.VENUES, "host", replay.venue(Halved(recorded.path)))
    status, _, err = invoke("run", "study.toml", "--run-dir", "again")
    again = Run(Path("again"))
    assert status == 1, err
    statuses = {record.trial.setup: record.status for record in again.records()}
    assert statuses["libbpf"] is Status.FAILED
    assert statuses["bpftrace"] is Status.OK
    reasons = {(record.reason or "").partition(" (")[0] for record in again.records()}
    assert reasons == {"", "nothing like this trial is on record"}
    monkeypatch.setitem(stage.VENUES, "host", replay.venue(recorded))
    image = replay.ReplayTestbed(recorded, Path(), Path()).image
    monkeypatch.setattr(images, "with_key", lambda *_: image)
    status, _, err = invoke("run", "--resume", "again", "--retry-failed")
    assert status == 0, err
    assert again.superseded()


@pytest.mark.parametrize("recorded", ["format-3"], indirect=True)
def test_a_damaged_record_blocks_nothing_and_its_trial_can_be_run_again(
    invoke: Invoke, recorded: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    invoke("run", "study.toml", "--run-dir", "again")
    again = Run(Path("again"))
    image = replay.ReplayTestbed(recorded, Path(), Path()).image
    monkeypatch.setattr(images, "with_key", lambda *_: image)
    damaged = again.path / "trials" / again.plan()[1].id / "record.json"
    damaged.write_bytes(damaged.read_bytes().replace(b'"runtime_s": ', b'"runtime_s": -'))
    status, out, err = invoke("run", "--resume", "again")
    assert status == 1, err
    assert "its record cannot be used: fio.runtime_s: -" in out
    status, out, err = invoke("run", "--resume", "again", "--retry-failed")
    assert status == 0, err
    assert "cannot be used" not in out


class Halved(Run):
    """A run without the records of one setup."""

    def records(self) -> tuple[object, ...]:  # type: ignore[override]
        return tuple(record for record in super().records() if record.trial.setup != "libbpf")


@pytest.mark.parametrize("recorded", ["format-3"], indirect=True)
def test_a_run_that_is_running_is_not_waited_for(invoke: Invoke, recorded: Run) -> None:
    assert recorded
    invoke("run", "study.toml", "--run-dir", "again")
    with turn.alone(), Run(Path("again")).locked():
        status, _, err = invoke("run", "--resume", "again", "--wait")
    assert status == 1
    assert err.startswith("bpfbench: again: another bpfbench is running this")


def test_one_that_is_refused_by_the_lock_leaves_no_run(invoke: Invoke, recorded: Run) -> None:
    assert recorded
    with turn.alone():
        status, out, err = invoke("run", "study.toml")
    assert (status, out) == (1, "")
    assert re.match(r"bpfbench: another bpfbench is measuring on this machine: process \d+", err)
    assert not Path("runs").exists()


@pytest.mark.parametrize("recorded", ["format-3"], indirect=True)
def test_it_goes_on_round_by_round_until_it_knows(invoke: Invoke, recorded: Run) -> None:
    assert recorded
    status, _, err = invoke("run", "study.toml", "--run-dir", "again", "--until", "memory", "--at-most", "2h")
    assert status == 0, err
    assert "Everything that was asked for is decided after " in err
    again = Run(Path("again"))
    assert again.info.study.repetitions >= 3
    assert again.info.trials_planned == len(again.plan()) == len(again.records())
    assert [trial.index for trial in again.plan()] == sorted({trial.index for trial in again.plan()})
    assert "next: bpfbench report again" in err


@pytest.mark.parametrize("recorded", ["format-3"], indirect=True)
def test_a_run_can_be_given_more_repetitions(invoke: Invoke, recorded: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    invoke("run", "study.toml", "--run-dir", "again")
    image = replay.ReplayTestbed(recorded, Path(), Path()).image
    monkeypatch.setattr(images, "with_key", lambda *_: image)
    status, _, err = invoke("run", "--resume", "again", "--repetitions", "3")
    assert status == 0, err
    assert {trial.repetition for trial in Run(Path("again")).plan()} == {1, 2, 3}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--for", "ten"), "option --for: 'ten' is no time; write a number and s, min or h, as in 10min"),
        (("--until", "speed"), "option --until: 'speed' is not one of: overhead, latency, "),
        (("--at-most", "1h"), "option --at-most goes with --until"),
        (("--for", "1h", "--until", "decided"), "options --for and --until: choose one"),
    ],
)
def test_a_goal_that_makes_no_sense_is_refused(invoke: Invoke, options: tuple[str, ...], said: str) -> None:
    status, _, err = invoke("run", "smoke", *options)
    assert status == 2
    assert said in err


def trial_lines(said: str) -> list[tuple[int, int, str]]:
    """The lines that count trials: number, of how many, and the rest."""
    found = re.findall(r"(\d+)/(\d+) ((?:read|write|mixed)-.*)", said)
    return [(int(number), int(total), rest) for number, total, rest in found]


@pytest.mark.parametrize("recorded", ["format-3"], indirect=True)
def test_without_a_terminal_each_trial_is_a_line_with_the_time_that_is_left(invoke: Invoke, recorded: Run) -> None:
    planned = len(recorded.plan())
    _, _, err = invoke("run", "study.toml", "--run-dir", "again")
    lines = trial_lines(err)
    assert [(number, total) for number, total, _ in lines] == [(number + 1, planned) for number in range(planned)]
    assert all(re.search(r", about \d+(\.\d)? (s|min|h) left$", rest) for _, _, rest in lines[:-1])
    assert not lines[-1][2].endswith("left")


ON_A_TERMINAL = """
import sys
from dataclasses import replace
from pathlib import Path
from bpfbench import cli
from bpfbench.machine import facts
from bpfbench.run import progress, stage
from bpfbench.store import Run
from bpfbench.testbed import replay

class AtOnce(progress.Progress):  # a replayed trial is over before the bar would be drawn the next time
    def update(self, *args, **fields):
        super().update(*args, **{**fields, "refresh": True})

progress.Progress = AtOnce
storage = facts.Storage("/", 1, "/dev/vda", "ext4", 10**15)
facts.storage = lambda path: replace(storage, path=str(path))
stage.VENUES["host"] = replay.venue(Run(Path(sys.argv.pop(1))))
cli.main()
"""


def on_a_terminal(*words: str) -> tuple[int, str]:
    """Call bpfbench on a terminal of 140 columns; return its exit status, and all that was ever to be seen there."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "140"}
    argv = (sys.executable, "-c", ON_A_TERMINAL, *words)
    with subprocess.Popen(argv, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        seen = b""
        with contextlib.suppress(OSError):  # EIO: nobody has the terminal any more
            while part := os.read(ours, 65536):
                seen += part
    os.close(ours)
    text = re.sub(r"\x1b\[[0-9;]*m", "", seen.decode())  # colours
    return process.returncode, re.sub(r"\r|\x1b\[[0-9;?]*[A-Za-z]", "\n", text)


@pytest.mark.parametrize("recorded", ["format-3"], indirect=True)
def test_on_a_terminal_the_bar_says_from_the_first_trial_on_how_many_there_are_and_what_is_left(recorded: Run) -> None:
    planned = len(recorded.plan())
    status, seen = on_a_terminal(str(recorded.path), "run", "study.toml", "--run-dir", "again")
    assert status == 0, seen
    assert "data files: " in seen, "they are laid out after the first trial began"
    bars = [line for line in trial_lines(seen) if "\N{BOX DRAWINGS HEAVY HORIZONTAL}" in line[2]]
    assert {total for _, total, _ in bars} == {planned}
    assert {number for number, _, _ in bars} == set(range(1, planned + 1))
    first = [rest for number, _, rest in bars if number == 1]
    assert any(": workload" in rest for rest in first), "its steps are shown"
    assert re.search(r" 0 % \d:\d\d:\d\d about \d+ (s|min|h) left", first[0])
    assert all(re.search(r" \d+ % \d:\d\d:\d\d about \d+ (s|min|h) left", rest) for rest in first)
    assert "next: bpfbench report again" in seen
