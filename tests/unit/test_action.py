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


def job(tmp_path: Path, commands: Path, before: Path | None, run: Path, **inputs: str) -> Job:
    """Return a job that has measured, and found a baseline or none."""
    found = Job(tmp_path, {name.replace("_", "-"): value for name, value in inputs.items()}, commands)
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
    assert [package for package in (*always.split(), *machines.split()) if package not in setup] == []


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


def test_a_testbed_that_is_none_is_told(tmp_path: Path, commands: Path) -> None:
    done = Job(tmp_path, {"testbed": "cluster"}, commands).run("Install")
    assert done.returncode == 2
    assert "testbed: 'cluster' is none of host, vm" in done.stdout
