# SPDX-License-Identifier: Apache-2.0
"""Targets besides fio on the real kernel: commands, servers, and what goes wrong with either."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from builders import make_executable

from bpfbench import catalogue
from bpfbench.model import Record, Status
from bpfbench.store import Run

SERVER = """#!/usr/bin/python3
import os, socket, sys, threading
place, db = sys.argv[1:]
with socket.socket(socket.AF_UNIX) as listening:
    listening.bind(place)
    listening.listen()
    while True:
        connection, _ = listening.accept()
        if (child := os.fork()) == 0:
            with connection, open(db, "r+b", buffering=0) as file:
                while word := connection.recv(1):
                    block = os.pread(file.fileno(), 4096, 0)
                    os.pwrite(file.fileno(), block, 4096)
                    connection.send(word)
            os._exit(0)
        os.waitpid(child, 0)
        connection.close()
"""
DRIVER = """
import json, socket, sys, time
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect(sys.argv[1])
    took = []
    for _ in range(2000):
        begin = time.perf_counter()
        connection.send(b"x")
        connection.recv(1)
        took.append(1e6 * (time.perf_counter() - begin))
    connection.shutdown(socket.SHUT_WR)
    connection.recv(1)  # its end: the server has waited for its child
json.dump({"operations": len(took), "latency": {"p99": sorted(took)[1980]}}, open(sys.argv[2], "w"))
"""

GOOD = """
name = "targets"
repetitions = 1
[factors]
setups = ["libbpf", "bpftrace"]
tools = ["syscount", "rw-tracer"]
targets = ["kv", "copy"]
ringbuf_bytes = "4MiB"
attach = "tracepoint"

[targets.kv]
files = "files"
lay_out = ["dd", "if=/dev/zero", "of={data}/db", "bs=4k", "count=256"]
start = ["{files}/kv-server", "{run}/socket", "{data}/db"]
ready = ["test", "-S", "{run}/socket"]
drive = ["python3", "{files}/driver.py", "{run}/socket", "{out}"]
versions.python = ["python3", "--version"]
metrics.operations = {pointer = "/operations"}
metrics.latency_p99_us = {pointer = "/latency/p99"}

[targets.copy]
drive = ["dd", "if=/dev/zero", "of={data}/copy", "bs=4k", "count=5000"]
metrics.operations = {pattern = '^(\\d+)\\+0 records out'}
metrics.bytes = {unit = "bytes", pattern = '^(\\d+) bytes'}
"""

AT_A_RATE = """
import json, socket, sys, time
rate = int(sys.argv[3])
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect(sys.argv[1])
    begin, took = time.perf_counter(), []
    for number in range(1000):
        due = begin + number / rate
        time.sleep(max(0, due - time.perf_counter()))
        connection.send(b"x")
        connection.recv(1)
        took.append(1e6 * (time.perf_counter() - due))
    connection.shutdown(socket.SHUT_WR)
    connection.recv(1)  # its end: the server has waited for its child
json.dump({"operations": len(took), "latency": {"p99": sorted(took)[990]}}, open(sys.argv[2], "w"))
"""

BAD = {
    "starts-not": ('start = ["/nowhere"]\nready = ["true"]\ndrive = ["true"]', "the server cannot be started"),
    "dies": (
        'start = ["sh", "-c", "echo no disk; exit 3"]\nready = ["false"]\ndrive = ["true"]',
        "the server ended before it was ready (exit status 3); it said: no disk",
    ),
    "never-ready": (
        'start = ["sleep", "60"]\nready = ["false"]\ndrive = ["true"]\nready_s = 0.5',
        "the server was not ready after 0.5 s",
    ),
    "dies-later": (
        'start = ["sleep", "0.5"]\nready = ["true"]\ndrive = ["sleep", "30"]',
        "the server ended while it was driven (exit status 0)",
    ),
    "fails": ('drive = ["sh", "-c", "echo oops >&2; exit 7"]', "the driver ended with exit status 7; it said: oops"),
    "says-nothing": (
        'drive = ["echo", "hello"]\nmetrics.tps = {pattern = "tps (.*)"}',
        "the target printed nothing that /tps (.*)/ matches (tps); it said: hello",
    ),
    "leaves-one": (
        'drive = ["sh", "-c", "setsid sleep 60 & exit 0"]',
        "the target has ended, and left running: sleep (process",
    ),
    "other-name": (
        'comm = "nobody-is"\nstart = ["sleep", "60"]\nready = ["true"]\ndrive = ["true"]',
        "no process of the target is called 'nobody-is' (comm); there are: sleep",
    ),
    "stops-not": (
        'start = ["sh", "-c", "trap : TERM; touch {run}/up; while :; do sleep 0.05; done"]\n'
        'ready = ["test", "-e", "{run}/up"]\ndrive = ["true"]\nready_s = 2',
        "the server was still running 2 s after SIGTERM",
    ),
    "lays-out-not": (
        'lay_out = ["sh", "-c", "echo full; exit 1"]\ndrive = ["true"]',
        "lay_out ended with exit status 1",
    ),
    "port-taken": (
        'start = ["python3", "-c", "import socket as s; [s.create_server((\'127.0.0.1\', 7)) for _ in range(2)]"]\n'
        'ready = ["false"]\ndrive = ["true"]\nuser = "root"',
        "Address already in use",
    ),
}


def measured(
    bpfbench: Callable[..., subprocess.CompletedProcess[str]], place: Path, text: str, *words: str
) -> tuple[subprocess.CompletedProcess[str], tuple[Record, ...]]:
    """Run a study; return what it said, and its records."""
    (place / "study.toml").write_text(text)
    done = bpfbench("run", place / "study.toml", "--run-dir", place / "run", "--data-dir", place, *words)
    return done, Run(place / "run").records() if (place / "run").exists() else ()


def require_ok(done: subprocess.CompletedProcess[str], records: Iterable[Record]) -> None:
    wrong = [(record.trial.id, record.reason) for record in records if record.status is not Status.OK]
    assert not wrong
    assert done.returncode == 0, done.stderr


@pytest.mark.usefixtures("trixie")
def test_a_server_and_a_command_are_traced_to_the_call(
    bpfbench: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    (tmp_path / "files").mkdir()
    make_executable(tmp_path / "files" / "kv-server", SERVER)  # no other process is called that
    (tmp_path / "files" / "driver.py").write_text(DRIVER)
    done, records = measured(bpfbench, tmp_path, GOOD)
    require_ok(done, records)
    assert len(records) == 2 * 2 * 3
    for record in records:
        driven, calls = record.driven, record.calls
        assert driven is not None
        assert calls is not None
        assert record.fio is None
        assert driven.operations == {"kv": 2000, "copy": 5000}[record.trial.workload.name]
        assert min(calls.reads, calls.writes) >= driven.operations
        if record.summary and record.trial.tool == "rw-tracer":
            assert record.summary.intercepted == {"read": calls.reads, "write": calls.writes}
    serving = next(record for record in records if record.trial.workload.name == "kv")
    steps = [step.name for step in serving.steps if step.name in ("serve", "workload", "stop target", "drain")]
    assert steps[:3] == ["serve", "workload", "stop target"]
    assert "fio" not in done.stdout
    assert {path.name for path in tmp_path.glob("target+*/*")} == {"laid-out", "complete"}


@pytest.mark.usefixtures("trixie")
def test_a_target_whose_name_the_kernel_cuts_within_a_character_is_traced(
    bpfbench: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    (tmp_path / "files").mkdir()
    name = "fourteen-bytesé"
    make_executable(tmp_path / "files" / name, '#!/bin/sh\nfor number in 1 2 3; do echo $number >"$1"; done\n')
    factors = 'setups = ["libbpf", "bpftrace"]\ntools = "rw-tracer"\nattach = "tracepoint"\ntargets = "cut"'
    target = f'[targets.cut]\nfiles = "files"\ndrive = ["{{files}}/{name}", "{{data}}/file"]'
    done, records = measured(bpfbench, tmp_path, f'name = "s"\nrepetitions = 1\n[factors]\n{factors}\n{target}\n')
    require_ok(done, records)
    assert [record.summary.intercepted["write"] for record in records if record.summary] == [3, 3]


@pytest.mark.usefixtures("trixie")
def test_at_a_rate_latency_counts_where_the_rate_was_kept_and_cpu_is_told_apart(
    bpfbench: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    (tmp_path / "files").mkdir()
    make_executable(tmp_path / "files" / "kv-server", SERVER)  # no other process is called that
    (tmp_path / "files" / "driver.py").write_text(AT_A_RATE)
    study = GOOD.replace('drive = ["python3"', 'drive_at = RATED\ndrive = ["python3"').replace(
        "RATED", '["python3", "{files}/driver.py", "{run}/socket", "{out}", "{rate}"]'
    )
    words = ("--rate-iops", "300,1000000", "--setups", "libbpf", "--tools", "rw-tracer", "--variants", "run-time")
    done, records = measured(bpfbench, tmp_path, study, *words)
    require_ok(done, records)
    assert len(records) == 2 * 2
    assert "copy" not in {record.trial.workload.name for record in records}
    for record in records:
        driven, kept = record.driven, record.trial.workload.rate_iops == 300
        assert driven is not None
        assert driven.kept_rate == kept
        assert (driven.percentile_us("99") is not None) == kept == ("rate" not in record.notes)
        assert set(driven.cpu) == {"workload", "driver"}
        assert all(0 < used.total_s < driven.runtime_s for used in driven.cpu.values())
        if not record.trial.is_vanilla:
            assert sum(program.runs for program in record.programs) >= 4 * 1000
    assert "latency is left out where the rate was not kept" in " ".join(done.stdout.split())


@pytest.mark.usefixtures("trixie")
def test_what_goes_wrong_is_said_and_leaves_nothing(
    bpfbench: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    tables = "".join(f"\n[targets.{name}]\n{text}\n" for name, (text, _) in BAD.items())
    factors = f'setups = "libbpf"\ntools = "syscount"\nattach = "tracepoint"\ntargets = {json.dumps(list(BAD))}'
    for name in BAD:  # one that cannot be laid out ends a campaign, so each has its own
        place = tmp_path / name
        place.mkdir()
        text = f'name = "bad"\nrepetitions = 1\n[factors]\n{factors}\n{tables}'
        done, records = measured(bpfbench, place, text, "--targets", name)
        said = "; ".join(record.reason or "" for record in records) + done.stderr
        assert BAD[name][1] in said, name
        assert done.returncode == 1, name
        assert "Traceback" not in done.stderr
        assert not [record for record in records if record.status is Status.OK]
        assert all("left:" not in (record.reason or "") for record in records), name


@pytest.mark.usefixtures("trixie")
def test_shipped_targets_are_reconciled(
    bpfbench: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    factors = f'setups = "libbpf"\ntools = "rw-tracer"\ntargets = {json.dumps(catalogue.TARGETS)}'
    text = f'name = "s"\nrepetitions = 1\n[factors]\n{factors}\nringbuf_bytes = "16MiB"\nattach = "tracepoint"'
    done, records = measured(bpfbench, tmp_path, text)
    require_ok(done, records)
    for target in catalogue.TARGETS:
        own = [record for record in records if record.trial.workload.name == target]
        assert {record.trial.setup for record in own} == {"vanilla", "libbpf"}, target
        for record in own:
            assert record.driven is not None
            assert record.driven.versions, target
            assert record.driven.values, target
            assert set(record.driven.values) >= {"operations"}, target
            if target not in ("sqlite", "compile"):  # their operations have no latency that they tell
                assert record.driven.percentile_us("99.9"), target

    (tmp_path / "rated").mkdir()
    done, records = measured(bpfbench, tmp_path / "rated", text, "--targets", "nginx", "--rate-iops", "2000")
    require_ok(done, records)
    for record in records:
        assert record.driven is not None
        assert (record.driven.operations, record.driven.from_sending) == (4000, True)
        assert record.driven.values["latency_p999_us"] > 0
    assert "Latency is from the sending of each operation" in " ".join(done.stdout.split())
