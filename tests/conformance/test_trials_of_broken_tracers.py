# SPDX-License-Identifier: Apache-2.0
"""A trial by itself finds what is broken in a tracer, without the conformance suite: each makes it invalid."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from breaking import FOLLOW, HOOKS, KERNEL, OUTPUT, PROFILE, RECORD, TEXT_OR_BINARY, Mutant, built

from bpfbench.machine import turn
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


def trials(cases: Sequence[Broken], image: Image, place: Path) -> dict[str, Record]:
    """Build mutants, run one trial of each, in one run of those that differ in nothing else, and return the records."""
    with ThreadPoolExecutor() as pool:
        built_ones = dict(zip(cases, pool.map(lambda case: built(image, case.mutant, place), cases), strict=True))
    found: dict[str, Record] = {}
    for number, alike in enumerate(grouped(cases)):
        tool, more, attach = alike[0].tool, alike[0].more, alike[0].mutant.attach
        form, testbed = "text" if tool == "fs-profile" else "binary", "host" if attach == "tracepoint" else "vm"
        study = (
            f'name = "broken"\nrepetitions = 1\ntestbed = "{testbed}"\n[settings]\nrest_s = 0\n[factors]\n'
            f'setups = {json.dumps([case.mutant.name for case in alike])}\ntools = "{tool}"\n'
            f'workloads = "read"\nscale = 0.0009765625\nformat = "{form}"\nattach = "{attach}"\n{more}'
        )
        (place / f"{number}.toml").write_text(study + "".join(built_ones[case] for case in alike))
        argv = [sys.executable, "-m", "bpfbench", "run", f"{number}.toml", "--run-dir", f"run-{number}"]
        own_turn = {turn.STAND_IN: str(place / "turn")} if testbed == "vm" else {}  # an emulated CPU is not measured
        done = subprocess.run(
            argv, cwd=place, capture_output=True, text=True, check=False, env={**os.environ, **own_turn}
        )
        assert done.returncode == 1, done.stderr
        found |= {own.trial.setup: own for own in Run(place / f"run-{number}").records() if not own.trial.is_vanilla}
    return found


def grouped(cases: Iterable[Broken]) -> list[tuple[Broken, ...]]:
    """Return them by what their trials are."""
    found: dict[tuple[str, str, str], list[Broken]] = {}
    for case in cases:
        found.setdefault((case.tool, case.more, case.mutant.attach), []).append(case)
    return [tuple(own) for own in found.values()]


@pytest.fixture(scope="module")
def records(trixie: Image, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Record]:
    """Return the record of each."""
    return trials(BROKEN, trixie, tmp_path_factory.mktemp("broken"))


@pytest.mark.parametrize("case", BROKEN, ids=lambda case: case.mutant.name)
def test_a_trial_catches_a_broken_tracer(case: Broken, records: Mapping[str, Record]) -> None:
    record = records[case.mutant.name]
    assert record.status is Status.INVALID, json.dumps([check.name for check in record.checks])
    failed = {check.name: check.detail for check in record.checks if not check.ok}
    assert case.check in failed, failed


@pytest.mark.beside  # as an emulated CPU is not measured
def test_a_trial_catches_a_tracer_that_hooks_otherwise_than_it_says(trixie: Image, tmp_path: Path) -> None:
    (record,) = trials([ELSEWHERE], trixie, tmp_path).values()
    assert record.summary is not None
    assert record.summary.attach == "kprobe"
    assert ELSEWHERE.check in {check.name for check in record.checks if not check.ok}
