# SPDX-License-Identifier: Apache-2.0
"""What the conformance suite found is shown whole: a word for each case and setup, and each failure with its detail."""

from __future__ import annotations

import io

from rich.console import Console

from bpfbench.model import Attach
from bpfbench.model.check import CaseVerdict, Ended
from bpfbench.report.documents import check
from bpfbench.report.write import terminal


def verdict(
    case: str,
    setup: str,
    outcome: Ended = Ended.PASSED,
    detail: str = "",
    variant: str = "",
    attach: Attach = Attach.TRACEPOINT,
) -> CaseVerdict:
    return CaseVerdict(case, setup, attach, variant, outcome, detail)


def shown(*found: CaseVerdict, width: int = 100) -> list[str]:
    out = io.StringIO()
    terminal.write(check.document(found), Console(file=out, width=width))
    return [line.strip() for line in out.getvalue().splitlines()]


def row(lines: list[str], case: str) -> list[str]:
    """The words of a case's line in the table."""
    (line,) = [line for line in lines if line.strip().startswith(f"{case} ")][:1]
    return line.split()


class TestTable:
    def test_each_case_has_a_line_and_each_setup_a_column_in_the_order_they_came(self) -> None:
        lines = shown(
            verdict("events", "libbpf"), verdict("events", "bcc"), verdict("counts", "libbpf"), verdict("counts", "bcc")
        )
        assert ["libbpf", "bcc"] in [line.split() for line in lines]
        assert row(lines, "events") == ["events", "ok", "ok"]
        assert lines.index(next(line for line in lines if "events" in line)) < lines.index(
            next(line for line in lines if "counts" in line)
        )

    def test_each_hook_flavour_of_a_setup_has_a_column_of_its_own(self) -> None:
        lines = shown(
            verdict("events", "bcc"),
            verdict("events", "bcc", Ended.FAILED, "x", attach=Attach.KPROBE),
            verdict("events", "libbpf", attach=Attach.KPROBE),
        )
        assert ["bcc", "bcc", "libbpf"] in [line.split() for line in lines]
        assert row(lines, "case") == ["case", "tracepoint", "kprobe", "kprobe"]
        assert row(lines, "events") == ["events", "ok", "FAILED", "ok"]

    def test_a_setup_that_fails_in_one_variant_has_failed(self) -> None:
        lines = shown(
            verdict("events", "bcc", variant="rw-tracer text"),
            verdict("events", "bcc", Ended.FAILED, "x", "rw-tracer binary"),
            verdict("events", "bcc", Ended.SKIPPED, "y", "rw-tracer-all text"),
            verdict("events", "libbpf"),
        )
        assert row(lines, "events") == ["events", "FAILED", "ok"]

    def test_a_setup_that_passes_where_it_is_not_skipped_has_passed(self) -> None:
        lines = shown(verdict("drain", "own", Ended.SKIPPED, "no rw tool"), verdict("drain", "own", variant="text"))
        assert row(lines, "drain") == ["drain", "ok"]

    def test_a_case_that_does_not_apply_is_a_dash(self) -> None:
        assert row(shown(verdict("drain", "own", Ended.SKIPPED, "it has no rw tool")), "drain") == ["drain", "-"]

    def test_a_case_that_a_setup_was_not_in_is_left_empty(self) -> None:
        lines = shown(verdict("events", "bcc"), verdict("counts", "own"))
        assert row(lines, "events") == ["events", "ok"]
        assert row(lines, "counts") == ["counts", "ok"]


class TestDetails:
    def test_each_failure_is_told_with_setup_hook_case_and_variant(self) -> None:
        lines = shown(
            verdict("events", "bcc", Ended.FAILED, "offset is 1, not 2", "rw-tracer text"),
            verdict("options", "bcc", Ended.FAILED, "bad ring: status 0"),
        )
        assert "bcc tracepoint events rw-tracer text: failed: offset is 1, not 2" in lines
        assert "bcc tracepoint options: failed: bad ring: status 0" in lines

    def test_what_was_skipped_is_told_with_the_reason_before_the_failures(self) -> None:
        lines = shown(
            verdict("events", "bcc", Ended.FAILED, "x"),
            verdict("drain", "own", Ended.SKIPPED, "it has no rw tool"),
        )
        assert lines.index("own tracepoint drain: skipped: it has no rw tool") < lines.index(
            "bcc tracepoint events: failed: x"
        )

    def test_what_passed_needs_no_line(self) -> None:
        assert not [line for line in shown(verdict("events", "bcc", variant="rw-tracer text")) if "rw-tracer" in line]

    def test_an_event_is_shown_in_one_line_and_as_it_is(self) -> None:
        detail = f"name is '[bold]x[/bold]', not '[red]': event({'payload=00, ' * 40})"
        lines = shown(verdict("events", "bcc", Ended.FAILED, detail), width=80)
        assert f"bcc tracepoint events: failed: {detail}" in lines

    def test_the_last_line_counts_them(self) -> None:
        lines = shown(
            verdict("a", "x"),
            verdict("b", "x"),
            verdict("c", "x", Ended.FAILED, "f"),
            verdict("d", "x", Ended.SKIPPED, "s"),
        )
        assert lines[-1] == "2 passed, 1 failed, 1 skipped"

    def test_where_nothing_was_found_nothing_is_counted(self) -> None:
        assert shown()[-1] == "0 passed, 0 failed, 0 skipped"
