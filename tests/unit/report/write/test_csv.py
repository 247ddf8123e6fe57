# SPDX-License-Identifier: Apache-2.0
"""A summary as one flat table."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

import pytest
from builders import (
    make_failure,
    make_record,
    make_summary,
    make_trial,
)
from typical import typical_run

from bpfbench.analysis.results import of
from bpfbench.analysis.summary import Summary, summarise
from bpfbench.model import Record
from bpfbench.report.documents.summary import flat
from bpfbench.report.write import csv as csv_writer


def to_csv(summary: Summary) -> str:
    return "".join(csv_writer.data(*flat(summary)))


def rows_of_csv(records: Sequence[Record]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(to_csv(summarise(of(records))))))


class TestCsv:
    def test_one_row_for_each_workload_tool_setup_and_configuration(self) -> None:
        vanilla, bcc, libbpf = rows_of_csv(typical_run())
        assert (libbpf["workload"], libbpf["tool"], libbpf["setup"]) == ("read", "rw-tracer", "libbpf")
        assert (libbpf["attach"], libbpf["ringbuf_bytes"], libbpf["payload_bytes"]) == ("kprobe", "262144", "")
        assert float(libbpf["runtime_s_mean"]) == pytest.approx(12.1)
        assert float(libbpf["runtime_s_difference_percent_mean"]) == pytest.approx(10.0)
        assert (libbpf["runtime_s_verdict"], libbpf["runtime_s_paper_rule"]) == ("more", "beyond-vanilla-sd")
        assert float(libbpf["runtime_s_difference_percent_low"]) == pytest.approx(10.0)
        assert float(libbpf["lost_ring_full_percent_mean"]) == pytest.approx(3.0)
        assert (bcc["runtime_s_verdict"], bcc["runtime_s_paper_rule"]) == ("undecided", "inconclusive")
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
