# SPDX-License-Identifier: Apache-2.0
"""How a campaign on many hosts is going: who needs an eye comes first, and nothing is said that is not known."""

from __future__ import annotations

import io
import re
from dataclasses import replace

from rich.console import Console

from bpfbench.model.live import LIVE_FORMAT, Live, LiveHost
from bpfbench.report.documents import live as documents
from bpfbench.report.write import plain, terminal

NOW_S = 1_000_000.0
ALPHA = LiveHost("alpha", "running", "0003-read-bcc-r1", "workload", NOW_S - 30, 2, 10, 1, 300.0)
BETA = LiveHost("beta", "away", "", "", NOW_S - 90, 4, 10, 0, 200.0)
LIVE = Live(LIVE_FORMAT, NOW_S, "paper", "tls://h:1", "http://127.0.0.1:8787/status", ended=False, left_s=300.0,
            hosts=(ALPHA, BETA), said=("12:00:00 host beta is not there",))  # fmt: skip


def text(live: Live, now_s: float = NOW_S) -> str:
    out = io.StringIO()
    terminal.write(documents.document(live, now_s), Console(file=out, width=140))
    return out.getvalue()


def test_every_host_has_a_line_and_the_missing_one_is_first() -> None:
    said = text(LIVE)
    assert "paper: 6 of 20 trials done" in said
    assert "About 5 min left on 2 hosts; failed or invalid so far: 1." in said
    assert said.index("beta") < said.index("alpha")
    assert re.search(r"alpha +running +0003-read-bcc-r1 +workload +30 s +2 of 10 +1 +5 min", said)
    assert "host beta is not there" in said
    assert "http://127.0.0.1:8787/status" in said


def test_nobody_attending_is_said() -> None:
    assert "Nobody has attended to it for 10 min" in text(LIVE, NOW_S + 600)
    assert "left on" not in text(LIVE, NOW_S + 600)


def test_what_has_ended_has_no_pages_of_dasks() -> None:
    said = text(replace(LIVE, ended=True), NOW_S + 600)
    assert "It has ended." in said
    assert "http:" not in said


def test_the_page_loads_itself_again_and_runs_nothing() -> None:
    evil = replace(LIVE, hosts=(replace(ALPHA, step="<script>alert(1)</script>"),))
    page = plain.text(documents.document(evil, NOW_S), "<x>", 2)
    assert '<meta http-equiv="refresh" content="2">' in page
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "default-src 'none'" in page
    assert 'http-equiv="refresh"' not in plain.text(documents.document(evil, NOW_S), "x")


def test_many_hosts_are_counted() -> None:
    many = replace(LIVE, hosts=tuple(replace(ALPHA, name=f"h{number:03d}") for number in range(60)))
    assert "And 10 hosts more." in text(many)
