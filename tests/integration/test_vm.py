# SPDX-License-Identifier: Apache-2.0
"""The real guest, emulated: what runs in it, how it is lost, and that nothing of it is left.

Every boot takes many seconds: tests share one where they can.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import processes
import pytest

from bpfbench import cli
from bpfbench.declare import study
from bpfbench.errors import LostError
from bpfbench.machine import turn
from bpfbench.model import Accelerator, Attach, Paths, Sources, Status
from bpfbench.store import Run
from bpfbench.testbed.base import Ground, Sizes
from bpfbench.testbed.image import Image
from bpfbench.testbed.job import Job
from bpfbench.testbed.vm import disks
from bpfbench.testbed.vm.testbed import VENUE, VmTestbed

pytestmark = pytest.mark.beside  # an emulated CPU is not measured

STUDY = """
name = "in-vms"
testbed = "vm"
hosts = 2
repetitions = 2

[factors]
setups = ["libbpf"]
tools = ["rw-tracer"]
workloads = ["read"]
scale = 0.00006103515625 # 2 MiB per process

[machine]
accelerator = "tcg"
"""
SIZES = Sizes(data=2**20, output=2**20)


@pytest.fixture(scope="module")
def ground(trixie: Image) -> Ground:
    """The image, on the kernel of Debian's that is nearest to it; as anywhere without KVM."""
    return Ground(study.parse(STUDY, "study"), trixie, cli.cache_dir(), Sources(), lambda *_: None, SIZES)


@pytest.fixture(scope="module")
def opened(ground: Ground) -> Callable[[Path, str], VmTestbed]:
    """Open a testbed that keeps its files in a directory."""

    def open_in(place: Path, host: str = "vm1") -> VmTestbed:
        paths = Paths(str(place / "data"), str(place / "output"))
        testbed = VENUE.testbed(replace(ground, study=replace(ground.study, hosts=(host,), paths=paths)))
        assert isinstance(testbed, VmTestbed)
        return testbed

    return open_in


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the shared guest has its files."""
    return tmp_path_factory.mktemp("vm")


@pytest.fixture(scope="module")
def shared(opened: Callable[[Path, str], VmTestbed], place: Path) -> Iterator[VmTestbed]:
    """One guest for all tests that do not lose it. Its data disk begins as what a killed run may have left: rubbish."""
    disk = disks.make_data_disk(place / "data", "vm1", SIZES.data)
    with disk.open("r+b") as file:
        file.write(os.urandom(2**20))
    with opened(place, "vm1") as testbed:
        yield testbed


def said(testbed: VmTestbed, script: str, **job: object) -> list[str]:
    """Run a script in a guest and return what it says."""
    lines: list[str] = []
    finished = testbed.inside(Job(("sh", "-euc", script), "", timeout_s=120, **job), lines.append)  # type: ignore[arg-type]
    assert finished.status == 0, finished.stderr
    return lines


def qemus(place: Path) -> list[str]:
    """Return the command lines of the virtual machines whose data is in a directory."""
    lines = processes.command_lines().values()
    ours = [words for words in lines if "qemu-system" in words[0] and any(str(place) in word for word in words)]
    return [" ".join(words) for words in ours]


class TestInside:
    def test_a_command_finds_what_a_trial_wants(self, shared: VmTestbed) -> None:
        script = "uname -nr; cat /sys/fs/cgroup/cgroup.controllers; ls /sys/kernel/tracing/events/syscalls | head -1"
        names, controllers, events = said(shared, script)
        assert names == f"vm1 {shared.facts['kernels']['trixie']['release']}"
        assert {"cpu", "memory", "io"} <= set(controllers.split())
        assert events

    def test_it_is_alone_there_and_has_no_network(self, shared: VmTestbed) -> None:
        script = "ls -d /proc/[0-9]* | wc -l; ls -A /tmp | wc -l; ls /sys/class/net; touch /tmp/mine"
        for _ in range(2):
            processes, files, network = said(shared, script)
            assert int(processes) <= 4
            assert (files, network) == ("0", "lo")

    def test_stdin_stdout_stderr_and_status_are_its_own(self, shared: VmTestbed) -> None:
        lines: list[str] = []
        job = Job(("sh", "-c", "cat; echo late; echo oh >&2; exit 7"), "one\ntwo\n", timeout_s=60)
        finished = shared.inside(job, lines.append)
        assert (finished.status, finished.stderr, lines) == (7, "oh\n", ["one", "two", "late"])

    def test_its_record_comes_back_and_its_output_only_if_that_is_kept(
        self, shared: VmTestbed, place: Path, tmp_path: Path
    ) -> None:
        script = "head -c 200000 /dev/zero > record/large; : > record/empty; echo x > output/y; ls output record"
        script = f"cd /bpfbench; {script}"
        assert said(shared, script, output="a", record_dir=tmp_path)[-1] == "large"
        assert {path.name: path.stat().st_size for path in tmp_path.iterdir()} == {"large": 200000, "empty": 0}
        assert said(shared, script, output="a", keep_output_as="kept")
        assert (place / "output" / "kept" / "y").read_text() == "x\n"

    def test_a_data_disk_of_rubbish_was_formatted_and_is_kept(
        self, shared: VmTestbed, opened: Callable[[Path, str], VmTestbed], place: Path
    ) -> None:
        said(shared, "echo x > /bpfbench/data/y", data="set")
        shared.close()
        with opened(place, "vm1") as again:
            assert said(again, "cat /bpfbench/data/y", data="set") == ["x"]


class TestLost:
    def test_a_panic_is_told_with_the_consoles_last_lines(
        self, opened: Callable[[Path, str], VmTestbed], tmp_path: Path
    ) -> None:
        record = tmp_path / "record"
        record.mkdir()
        with opened(tmp_path, "vm1") as testbed:
            with pytest.raises(LostError) as caught:
                said(testbed, "echo c > /proc/sysrq-trigger; sleep 60", record_dir=record)
            assert "its kernel panicked: sysrq triggered crash" in caught.value.message
            assert "its console ended: " in caught.value.message
            assert "Kernel panic" in (record / "console.txt").read_text()
            with pytest.raises(LostError, match="it was not done after 1 s"):  # in a new one
                testbed.inside(Job(("sleep", "600"), "", timeout_s=1), print)
        assert qemus(tmp_path) == []

    def test_two_at_once_do_not_collide(self, opened: Callable[[Path, str], VmTestbed], tmp_path: Path) -> None:
        with opened(tmp_path / "one", "same") as one, opened(tmp_path / "two", "same") as two:
            boots = {said(testbed, "cat /proc/sys/kernel/random/boot_id")[0] for testbed in (one, two)}
            assert len(boots) == len(qemus(tmp_path)) == 2
        assert qemus(tmp_path) == []


def bpfbench_run(place: Path, *words: str) -> subprocess.Popen[str]:
    """Start a run, out of turn: an emulated CPU is not measured."""
    argv = [sys.executable, "-m", "bpfbench", "run", *words]
    env = {**os.environ, turn.STAND_IN: str(place / "turn")}
    return subprocess.Popen(argv, cwd=place, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def children_named(pid: int, name: str) -> list[int]:
    """Return the children of a process that run a program."""
    found = []
    for number in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        if name in Path(f"/proc/{number}/comm").read_text():
            found.append(int(number))
    return found


def wait_for_guest(process: subprocess.Popen[str]) -> int:
    """Wait until a run has a virtual machine, and return its process."""
    until_s = time.monotonic() + 300
    while time.monotonic() < until_s and process.poll() is None:
        if found := children_named(process.pid, "qemu-system"):
            return found[0]
        time.sleep(0.1)
    pytest.fail(f"no virtual machine: {process.communicate()[1] if process.poll() is not None else 'too late'}")


@pytest.fixture(scope="module")
def killed(ground: Ground, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run, of which first a guest was killed, then bpfbench itself."""
    assert ground.study.machine.accelerator is Accelerator.TCG
    place = tmp_path_factory.mktemp("run")
    (place / "study.toml").write_text(STUDY)
    words = ("--data-dir", str(place), "--output-dir", str(place))
    with bpfbench_run(place, "study.toml", "--run-dir", "run", *words) as process:
        os.kill(wait_for_guest(process), signal.SIGKILL)
        run = Run(place / "run")
        while not run.done():
            time.sleep(0.1)
        wait_for_guest(process)
        time.sleep(5)
        process.kill()
        process.communicate()
    time.sleep(0.5)
    assert qemus(place) == []
    assert {path.name for path in place.iterdir()} == {"study.toml", "run", "turn", "vm"}
    return run


def test_a_killed_guest_is_a_failed_trial(killed: Run) -> None:
    first = killed.records()[0]
    assert first.status is Status.FAILED
    assert first.reason is not None
    assert first.reason.startswith("the virtual machine was lost: QEMU was killed by SIGKILL")
    assert first.host == first.trial.host


def test_a_run_that_was_killed_is_finished_on_resume(killed: Run) -> None:
    with bpfbench_run(killed.path.parent, "--resume", "run", "--retry-failed") as process:
        _, errors = process.communicate()
    assert process.returncode == 0, errors
    assert "Emulated: correctness only" in errors
    records = killed.records()
    assert [record.trial.id for record in records] == [trial.id for trial in killed.plan()]
    for record in records:
        assert record.host == record.trial.host
        assert record.environment is not None
        assert record.environment.accelerator is Accelerator.TCG
        if record.trial.config:
            assert record.trial.config.attach is Attach.KPROBE
            assert record.summary is not None
            assert record.summary.attach == "kprobe"
    assert {record.host for record in records} == {"vm1", "vm2"}
    assert len({record.environment.boot_id for record in records if record.environment}) == 2
    assert json.loads((killed.path / "run.json").read_text())["machine"]["emulated"] is True
    assert qemus(killed.path.parent) == []


def test_targets_are_driven_in_a_guest_as_on_the_host(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    if not request.config.getoption("--all"):
        pytest.skip("an emulated CPU takes minutes for it: only with --all")
    study = (
        "services",
        "--testbed",
        "vm",
        "--accelerator",
        "tcg",
        "--targets",
        "sqlite,postgres",
        "--repetitions",
        "1",
    )
    words = (*study, "--setups", "libbpf", "--data-dir", str(tmp_path), "--output-dir", str(tmp_path))
    with bpfbench_run(tmp_path, *words, "--run-dir", "run") as process:
        _, errors = process.communicate()
    assert process.returncode == 0, errors
    records = Run(tmp_path / "run").records()
    assert [record.reason for record in records] == [None] * 4
    for record in records:
        assert record.emulated
        assert record.driven is not None
        assert record.driven.operations == 4000
        assert set(record.driven.cpu) == (
            {"workload", "driver"} if record.trial.workload.name == "postgres" else {"workload"}
        )
