# SPDX-License-Identifier: Apache-2.0
"""A trial by itself finds what is broken in a tracer, without the conformance suite: each makes it invalid."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from mutants import FOLLOW, HOOKS, KERNEL, OUTPUT, PROFILE, RECORD, TEXT_OR_BINARY, Mutant, built

from bpfbench.model import Record, Status
from bpfbench.store import Run
from bpfbench.testbed.image import Image

FILL = "\tmemcpy(to, event, filled);\n\tmemset(to + filled, 0, size - filled);\n\toutput_end(output, size, 1);"


@dataclass(frozen=True)
class Broken:
    """A mutant, under which tool it shows, and the check of a trial that has to fail by it."""

    mutant: Mutant
    check: str
    tool: str = "rw-tracer"
    more: str = ""
    """Factors of its study."""


def broken(name: str, file: str, old: str, new: str, check: str, *, attach: str = "tracepoint", **more: str) -> Broken:
    return Broken(Mutant(name, file, old, new, frozenset(), attach), check, **more)


BROKEN = (
    broken(
        "one-twice-beside-a-miss",
        FOLLOW,
        TEXT_OR_BINARY,
        "\tstatic int seen;\n\tseen++;\n\tif (seen > 1000 && seen % 1000 == 1)\n\t\treturn 0;\n"
        "\tif (seen % 1000 == 0)\n\t\trecord_event_binary(&run->output, data, kept_payload(run));\n" + TEXT_OR_BINARY,
        "each block at most once",
    ),
    broken(
        "a-torn-record",
        RECORD,
        FILL,
        "\tstatic int seen;\n\tint torn = ++seen % 1000 == 1 ? -8 : seen % 1000 == 2 ? 8 : 0;\n"
        "\tmemcpy(to, event, filled);\n\tmemset(to + filled, 0, size - filled + 8);\n"
        "\toutput_end(output, size + torn, 1);",
        "records are whole",
    ),
    broken(
        "the-payload-before",
        RECORD,
        FILL,
        "\tstatic char before[16384];\n\tmemcpy(to, event, filled);\n"
        "\tmemcpy(to + sizeof(*event), before, event->payload_len);\n"
        "\tmemcpy(before, event + 1, event->payload_len);\n"
        "\tmemset(to + filled, 0, size - filled);\n\toutput_end(output, size, 1);",
        "payload is the file's",
        tool="rw-tracer-all",
    ),
    broken(
        "two-seconds-asleep",
        FOLLOW,
        TEXT_OR_BINARY,
        "\tstatic int seen;\n\tif (++seen == 5000)\n\t\tsleep(2);\n" + TEXT_OR_BINARY,
        "no stall",
        more="rate_iops = 2500\n",
    ),
    broken(
        "hooked-elsewhere",
        HOOKS,
        'SEC("tracepoint/syscalls/sys_enter_pwrite64")',
        'SEC("tracepoint/syscalls/sys_enter_pwritev")',
        "attached as asked",
    ),
    broken(
        "its-own-word-without-output",
        OUTPUT,
        "\tsize_t done = 0;\n",
        # /dev/null has no end but 0
        "\tsize_t done = 0;\n\n\tif (lseek(file->fd, 1, SEEK_END) == 0)\n\t\treturn size;\n"
        "\tlseek(file->fd, 0, SEEK_END);\n",
        "saved was written",
        more='variants = "no-output"\n',
    ),
    broken(
        "profile-a-slot-too-high",
        PROFILE,
        "\tvalue->slots[slot_of(ns)]++;",
        "\tvalue->slots[slot_of(2 * ns)]++;",
        "latencies add up",
        tool="fs-profile",
    ),
    broken(
        "a-few-that-nobody-counted",
        KERNEL,
        "\tcount_one(&c->intercepted[op]);\n\n#ifdef",
        "\tif (exit_ns % 1024 == 0)\n\t\treturn;\n\tcount_one(&c->intercepted[op]);\n\n#ifdef",
        "every read counted",
    ),
)

ELSEWHERE = broken(
    "says-kprobe-and-is-fentry",
    "libbpf/hooks.c",
    "bpf_program__type(program) == types[attach]",
    "bpf_program__type(program) == types[attach == KPROBE ? FENTRY : attach]",
    "attached as asked",
    attach="kprobe",
)


def trial_of(case: Broken, place: Path) -> Record:
    """Build a mutant, run one trial of it, and return the record."""
    form = "text" if case.tool == "fs-profile" else "binary"
    study = (
        f'name = "broken"\nrepetitions = 1\n[factors]\nsetups = "{case.mutant.name}"\ntools = "{case.tool}"\n'
        f'workloads = "read"\nscale = 0.0009765625\nformat = "{form}"\nattach = "{case.mutant.attach}"\n{case.more}'
    )
    testbed = "" if case.mutant.attach == "tracepoint" else 'testbed = "vm"\n'
    (place / f"{case.mutant.name}.toml").write_text(testbed + study + BUILT[case.mutant.name])
    argv = [sys.executable, "-m", "bpfbench", "run", f"{case.mutant.name}.toml", "--run-dir", f"run-{case.mutant.name}"]
    done = subprocess.run(argv, cwd=place, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    (record,) = (own for own in Run(place / f"run-{case.mutant.name}").records() if not own.trial.is_vanilla)
    return record


BUILT: dict[str, str] = {}
"""The [setups] of studies, by mutant."""


@pytest.fixture(scope="module")
def place(trixie: Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build all of them, once."""
    place = tmp_path_factory.mktemp("broken")
    cases = (*BROKEN, ELSEWHERE)
    with ThreadPoolExecutor() as pool:
        texts = list(pool.map(lambda case: built(trixie, case.mutant, place), cases))
    BUILT.update({case.mutant.name: text for case, text in zip(cases, texts, strict=True)})
    return place


@pytest.mark.parametrize("case", BROKEN, ids=lambda case: case.mutant.name)
def test_a_trial_catches_a_broken_tracer(case: Broken, place: Path) -> None:
    record = trial_of(case, place)
    assert record.status is Status.INVALID, json.dumps([check.name for check in record.checks])
    failed = {check.name: check.detail for check in record.checks if not check.ok}
    assert case.check in failed, failed


def test_a_trial_catches_a_tracer_that_hooks_otherwise_than_it_says(place: Path) -> None:
    record = trial_of(ELSEWHERE, place)
    assert record.summary is not None
    assert record.summary.attach == "kprobe"
    assert ELSEWHERE.check in {check.name for check in record.checks if not check.ok}
