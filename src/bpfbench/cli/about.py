# SPDX-License-Identifier: Apache-2.0
"""doctor and list: what this machine can do, and what can be chosen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from bpfbench import catalogue
from bpfbench.cli.app import app, cache_dir
from bpfbench.cli.show import Form, show
from bpfbench.declare import study
from bpfbench.errors import UsageError
from bpfbench.inside import environment
from bpfbench.machine import facts
from bpfbench.machine.facts import Diagnosis, Fitness
from bpfbench.report.document import Block, Document, Heading, Terms, table
from bpfbench.run import campaign
from bpfbench.run import doctor as examination
from bpfbench.testbed import image
from bpfbench.testbed.image import Image


@app.command
def doctor(
    *,
    testbed: Annotated[str, Parameter(help="What is to be measured on: host, vm.")] = "host",
    form: Form = Form(),
) -> int:
    """Say what this machine can measure, what it lacks, and how to get it. Changes nothing."""
    if testbed not in catalogue.TESTBEDS:
        raise UsageError(f"option --testbed: {testbed!r} is none of {', '.join(catalogue.TESTBEDS)}")
    findings = tuple(examination.examine(testbed, cache_dir()))
    images = image.built(cache_dir())
    usable = all(finding.verdict is not Fitness.MISSING for finding in findings)
    places = {"data": cache_dir(), "run": Path.cwd()}
    differences = tuple(examination.against_paper(catalogue.paper()["setup"], testbed, places))
    data = {
        "testbed": testbed,
        "usable": usable,
        "findings": findings,
        "against_paper": differences,
        "machine": facts.gather(),
        "environment": environment.facts({}),
        "storage": facts.storage_facts({"cache": cache_dir()}),
        "images": images,
        "setups": {name: bool(images) and name in images[0].setups for name in catalogue.SETUPS},
    }
    marks = {Fitness.OK: "ok", Fitness.NOTE: "note", Fitness.MISSING: "MISSING"}
    looked_at = [(marks[own.verdict], own.what, own.found, own.advice or "") for own in (*findings, *_kept(images))]
    beside = [("same" if own.same else "", own.what, own.paper, own.here) for own in differences]
    verdict = "This machine can measure." if usable else "Nothing can be measured before what is MISSING is mended."
    document: Document = (
        Heading("What this machine can measure"),
        table(("", "what", "found", "what to do"), looked_at, texts=4),
        Heading("Against the paper's machine"),
        table(("", "what", "paper", "here"), beside, texts=4),
        Heading(verdict),
    )
    show(form, "doctor", document, data)
    return 0 if usable else 1


def _kept(images: Sequence[Image]) -> Iterator[Diagnosis]:
    """Say what there is of disk, images and setups."""
    disk = facts.storage(cache_dir())
    yield Diagnosis("disk", Fitness.OK, f"{campaign.gib(disk.free_bytes)} free on {disk.device} ({disk.filesystem})")
    build = "bpfbench image build trixie"
    if not images:
        yield Diagnosis("images", Fitness.NOTE, "none built", build)
        yield Diagnosis("setups", Fitness.NOTE, "none built", build)
        return
    yield Diagnosis("images", Fitness.OK, f"{len(images)} built, newest {images[0].name} {images[0].key}")
    built = images[0].setups
    present = ", ".join(name for name in catalogue.SETUPS if name in built)
    absent = ", ".join(name for name in catalogue.SETUPS if name not in built)
    if absent:
        yield Diagnosis("setups", Fitness.NOTE, f"{present}; not built: {absent}", build)
    else:
        yield Diagnosis("setups", Fitness.OK, present)


@app.command(name="list")
def list_(*, form: Form = Form()) -> int:
    """List studies, setups, tools, workloads, images and kernels, one line each."""
    studies = {path.stem: study.load(path).description for path in catalogue.study_files()}
    sections: dict[str, dict[str, str]] = {
        "studies": studies,
        "setups": {
            "vanilla": "no tracer; part of every block",
            **{s.name: s.description for s in catalogue.SETUPS.values()},
        },
        "tools": {tool.value: text for tool, text in catalogue.TOOLS.items()},
        "workloads": catalogue.WORKLOADS,
        "images": {recipe.name: recipe.description for recipe in image.RECIPES.values()},
        "kernels": catalogue.KERNELS,
    }
    blocks: list[Block] = []
    for title, section in sections.items():
        blocks += [Heading(title), Terms(tuple(section.items()))]
    show(form, "list", tuple(blocks), sections)
    return 0
