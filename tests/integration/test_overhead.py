# SPDX-License-Identifier: Apache-2.0
"""bpfbench overhead with real tracers and targets, as a user types it: what works, what fails, what is left."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import processes
import pytest
from loader import LOADER

from bpfbench.inside.kernel import bpf
from bpfbench.inside.monitors import cgroup
from bpfbench.machine import turn

Run = Callable[..., subprocess.CompletedProcess[str]]

MARK = "86417"
"""What processes of these tests sleep for, in seconds: nobody else does."""

ROOT = os.geteuid() == 0


def with_mark() -> list[str]:
    """Return the command lines of processes that sleep so long."""
    return [" ".join(words) for words in processes.command_lines().values() if MARK in words]


def groups() -> frozenset[str]:
    """Return the control groups of overheads."""
    return frozenset(name for name in cgroup.ours(cgroup.hierarchy()) if "overhead" in name)


@pytest.fixture(autouse=True)
def nothing_left(tmp_path: Path) -> Iterator[None]:
    """Check that nothing is left behind, however it went."""
    before = groups()
    yield
    time.sleep(0.1)
    assert with_mark() == []
    assert groups() <= before
    assert list(tmp_path.glob("runs/*/partial")) == []


@pytest.fixture
def nothing_loaded() -> Iterator[None]:
    """Check that no BPF program is left behind, while nobody else measures."""
    programs = bpf.tracing_programs() if ROOT else frozenset[int]()
    yield
    if ROOT:
        with turn.alone(print):
            until_s = time.monotonic() + 5
            while bpf.tracing_programs() - programs and time.monotonic() < until_s:
                time.sleep(0.05)
            assert bpf.tracing_programs() <= programs


@pytest.fixture
def out_of_turn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Have nobody wait for the machine: what loads no BPF program, and whose numbers nobody looks at."""
    monkeypatch.setenv(turn.STAND_IN, str(tmp_path / "turn"))


def answer(done: subprocess.CompletedProcess[str], status: int = 0) -> dict[str, Any]:
    """Return what programs are told."""
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    data: dict[str, Any] = json.loads(done.stdout)["data"]
    return data


def overhead(bpfbench: Run, *words: str, target: str, rounds: int = 1, status: int = 0) -> list[dict[str, Any]]:
    """Measure, and return the rows of the answer."""
    done = bpfbench("overhead", *words, "--target", target, "--rounds", str(rounds), "--json")
    rows: list[dict[str, Any]] = answer(done, status)["rows"]
    return rows


@pytest.mark.beside
@pytest.mark.usefixtures("nothing_loaded")
class TestTracers:
    def test_strace_costs_what_everybody_knows(self, bpfbench: Run) -> None:
        if not shutil.which("strace"):
            pytest.skip("strace is not installed")
        calls = 100000
        target = f"{sys.executable} -c 'import os; [os.getppid() for _ in range({calls})]'"
        bare, strace = overhead(bpfbench, "strace -f -c -p {pid}", "--received", r"/ (\d+) +getppid$/", target=target)
        assert strace["ready_by"] == ["the target by ptrace"]
        (own,) = strace["each"]
        assert own["received"]["mean"] == calls
        assert own["cpu_s"]["mean"] > bare["compared"]["CPU"]["mean"]
        assert own["pss_peak_bytes"]["mean"] > 2**18

    @pytest.mark.skipif(not ROOT, reason="loading BPF programs needs root")
    def test_what_bpftrace_loads_is_told(self, bpfbench: Run) -> None:
        if not shutil.which("bpftrace"):
            pytest.skip("bpftrace is not installed")
        script = "tracepoint:syscalls:sys_enter_getppid { @calls = count(); }"
        target = f"{sys.executable} -c 'import os; [os.getppid() for _ in range(1000)]'"
        _, found = overhead(bpfbench, f"bpftrace -e '{script}'", target=target)
        assert found["n"] == 1
        assert [program["kind"] for program in found["bpf"]["programs"]] == ["tracepoint"]
        assert "percpu_" in " ".join(own["kind"] for own in found["bpf"]["maps"])
        assert all(own["memory_bytes"] for own in found["bpf"]["maps"])
        assert "BPF programs 1" in found["ready_by"][0]

    @pytest.mark.skipif(not ROOT, reason="loading BPF programs needs root")
    def test_programs_and_maps_are_told_by_the_kernel(self, bpfbench: Run, tmp_path: Path) -> None:
        (tmp_path / "loader.py").write_text(LOADER)
        _, found = overhead(bpfbench, f"{sys.executable} loader.py 0.2", target="true")
        assert found["ready_by"] == ["BPF programs 1, links 1"]
        assert found["each"][0]["startup_s"]["mean"] > 0.2
        (program,), (ring,) = found["bpf"]["programs"], found["bpf"]["maps"]
        assert (program["kind"], ring["kind"]) == ("raw_tracepoint", "ringbuf")
        assert program["memory_bytes"] >= 4096
        assert ring["memory_bytes"] >= 4096

    @pytest.mark.skipif(not ROOT, reason="loading BPF programs needs root")
    def test_one_that_attaches_after_it_seemed_ready_is_no_measurement(self, bpfbench: Run, tmp_path: Path) -> None:
        (tmp_path / "loader.py").write_text(LOADER)
        _, found = overhead(bpfbench, f"{sys.executable} loader.py 2.5", target="sleep 3", status=1)
        assert found["reason"].startswith(
            "the tracer attached something (BPF programs 1, links 1) after it seemed ready"
        )

    @pytest.mark.skipif(not ROOT, reason="loading BPF programs needs root")
    def test_a_program_that_stays_loaded_is_told(self, bpfbench: Run, tmp_path: Path) -> None:
        (tmp_path / "loader.py").write_text(LOADER)
        (tmp_path / "pins").mkdir()
        subprocess.run(["mount", "-t", "bpf", "bpf", tmp_path / "pins"], check=True)
        try:
            _, found = overhead(bpfbench, f"{sys.executable} loader.py 0 pins/own", target="true", status=1)
        finally:
            subprocess.run(["umount", tmp_path / "pins"], check=True)
        assert found["reason"] == "the tracer has left BPF programs loaded: 1; `bpftool prog show` has them"

    @pytest.mark.usefixtures("trixie")
    def test_ours_run_on_a_command_of_the_system(self, bpfbench: Run, tmp_path: Path) -> None:
        (tmp_path / "here.bt").write_text("tracepoint:syscalls:sys_enter_getppid { @ = count(); }")
        reads = f"{sys.executable} -c 'import os; f = os.open(\"/dev/zero\", 0); [os.read(f, 1) for _ in range(1000)]'"
        comm = Path(sys.executable).name[:15]
        _, ours, script = overhead(bpfbench, f"libbpf:rw-tracer:{comm}", "image:bpftrace here.bt", target=reads)
        assert ours["ready_by"] == ["a line that it printed"]
        (own,) = ours["each"]
        assert own["received"]["mean"] + own["lost"]["mean"] >= 1000
        assert script["n"] == 1

    def test_one_that_attaches_nothing_is_ready_when_it_rests(self, bpfbench: Run) -> None:
        _, found = overhead(bpfbench, f"sleep {MARK}", target="true")
        assert found["ready_by"] == ["nothing attached that can be seen, and no work"]

    def test_one_that_ends_at_once_costs_nothing_and_one_that_fails_is_no_tracer(self, bpfbench: Run) -> None:
        _, found = overhead(bpfbench, "true", target="true")
        assert found["ready_by"] == ["it ended at once, by itself, with nothing attached"]
        assert (found["n"], found["bpf"]) == (1, None)
        _, found = overhead(bpfbench, "true", "--ready", "/never/", target="true", status=1)
        assert found["reason"] == "the tracer ended before it was ready (exit status 0): no message"

    def test_several_at_once_have_each_their_own_use(self, bpfbench: Run) -> None:
        one, other = f"sleep {MARK}", f"echo Lost 7 events; echo Lost 3 events; exec sleep {MARK}"
        lost = ("--lost", "none", "--lost", "/Lost ([0-9]+) events/")
        rows = overhead(bpfbench, one, other, "--together", *lost, target="sleep 0.2")
        assert [row["called"] for row in rows] == ["bare", one, other, f"{one} + {other}"]
        assert [[own["tracer"] for own in row["each"]] for row in rows] == [[], [0], [1], [0, 1]]
        assert all(own["pss_peak_bytes"]["mean"] > 0 for own in rows[3]["each"])
        assert rows[3]["each"][1]["lost"]["mean"] == 10
        assert "lost" not in rows[3]["each"][0]
        assert rows[3]["sums"]["time"]["verdict"] == "too-few-rounds"

    def test_a_line_or_a_file_tells_that_one_is_ready(self, bpfbench: Run, tmp_path: Path) -> None:
        line = f"echo begin; sleep 0.3; echo now tracing; exec sleep {MARK}"
        file = f"sleep 0.3; touch {tmp_path}/ready; exec sleep {MARK}"
        ready = ("--ready", "/^now/", "--ready", f"{tmp_path}/ready")
        _, by_line, by_file = overhead(bpfbench, line, file, *ready, target="true")
        assert by_line["ready_by"] == ["a line that it printed"]
        assert by_file["ready_by"] == ["its file"]


@pytest.mark.beside
@pytest.mark.usefixtures("out_of_turn")
class TestTarget:
    def test_its_numbers_and_its_children_count(self, bpfbench: Run) -> None:
        busy = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done"
        target = f"({busy}) & {busy}; wait; echo rate = 5; echo rate = 7.5"
        done = bpfbench(
            "overhead", "none", "--target", target, "--rounds", "1", "--json", "--metric", "rate:1/s=/= (.*)/"
        )
        bare, _ = answer(done)["rows"]
        assert bare["compared"]["rate"]["mean"] == 7.5
        assert 0 < bare["compared"]["CPU"]["mean"] == pytest.approx(bare["user"]["mean"] + bare["system"]["mean"])

    def test_of_a_short_one_each_run_counts(self, bpfbench: Run, tmp_path: Path) -> None:
        target = f"echo run >>{tmp_path}/log; test $(wc -l <{tmp_path}/log) -lt %s && echo n = $(wc -l <{tmp_path}/log)"
        words = ("--metric", "n=/^n = (.*)/", "--rounds", "1", "--json")
        found = answer(bpfbench("overhead", "none", "--target", target % 100000, *words))
        ran = (tmp_path / "log").read_text().count("run")
        warm_ups = [
            json.loads(line) for path in tmp_path.glob("runs/*/trials.jsonl") for line in path.read_text().splitlines()
        ][:-3]
        assert found["runs"] > 1
        assert ran == 3 * found["runs"] + sum(own["result"]["target"]["runs"] for own in warm_ups)
        bare, none = (row["compared"]["n"]["mean"] for row in found["rows"])
        assert (2 * bare + none) / 3 == pytest.approx(ran - (3 * found["runs"] - 1) / 2)
        done = bpfbench("overhead", "none", "--target", target % (ran + 10), *words)
        assert "the bare target does not work: the target ended with exit status 1" in done.stderr

    def test_what_prepares_runs_before_each_trial(self, bpfbench: Run, tmp_path: Path) -> None:
        done = bpfbench(
            "overhead", "none", "--prepare", f"rm -f {tmp_path}/made", "--target", f"mkdir {tmp_path}/made/..",
            "--rounds", "1", "--json",
        )  # fmt: skip
        assert done.returncode == 1
        done = bpfbench(
            "overhead", "none", "--prepare", f"rm -rf {tmp_path}/made", "--target", f"mkdir {tmp_path}/made",
            "--rounds", "1", "--json",
        )  # fmt: skip
        assert answer(done)["rows"][0]["n"] == 2

    @pytest.mark.parametrize(
        ("target", "said"),
        [
            ("false", "the target ended with exit status 1: no message"),
            ("sh -c 'echo no database >&2; exit 3'", "the target ended with exit status 3: no database"),
            ("kill -9 $$", "the target ended with signal SIGKILL"),
            (f"sleep {MARK} & true", "left running by target or tracer, and ended: sleep (process"),
            (f"setsid sh -c 'sleep {MARK}; :' & true", "left running by target or tracer, and ended: "),
        ],
    )
    def test_one_that_does_not_work_is_told_at_once(self, bpfbench: Run, target: str, said: str) -> None:
        done = bpfbench("overhead", "none", "--target", target)
        assert done.returncode == 1
        assert f"bpfbench: the bare target does not work: {said}" in done.stderr
        assert done.stdout == ""

    def test_one_that_takes_too_long_is_ended(self, bpfbench: Run) -> None:
        done = bpfbench("overhead", "none", "--target", f"sleep {MARK}", "--timeout", "1s")
        assert "the target was still running after 1 s" in done.stderr

    def test_one_that_prints_no_number(self, bpfbench: Run) -> None:
        done = bpfbench("overhead", "none", "--target", "echo tps = none", "--metric", "tps=/tps = (.*)/")
        assert "the target printed 'none' where tps was due, a number" in done.stderr
        done = bpfbench("overhead", "none", "--target", "true", "--metric", "tps=/tps = (.*)/")
        assert "the target printed nothing that /tps = (.*)/ matches (tps)" in done.stderr


SERVER = f"""\
{sys.executable} -c '
import socket, time
listening = socket.create_server(("127.0.0.1", PORT))
while True:
    with listening.accept()[0] as asked:
        until = time.process_time() + 0.1
        while time.process_time() < until: pass
        asked.sendall(b"done")'
"""
"""It takes a tenth of a second of CPU to answer."""


@pytest.mark.beside
@pytest.mark.usefixtures("out_of_turn")
class TestServer:
    ASK = f"""{sys.executable} -c 'import socket
for _ in range(5): socket.create_connection(("127.0.0.1", PORT)).recv(4)'"""

    def test_what_it_takes_is_told_apart_from_the_target(self, bpfbench: Run) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = str(free.getsockname()[1])
        server, ask = SERVER.replace("PORT", port), self.ASK.replace("PORT", port)
        tracer = f"test -d /proc/{{server}} && exec sleep {MARK}"
        bare, traced = overhead(bpfbench, tracer, "--serve", server, target=ask)
        for row in (bare, traced):
            compared = {name: own["mean"] for name, own in row["compared"].items()}
            assert list(compared) == ["server CPU", "server user", "server system", "time", "CPU"]
            assert compared["server CPU"] * compared["time"] > 40  # half a second of CPU, in per cent
            assert compared["CPU"] < 0.4
        with subprocess.Popen(["sh", "-c", server], stderr=subprocess.DEVNULL) as running:
            time.sleep(0.5)
            try:
                bare, _ = overhead(bpfbench, tracer, "--server", str(running.pid), target=ask)
                done = bpfbench("overhead", "true", "--serve", server, "--target", ask)
            finally:
                running.kill()
        assert bare["compared"]["server CPU"]["mean"] * bare["compared"]["time"]["mean"] > 40
        assert "the server ended before it was ready (exit status 1): OSError" in done.stderr

    def test_one_that_is_not_there_is_told(self, bpfbench: Run) -> None:
        done = bpfbench("overhead", "true", "--server", "no-such-server", "--target", "true")
        assert "option --server: no process is called no-such-server; `ps -e -o pid,comm` has those" in done.stderr


@pytest.mark.beside
@pytest.mark.usefixtures("out_of_turn")
class TestFailures:
    @pytest.mark.parametrize(
        ("tracer", "said"),
        [
            (
                "sh -c 'echo verifier says no >&2; exit 1'",
                "the tracer ended before it was ready (exit status 1): verifier",
            ),
            ("timeout 1.5 sleep 60", "the tracer ended while the target ran (exit status 124)"),
            ("trap '' INT TERM; while :; do sleep 1; done", "the tracer was still running 30 s after SIGINT"),
            (f"sh -c '(sleep {MARK} &) ; trap \"exit 0\" INT; sleep 60 & wait'", "left running by target or tracer"),
        ],
        ids=["fails", "dies", "outlives its stop", "leaves a process"],
    )
    def test_a_tracer_that_does_not_work_is_a_failed_trial(self, bpfbench: Run, tracer: str, said: str) -> None:
        bare, failed = overhead(bpfbench, tracer, target="sleep 1", status=1)
        assert (bare["n"], failed["n"], failed["failed"]) == (2, 0, 1)
        assert failed["reason"].startswith(said)

    def test_its_last_lines_are_kept(self, bpfbench: Run) -> None:
        _, failed = overhead(bpfbench, "for i in 1 2 3 4 5 6 7; do echo line $i; done; false", target="true", status=1)
        assert failed["printed"] == [f"line {number}" for number in (3, 4, 5, 6, 7)]


def test_nothing_costs_nothing(bpfbench: Run) -> None:
    done = bpfbench("overhead", "none", "none", "--target", "sleep 0.2", "--rounds", "4", "--json")
    rows = answer(done)["rows"][1:]
    amounts = [row["compared"]["time"]["amount"] for row in rows]
    assert "beyond-margin" not in amounts


@pytest.mark.beside
@pytest.mark.usefixtures("out_of_turn")
def test_the_environment_is_recorded_nowhere(bpfbench: Run, tmp_path: Path) -> None:
    done = bpfbench("overhead", "none", "--target", "true", "--rounds", "1", env={**os.environ, "SECRET": "xyzzy-42"})
    assert done.returncode == 0
    kept = [path for path in tmp_path.glob("runs/*/*") if path.is_file()]
    assert {path.name for path in kept} == {"overhead.json", "trials.jsonl", "log.txt"}
    assert not any("xyzzy-42" in path.read_text() for path in kept)


@pytest.mark.beside
@pytest.mark.usefixtures("out_of_turn")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_however_it_is_ended(tmp_path: Path, number: signal.Signals) -> None:
    argv = [sys.executable, "-m", "bpfbench", "overhead", f"sleep {MARK}", "--target", f"sleep {MARK}"]
    with subprocess.Popen(argv, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as started:
        until_s = time.monotonic() + 30
        while not with_mark() and time.monotonic() < until_s:
            time.sleep(0.05)
        assert with_mark()
        started.send_signal(number)
        assert started.stderr is not None
        assert "Traceback" not in started.stderr.read()
        started.wait(30)
    until_s = time.monotonic() + 10
    while (with_mark() or any(tmp_path.glob("runs/*/partial"))) and time.monotonic() < until_s:
        time.sleep(0.05)


@pytest.mark.beside
@pytest.mark.skipif(not ROOT, reason="it becomes another user")
def test_no_root_is_needed_where_no_tracer_needs_it(bpfbench: Run, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    user = {"user": 65534, "group": 65534, "extra_groups": []}
    env = {**os.environ, "BPFBENCH_CACHE": str(tmp_path / "cache")}
    words = ("overhead", f"sleep {MARK}", "--target", "sleep 0.1", "--rounds", "1", "--json")
    try:
        done = bpfbench(*words, "--runs-dir", tmp_path / "runs", env=env, **user)
    except PermissionError:
        pytest.skip("nobody else may execute this Python")
    data = answer(done)
    assert [row["n"] for row in data["rows"]] == [2, 1]
    assert "control groups" in data["absent"]
