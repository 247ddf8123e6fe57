# SPDX-License-Identifier: Apache-2.0
"""A report comes of whatever a run has, and says what it lacks."""

from __future__ import annotations

import base64
import html
import itertools
import re
from collections.abc import Sequence
from dataclasses import replace

import pytest
from builders import make_config, make_delivery, make_failure, make_fio, make_record, make_summary, make_trial
from simulated import simulated

from bpfbench import catalogue
from bpfbench.analysis.results import of
from bpfbench.declare import study
from bpfbench.model import (
    EMULATED,
    EMULATED_BECAUSE,
    VANILLA,
    Accelerator,
    Energy,
    EnergyDomain,
    Environment,
    Record,
    Status,
    Tool,
    Trial,
    Variant,
)
from bpfbench.report import about as told
from bpfbench.report import assemble as assemble_module
from bpfbench.report.assemble import Material, assemble
from bpfbench.report.chart import Chart
from bpfbench.report.documents import page
from bpfbench.report.figures import drawn
from bpfbench.report.figures.palette import Look, looks
from bpfbench.store import RUN_FORMAT, RunInfo

STUDY = study.parse('name = "mine"\n[factors]\nsetups = "libbpf"\nworkloads = "read"\n', "mine.toml")


def records_of(
    setups: Sequence[str] = (VANILLA, "libbpf", "bcc"), blocks: int = 3, slowness: float = 1.0
) -> list[Record]:
    """Trials of rw-tracer in which bcc takes longest and saves least, whatever the block."""
    found = []
    for block, (rank, setup) in itertools.product(range(blocks), enumerate(setups)):
        trial = make_trial(setup, block)
        fio = make_fio(runtime_s=slowness * (10 + rank + 0.1 * block), latency_us=slowness * (9 + rank + 0.1 * block))
        summary = make_summary(trial, saved=1000 - 300 * rank, lost={"ring_full": 300 * rank})
        found.append(make_record(trial, fio=fio, summary=summary))
    return found


def report_of(records: Sequence[Record], *, emulated: bool = False, figures: bool = False) -> dict[str, bytes]:
    info = RunInfo(RUN_FORMAT, "r1", "2026-01-02T03:04:05+00:00", "0.1.0", STUDY, len(records), (), {}, {})
    about = told.About("mine", "r1", len(records), len(records), host="testhost", kernel="6.12", emulated=emulated)
    made = assemble(
        Material(info, about, of(records, info), lambda _: {}, {}), draw if figures else None, lambda _: b"PAR1"
    )
    return {place: b"".join(content) for place, content in made}


def draw(charts: Sequence[Chart], looks: dict[str, Look]) -> list[dict[str, bytes]]:
    return [drawn.draw(chart, looks) for chart in charts]


def page_of(records: Sequence[Record], *, emulated: bool = False) -> str:
    return report_of(records, emulated=emulated)["index.html"].decode()


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<(script|style).*?</\1>|<[^>]+>", " ", page, flags=re.DOTALL))


def test_the_answer_names_who_is_best_and_how_sure_that_is() -> None:
    page = page_of(records_of(blocks=6))
    answer = page[page.index('id="answer"') : page.index('id="evidence"')]
    fidelity = answer[answer.index("Highest fidelity") :]
    assert fidelity.index("libbpf") < fidelity.index("</tr>")
    assert "6 rounds of 1 case" in fidelity


def test_whether_order_mattered_is_said_and_loudly_where_it_did() -> None:
    pages = [html.unescape(page_of(simulated(seed, first=first))) for seed, first in ((1, 1.5), (15, 1.0))]
    warning = "The order of trials made a difference"
    assert [warning in page for page in pages] == [True, False]
    assert pages[0].index(warning) < pages[0].index('id="answer"')
    assert "no effect of the place in the block was found (p = " in pages[1][pages[1].index('id="method"') :]
    assert "Noise: in a single block, vanilla against itself varied by " in pages[1][pages[1].index('id="control"') :]


def test_a_page_needs_no_figure_for_print() -> None:
    files = report_of(records_of())
    assert not [name for name in files if name.startswith("figures/")]
    assert b"<svg" in files["index.html"]


def test_the_page_has_the_data_that_are_beside_it() -> None:
    files = report_of(records_of())
    links = re.findall(r'<a href="data:[^,]+,([^"]+)" download="([^"]+)"', files["index.html"].decode())
    assert {name.rpartition(".")[2] for _, name in links} == {"csv", "json", "parquet"}
    assert all(files[f"tables/{name}"] == base64.b64decode(content) for content, name in links)


def test_where_figures_are_asked_for_every_figure_is_a_file_too() -> None:
    files = report_of(records_of(), figures=True)
    assert {name.split("/")[0] for name in files} == {"index.html", "study.toml", "figures", "tables"}
    for form, magic in (("svg", b"<?xml"), ("pdf", b"%PDF"), ("png", b"\x89PNG")):
        made = [content for name, content in files.items() if name.endswith(form)]
        assert made
        assert all(content.startswith(magic) for content in made)


@pytest.mark.parametrize(
    "records",
    [
        records_of((VANILLA, "libbpf"), blocks=1),
        records_of(("libbpf",)),
        records_of((VANILLA,)),
        [make_failure(make_trial("libbpf"), "it broke")],
    ],
    ids=["one repetition", "no vanilla", "vanilla alone", "nothing that counts"],
)
def test_a_run_that_says_little_has_a_report_all_the_same(records: list[Record]) -> None:
    assert "</html>" in page_of(records)


def test_what_does_not_count_is_listed_with_its_reason_as_text() -> None:
    page = page_of([*records_of(), make_failure(make_trial("bpftrace"), "<b>boom</b> & more")])
    assert "&lt;b&gt;boom&lt;/b&gt; &amp; more" in page
    assert "<b>boom</b>" not in page


def test_an_emulated_run_shows_that_every_call_is_accounted_for_and_nothing_else() -> None:
    environment = Environment("6.12", "boot", Accelerator.TCG)
    records = [replace(record, environment=environment) for record in records_of()]
    files = report_of(records, emulated=True)
    page = files["index.html"].decode()
    assert page.count(EMULATED_BECAUSE) == 1
    assert f"mine, {EMULATED}" in page
    text = text_of(page)
    assert "Every call accounted for: in each of 6 trials" in text
    assert "libbpf 3 3000 3000 2100 900" in text  # trials, I/Os of fio, intercepted, saved, lost
    shown, rest = (text_of(part) for part in page[page.index('id="answer"') :].split('id="claims"'))
    assert not re.search(r"\d ?%|Lowest|Highest|Best all-round", shown)
    assert "Trade-offs" not in rest
    assert not re.search(r"\d not reproduced|\d refuted|[1-9]\d* reproduced|\d inconclusive", rest)
    assert not [name for name in files if name.endswith((".svg", ".png", ".pdf"))]
    tables = [name for name in files if name.startswith("tables/") and name.endswith(".csv")]
    assert sorted(tables) == ["tables/account-read-4x32GiB-rw-tracer.csv", "tables/statistics.csv"]
    assert len(files["tables/statistics.csv"].splitlines()) == 1  # its header


def test_of_a_run_that_was_emulated_in_part_the_rest_is_judged() -> None:
    environment = Environment("6.12", "boot", Accelerator.TCG)
    emulated = [replace(record, environment=environment) for record in records_of(("bcc",))]
    real = Environment("6.12", "boot", Accelerator.KVM)
    records = [replace(record, environment=real) for record in records_of((VANILLA, "libbpf"), blocks=6)]
    page = page_of([*records, *emulated])
    answer = page[page.index('id="answer"') : page.index('id="evidence"')]
    assert "Fidelity" in answer
    assert "Nothing is chosen by a machine that proves correctness only" in answer
    assert "bcc" not in answer
    assert "bcc" in page


def timed(setup: str, block: int, p99_ms: float) -> Record:
    """A trial of the variant delay, which takes ten times as long."""
    own = make_trial(setup, block, config=make_config(variant=Variant.DELAY))
    record = make_record(replace(own, id=f"{own.id}-delay"), fio=make_fio(runtime_s=100.0))
    return replace(record, delivery=make_delivery(p99_ms=p99_ms))


def test_delays_are_a_need_to_choose_by_and_a_chapter_of_their_own() -> None:
    delays = [timed(setup, block, ms) for setup, ms in {"libbpf": 60.0, "bcc": 2.5}.items() for block in range(3)]
    said = text_of(page_of([*records_of(), *delays]))
    assert "Shortest delay" in said
    assert "Delay of delivery" in said
    assert "60.00 ± 0.00" in said
    assert "Delay of delivery" not in text_of(page_of(records_of()))


def test_power_that_was_not_measured_says_why() -> None:
    records = [replace(record, notes={"energy": "no RAPL on this machine"}) for record in records_of()]
    assert "no RAPL on this machine" in page_of(records)


def test_power_that_was_measured_is_a_need_to_choose_by() -> None:
    domain = EnergyDomain("package-0", joules=120.0, mean_w=12.0, idle_w=3.0)
    records = [replace(record, energy=Energy("perf", 10.0, (domain,))) for record in records_of()]
    page = page_of(records)
    assert "power" in page[page.index('id="answer"') : page.index('id="evidence"')].lower()


def on_hosts(**slowness: float) -> list[Record]:
    return [
        replace(record, trial=replace(record.trial, host=host, id=f"{host}-{record.trial.id}"))
        for host, slower in slowness.items()
        for record in records_of(slowness=slower)
    ]


def test_hosts_are_compared_before_anything_else() -> None:
    page = page_of(on_hosts(left=1.0, right=1.3))
    servers = text_of(page[page.index('id="servers"') : page.index('id="answer"')])
    assert "runtime_s left −12.3 %, right +14.0 %" in servers  # noqa: RUF001 - a minus


def test_of_hosts_that_are_emulated_it_is_said_first_what_each_ran() -> None:
    environment = Environment("6.12", "boot", Accelerator.TCG)
    records = [replace(record, environment=environment) for record in on_hosts(left=1.0, right=1.3)]
    failed = replace(records[-1], status=Status.INVALID, reason="it lies")
    page = page_of([*records[:-1], failed], emulated=True)
    servers = text_of(page[page.index('id="servers"') : page.index('id="answer"')])
    assert EMULATED_BECAUSE in page
    assert "no times of theirs, and no shares, to compare" in servers
    assert "left 6.12 vanilla, libbpf, bcc 9 ok" in servers
    assert "right 6.12 vanilla, libbpf, bcc 8 ok, 1 invalid" in servers
    assert "%" not in servers
    alone = page_of([replace(record, environment=environment) for record in records_of()], emulated=True)
    assert 'id="servers"' not in alone


def test_a_setup_looks_the_same_in_every_run_and_like_no_other() -> None:
    every = looks([VANILLA, *catalogue.SETUPS])
    assert every["libbpf"] == looks(["libbpf", "mine"])["libbpf"]
    for how in ("colour", "marker"):
        taken = [getattr(look, how) for look in every.values()]
        assert len(set(taken)) == len(every), f"two setups have one {how}; palette.py has a look for each"


def test_counting_tools_have_no_fidelity_to_draw() -> None:
    trials = [make_trial(setup, block, tool=Tool.SYSCOUNT) for setup in (VANILLA, "libbpf") for block in range(2)]
    files = report_of([make_record(trial) for trial in trials], figures=True)
    assert not [name for name in files if "fidelity" in name]


def test_more_rows_than_fit_are_drawn_in_parts_with_vanilla_in_each() -> None:
    rings = [4096 * 2**power for power in range(16)]
    records = [
        make_record(trial)
        for block in range(2)
        for trial in (make_trial(block=block), *(ringed(block, ring) for ring in rings))
    ]
    files = report_of(records, figures=True)
    first, second = (files[f"figures/performance-read-4x32GiB-part{number}.svg"].decode() for number in (1, 2))
    assert "vanilla" in first
    assert "vanilla" in second
    assert "ring 4 KiB" in first
    assert "ring 128 MiB" in second


def ringed(block: int, ring: int) -> Trial:
    return make_trial("libbpf", block, config=make_config(ringbuf_bytes=ring))


def test_a_run_with_one_setup_is_about_that_setup() -> None:
    page = text_of(page_of(records_of((VANILLA, "libbpf"), blocks=6)))
    assert "mine: what libbpf costs and saves" in page
    assert "which eBPF library" not in page
    assert not re.search(r"nothing to compare|nobody to compare|only setup|Choose|Trade-offs", page)


def test_machine_and_settings_are_said_once_and_no_caption_has_them() -> None:
    trials = records_of()
    page = text_of(page_of(trials))
    assert page.count("testhost, Linux 6.12") == 1
    assert page.count("ring 256 KiB") <= 1


def is_filled(page: str, setup: str) -> bool:
    """Whether a setup's mark is filled where fidelity is drawn against overhead."""
    panel = page[page.index("better</text>") :]
    mark = panel[panel.index(f'data-setup="{setup}"') :]
    return 'class="mark open"' not in mark[: mark.index("</g>")]


def test_who_is_not_told_apart_looks_so() -> None:
    assert [is_filled(page_of(records_of(blocks=blocks)), "libbpf") for blocks in (2, 12)] == [False, True]


def test_data_too_large_for_a_page_are_written_and_linked(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = report_of(records_of())
    monkeypatch.setattr(assemble_module, "STATISTICS_HELD", 0)
    linked = report_of(records_of())
    for place in ("tables/statistics.csv", "tables/statistics.json"):
        assert linked[place] == whole[place]
        assert f"beside this page, {place}".encode() in linked["index.html"]
        assert f"beside this page, {place}".encode() not in whole["index.html"]


def test_a_table_that_nobody_reads_in_a_page_is_left_to_its_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "MOST_ROWS", 2)
    made = report_of(records_of())
    places = [place for place in made if place.startswith("tables/performance") and place.endswith(".csv")]
    assert places
    for place in places:
        assert f"3 rows, in {place} beside this page".encode() in made["index.html"]
