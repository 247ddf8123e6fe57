# SPDX-License-Identifier: Apache-2.0
"""The artifact appendix of a run, as the ACM's reproducibility reviews ask for it.

Its parts are those of the template in common use at ACM conferences (https://ctuning.org/ae): abstract, check-list,
description, installation, workflow, evaluation and expected results, customisation, notes. Whatever a run does not know
(where it is archived, under which DOI) is for the authors to add, and is not made up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from bpfbench.analysis.metrics import FIO
from bpfbench.analysis.questions.claims.judge import ClaimVerdict, Findings, by_run
from bpfbench.analysis.results import Results
from bpfbench.declare.study import to_toml
from bpfbench.model import Status, Study
from bpfbench.report import wording
from bpfbench.report.about import About, each_host
from bpfbench.report.document import Block, Code, Document, Heading, Paragraph, Terms, table
from bpfbench.report.documents import claims
from bpfbench.store import RunInfo

GIB = 2**30

INSTALLATION = ("sudo ./scripts/quickstart",)
KICK_THE_TIRES = ("bpfbench doctor", "bpfbench check", "bpfbench run smoke", "bpfbench summary latest")

_INSTALLATION = (
    "In the source directory, as root. It installs what bpfbench needs, builds the image with all libraries, compilers"
    " and tracers once, and runs the quick study."
)
_KICK = (
    "What the machine can measure, whether all tracers record the same, and a study of a few minutes with its summary:"
)
_CUSTOMISATION = (
    "A study is a TOML file in which every factor may be a list: setups, tools, workloads, hooks, formats, sizes of"
    " ring and payload, kernels. Options of bpfbench run replace its keys, bpfbench plan shows what would be run. A"
    " tracer of one's own takes part when a study names it (docs/adding-a-tracer.md)."
)


def document(run: RunInfo, about: About, results: Results) -> Document:
    """Write the appendix, every part of it.

    Args:
        run: what was declared and found when it began.
        about: the same for readers.
        results: of that run.
    """
    found = by_run(results)
    parts: Mapping[str, Iterable[Block]] = {
        "Abstract": [Paragraph(_abstract(run, about, results, found))],
        "Artifact check-list": [Terms(tuple(_checklist(run, about, results)))],
        "How to access": [Paragraph(_access(run, about))],
        "Hardware dependencies": [Paragraph(_hardware(run.machine))],
        "Software dependencies": [Paragraph(_software(run))],
        "Installation": [Paragraph(_INSTALLATION), Code(INSTALLATION)],
        "Kick the tires": [Paragraph(_KICK), Code(KICK_THE_TIRES)],
        "Experiment workflow": _workflow(run.study),
        "Evaluation and expected results": _evaluation(about, found),
        "Experiment customisation": [Paragraph(_CUSTOMISATION)],
        "Notes": [Terms(tuple(_notes(run, about, results, found)))],
    }
    chapters = (block for title, blocks in parts.items() for block in (Heading(title, 1), *blocks))
    return Heading("Artifact appendix", 0), *chapters


def _abstract(run: RunInfo, about: About, results: Results, found: Findings) -> str:
    ok = sum(record.status is Status.OK for record in results.records)
    return (
        f"Run {about.run_id} of bpfbench {run.bpfbench_version}: study {run.study.name}, {run.study.description}."
        f" {len(results.records)} of {about.trials_planned} trials were run on {about.host}, kernel {about.kernel};"
        f" {ok} of them ended ok and count. Each is kept with what {results.target_called}, the tracer and the monitors"
        " said, so that every number can be computed again. Judged by it, of the claims of No Two Snowflakes Are Alike"
        f" (eBPF '25), {len(found.judgements)} in all: {claims.totals(found)}."
    )


def _checklist(run: RunInfo, about: About, results: Results) -> Iterator[tuple[str, str]]:
    study, factors = run.study, run.study.factors
    chosen = (f"{name} {version}" for name, version in run.image.get("versions", {}).items())
    yield "Program", f"bpfbench {run.bpfbench_version}, setups {', '.join(factors.setups)}"
    yield "Compilation", f"in image {about.image}, Debian {run.image.get('suite', 'suite not recorded')}"
    yield "Versions", ", ".join(chosen) or "not recorded"
    written = "files written by fio" if results.target_called == FIO else "what targets lay out"
    yield "Data set", f"{written}, nothing to download"
    yield "Run-time environment", f"Linux {about.kernel} with BPF, testbed {study.testbed}, as root"
    yield "Hardware", _hardware(run.machine)
    yield "Metrics", ", ".join(metric.key for metric in results.metrics)
    yield "Output", "a run directory: one record per trial, its plan and log (docs/result-format.md)"
    yield (
        "Experiments",
        (
            f"tools {', '.join(factors.tools)}; workloads {', '.join((*factors.workloads, *factors.targets))};"
            f" {study.repetitions} repetitions, order by seed {study.seed}"
        ),
    )
    yield "Disk space", f"{_data_bytes(results) / GIB:.1f} GiB of data files, besides image and tracer output"
    yield "Time to complete", f"{sum(record.seconds for record in results.records) / 60:.0f} minutes, on this machine"
    yield "Licences", "Apache-2.0; kernel-side sources GPL-2.0-only OR BSD-2-Clause"
    yield "Workflow framework", "bpfbench itself"


def _data_bytes(results: Results) -> int:
    """Data files are shared by workloads of one size."""
    sizes = {(cell.workload.processes, cell.workload.bytes_per_process) for cell in results.cells}
    return sum(processes * size for processes, size in sizes)


def _access(run: RunInfo, about: About) -> str:
    return (
        f"The artifact is the source of bpfbench {run.bpfbench_version} and the run directory {about.run_id}, started"
        f" {about.started_at}. The run does not record where they are archived."
    )


def _hardware(machine: Mapping[str, Any]) -> str:
    return "; or ".join(dict.fromkeys(map(_hardware_of, each_host(machine).values())))


def _hardware_of(machine: Mapping[str, Any]) -> str:
    disk = machine.get("storage", {}).get("data", {})
    kept = f"; data on {disk.get('device')} ({disk.get('filesystem')})" if disk else ""
    memory = machine.get("memory_bytes", 0) / GIB
    known = (f"{memory:.0f} GiB of memory" if memory else "", str(machine.get("architecture", "")))
    return ", ".join(filter(None, (machine["cpu_model"], f"{machine['cpus']} CPUs", *known))) + kept


def _software(run: RunInfo) -> str:
    return (
        "Debian or Ubuntu with Python 3.11, git and root. Libraries, compilers and fio live in the image, pinned by its"
        f" key ({run.image.get('key', 'not recorded')}); the machine measured on ran"
        f" {run.machine.get('distribution', 'a distribution not recorded')}."
    )


def _workflow(study: Study) -> Iterator[Block]:
    yield Paragraph("The study as it was run, every key resolved, to be saved as study.toml:")
    yield Code(tuple(to_toml(study).splitlines()))
    yield Paragraph("One command runs it, the others show what it found. An interrupted run goes on with --resume.")
    shown = (f"bpfbench {verb} latest" for verb in ("summary", "claims", "tradeoffs", "report"))
    yield Code(("bpfbench run study.toml", *shown))


def _evaluation(about: About, found: Findings) -> Iterator[Block]:
    yield Paragraph(claims.headline(found, about) + ". " + claims.EXPLANATION)
    tested = [j for j in found.judgements if j.verdict is not ClaimVerdict.NOT_TESTABLE]
    judged = [(claims.WORDS[j.verdict][found.of_paper], j.claim.section, j.claim.text) for j in tested]
    yield table(("verdict", "section", "claim"), judged, texts=3)
    missing = dict.fromkeys(what for j in found.judgements for what in j.missing)
    if missing:
        yield Paragraph(f"Those that are not testable here take: {'; '.join(missing)}.")
    for own in claims.tables(found)[1:]:
        yield Paragraph(f"{own.title}:")
        yield own


def _notes(run: RunInfo, about: About, results: Results, found: Findings) -> Iterator[tuple[str, str]]:
    for remark in dict.fromkeys((*wording.warnings(about), *found.remarks)):
        yield "Note", remark
    for reason in run.left_out:
        yield "Left out", reason
    for own in results.excluded:
        yield own.status.value, f"{own.trial.id}: {wording.reason(own) or 'no reason recorded'}"
    yield "Method", "docs/metrics.md defines every number; docs/claims.md says how claims are judged"
