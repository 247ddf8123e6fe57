# SPDX-License-Identifier: Apache-2.0
"""The Containerfile, without an engine: it has what testbeds take, and nothing that moves."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from bpfbench import catalogue
from bpfbench.machine import facts, privileges

TOP = Path(__file__).parents[2]
TEXT = (TOP / "Containerfile").read_text()
FINAL = TEXT[TEXT.rindex("\nFROM ") :]
MACHINES = {"qemu-system-x86", "qemu-utils", "uidmap"}


def test_it_has_every_package_that_a_testbed_takes() -> None:
    installed = set(re.findall(r"^        ([a-z0-9-]+) \\$", FINAL, re.MULTILINE))
    assert {*facts.PACKAGES.values(), *facts.BUILDING.values(), *MACHINES} <= installed


def test_what_it_is_built_on_is_pinned() -> None:
    assert re.search(r"^ARG BASE=debian:trixie-\d{8}-slim@sha256:[0-9a-f]{64}$", TEXT, re.MULTILINE)
    assert re.findall(r"^FROM (\S+)", TEXT, re.MULTILINE) == ["${BASE}", "${BASE}"]
    assert "--require-hashes -r requirements.lock" in TEXT


def test_it_runs_as_an_ordinary_user_who_has_been_lent_enough_users() -> None:
    assert FINAL[FINAL.index("\nUSER ") :].startswith("\nUSER bpfbench\n")
    (lent,) = re.findall(r"echo (bpfbench:\d+:\d+) ", FINAL)
    assert privileges.lent_ids(lent, "bpfbench", 1000) >= privileges.IDS


def test_its_user_is_whoever_builds_it_but_not_root() -> None:
    (taken,) = re.findall(r'--uid ("[^"]+")', FINAL)
    for builder, user in (("1234", "1234"), ("0", "1000")):
        said = subprocess.run(("sh", "-c", f"UID={builder}; echo {taken}"), capture_output=True, text=True, check=True)
        assert said.stdout == f"{user}\n"


def test_nothing_that_the_wheel_is_made_of_is_left_out() -> None:
    ignored = {line for line in (TOP / ".dockerignore").read_text().splitlines() if not line.startswith("#")}
    pages = {Path(source).parts[0] for source in catalogue.ELSEWHERE.values()}
    linked = {"Containerfile", "action.yml", "examples"}  # by pages, which the wheel has with what they link to
    needed = {"src", "docs", "guide", "LICENSE", "LICENSES", "README.md", "pyproject.toml"} | pages | linked
    assert not ignored & needed
    assert needed <= {path.name for path in TOP.iterdir()}
