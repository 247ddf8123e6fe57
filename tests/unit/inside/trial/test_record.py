# SPDX-License-Identifier: Apache-2.0
"""A record is filled in as a trial goes on; a trial that fails leaves what is known, with the reason."""

from __future__ import annotations

import json
from collections.abc import Iterator, Set
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from builders import make_fio, make_summary, make_trial

from bpfbench.codec import from_json
from bpfbench.inside.trial import record
from bpfbench.inside.trial.record import Gathered
from bpfbench.inside.trial.sampler import Sampler
from bpfbench.model import Check, Record, Settings, Status, TrialSpec

BROKEN = (Check("one", ok=True, detail="1 = 1"), Check("other", ok=False, detail="1 = 2"))


@pytest.fixture
def told() -> list[dict[str, Any]]:
    return []


@pytest.fixture
def found(tmp_path: Path, told: list[dict[str, Any]]) -> Iterator[Gathered]:
    """A trial of which nothing is known yet."""
    place = str(tmp_path)
    spec = TrialSpec(make_trial("libbpf"), Settings(), "read.fio", ("libbpf",), "7", None, place, place, place)
    sampler = Sampler("test")
    cpus: dict[str, Set[int]] = {"monitor": {0}, "workload": {3, 1}}
    yield Gathered(spec, told.append, cpus, sampler, record.begun(spec, "2026-01-02T03:04:05Z", cpus))
    sampler._system.__exit__()


def written(found: Gathered, reason: str | None = None) -> Record:
    """The record, as it is read back."""
    made = record.write(found, reason)
    assert from_json(Record, found.file("record.json").read_text()) == made
    return made


def test_it_begins_with_what_is_known_before_anything_is_done(found: Gathered) -> None:
    made = written(found)
    assert (made.session, made.cpus) == ("7", {"monitor": (0,), "workload": (1, 3)})
    assert (made.fio, made.summary, made.steps, made.checks) == (None, None, (), ())
    assert set(made.notes) == {"data and output on one file system", "tracing programs loaded before"}


def test_steps_are_told_as_they_begin_and_kept_as_they_end(found: Gathered, told: list[dict[str, Any]]) -> None:
    with found.step("outer"):
        with pytest.raises(ZeroDivisionError), found.step("inner"):
            raise ZeroDivisionError
        found.note(monitor_cpu_s=0.5)
    assert [event["name"] for event in told] == ["outer", "inner"]
    assert [step.name for step in found.record.steps] == ["inner", "outer"]
    assert found.record.monitor_cpu_s == 0.5


def test_what_is_noted_while_something_is_being_found_stays(found: Gathered) -> None:
    def checks() -> tuple[Check, ...]:
        found.note(written_bytes=5)
        return BROKEN

    found.note(checks=checks())
    assert (found.record.written_bytes, found.record.checks) == (5, BROKEN)


@pytest.mark.parametrize(
    ("checks", "reason", "status", "why"),
    [
        (BROKEN[:1], None, Status.OK, None),
        ((), "fio failed", Status.FAILED, "fio failed"),
        (BROKEN, None, Status.INVALID, "other: 1 = 2"),
    ],
)
def test_how_a_trial_ended_and_why(
    found: Gathered, checks: tuple[Check, ...], reason: str | None, status: Status, why: str | None
) -> None:
    found.note(checks=checks)
    made = written(found, reason)
    assert (made.status, made.reason) == (status, why)


def test_what_is_absent_has_a_note_and_versions_are_as_loaded(found: Gathered) -> None:
    summary = replace(make_summary(found.spec.trial), versions={"libbpf": "1.5"})
    found.note(fio=make_fio(), summary=summary)
    found.facts, found.energy_note, found.hooked_before = {"kernel": "6.12"}, "no RAPL", 3
    made = written(found)
    assert made.notes["load"] == "absent: fio ran for less than the interval between two samples"
    assert made.notes["calls"] == record.NO_CALLS
    assert (made.notes["energy"], made.notes["tracing programs loaded before"]) == ("no RAPL", "3")
    facts = json.loads(found.file("environment.json").read_text())
    assert (facts["kernel"], facts["versions"]["libbpf"], facts["versions"]["fio"]) == ("6.12", "1.5", "fio-3.39")
    assert found.file("samples.csv").read_text().startswith("monotonic_s,what,")
