# SPDX-License-Identifier: Apache-2.0
"""history: a folder of runs as a page and a table, and what is said of those that cannot be read."""

from __future__ import annotations

import json
import math
import random
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from invoked import Invoke, complaint, data_of

from bpfbench.cli import extras

pytestmark = pytest.mark.filterwarnings("ignore:Cyclopts application invoked without tokens:UserWarning")
RUN = Path(__file__).parents[2] / "data" / "runs" / "format-2"
HOSTILE = (
    "EVIL<script>alert(1)</script>'\"><img src=x onerror=alert(1)> a|b *c* [d](javascript:alert(1)) \x1b[2J\x9b31m"
)

Edit = Callable[[dict[str, Any]], None]


def as_it_was(info: dict[str, Any]) -> None:
    pass


def newer(info: dict[str, Any]) -> None:
    info["image"]["versions"]["libbpf"] = "9.9.9"


def hosted(name: str) -> Edit:
    return lambda info: info["machine"].update(host=name)


def made(folder: Path, number: int, slower: float = 1.0, edit: Edit = as_it_was) -> Path:
    """Keep a run of the day of its number in a folder, in which libbpf takes so many times what it took."""
    place = Path(shutil.copytree(RUN, folder / f"run-{number:02}"))
    info = json.loads((place / "run.json").read_text())
    info["created_at"] = f"2026-01-{number + 1:02}T03:04:05+00:00"
    edit(info)
    (place / "run.json").write_text(json.dumps(info))
    rng = random.Random(f"run {number}")
    for path in sorted(place.glob("trials/*/record.json")):
        record = json.loads(path.read_text())
        record["fio"]["runtime_s"] = 2.0 * math.exp(rng.gauss(0, 0.01))
        if "-libbpf-" in path.parent.name:
            record["fio"]["runtime_s"] *= 1.2 * slower
        record["fio"]["iops"] = record["fio"]["read_ios"] / record["fio"]["runtime_s"]
        record["fio"]["throughput_bytes_per_s"] = record["fio"]["bytes"] / record["fio"]["runtime_s"]
        path.write_text(json.dumps(record))
    return place


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Twelve runs, of which the last five are slower, with another libbpf."""
    folder = tmp_path / "runs"
    for number in range(12):
        made(folder, number, 1.3 if number >= 7 else 1.0, newer if number >= 7 else as_it_was)
    return folder


class Tags(HTMLParser):
    """What a browser makes of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_a_step_is_told_with_its_run_its_size_and_what_changed_then(bpfbench: Invoke, runs: Path) -> None:
    outcome = bpfbench("history", str(runs), "--json")
    (course,) = data_of(outcome)["courses"]
    assert len(course["runs"]) == 12
    stepped = [own for own in course["series"] if own["steps"]]
    assert {own["setup"] for own in stepped} == {"libbpf"}
    assert {own["metric"] for own in stepped} >= {"runtime_s"}
    for own in (own for own in stepped if own["metric"] == "runtime_s"):
        (step,) = own["steps"]
        assert (step["last_before"], step["first_after"]) == ("run-06", "run-07")
        assert step["change"] == pytest.approx(30, abs=3)
        assert step["interval"]["low"] < 30 < step["interval"]["high"]
        assert [fact["what"] for fact in step["changed"]] == ["image.versions.libbpf"]


def test_the_terminal_has_a_table_and_where_the_page_is(bpfbench: Invoke, runs: Path) -> None:
    outcome = bpfbench("history", str(runs))
    assert outcome.status == 0, outcome.err
    assert "12 runs of 1 study on 1 machine and kernel" in " ".join(outcome.out.split())
    (first, *_) = (line for line in outcome.out.splitlines() if line.startswith("run-07"))
    assert "libbpf" in first
    assert "worse" in outcome.out
    assert "makes it no cause" in outcome.out
    assert str(runs / "history.html") in outcome.out
    assert (runs / "history.html").is_file()


def test_the_page_fetches_nothing_and_shows_each_run(bpfbench: Invoke, runs: Path) -> None:
    assert bpfbench("history", str(runs)).status == 0
    page = (runs / "history.html").read_text()
    assert "9.9.9" in page
    assert "stroke-dasharray" in page
    assert all(f"run run-{number:02}, n = 2" in page for number in range(12))
    assert not [tag for tag, attrs in Tags(page).found if attrs.get("src") or str(attrs.get("href", "#"))[0] != "#"]
    assert bpfbench("history", str(runs)).status == 0, "a page of ours is replaced"


def test_few_runs_are_told_to_be_few(bpfbench: Invoke, tmp_path: Path) -> None:
    made(tmp_path / "runs", 0)
    alone = bpfbench("history", str(tmp_path / "runs"))
    assert "have 1 run, and a step takes 6, 3 on either side" in " ".join(alone.out.split())
    assert "one run alone" in (tmp_path / "runs" / "history.html").read_text()
    for number in range(1, 4):
        made(tmp_path / "runs", number, 2.0)
    few = bpfbench("history", str(tmp_path / "runs"), "--json")
    assert {own["runs_lacking"] for own in data_of(few)["courses"][0]["series"]} == {2}


def test_machines_are_kept_apart_unless_names_are_not_to_count(bpfbench: Invoke, tmp_path: Path) -> None:
    for number in range(4):
        made(tmp_path / "runs", number, edit=hosted(f"runner-{number}"))
    apart = data_of(bpfbench("history", str(tmp_path / "runs"), "--json"))["courses"]
    assert [len(course["runs"]) for course in apart] == [1, 1, 1, 1]
    (one,) = data_of(bpfbench("history", str(tmp_path / "runs"), "--json", "--any-host"))["courses"]
    assert len(one["runs"]) == 4
    assert "runner" not in one["machine"]
    assert not any(run["changed"] for run in one["runs"])


def test_what_cannot_be_read_is_listed_and_all_else_is_shown(bpfbench: Invoke, runs: Path) -> None:
    (runs / "run-03" / "run.json").write_text("{")
    (runs / "run-04" / "plan.json").unlink()
    shutil.copytree(runs / "run-05", runs / "run-05-copy")
    path = min((runs / "run-06" / "trials").iterdir()) / "record.json"
    path.write_bytes(b"\xff" + path.read_bytes())
    (runs / "notes").mkdir()
    outcome = bpfbench("history", str(runs), "--json")
    data = data_of(outcome)
    left = {own["run"]: own["reason"] for own in data["left_out"]}
    assert left.keys() == {"run-03", "run-04", "run-05-copy"}
    assert "run.json" in left["run-03"]
    assert left["run-05-copy"] == "a copy of run-05, value by value"
    assert [run["run"] for run in data["courses"][0]["runs"]] == [
        f"run-{number:02}" for number in range(12) if number not in (3, 4)
    ]
    assert "Runs left out (3)" in (runs / "history.html").read_text()


def test_emulated_runs_are_left_out(bpfbench: Invoke, tmp_path: Path) -> None:
    for number in range(2):
        place = made(tmp_path / "runs", number)
        for path in place.glob("trials/*/record.json") if number else ():
            record = json.loads(path.read_text())
            record["environment"]["accelerator"] = "tcg"
            path.write_text(json.dumps(record))
    data = data_of(bpfbench("history", str(tmp_path / "runs"), "--json"))
    assert data["left_out"] == [{"run": "run-01", "reason": "emulated: correctness only"}]


@pytest.mark.parametrize("words", [(), ("--markdown",), ("--json",)])
def test_hostile_names_are_text_to_every_reader(bpfbench: Invoke, tmp_path: Path, words: tuple[str, ...]) -> None:
    def hostile(info: dict[str, Any]) -> None:
        info["study"]["description"] = info["bpfbench_version"] = info["image"]["name"] = HOSTILE
        info["machine"] |= dict.fromkeys(("host", "kernel", "cpu_model"), HOSTILE)

    for number in range(7):
        made(tmp_path / "runs", number, 2.0 if number > 3 else 1.0, hostile)
    info = json.loads((tmp_path / "runs" / "run-04" / "run.json").read_text())
    info["image"]["versions"] = {HOSTILE: HOSTILE}
    (tmp_path / "runs" / "run-04" / "run.json").write_text(json.dumps(info))
    (tmp_path / "runs" / "run-00").rename(tmp_path / "runs" / "run<img src=x onerror=alert(1)>\x1b[2J")
    outcome = bpfbench("history", str(tmp_path / "runs"), *words)
    assert outcome.status == 0, outcome.err
    assert all(character.isprintable() for line in outcome.out.split("\n") for character in line)
    page = (tmp_path / "runs" / "history.html").read_text()
    assert "EVIL" in page
    assert "\x1b" not in page
    assert not [tag for tag, _ in Tags(page).found if tag == "img"]
    assert [tag for tag, _ in Tags(page).found].count("script") == 1
    assert not [name for _, attrs in Tags(page).found for name in attrs if name.startswith("on")]


@pytest.mark.parametrize("there", [True, False])
def test_a_folder_without_a_run_is_said_to_hold_none(bpfbench: Invoke, tmp_path: Path, *, there: bool) -> None:
    if there:
        (tmp_path / "empty").mkdir()
    message = complaint(bpfbench("history", str(tmp_path / "empty")), status=1)
    assert message == f"bpfbench: {tmp_path / 'empty'}" + (" holds no run" if there else ": No such file or directory")


def test_a_folder_of_nothing_but_damage_says_what_is_wrong(bpfbench: Invoke, tmp_path: Path) -> None:
    (made(tmp_path / "runs", 0) / "run.json").write_text("{")
    outcome = bpfbench("history", str(tmp_path / "runs"))
    assert outcome.status == 1
    assert "none of 1 runs can be shown: run-00: " in outcome.err
    assert not (tmp_path / "runs" / "history.html").exists()


def test_one_run_is_no_folder_of_runs(bpfbench: Invoke) -> None:
    assert complaint(bpfbench("history", str(RUN))) == f"bpfbench: {RUN} is one run"


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_what_is_no_page_of_ours_is_not_replaced(bpfbench: Invoke, tmp_path: Path, kind: str) -> None:
    made(tmp_path / "runs", 0)
    page = tmp_path / "page.html"
    if kind == "folder":
        page.mkdir()
    elif kind == "file":
        page.write_text("mine")
    else:
        page.symlink_to(tmp_path / "elsewhere.html")
    outcome = bpfbench("history", str(tmp_path / "runs"), "--output", str(page))
    assert outcome.status == (1 if kind == "link" else 2)
    assert "choose another --output" in outcome.err
    assert not (tmp_path / "elsewhere.html").exists()


def test_without_its_extra_it_says_how_to_get_it(bpfbench: Invoke, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda _: None)
    outcome = bpfbench("history", str(runs))
    assert complaint(outcome) == "bpfbench: history wants ruptures, which is not installed"
    assert "pip install" in outcome.err.splitlines()[1]
    assert "ruptures" in outcome.err.splitlines()[1]
    monkeypatch.setattr("bpfbench.cli.extras.sys.version_info", (3, 14, 0))
    assert "no release yet for Python 3.14 and newer" in bpfbench("history", str(runs)).err
