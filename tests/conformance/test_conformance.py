# SPDX-License-Identifier: Apache-2.0
"""Every tracer passes the conformance suite, and the suite catches every tracer that is broken."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from breaking import Mutant, representatives, study
from mutants import MUTANTS

from bpfbench import catalogue
from bpfbench.inside.conformance import knobs, profiles
from bpfbench.inside.conformance.suite import CASES
from bpfbench.machine import turn
from bpfbench.model import Tool
from bpfbench.testbed.image import Image

Verdicts = list[dict[str, Any]]
LEFT_BEHIND = "left behind: "
TOGETHER = ("counts", "events", "overflow")
LACKING = {
    "bpftrace": ("--wakeup", "--poll-ms", "--rings", "--output-bytes", "--records", "--buffer", "--epoll"),
    "bcc": ("--consumers",),
    "bcc-event": ("--consumers", "--records", "--buffer"),
}
"""What these setups refuse of the cases of the knobs, and their alternatives with them; the others refuse nothing."""
LACKING_WITH_PERF = {
    "bcc": ("--wakeup 'watermark:",),
    "aya-sync": ("--wakeup 'never'", "--wakeup 'watermark:", "--wakeup 'poll'"),
    "aya-async": ("--wakeup 'never'", "--wakeup 'watermark:", "--wakeup 'poll'"),
}
"""And what they refuse only where events go through perf buffers."""
LEAVES_A_PROCESS = "leaves-a-process"
BROKEN = [mutant for mutant in MUTANTS if mutant.name != LEAVES_A_PROCESS and mutant.attach == "tracepoint"]
BROKEN_HOOKS = [mutant for mutant in MUTANTS if mutant.attach != "tracepoint"]

HOOKS = ("kprobe", "fentry")
GUESTS = ("bpftrace", "libbpf", "ebpf-go@0.22", "aya-async")
"""The setups checked by every hook, in a virtual machine. Where its CPU is emulated BCC takes half a minute to compile,
ebpf-go before 0.22 a quarter to read the kernel's BTF, and aya-sync all there is: `bpfbench check` has them all."""
IN_GUEST = ("events", "missed")
"""The cases that they are checked with: those in which the hooks make a difference."""
TURNED_IN_GUEST = ("libbpf",)
"""The setups whose knobs are turned there by the hooks that this kernel may lack."""


def check(*options: str, **environment: str) -> Verdicts:
    """Run bpfbench check as a user does."""
    argv = (sys.executable, "-m", "bpfbench", "check", "--json", *options)
    finished = subprocess.run(argv, capture_output=True, text=True, check=False, env={**os.environ, **environment})
    assert finished.returncode in {0, 1}, finished.stderr
    verdicts: Verdicts = json.loads(finished.stdout)["data"]["verdicts"]
    failed = any(verdict["outcome"] == "failed" for verdict in verdicts)
    assert finished.returncode == int(failed)
    return verdicts


def in_guest(place: pytest.TempPathFactory, *options: str) -> Verdicts:
    """Do so in a virtual machine, which nobody has to wait for: where this runs, beside others, nothing is measured."""
    return check("--testbed", "vm", *options, **{turn.STAND_IN: str(place.mktemp("turn") / "turn")})


def is_refused(verdict: Mapping[str, Any]) -> bool:
    """Whether a case of the knobs was left out because the setup lacks one, as it may."""
    setup, said = verdict["setup"], verdict["detail"]
    usual = catalogue.SETUPS[setup].alternative_to or ""
    lacking = [f"{option} '" for option in LACKING.get(setup) or LACKING.get(usual, ())]
    if "with --buffer perf" in said:
        lacking += LACKING_WITH_PERF.get(setup) or LACKING_WITH_PERF.get(usual, ())
    may_be = verdict["case"] in knobs.CASES and verdict["outcome"] == "skipped"
    return may_be and any(value in said for value in lacking)


@pytest.fixture(scope="module")
def verdicts(trixie: Image) -> Verdicts:
    assert set(catalogue.MAIN_SETUPS) <= set(trixie.setups)
    return check("--attach", "tracepoint")


@pytest.mark.usefixtures("trixie")
def test_alternatives_keep_the_contract_too(request: pytest.FixtureRequest) -> None:
    """By the cases in which all of them watch at once; with `--all`, by all."""
    alternatives = [name for name in catalogue.SETUPS if name not in catalogue.MAIN_SETUPS]
    cases = CASES if request.config.getoption("--all") else TOGETHER
    found = check("--attach", "tracepoint", "--setups", ",".join(alternatives), "--cases", ",".join(cases))
    assert {verdict["setup"] for verdict in found} == set(alternatives)
    # libbpf-hash is an alternative for counting alone.
    lacking = [verdict for verdict in found if verdict["detail"] == "it has no rw tool"]
    assert {verdict["setup"] for verdict in lacking} <= {"libbpf-hash"}
    lacking += [verdict for verdict in found if is_refused(verdict)]
    assert [verdict for verdict in found if verdict["outcome"] != "passed" and verdict not in lacking] == []


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("setup", catalogue.MAIN_SETUPS)
def test_a_setup_keeps_the_contract(verdicts: Verdicts, setup: str, case: str) -> None:
    found = [verdict for verdict in verdicts if (verdict["setup"], verdict["case"]) == (setup, case)]
    lacking = case in profiles.CASES and Tool.FS_PROFILE not in catalogue.SETUPS[setup].tools
    assert bool(found) != lacking
    for verdict in found:
        assert is_refused(verdict) or verdict["outcome"] == "passed", verdict["detail"]


def test_the_suite_is_whole(verdicts: Verdicts) -> None:
    variants = {(verdict["setup"], verdict["variant"]) for verdict in verdicts if verdict["case"] == "events"}
    assert variants == {
        (setup.name, f"{tool} {form}")
        for setup in catalogue.MAIN_SETUPS.values()
        for tool in ("rw-tracer", "rw-tracer-all")
        for form in setup.formats
    }


@pytest.fixture(scope="module")
def broken(request: pytest.FixtureRequest) -> tuple[Mutant, ...]:
    """Return the mutants that are tried: one for each case; with `--all`, all."""
    return tuple(BROKEN) if request.config.getoption("--all") else representatives(BROKEN)


@pytest.fixture(scope="module")
def mutants(trixie: Image, broken: tuple[Mutant, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the study that brings them."""
    leaves = (mutant for mutant in MUTANTS if mutant.name == LEAVES_A_PROCESS)
    return study(trixie, (*broken, *leaves), tmp_path_factory.mktemp("mutants"))


def failed(verdicts: Verdicts, name: str, *, left_behind: bool) -> set[str]:
    """The cases a setup failed by what it did, or by what was left behind, be it by another."""
    return {
        verdict["case"]
        for verdict in verdicts
        if (verdict["setup"], verdict["outcome"]) == (name, "failed")
        and verdict["detail"].startswith(LEFT_BEHIND) == left_behind
    }


@pytest.fixture(scope="module")
def verdicts_on_mutants(broken: tuple[Mutant, ...], mutants: Path) -> Verdicts:
    """Run the cases in which all watch the same with all mutants, the others with those that they are to catch."""
    names: dict[str, list[str]] = {}
    for case in sorted(set().union(*(mutant.caught_by for mutant in broken))):
        names[case] = [mutant.name for mutant in broken if case in TOGETHER or case in mutant.caught_by]
    found: Verdicts = []
    for chosen in sorted(set(map(tuple, names.values()))):
        cases = [case for case, of_case in names.items() if tuple(of_case) == chosen]
        options = ("--setups", ",".join(chosen), "--cases", ",".join(cases), "--attach", "tracepoint")
        found += check("--study", str(mutants), *options)
    return found


@pytest.mark.parametrize("mutant", BROKEN, ids=lambda mutant: mutant.name)
def test_the_suite_catches_a_broken_tracer(
    request: pytest.FixtureRequest, broken: tuple[Mutant, ...], mutant: Mutant
) -> None:
    if mutant not in broken:
        pytest.skip("only with --all: another stands for it")
    verdicts_on_mutants: Verdicts = request.getfixturevalue("verdicts_on_mutants")
    caught_by = failed(verdicts_on_mutants, mutant.name, left_behind=False)
    assert mutant.caught_by <= caught_by
    if not mutant.caught_by & set(TOGETHER):
        # It reports what it sees as well as ever.
        assert not caught_by & set(TOGETHER)


def test_the_suite_catches_what_a_tracer_leaves_behind(mutants: Path) -> None:
    options = ("--setups", LEAVES_A_PROCESS, "--cases", "counts", "--attach", "tracepoint")
    verdicts = check("--study", str(mutants), *options)
    assert failed(verdicts, LEAVES_A_PROCESS, left_behind=True) == {"counts"}


@pytest.fixture(scope="module")
def hooks(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """Return those that are tried in a virtual machine: with `--all`, tracepoints, too, which each kernel has."""
    return (*HOOKS, "tracepoint") if request.config.getoption("--all") else HOOKS


@pytest.fixture(scope="module")
def verdicts_in_guest(trixie: Image, hooks: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Verdicts:
    """Run the cases that tell hooks apart on a kernel that has them all, with good tracers and broken ones at once."""
    mutants = study(trixie, BROKEN_HOOKS, tmp_path_factory.mktemp("hooks"))
    setups = (*GUESTS, *(mutant.name for mutant in BROKEN_HOOKS))
    options = ("--setups", ",".join(setups), "--cases", ",".join(IN_GUEST), "--attach", ",".join(hooks))
    return in_guest(tmp_path_factory, "--study", str(mutants), *options)


@pytest.mark.beside  # as an emulated CPU is not measured
@pytest.mark.parametrize("hook", [*HOOKS, "tracepoint"])
@pytest.mark.parametrize("setup", GUESTS)
def test_a_setup_keeps_the_contract_by_every_hook(
    verdicts_in_guest: Verdicts, hooks: tuple[str, ...], setup: str, hook: str
) -> None:
    if hook not in hooks:
        pytest.skip("only with --all: the host's kernel has it, too")
    found = [verdict for verdict in verdicts_in_guest if (verdict["setup"], verdict["attach"]) == (setup, hook)]
    assert {verdict["case"] for verdict in found} == set(IN_GUEST)
    for verdict in found:
        assert verdict["outcome"] == "passed", verdict["detail"]


@pytest.fixture(scope="module")
def verdicts_on_knobs_in_guest(
    trixie: Image, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Verdicts:
    """Turn knobs of tracers on a kernel that has all hooks."""
    if not request.config.getoption("--all"):
        pytest.skip("a kernel in a virtual machine of its own: with --all")
    assert set(TURNED_IN_GUEST) <= set(trixie.setups)
    options = ("--setups", ",".join(TURNED_IN_GUEST), "--cases", ",".join(knobs.CASES), "--attach", "kprobe,fentry")
    return in_guest(tmp_path_factory, *options)


@pytest.mark.beside
@pytest.mark.parametrize("hook", ["kprobe", "fentry"])
@pytest.mark.parametrize("case", knobs.CASES)
def test_knobs_do_what_they_are_to_by_hooks_of_the_vfs(
    verdicts_on_knobs_in_guest: Verdicts, case: str, hook: str
) -> None:
    found = [own for own in verdicts_on_knobs_in_guest if (own["case"], own["attach"]) == (case, hook)]
    assert {own["setup"] for own in found} == set(TURNED_IN_GUEST)
    for own in found:
        assert own["outcome"] == "passed", own["detail"]


@pytest.mark.beside
@pytest.mark.parametrize("mutant", BROKEN_HOOKS, ids=lambda mutant: mutant.name)
def test_the_suite_catches_a_broken_hook(verdicts_in_guest: Verdicts, mutant: Mutant) -> None:
    assert failed(verdicts_in_guest, mutant.name, left_behind=False) == mutant.caught_by
