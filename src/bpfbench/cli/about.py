# SPDX-License-Identifier: Apache-2.0
"""doctor and list: what this machine can do, and what can be chosen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.table import Table

from bpfbench import catalogue
from bpfbench.cli.app import Json, app, cache_dir, print_json, stdout
from bpfbench.declare import study
from bpfbench.errors import UsageError
from bpfbench.inside import environment
from bpfbench.machine import facts
from bpfbench.machine.facts import Finding, Verdict
from bpfbench.run import campaign
from bpfbench.run import doctor as examination
from bpfbench.testbed import image
from bpfbench.testbed.image import Image


@app.command
def doctor(
    *,
    testbed: Annotated[str, Parameter(help="What is to be measured on: host, vm.")] = "host",
    as_json: Json = False,
) -> int:
    """Say what this machine can measure, what it lacks, and how to get it. Changes nothing."""
    if testbed not in catalogue.TESTBEDS:
        raise UsageError(f"option --testbed: {testbed!r} is none of {', '.join(catalogue.TESTBEDS)}")
    findings = tuple(examination.examine(testbed, cache_dir()))
    images = image.built(cache_dir())
    usable = all(finding.verdict is not Verdict.MISSING for finding in findings)
    places = {"data": cache_dir(), "run": Path.cwd()}
    differences = tuple(examination.against_paper(catalogue.paper()["setup"], testbed, places))
    if as_json:
        data = {
            "testbed": testbed,
            "usable": usable,
            "findings": [asdict(finding) for finding in findings],
            "against_paper": [asdict(difference) for difference in differences],
            "machine": facts.gather(),
            "environment": environment.facts({}),
            "storage": facts.storage_facts({"cache": cache_dir()}),
            "images": [asdict(item) for item in images],
            "setups": {name: bool(images) and name in images[0].setups for name in catalogue.SETUPS},
        }
        print_json(data)
        return 0 if usable else 1
    marks = {Verdict.OK: "ok", Verdict.NOTE: "note", Verdict.MISSING: "MISSING"}
    table = Table("", "what", "found", "what to do", box=None, pad_edge=False)
    for finding in (*findings, *_kept(images)):
        table.add_row(marks[finding.verdict], finding.what, finding.found, finding.advice or "")
    stdout.print(table)
    compared = Table("", "against the paper's machine", "paper", "here", box=None, pad_edge=False)
    for difference in differences:
        compared.add_row("same" if difference.same else "", difference.what, difference.paper, difference.here)
    stdout.print("", compared, sep="\n")
    verdict = "This machine can measure." if usable else "Nothing can be measured before what is MISSING is mended."
    stdout.print(f"\n{verdict}")
    return 0 if usable else 1


def _kept(images: Sequence[Image]) -> Iterator[Finding]:
    """Say what there is of disk, images and setups."""
    disk = facts.storage(cache_dir())
    yield Finding("disk", Verdict.OK, f"{campaign.gib(disk.free_bytes)} free on {disk.device} ({disk.filesystem})")
    build = "bpfbench image build trixie"
    if not images:
        yield Finding("images", Verdict.NOTE, "none built", build)
        yield Finding("setups", Verdict.NOTE, "none built", build)
        return
    yield Finding("images", Verdict.OK, f"{len(images)} built, newest {images[0].name} {images[0].key}")
    built = images[0].setups
    present = ", ".join(name for name in catalogue.SETUPS if name in built)
    absent = ", ".join(name for name in catalogue.SETUPS if name not in built)
    if absent:
        yield Finding("setups", Verdict.NOTE, f"{present}; not built: {absent}", build)
    else:
        yield Finding("setups", Verdict.OK, present)


@app.command(name="list")
def list_(*, as_json: Json = False) -> int:
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
    if as_json:
        print_json(sections)
        return 0
    width = max(len(name) for section in sections.values() for name in section)
    for title, section in sections.items():
        stdout.print(f"[bold]{title}[/bold]", highlight=False)
        for name, text in section.items():
            stdout.print(f"  {name:<{width}}  {text}", highlight=False, soft_wrap=True)
    return 0
