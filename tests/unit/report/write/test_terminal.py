# SPDX-License-Identifier: Apache-2.0
"""What a reader sees of a run, on terminals of several widths."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Sequence
from typing import Any

import pytest
from builders import (
    make_config,
    make_failure,
    make_record,
    make_summary,
    make_trial,
)
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from typical import INFO, typical_run

from bpfbench.analysis.results import of
from bpfbench.analysis.summary import summarise
from bpfbench.model import Attach, Format, Record, Status, Tool
from bpfbench.report.about import About
from bpfbench.report.document import Code
from bpfbench.report.documents.summary import document
from bpfbench.report.write import terminal


def shown(
    records: Sequence[Record], width: int = 140, info: About = INFO, *, paper_rule: bool = False, **options: Any
) -> str:
    out = io.StringIO()
    terminal.write(
        document(summarise(of(records)), info, paper_rule=paper_rule), Console(file=out, width=width, **options)
    )
    return out.getvalue()


def line_of(text: str, start: str) -> str:
    """The line of the table that starts with this, with runs of blanks folded."""
    (line,) = (line for line in text.splitlines() if line.startswith(f"{start}  "))
    return " ".join(line.split())


def below(text: str, start: str) -> str:
    """The line under it."""
    lines = text.splitlines()
    (position,) = (number for number, line in enumerate(lines) if line.startswith(f"{start}  "))
    return " ".join(lines[position + 1].split())


def folded(text: str) -> str:
    return " ".join(text.split())


def test_code_keeps_its_blanks_and_nothing_that_a_terminal_obeys() -> None:
    out = io.StringIO()
    lines = ("if (x)", "", "\ty();  /* \x1b[31m\x9b2J\n */")
    terminal.write((Code(lines),), Console(file=out, width=80))
    assert out.getvalue() == "  if (x)\n\n      y();  /* \N{REPLACEMENT CHARACTER}2J  */\n"


class TestTerminal:
    def test_says_what_was_run(self) -> None:
        text = folded(shown(typical_run()))
        assert "quick: 9 of 9 trials done" in text
        for fact in ("20260102-030405", "testhost", "6.12.48", "trixie-3f2a91c", "seed 7", "2026-01-02T03:04:05Z"):
            assert fact in text
        assert "read, 4 processes x 32 GiB: rw-tracer" in text
        assert "kprobe, binary, ring 256 KiB, poll 100 ms" in text

    def test_wide_shows_every_number(self) -> None:
        text = shown(typical_run(), 140)
        # libbpf: 11, 12.1, 13.2 s; SD 1.1. Tracer CPU: 3 s of each, so 27.27, 24.79 and 22.73 %.
        assert line_of(text, "libbpf") == (
            "libbpf 3 12.10 ± 1.10 360 ± 0 9.00 ± 0.00 97.00 ± 0.00 3.00 36.0 ± 0.0 200 ± 0 24.9 ± 2.3 5.0 0.25"
        )
        # 400 -> 360 MiB/s; 24 -> 36 % CPU; latency and memory as vanilla's.
        assert below(text, "libbpf") == "+10.0 % -10.0 % +0.0 % ~ +50.0 % +0 ~"
        assert line_of(text, "vanilla") == ("vanilla 3 11.00 ± 1.00 400 ± 0 9.00 ± 0.00 - - 24.0 ± 0.0 200 ± 0 - - -")
        assert "Left out" not in text

    def test_what_cannot_be_told_is_marked_and_explained(self) -> None:
        text = shown(typical_run())
        # bcc: 10.5, 10.6, 12.05 s, which is +5, -3.6 and +0.4 %.
        assert below(text, "bcc").startswith("+0.5 % ~")
        assert "~ cannot be told from vanilla, by an interval that holds at every look" in text
        assert "Runtime differs from vanilla's: libbpf +10.0 %; cannot be told from vanilla's: bcc." in text

    def test_marks_are_by_the_papers_rule_where_that_is_asked_for(self) -> None:
        text = shown(typical_run(), paper_rule=True)
        assert "~ inconclusive by the paper's rule: the mean lies within vanilla's SD" in text
        assert "is beyond vanilla's SD: libbpf +10.0 %; is within vanilla's SD (inconclusive): bcc" in text

    def test_what_cannot_be_told_is_dim_too_where_the_terminal_can(self) -> None:
        text = shown(typical_run(), force_terminal=True, color_system="standard")
        (line,) = (line for line in text.splitlines() if "+0.5 % ~" in line)
        assert "\x1b[2m" in line

    def test_no_escape_sequence_without_a_terminal(self) -> None:
        assert "\x1b" not in shown(typical_run(), no_color=True)

    @pytest.mark.parametrize("width", [60, 80, 100, 120, 140])
    def test_no_line_is_too_long_or_ends_in_blanks(self, width: int) -> None:
        lines = shown(typical_run(), width).splitlines()
        assert max(len(line) for line in lines) <= width
        assert lines == [line.rstrip() for line in lines]

    def test_narrow_keeps_the_important_columns_and_names_the_others(self) -> None:
        text = shown(typical_run(), 80)
        assert line_of(text, "libbpf").startswith("libbpf 3 12.10 ± 1.10 360 ± 0 9.00 ± 0.00 97.00 ± 0.00")
        assert below(text, "bcc").startswith("+0.5 % ~")
        note = folded(text)
        assert "Left out at this width (80): lost, memory growth, tracer CPU, PSS, start" in note
        assert "--markdown and --json have everything" in note

    def test_very_narrow_still_shows_runtime_and_fidelity(self) -> None:
        text = shown(typical_run(), 46)
        assert line_of(text, "libbpf") == "libbpf 3 12.10 ± 1.10 97.00 ± 0.00"

    def test_numbers_stand_under_each_other(self) -> None:
        lines = shown(typical_run()).splitlines()
        rows = [line for line in lines if line.startswith(("vanilla", "libbpf", "bcc"))]
        assert len({line.index("±") for line in rows}) == 1
        differences = [line for line in lines if "+10.0 %" in line or "+0.5 % ~" in line]
        assert len({line.index("%") for line in differences if line.startswith(" " * 10)}) == 1

    def test_losses_by_cause_where_there_are_any(self) -> None:
        text = shown(typical_run())
        assert "Lost to ring_full: bcc 59.00 %, libbpf 3.00 %." in text
        assert "Lost to map_full: bcc 1.00 %." in text
        assert "recursion" not in text
        assert "Saved: most libbpf 97.00 %; known to save less: bcc 40.00 %." in text

    def test_losses_nobody_counts_are_named(self) -> None:
        trial = make_trial("bpftrace")
        text = shown([make_record(trial, summary=make_summary(trial, lost={"missed": None}))])
        assert "Losses that cannot be counted: bpftrace missed." in text

    def test_failed_and_invalid_trials_are_listed_with_their_reason(self) -> None:
        records = [
            *typical_run(),
            make_failure(make_trial("bcc", 3), "[Errno 28] No space left on [bold]device"),
            make_failure(make_trial("bcc", 4), "saved 5, but the output holds 4", Status.INVALID),
            make_failure(make_trial("libbpf", 5), None),
        ]
        text = shown(records)
        assert "1 failed" in below(text, "bcc")
        assert line_of(text, "read-rw-tracer-bcc-4") == (
            "read-rw-tracer-bcc-4 failed [Errno 28] No space left on [bold]device"
        )
        assert line_of(text, "read-rw-tracer-bcc-5").endswith("invalid saved 5, but the output holds 4")
        assert line_of(text, "read-rw-tracer-libbpf-6").endswith("failed -")
        assert "2 failed, 1 invalid" in text.splitlines()[0]
        assert line_of(text, "bcc").startswith("bcc 3 11.05 ± 0.87")

    def test_a_reason_cannot_write_to_the_terminal(self) -> None:
        text = shown([make_failure(make_trial("bcc"), "\x1b[31merror\x1b[0m\n  line 2\x1b]0;title\x07")])
        assert "error line 2" in text
        assert "\x1b" not in text
        assert "\x07" not in text

    def test_a_row_without_ok_trials_shows_dashes(self) -> None:
        text = shown([*typical_run(), make_failure(make_trial("aya-sync"), "died")])
        assert line_of(text, "aya-sync") == "aya-sync 0" + " -" * 10

    def test_nothing_can_be_told_of_one_repetition(self) -> None:
        text = shown(typical_run()[:3])
        assert below(text, "libbpf").startswith("+10.0 % ?")
        assert "Runtime cannot be judged by fewer than 3 rounds." in text
        assert "? cannot be told: that takes 3 rounds." in text
        assert "is not assessable against vanilla (needs 2 repetitions)" in shown(typical_run()[:3], paper_rule=True)
        assert "~" not in text
        assert "±" not in text

    def test_missing_vanilla_is_said(self) -> None:
        records = typical_run()
        text = shown([make_failure(records[0].trial, "died"), *records[1:]])
        assert (
            "Vanilla is missing, or was run in another session, in some blocks;"
            " the differences are over bcc 2 of 3, libbpf 2 of 3 trials."
        ) in folded(text)

    def test_vanilla_of_another_session_is_said_like_one_that_is_missing(self) -> None:
        records = typical_run()
        text = folded(shown([dataclasses.replace(records[0], session="0"), *records[1:]]))
        assert "was run in another session, in some blocks; the differences are over bcc 2 of 3, libbpf 2 of 3" in text
        assert "another session" not in folded(shown(typical_run()))

    @pytest.mark.parametrize(
        ("superseded", "said"),
        [
            (1, "Note: 1 record of earlier attempts was set aside, and counts in no number."),
            (2, "Note: 2 records of earlier attempts were set aside, and count in no number."),
        ],
    )
    def test_records_set_aside_are_said_in_the_head(self, superseded: int, said: str) -> None:
        text = shown(typical_run(), info=dataclasses.replace(INFO, superseded=superseded))
        assert said in folded(text[: text.index("read, 4 processes")])
        assert "set aside" not in shown(typical_run())

    def test_crossed_configurations_are_told_apart(self) -> None:
        configs = [
            make_config(ringbuf_bytes=65536, attach=Attach.FENTRY),
            make_config(ringbuf_bytes=1048576, attach=Attach.FENTRY, format=Format.TEXT, poll_ms=10),
        ]
        text = shown([make_record(make_trial("libbpf", config=config)) for config in configs])
        rows = [line.strip() for line in text.splitlines()]
        assert "fentry" in rows  # what both share is in the heading, by itself
        for label in ("binary", "ring 64 KiB", "poll 100 ms", "text", "ring 1 MiB", "poll 10 ms"):
            assert any(row.startswith(label) for row in rows)

    def test_payload_is_part_of_the_configuration(self) -> None:
        trial = make_trial("libbpf", tool=Tool.RW_TRACER_ALL, config=make_config(payload_bytes=4096))
        assert "poll 100 ms, payload 4 KiB" in shown([make_record(trial)])

    def test_emulated_and_unfinished_runs_warn(self) -> None:
        info = About(study="smoke", run_id="1", trials_done=3, trials_planned=9, emulated=True)
        text = folded(shown(typical_run()[:3], info=info))
        assert "3 of 9 trials done" in text
        assert "Emulated: correctness only; shares of saved events and timings depend on" in text
        assert "not complete" in text
        assert "None" not in text

    def test_empty_run(self) -> None:
        text = shown([], info=About(study="smoke", run_id="1", trials_done=0, trials_planned=9))
        assert "No trial has been recorded yet." in text

    def test_ascii_where_the_terminal_has_nothing_else(self) -> None:
        raw = io.BytesIO()
        out = io.TextIOWrapper(raw, encoding="ascii")
        terminal.write(document(summarise(of(typical_run())), INFO), Console(file=out, width=140))
        out.flush()
        text = raw.getvalue().decode("ascii")
        assert line_of(text, "libbpf").startswith("libbpf 3 12.10 +- 1.10")
        assert line_of(text, "vanilla").endswith("- - -")

    @given(st.integers(40, 200))
    def test_any_width_shows_every_setup(self, width: int) -> None:
        text = shown(typical_run(), width)
        assert [line_of(text, setup).split()[1] for setup in ("vanilla", "libbpf", "bcc")] == ["3", "3", "3"]
