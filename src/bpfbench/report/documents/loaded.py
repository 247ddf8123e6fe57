# SPDX-License-Identifier: Apache-2.0
"""What tracers that are commands have loaded, by the kernel's word, and what they received, by their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from bpfbench.analysis.results import Cell, Results
from bpfbench.model import Record
from bpfbench.model.command import BpfObject, CommandAccount
from bpfbench.report.document import ABSENT, Chapter, Field, Paragraph, Table, texts
from bpfbench.units import plural, size

TITLE = "What commands loaded"
LEGEND = (
    "Of the last trial that counts. Programs, where they are attached, and maps: by the kernel. Received and lost: by"
    " the tracer's own word, from what it printed; such a tracer keeps no contract, so what it misses beyond that is"
    " not known. What it printed is beside each record, in tracer.printed."
)


def chapter(results: Results) -> Chapter | None:
    """Describe each command of a run, a table for each tool; None where there is none."""
    found: dict[str, list[tuple[Cell, Record]]] = {}
    for cell in results.cells:
        counted = results.counted(cell)
        if cell.is_command and cell.is_full and counted and counted[-1].command:
            found.setdefault(cell.tool, []).append((cell, counted[-1]))
    if not found:
        return None
    each = (_table(tool, own, results) for tool, own in found.items())
    return Chapter(TITLE, (Paragraph(LEGEND, "fine"), *each), "commands", folded=True)


def _table(tool: str, found: Sequence[tuple[Cell, Record]], results: Results) -> Table:
    rows = tuple(
        _row(cell, record, record.command, list(_run_times(cell, results))) for cell, record in found if record.command
    )
    columns = texts("setup", "command", "BPF programs", "maps", "received")
    return Table(columns, rows, key=f"commands-{tool}", title=tool)


def _row(cell: Cell, record: Record, account: CommandAccount, times: Sequence[str]) -> tuple[Field, ...]:
    command = Field(" ".join(account.command), f"ready by: {account.ready_by}")
    if account.bpf is None:
        return (Field(cell.setup), command, Field(ABSENT), Field(ABSENT), _received(account))
    hooks = dict.fromkeys(f"{hook.kind} {hook.target}" for hook in record.hooks)
    programs = Field(_counted(account.bpf.programs), "\n".join((*hooks, *times)))
    maps = Field(_charged(account.bpf.maps), "\n".join(map(_described, account.bpf.maps)))
    return Field(cell.setup), command, programs, maps, _received(account)


def _counted(objects: Iterable[BpfObject]) -> str:
    kinds = Counter(own.kind for own in objects)
    return ", ".join(f"{count} {kind}" for kind, count in kinds.items()) or "none"


def _charged(maps: Sequence[BpfObject]) -> str:
    known = [own.memory_bytes for own in maps if own.memory_bytes is not None]
    return f"{len(maps)}, {size(sum(known))}" if known else str(len(maps)) if maps else "none"


def _described(own: BpfObject) -> str:
    entries = "" if own.size is None else f", {own.size} {'bytes' if own.kind == 'ringbuf' else 'entries'}"
    return f"{own.kind} {own.name}{entries}"


def _run_times(cell: Cell, results: Results) -> Iterator[str]:
    """Say how long each program ran, by the trials that count that."""
    of_cell = (other for other in results.cells if not other.is_full and other.vanilla == cell.vanilla)
    counted = [record for other in of_cell if other.setup == cell.setup for record in results.counted(other)]
    for program in counted[-1].programs if counted else ():
        each = f", {program.run_ns / program.runs:.0f} ns each" if program.runs else ""
        yield f"{program.name}: {plural(program.runs, 'run')}{each}"


def _received(account: CommandAccount) -> Field:
    if account.received is None:
        lost = "" if account.lost is None else f"lost {account.lost}, by its own word"
        return Field(ABSENT, lost or "no pattern says where it tells")
    of = f", of the target's {account.calls}, which the kernel counts, too" if account.calls else ", by its own word"
    lost = "" if account.lost is None else f"; lost {account.lost}"
    return Field(str(account.received), f"{lost.removeprefix('; ')}{of}" if lost else of.removeprefix(", "))
