# SPDX-License-Identifier: Apache-2.0
"""The words around the tables, the same in every report for people: headings, labels, legend."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bpfbench import factors
from bpfbench.analysis.results import Description, said
from bpfbench.analysis.summary import Group, Row, Summary
from bpfbench.model import EMULATED_REMARK, IoPace, RateProcess, Record, Status, TracerConfig, Workload
from bpfbench.report.about import About
from bpfbench.report.document import Field
from bpfbench.report.numbers import rounded
from bpfbench.units import plural, size

ACCOUNT = "Totals over n trials that ended ok, each of which passed all of its checks."
"""What the numbers of an emulated machine are."""
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
"""What compilers colour their messages with."""


CONFIGURED = {factor.field: factor for factor in factors.of(TracerConfig)}
"""What a tracer is configured with."""


def signed_size(count: float) -> str:
    """Write a difference of bytes in MiB, with its sign."""
    return f"{count / 2**20:+.1f} MiB"


def factor(name: str, value: Any) -> str:
    """Label one factor of a tracer's configuration."""
    return CONFIGURED[name].called(value)


def configuration(config: TracerConfig | None, names: Iterable[str]) -> list[str]:
    """Label these factors of a configuration."""
    values = ((name, getattr(config, name, None)) for name in names)
    return [factor(name, value) for name, value in values if value is not None]


def settings(config: TracerConfig | None) -> str:
    """Label all of a configuration that does not go without saying, but its variant."""
    return ", ".join(factor(name, value) for name, value in said(config).items() if name != "variant")


def setup_name(setup: str, config: TracerConfig | None, varying: Iterable[str]) -> str:
    """Name a setup by what distinguishes it from others."""
    labels = configuration(config, varying)
    return f"{setup} ({', '.join(labels)})" if labels else setup


def row_name(row: Row, group: Group) -> str:
    """Name a row within its group."""
    return setup_name(row.cell.setup, row.cell.config, group.varying)


def named(row: Row, group: Group) -> tuple[Field, Field]:
    """Write what begins a line of a table: who it is of, and how many trials count."""
    labels = "\n".join(configuration(row.cell.config, group.varying))
    return Field(row.cell.setup, detail=labels), Field(
        str(row.n), detail="\n".join(_not_counted(row.n_failed, row.n_invalid))
    )


def change(found: Description | None) -> str | None:
    """Write a difference in per cent, with its sign."""
    return None if found is None else f"{rounded(found.mean, 1, '+')} %"


def _not_counted(failed: int, invalid: int) -> list[str]:
    return [f"{count} {word}" for count, word in ((failed, "failed"), (invalid, "invalid")) if count]


@dataclass(frozen=True, slots=True)
class Said:
    """What is said of a run's own trials, whatever the setups: order and noise, worded by order.py.

    It stands here, as what words it takes a second to import.
    """

    sentences: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    """To be read before any number."""
    document: Mapping[str, Any] = field(default_factory=dict)
    """The same for programs."""


def extent(work: Workload) -> str:
    """Say how much a target does, and what is unusual about it."""
    processes = "1 process" if work.processes == 1 else f"{work.processes} processes"
    return f"{processes} x {size(work.bytes_per_process)}{clauses(work)}"


def whole(work: Workload) -> str:
    """Name a workload with its size; a target besides fio has none."""
    return f"{work.name}, {extent(work)}" if work.is_fio else f"{work.name}{clauses(work)}"


def target(work: Workload) -> str:
    """Say what is traced, in a sentence."""
    return "fio" if work.is_fio else work.name


def clauses(work: Workload) -> str:
    """Say what is unusual about what a target does, such as a limited rate; empty where nothing is."""
    return "".join(f", {clause}" for clause in factors.clauses(work))


def bursts(pace: IoPace) -> str:
    """Say behind a rate that it is one of bursts, or of a Poisson process; empty where it is steady."""
    if pace.burst_ios == 1:
        return "" if pace.rate_process is RateProcess.LINEAR else f", at random times ({pace.rate_process})"
    return f", in bursts of {pace.burst_ios} I/Os, {pace.duty_percent:g} % of the time"


def heading(group: Group) -> str:
    """Name a group: workload, scale, tool, and the kernel where it is one of the image's."""
    return case_title(group.workload, group.tool, group.kernel)


def case_title(work: Workload, tool: str, kernel: str | None) -> str:
    """Name what setups are compared in: workload, scale, tool, and the kernel where it is known."""
    return f"{whole(work)}: {tool}{f', kernel {kernel}' if kernel else ''}"


def common_configuration(group: Group) -> str:
    """Say what all tracers of a group are configured with; empty if nothing is common."""
    return ", ".join(factor(name, value) for name, value in group.common.items())


def title(info: About, summary: Summary) -> str:
    """Say what was run and how much of it counts."""
    done = f"{info.study}: {info.trials_done} of {info.trials_planned} trials done"
    return ", ".join([done, *_not_counted(summary.excluded_as(Status.FAILED), summary.excluded_as(Status.INVALID))])


def circumstances(info: About) -> str:
    """Say where and when it was run."""
    where = (("run", info.run_id), ("host", info.host), ("kernel", info.kernel), ("image", info.image))
    known = (*where, ("seed", info.seed), ("started", info.started_at))
    return ", ".join(f"{name} {value}" for name, value in known if value is not None)


def warnings(info: About) -> list[str]:
    """Say what a reader must know before reading any number."""
    found = []
    if info.emulated:
        found.append(EMULATED_REMARK)
    if info.trials_done < info.trials_planned:
        found.append("The run is not complete: what follows is over the trials done so far.")
    if info.superseded:
        was = "was set aside, and counts" if info.superseded == 1 else "were set aside, and count"
        found.append(f"{plural(info.superseded, 'record')} of earlier attempts {was} in no number.")
    return found


def reason(excluded: Record) -> str | None:
    """A reason as one printable line: it may quote a compiler or a kernel."""
    return None if excluded.reason is None else printable(excluded.reason)


def printable(text: str) -> str:
    """Fold white space, drop colours, and replace control characters, which would reach the reader's terminal."""
    return unfolded(" ".join(COLOUR.sub("", text).split()))


def unfolded(line: str) -> str:
    """Do the same to a line of code, where each blank says something."""
    shown = (" " if c.isspace() else c for c in COLOUR.sub("", line.expandtabs(4)))
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in shown)


NAMED = 6
"""Names in a sentence; a crossed study has dozens of candidates."""


def listed(names: Sequence[str], word: str = "and") -> str:
    """List names in a sentence, as far as there is room."""
    if len(names) > NAMED:
        return f"{', '.join(names[:NAMED])} {word} {len(names) - NAMED} more"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {word} {names[-1]}" if names else ""
