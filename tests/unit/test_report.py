# SPDX-License-Identifier: Apache-2.0
"""What a reader sees of a run, on terminals of several widths and in each document."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Sequence
from typing import Any

import pytest
from builders import (
    READ,
    make_config,
    make_failure,
    make_fio,
    make_load,
    make_record,
    make_summary,
    make_trial,
    make_usage,
)
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from bpfbench.analysis.metrics import METRICS
from bpfbench.analysis.results import of
from bpfbench.analysis.summary import Summary, summarise
from bpfbench.model import Attach, Format, Record, Status, Tool
from bpfbench.report.about import About
from bpfbench.report.documents.summary import data, document, flat
from bpfbench.report.numbers import share
from bpfbench.report.wording import Said
from bpfbench.report.write import csv as csv_writer
from bpfbench.report.write import markdown, terminal
from bpfbench.report.write.json import text as as_json
from bpfbench.units import size

INFO = About(
    study="quick",
    run_id="20260102-030405",
    trials_done=9,
    trials_planned=9,
    host="testhost",
    kernel="6.12.48",
    image="trixie-3f2a91c",
    seed=7,
    started_at="2026-01-02T03:04:05Z",
)


def typical_run() -> list[Record]:
    """Three blocks of vanilla, libbpf (+10 %, saves 97 %) and bcc (within vanilla's SD, saves 40 %)."""
    records = []
    for block, seconds in enumerate((10.0, 11.0, 12.0)):
        libbpf, bcc = make_trial("libbpf", block), make_trial("bcc", block)
        records += [
            make_record(make_trial(block=block), fio=make_fio(runtime_s=seconds)),
            make_record(
                libbpf,
                fio=make_fio(runtime_s=1.1 * seconds, throughput_mib_per_s=360),
                summary=make_summary(libbpf, saved=970, lost={"ring_full": 30}),
                load=make_load(cpu_percent=36),
            ),
            make_record(
                bcc,
                fio=make_fio(runtime_s=seconds + 0.05),
                summary=make_summary(bcc, saved=400, lost={"ring_full": 590, "map_full": 10}),
                usage=make_usage(pss_peak_bytes=None),
            ),
        ]
    return records


def shown(records: Sequence[Record], width: int = 140, info: About = INFO, **options: Any) -> str:
    out = io.StringIO()
    terminal.write(document(summarise(of(records)), info), Console(file=out, width=width, **options))
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

    def test_inconclusive_is_marked_and_explained(self) -> None:
        text = shown(typical_run())
        # bcc: 10.05, 11.05, 12.05 s; +0.5, +0.4545, +0.4167 %, together +0.457 % and 0.05 s, less than vanilla's SD 1.
        assert below(text, "bcc").startswith("+0.5 % ~")
        assert "~ inconclusive: the mean lies within vanilla's SD" in text
        assert "beyond vanilla's SD libbpf +10.0 %; within it (inconclusive) bcc" in text

    def test_inconclusive_is_dim_too_where_the_terminal_can(self) -> None:
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
        assert "Saved: most libbpf 97.00 %, then bcc 40.00 %." in text

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
        assert line_of(text, "bcc").startswith("bcc 3 11.05 ± 1.00")

    def test_a_reason_cannot_write_to_the_terminal(self) -> None:
        text = shown([make_failure(make_trial("bcc"), "\x1b[31merror\x1b[0m\n  line 2\x1b]0;title\x07")])
        assert "error line 2" in text
        assert "\x1b" not in text
        assert "\x07" not in text

    def test_a_row_without_ok_trials_shows_dashes(self) -> None:
        text = shown([*typical_run(), make_failure(make_trial("aya-sync"), "died")])
        assert line_of(text, "aya-sync") == "aya-sync 0" + " -" * 10

    def test_one_repetition_is_marked_not_assessable(self) -> None:
        text = shown(typical_run()[:3])
        assert below(text, "libbpf").startswith("+10.0 % ?")
        assert "not assessable against vanilla (needs 2 repetitions)" in text
        assert "? not assessable" in text
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
            (1, "Note: 1 record of trials that had failed or were invalid was set aside to run those trials again."),
            (2, "Note: 2 records of trials that had failed or were invalid were set aside to run those trials again."),
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


class TestNumbers:
    @pytest.mark.parametrize(
        ("percent", "text"),
        [(0.0, "0.00"), (0.001, "<0.01"), (0.03, "0.03"), (99.98, "99.98"), (99.999, ">99.99"), (100.0, "100.00")],
    )
    def test_a_share_is_only_nothing_or_all_if_it_is(self, percent: float, text: str) -> None:
        assert share(percent) == text

    @pytest.mark.parametrize(
        ("count", "text"),
        [
            (0, "0 B"),
            (1000, "1000 B"),
            (1024, "1 KiB"),
            (262144, "256 KiB"),
            (34359738368, "32 GiB"),
            (1572864, "1536 KiB"),
            (500_000_000, "476.8 MiB"),
        ],
    )
    def test_sizes(self, count: int, text: str) -> None:
        assert size(count) == text


def to_markdown(summary: Summary, info: About, said: Said | None = None) -> str:
    return markdown.text(document(summary, info, said or Said()))


def to_csv(summary: Summary) -> str:
    return csv_writer.data(*flat(summary))


def envelope(summary: Summary, info: About = INFO, said: Said | None = None) -> Any:
    return json.loads(as_json("summary", 2, info, data(summary, said or Said())))


def told(summary: Summary) -> Any:
    return envelope(summary)["data"]


SAID = Said(("Order: no effect was found.", "Noise: 3 %."), ("Order mattered.",), {"order": {"found": True}})


def test_what_is_said_of_the_trials_as_a_whole_is_in_every_document() -> None:
    summary, out = summarise(of(typical_run())), io.StringIO()
    terminal.write(document(summary, INFO, SAID), Console(file=out, width=140))
    text, written = out.getvalue(), to_markdown(summary, INFO, SAID)
    assert text.index("Warning: Order mattered.") < text.index("libbpf") < text.index("Order: no effect was found.")
    assert written.index("**Warning:** Order mattered.") < written.index("libbpf") < written.index("- Noise: 3 %.")
    assert envelope(summary, said=SAID)["data"]["order"] == {"found": True}


class TestJson:
    def test_reads_back(self) -> None:
        found = envelope(summarise(of(typical_run())))
        assert list(found) == ["schema", "kind", "run", "data"]
        assert (found["schema"], found["kind"]) == (2, "summary")
        assert (found["run"]["study"], found["run"]["seed"]) == ("quick", 7)
        (group,) = found["data"]["groups"]
        assert group["workload"] == {
            "name": "read",
            "processes": 4,
            "bytes_per_process": 34359738368,
            "rate_iops": None,
        }
        assert group["tool"] == "rw-tracer"
        assert [row["setup"] for row in group["rows"]] == ["vanilla", "bcc", "libbpf"]
        libbpf = group["rows"][2]
        assert libbpf["config"]["ringbuf_bytes"] == 262144
        runtime = libbpf["metrics"]["runtime_s"]
        assert (runtime["mean"], runtime["n"]) == (pytest.approx(12.1), 3)
        assert runtime["versus_vanilla"]["difference_percent"]["mean"] == pytest.approx(10.0)
        assert runtime["versus_vanilla"]["verdict"] == "beyond-vanilla-sd"
        assert libbpf["lost_percent_by_cause"]["ring_full"]["mean"] == pytest.approx(3.0)

    def test_records_set_aside_are_counted(self) -> None:
        info = dataclasses.replace(INFO, superseded=2)
        assert envelope(summarise(of([])), info)["run"]["superseded"] == 2
        assert envelope(summarise(of([])))["run"]["superseded"] == 0

    def test_every_metric_is_explained_and_present(self) -> None:
        found = told(summarise(of(typical_run())))
        keys = [metric.key for metric in METRICS]
        assert list(found["metrics"]) == keys
        assert all(list(row["metrics"]) == keys for group in found["groups"] for row in group["rows"])

    def test_absent_is_null(self) -> None:
        vanilla, bcc, _ = told(summarise(of(typical_run())))["groups"][0]["rows"]
        assert vanilla["config"] is None
        assert vanilla["metrics"]["saved_percent"] is None
        assert vanilla["metrics"]["runtime_s"]["versus_vanilla"] is None
        assert bcc["metrics"]["pss_peak_bytes"] is None

    def test_excluded_trials_are_in_it(self) -> None:
        found = told(summarise(of([make_failure(make_trial("bcc", 2), 'no "READY"')])))
        (excluded,) = found["excluded"]
        assert (excluded["trial"], excluded["status"]) == ("read-rw-tracer-bcc-3", "failed")
        assert (excluded["reason"], excluded["repetition"]) == ('no "READY"', 3)

    def test_empty_run(self) -> None:
        found = told(summarise(of([])))
        assert (found["groups"], found["excluded"]) == ([], [])


def rows_of_csv(records: Sequence[Record]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(to_csv(summarise(of(records))))))


class TestCsv:
    def test_one_row_for_each_workload_tool_setup_and_configuration(self) -> None:
        vanilla, bcc, libbpf = rows_of_csv(typical_run())
        assert (libbpf["workload"], libbpf["tool"], libbpf["setup"]) == ("read", "rw-tracer", "libbpf")
        assert (libbpf["attach"], libbpf["ringbuf_bytes"], libbpf["payload_bytes"]) == ("kprobe", "262144", "")
        assert float(libbpf["runtime_s_mean"]) == pytest.approx(12.1)
        assert float(libbpf["runtime_s_difference_percent_mean"]) == pytest.approx(10.0)
        assert libbpf["runtime_s_verdict"] == "beyond-vanilla-sd"
        assert float(libbpf["lost_ring_full_percent_mean"]) == pytest.approx(3.0)
        assert bcc["runtime_s_verdict"] == "inconclusive"
        assert (vanilla["setup"], vanilla["attach"], vanilla["saved_percent_mean"]) == ("vanilla", "", "")

    def test_absent_is_empty(self) -> None:
        (vanilla, bcc) = rows_of_csv([make_failure(make_trial("bcc"), "died")])
        assert (bcc["n"], bcc["n_failed"], bcc["runtime_s_mean"], bcc["runtime_s_verdict"]) == ("0", "1", "", "")
        assert vanilla["n"] == "0"

    def test_the_columns_do_not_depend_on_the_results(self) -> None:
        headers = {to_csv(summarise(of(records))).splitlines()[0] for records in ([], typical_run(), typical_run()[:1])}
        assert len(headers) == 1

    def test_a_cause_the_contract_does_not_know_is_kept(self) -> None:
        trial = make_trial("libbpf")
        (_, row) = rows_of_csv([make_record(trial, summary=make_summary(trial, saved=90, lost={"gremlins": 10}))])
        assert float(row["lost_gremlins_percent_mean"]) == pytest.approx(10.0)


class TestMarkdown:
    def test_tables_are_rectangular_and_complete(self) -> None:
        lines = to_markdown(summarise(of(typical_run())), INFO).splitlines()
        table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
        assert len({len(row) for row in table}) == 1
        header, _, vanilla, bcc, libbpf = table
        assert header[:3] == ["setup", "n", "runtime, s"]
        assert libbpf[:3] == ["libbpf", "3", "12.10 ± 1.10 (+10.0 %)"]
        assert bcc[:3] == ["bcc", "3", "11.05 ± 1.00 (+0.5 % ~)"]
        assert vanilla[:3] == ["vanilla", "3", "11.00 ± 1.00"]
        assert vanilla[header.index("saved, %")] == "-"
        assert "drain, s" in header

    def test_records_set_aside_are_said_in_the_head(self) -> None:
        text = to_markdown(summarise(of(typical_run())), dataclasses.replace(INFO, superseded=3))
        head, _, _ = text.partition("###")
        assert "**Note:** 3 records of trials that had failed or were invalid were set aside" in head
        assert "set aside" not in to_markdown(summarise(of(typical_run())), INFO)

    def test_reasons_cannot_break_the_table(self) -> None:
        text = to_markdown(summarise(of([make_failure(make_trial("bcc"), "a | b\n# c <img> *d* map_full")])), INFO)
        assert r"| read-rw-tracer-bcc-1 | failed | a \| b # c &lt;img&gt; \*d\* map_full |" in text.splitlines()

    def test_configurations_are_told_where_they_differ(self) -> None:
        configs = [make_config(ringbuf_bytes=ring) for ring in (65536, 1048576)]
        text = to_markdown(summarise(of(make_record(make_trial("libbpf", config=config)) for config in configs)), INFO)
        assert "| setup | n |" in text
        assert "| libbpf (ring 64 KiB) | 1 |" in text
        assert "(ring" not in to_markdown(summarise(of(typical_run())), INFO)

    def test_empty_run(self) -> None:
        assert "No trial has been recorded yet." in to_markdown(summarise(of([])), INFO)


def test_every_document_shows_the_same_workload() -> None:
    summary = summarise(of(typical_run()))
    for text in (
        json.dumps(envelope(summary)) + "\n",
        to_csv(summary),
        to_markdown(summary, INFO),
        shown(typical_run()),
    ):
        assert READ.name in text
        assert text.endswith("\n")
