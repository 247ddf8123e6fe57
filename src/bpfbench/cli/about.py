# SPDX-License-Identifier: Apache-2.0
"""doctor and list: what this machine can do, and what can be chosen."""

from __future__ import annotations

from dataclasses import asdict

from rich.table import Table

from bpfbench import campaign, catalogue, study
from bpfbench.cli.app import Json, app, cache_dir, print_json, stdout
from bpfbench.testbed import image, machine


@app.command
def doctor(*, as_json: Json = False) -> int:
    """Say what this machine can measure, what it lacks, and how to get it. Changes nothing."""
    findings = tuple(machine.examine())
    images = image.built(cache_dir())
    usable = all(finding.verdict is not machine.Verdict.MISSING for finding in findings)
    places = {"cache": cache_dir()}
    if as_json:
        data = {
            "usable": usable,
            "findings": [asdict(finding) for finding in findings],
            "machine": machine.facts(),
            "storage": machine.storage_facts(places),
            "images": [asdict(item) for item in images],
            "setups": {name: bool(images) and name in images[0].setups for name in catalogue.SETUPS},
        }
        print_json(data)
        return 0 if usable else 1
    table = Table("", "what", "found", "what to do", box=None, pad_edge=False)
    marks = {machine.Verdict.OK: "ok", machine.Verdict.NOTE: "note", machine.Verdict.MISSING: "MISSING"}
    for finding in findings:
        table.add_row(marks[finding.verdict], finding.what, finding.found, finding.advice or "")
    disk = machine.storage(cache_dir())
    table.add_row("ok", "disk", f"{campaign.gib(disk.free_bytes)} free on {disk.device} ({disk.filesystem})", "")
    names = f"{len(images)} built, newest {images[0].name} {images[0].key}" if images else "none built"
    table.add_row("ok" if images else "note", "images", names, "" if images else "bpfbench image build trixie")
    built = images[0].setups if images else ()
    absent = [name for name in catalogue.SETUPS if name not in built]
    present = ", ".join(name for name in catalogue.SETUPS if name in built) or "none built"
    lacking = f"; not built: {', '.join(absent)}" if absent and built else ""
    advice = "bpfbench image build trixie" if absent else ""
    table.add_row("note" if absent else "ok", "setups", present + lacking, advice)
    stdout.print(table)
    stdout.print(
        f"\n{'This machine can measure.' if usable else 'Nothing can be measured before what is MISSING is mended.'}"
    )
    return 0 if usable else 1


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
