# SPDX-License-Identifier: Apache-2.0
"""report: where it writes to, and what."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from invoked import Invoke, complaint

from bpfbench.cli.place import GENERATOR

pytestmark = pytest.mark.filterwarnings("ignore:Cyclopts application invoked without tokens:UserWarning")
RUN = Path(__file__).parents[2] / "data" / "runs" / "format-4"


@pytest.mark.parametrize(("inside", "status"), [("", 2), ("deeper", 1)], ids=["a file", "below a file"])
def test_a_place_that_cannot_be_written_to_is_refused_before_anything_is_worked_out(
    bpfbench: Invoke, tmp_path: Path, inside: str, status: int
) -> None:
    (tmp_path / "file").write_text("mine")
    done = bpfbench("report", str(RUN), "--output", str(tmp_path / "file" / inside))
    assert done.status == status
    assert done.out == ""
    assert "choose another --output" in done.err
    assert "…" not in done.err
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize(
    "page",
    ["<!DOCTYPE html><title>mine</title>", f'{GENERATOR} 0.1.0">\n<title>bpfbench history: runs</title>'],
    ids=["a stranger's", "another of ours"],
)
def test_a_folder_that_is_no_report_is_left_as_it_is_whatever_page_is_in_it(
    bpfbench: Invoke, tmp_path: Path, page: str
) -> None:
    (site := tmp_path / "site").mkdir()
    (site / "index.html").write_text(page)
    (site / "notes.txt").write_text("mine")
    done = bpfbench("report", str(RUN), "--output", str(site))
    assert complaint(done) == f"bpfbench: {site} exists and is no report of bpfbench's"
    assert "choose another --output" in done.err
    assert {own.name: own.read_text() for own in site.iterdir()} == {"index.html": page, "notes.txt": "mine"}


def test_a_report_is_written_anew_where_one_is(bpfbench: Invoke, tmp_path: Path) -> None:
    report = tmp_path / "report"
    assert bpfbench("report", str(RUN), "--output", str(report)).status == 0
    (report / "index.html").write_text((report / "index.html").read_text()[:1000])
    assert bpfbench("report", str(RUN), "--output", str(report)).status == 0
    assert len((report / "index.html").read_text()) > 1000


def test_figures_for_print_are_drawn_where_they_are_asked_for(bpfbench: Invoke, tmp_path: Path) -> None:
    done = bpfbench("report", str(RUN), "--output", str(tmp_path / "report"), "--figures")
    assert done.status == 0, done.err
    assert str(tmp_path / "report" / "figures") in done.out
    made = {path.suffix for path in (tmp_path / "report" / "figures").iterdir()}
    assert made == {".svg", ".pdf", ".png", ".md"}


ROOFLINE = {
    "least": [
        {"event_bytes": 156, "format": form, "sink": sink, "events_per_s": 1e7}
        for form in ("text", "binary")
        for sink in ("file, page cache", "/dev/null")
    ],
    "sinks": [{"sink": "file, page cache", "bytes_per_s": 1e9}],
    "copies": [{"event_bytes": 156, "events_per_s": 1e7}],
    "rings": [{"event_bytes": 156, "producers": 0, "woken": "never", "events_per_s": 2e7, "produced_per_s": 2e7}],
    "hooks": [{"hook": "tracepoint", "pair_ns": -3.0}],
}


def page(bpfbench: Invoke, run: Path, *options: str) -> str:
    done = bpfbench("report", str(run), "--output", str(run / "shown"), *options)
    assert done.status == 0, done.err
    return (run / "shown" / "index.html").read_text()


def test_the_page_has_shares_of_the_ceiling_where_the_runs_machine_was_measured(
    bpfbench: Invoke, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(RUN, run)
    assert "Not known: measure it by `bpfbench bench roofline" in page(bpfbench, run)
    machine: dict[str, Any] = json.loads((run / "run.json").read_text())["machine"]
    said = {"schema": 1, "kind": "bench roofline", "data": {"machine": machine, "roofline": ROOFLINE}}
    (run / "roofline.json").write_text(json.dumps(said))
    assert "of the ceiling" in page(bpfbench, run)
    said["data"] = {"machine": {**machine, "host": "elsewhere"}, "roofline": ROOFLINE}
    (tmp_path / "other.json").write_text(json.dumps(said))
    assert "the roofline is of another machine" in page(bpfbench, run, "--roofline", str(tmp_path / "other.json"))


@pytest.mark.parametrize("text", ["", "[]", '{"data": {"machine": {}, "roofline": {"copies": [1]}}}', None])
def test_a_file_that_is_no_roofline_is_refused_by_its_name(bpfbench: Invoke, tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "x.json").write_text(text)
    done = bpfbench("report", str(RUN), "--output", str(tmp_path / "r"), "--roofline", str(tmp_path / "x.json"))
    assert done.status == 2
    assert done.err.startswith(f"bpfbench: option --roofline: {tmp_path / 'x.json'}")
