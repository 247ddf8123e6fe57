# SPDX-License-Identifier: Apache-2.0
"""The gate for a forge: its scripts, run one after the other on stored runs, let pass and fail what they are to."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from forge import ACTION, EXPRESSION, STEPS, TOP, Job

RUNS = TOP / "tests" / "data" / "runs"
OLD, NEW, LONG = (RUNS / name for name in ("format-1", "format-2", "format-5"))
SCRIPTS = {name: step["run"] for name, step in STEPS.items() if "run" in step}


@pytest.fixture
def commands(tmp_path: Path) -> Path:
    """Have bpfbench on the path, of this tree, and a gh that writes down what it is called with."""
    place = tmp_path / "bin"
    place.mkdir()
    for name, script in (
        ("bpfbench", f'exec {sys.executable} -m bpfbench "$@"'),
        ("gh", f'echo "$*" >>{tmp_path}/gh.log\ncase "$*" in *--paginate*) cat {tmp_path}/comments ;; esac'),
    ):
        (place / name).write_text(f"#!/bin/sh\n{script}\n")
        (place / name).chmod(0o755)
    (tmp_path / "comments").touch()
    return place


def job(tmp_path: Path, commands: Path, before: Path | None, run: Path, *, failed: str = "", **inputs: str) -> Job:
    """Return a job that has measured, and found a baseline or none."""
    found = Job(tmp_path, {name.replace("_", "-"): value for name, value in inputs.items()}, commands)
    found.outputs["steps.measure.outputs.failed"] = failed
    for place, stored in (("run", run), ("baseline", before)):
        if stored is not None:
            shutil.copytree(stored, found.gate / place / stored.name)
    return found


def slowed(run: Path, to: Path) -> Path:
    """Copy a run, with libbpf three times as slow."""
    shutil.copytree(run, to)
    for path in to.glob("trials/*-libbpf-*/record.json"):
        data = json.loads(path.read_text())
        data["driven"]["runtime_s"] *= 3
        path.write_text(json.dumps(data))
    return to


def failed_in(run: Path, to: Path, trials: str) -> Path:
    """Copy a run, with some trials that failed."""
    shutil.copytree(run, to)
    for path in to.glob(f"trials/{trials}/record.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"status": "failed", "reason": "it crashed"}))
    return to


def test_what_it_uses_is_pinned_by_commit_and_says_its_version() -> None:
    used = [line.strip() for line in (TOP / "action.yml").read_text().splitlines() if "uses: " in line]
    assert len(used) == sum("uses" in step for step in STEPS.values()) > 0
    assert [line for line in used if not re.fullmatch(r"uses: [\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)] == []


def test_scripts_get_what_was_given_by_their_environment_only() -> None:
    assert [name for name, script in SCRIPTS.items() if "${{" in script] == []
    assert {STEPS[name]["shell"] for name in SCRIPTS} == {"bash"}
    used = EXPRESSION.findall((TOP / "action.yml").read_text())
    assert {name for one in used for name in re.findall(r"inputs\.([\w-]+)", one)} == ACTION["inputs"].keys()


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_are_sound(name: str) -> None:
    done = subprocess.run(
        ("shellcheck", "--shell", "bash", "-"), input=SCRIPTS[name], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_packages_are_those_of_a_clone() -> None:
    setup = (TOP / "scripts" / "setup").read_text() + (TOP / "scripts" / "quickstart").read_text()
    always, machines = re.findall(r"packages\+?=\((.*)\)", SCRIPTS["Install"])
    own = {"python3-venv"}  # a clone's is that of whichever Python it found
    assert [package for package in (*always.split(), *machines.split()) if package not in setup] == [*own]


def test_a_planted_slowdown_fails_and_everybody_is_told_where(tmp_path: Path, commands: Path) -> None:
    slow = slowed(LONG, tmp_path / "slow")
    gate = job(tmp_path, commands, LONG, slow, fail_on="runtime_s > 20 %\n")
    compared = gate.run("Compare")
    assert compared.returncode == 0, compared.stderr
    assert gate.outputs["steps.compare.outputs.status"] == "1"
    (row, *_) = (line for line in gate.summary.splitlines() if line.startswith("| failed |"))
    assert "libbpf" in row
    judged = gate.run("Judge")
    assert judged.returncode == 1
    assert "::error title=bpfbench::a change is surely beyond a limit" in judged.stdout


@pytest.mark.parametrize(("strict", "status"), [("false", 0), ("true", 3)])
def test_what_cannot_be_told_fails_where_it_is_to(tmp_path: Path, commands: Path, strict: str, status: int) -> None:
    gate = job(tmp_path, commands, OLD, NEW, strict=strict)
    gate.run("Compare").check_returncode()
    assert "> undecided: runtime_s > 5 %" in gate.summary
    assert gate.run("Judge").returncode == status


def test_runs_that_have_nothing_in_common_are_no_pass(tmp_path: Path, commands: Path) -> None:
    gate = job(tmp_path, commands, OLD, LONG)
    gate.run("Compare").check_returncode()
    assert "have nothing in common" in gate.summary
    assert gate.run("Judge").returncode == 2


@pytest.mark.parametrize("fail_on", ["runtime_s > 5 %", ""], ids=["with limits", "without"])
def test_a_damaged_baseline_is_told_from_a_slowdown(tmp_path: Path, commands: Path, fail_on: str) -> None:
    gate = job(tmp_path, commands, OLD, NEW, fail_on=fail_on)
    (gate.gate / "baseline" / OLD.name / "run.json").write_text('{"format": 99}')
    gate.run("Compare").check_returncode()
    assert gate.outputs["steps.compare.outputs.status"] == "2"
    assert "run.json: has format 99" in gate.summary
    judged = gate.run("Judge")
    assert judged.returncode == 2
    assert judged.stdout.startswith("::error title=bpfbench::there is no verdict: ")


def test_without_a_baseline_nothing_fails_and_the_run_is_shown(tmp_path: Path, commands: Path) -> None:
    gate = job(tmp_path, commands, None, NEW)
    gate.run("Compare").check_returncode()
    assert gate.summary.startswith("There is no baseline `bpfbench` yet: nothing was compared.\n")
    assert "libbpf" in gate.summary
    assert gate.run("Judge").returncode == 0


def test_without_limits_nothing_fails(tmp_path: Path, commands: Path) -> None:
    gate = job(tmp_path, commands, LONG, slowed(LONG, tmp_path / "slow"), fail_on="", strict="true")
    gate.run("Compare").check_returncode()
    assert "### What changed" in gate.summary
    assert gate.run("Judge").returncode == 0


def test_the_comment_is_short_and_written_once(tmp_path: Path, commands: Path) -> None:
    gate = job(tmp_path, commands, LONG, slowed(LONG, tmp_path / "slow"), fail_on="runtime_s > 20 %", baseline="here")
    gate.run("Compare").check_returncode()
    gate.run("Comment").check_returncode()
    comment = (gate.gate / "comment.md").read_text()
    assert comment.startswith("<!-- bpfbench: here -->\n\n### The limits\n")
    assert re.findall("^### (.*)", comment, re.MULTILINE) == ["The limits", "What changed"]
    assert "| libbpf | runtime over vanilla |" in comment
    (tmp_path / "comments").write_text("4711\n4712\n")
    gate.run("Comment").check_returncode()
    asked, first, _, second = (tmp_path / "gh.log").read_text().splitlines()
    assert asked.startswith("api repos/somebody/tracer/issues/7/comments --paginate")
    body = f"--field body=@{gate.gate}/comment.md"
    assert first == f"api --silent --method POST repos/somebody/tracer/issues/7/comments {body}"
    assert second == f"api --silent --method PATCH repos/somebody/tracer/issues/comments/4711 {body}"


def test_a_run_becomes_the_baseline_in_place_of_the_one_before(tmp_path: Path, commands: Path) -> None:
    gate = job(tmp_path, commands, OLD, NEW)
    gate.run("Make this run the baseline").check_returncode()
    assert [path.name for path in (gate.gate / "baseline").iterdir()] == [NEW.name]
    paths = {STEPS[name]["with"]["path"] for name in ("Fetch the baseline", "Keep the baseline")}
    assert len(paths) == 1, "a cache is found by its paths, too"


def test_a_job_that_fails_leaves_the_baseline_as_it_was() -> None:
    """A step comes after those above it, and is left out where one of them failed, unless its condition says so."""
    names = list(STEPS)
    for name in ("Make this run the baseline", "Keep the baseline"):
        assert names.index(name) > names.index("Judge")
        assert STEPS[name]["if"] == "${{ inputs.keep == 'true' }}"


@pytest.mark.parametrize(
    ("left", "limit", "status"),
    [
        ("0003-*", "runtime_s > 1000 %", 0),
        ("*-libbpf-*", "runtime_s > 1000 %", 2),
        ("0003-*", "runtime_s < 1000 %", 1),
        ("0003-*", "", 2),
    ],
    ids=["the rest passes", "a tracer has none left", "the rest fails", "no limits"],
)
def test_trials_that_failed_for_good_pass_where_all_the_rest_can_be_told(
    tmp_path: Path, commands: Path, left: str, limit: str, status: int
) -> None:
    gate = job(tmp_path, commands, LONG, failed_in(LONG, tmp_path / "less", left), failed="true", fail_on=limit)
    gate.run("Compare").check_returncode()
    assert gate.outputs["steps.compare.outputs.status"] == str(status)
    assert "> Trials failed, and failed again" in gate.summary
    assert "> Trials failed, and failed again" in (gate.gate / "verdict.md").read_text()
    assert gate.run("Judge").returncode == status


def test_trials_that_failed_for_good_make_no_baseline(tmp_path: Path, commands: Path) -> None:
    gate = job(tmp_path, commands, None, NEW, failed="true")
    gate.run("Compare").check_returncode()
    assert gate.run("Judge").returncode == 2


MEASURES = """#!/bin/bash
echo "$*" >>{place}/called
for place; do [ -z "$next" ] || run=$place; next=; [ "$place" != --run-dir ] || next=1; done
[ -z "{begins}" ] || [ -z "$run" ] || {{ mkdir -p "$run"; touch "$run/run.json"; }}
set -- {statuses}
shift $(($(wc -l <{place}/called) - 1))
exit "$1"
"""


@pytest.mark.parametrize(
    ("statuses", "begins", "calls", "status", "failed"),
    [
        ("0", True, 1, 0, False),
        ("1 0", True, 2, 0, False),
        ("1 1", True, 2, 0, True),
        ("1 143", True, 2, 143, False),
        ("1", False, 1, 1, False),
        ("2", False, 1, 2, False),
        ("130", True, 1, 130, False),
    ],
)
def test_trials_that_failed_are_run_again_once(
    tmp_path: Path, commands: Path, statuses: str, begins: bool, calls: int, status: int, failed: bool
) -> None:
    script = MEASURES.format(place=tmp_path, statuses=statuses, begins="yes" if begins else "")
    (commands / "bpfbench").write_text(script)
    gate = Job(tmp_path, {"testbed": "vm", "options": "--repetitions 6"}, commands)
    assert gate.run("Measure").returncode == status
    run = gate.gate / "run" / "0123456789ab"
    called = (tmp_path / "called").read_text().splitlines()
    assert (
        called
        == [
            f"run --wait quick --testbed vm --run-dir {run} --repetitions 6",
            f"run --wait --resume {run} --retry-failed",
        ][:calls]
    )
    assert gate.outputs.get("steps.measure.outputs.failed") == ("true" if failed else None)


def test_a_python_that_is_too_old_is_told(tmp_path: Path, commands: Path) -> None:
    for name, script in (("dpkg", ""), ("python3", '[ "$1" = --version ] && echo "Python 3.9.2"')):
        (commands / name).write_text(f"#!/bin/sh\n{script}\n")
        (commands / name).chmod(0o755)
    done = Job(tmp_path, {}, commands).run("Install")
    assert done.returncode == 2
    assert "bpfbench needs Python 3.11 or newer; python3 is Python 3.9.2" in done.stdout


def test_a_testbed_that_is_none_is_told(tmp_path: Path, commands: Path) -> None:
    done = Job(tmp_path, {"testbed": "cluster"}, commands).run("Install")
    assert done.returncode == 2
    assert "testbed: 'cluster' is none of host, vm" in done.stdout
