# SPDX-License-Identifier: Apache-2.0
"""doctor and list: what this machine can do, and what can be chosen."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from bpfbench import catalogue
from bpfbench.cli.app import cache_dir
from bpfbench.cli.show import Form, show
from bpfbench.declare import study, targets
from bpfbench.errors import UsageError
from bpfbench.machine.facts import Fitness
from bpfbench.model import OPTIONS, Setup
from bpfbench.report.document import Block, Document, Field, Heading, Table, Terms, table, texts
from bpfbench.run import doctor as examination
from bpfbench.run.stage import VENUES

MARKS = {
    Fitness.OK: Field("ok", weight="good"),
    Fitness.NOTE: Field("note", weight="open"),
    Fitness.MISSING: Field("MISSING", weight="bad"),
}


def doctor(
    *,
    testbed: Annotated[str, Parameter(help="The testbed to measure on: host, vm.")] = "host",
    form: Form = Form(),
) -> int:
    """Check what this machine can measure, what is missing, and how to get it. Changes nothing.

    Exit status: 0, this machine can measure; 1, it lacks something.
    """
    if testbed not in VENUES:
        raise UsageError(f"option --testbed: {testbed!r} is none of {', '.join(VENUES)}")
    found = examination.examine(testbed, cache_dir(), Path.cwd())
    looked_at = [
        (MARKS[own.verdict], *map(Field, (own.what, own.found, own.advice or "")))
        for own in (*found.findings, *found.kept)
    ]
    beside = [("same" if own.same else "", own.what, own.paper, own.here) for own in found.against_paper]
    verdict = (
        "This machine can measure." if found.usable else "Nothing can be measured before what is MISSING is mended."
    )
    document: Document = (
        Heading("What this machine can measure"),
        Table(texts("", "what", "found", "what to do"), tuple(looked_at)),
        Heading("Against the paper's machine"),
        table(("", "what", "paper", "here"), beside, texts=4),
        Heading(verdict),
    )
    show(form, "doctor", document, found.data)
    return 0 if found.usable else 1


def list_(*, form: Form = Form()) -> int:
    """List studies, setups, tools, workloads, targets, images and kernels, one line each."""
    studies = {name: study.load(path).description for name, path in catalogue.studies().items()}
    sections: dict[str, dict[str, str]] = {
        "studies": studies,
        "setups": {
            "vanilla": "no tracer; part of every block",
            **{s.name: s.description for s in catalogue.SETUPS.values()},
        },
        "what their tracers can be set to": {s.name: _options(s) for s in catalogue.SETUPS.values() if s.options},
        "tools": {tool.value: text for tool, text in catalogue.TOOLS.items()},
        "workloads": catalogue.WORKLOADS,
        "targets": {name: targets.shipped(name).description for name in catalogue.TARGETS},
        "images": catalogue.IMAGES,
        "kernels": catalogue.KERNELS,
    }
    blocks: list[Block] = []
    for title, section in sections.items():
        if section:
            blocks += [Heading(title), Terms(tuple(section.items()))]
    show(form, "list", tuple(blocks), sections)
    return 0


def _options(setup: Setup) -> str:
    """Say what a setup can be set to beyond what every setup does."""
    kinds = {name: [kind for kind in own if kind != OPTIONS[name][0]] for name, own in setup.options.items()}
    return "; ".join(f"{name} {', '.join(own)}" for name, own in kinds.items())
