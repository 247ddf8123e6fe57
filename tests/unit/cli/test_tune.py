# SPDX-License-Identifier: Apache-2.0
"""tune, from argv to tuned.toml, on a machine that answers from records; and what is wrong with a command line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from builders import make_fio, make_image, make_record, make_summary, make_usage
from invoked import Invoke, complaint, data_of

from bpfbench import store
from bpfbench.catalogue import MAIN_SETUPS
from bpfbench.cli import extras
from bpfbench.codec import to_json
from bpfbench.declare import plan, tuning
from bpfbench.declare.study import load, parse
from bpfbench.factors import KNOBS
from bpfbench.machine import facts
from bpfbench.machine.facts import Storage
from bpfbench.model import VANILLA, Attach, Record, Step, Study, Trial
from bpfbench.model.tuning import TuningGoal
from bpfbench.run import stage
from bpfbench.store import RUN_FORMAT, Run, RunInfo
from bpfbench.testbed import image as images
from bpfbench.testbed import replay

pytestmark = pytest.mark.filterwarnings("ignore:Cyclopts application invoked without tokens")

MINE = 'name = "mine"\n[factors]\nsetups = "libbpf"\nworkloads = "write"\ntools = "rw-tracer"\nscale = 0.00390625\n'
TURNED = ("format", "ringbuf_bytes", "poll_ms")
"""Few enough that a run can have every configuration of them."""
GOAL = TuningGoal(("overhead", "memory"), 99.0, None, None, TURNED, 900.0)
EACH_S = 4.0
NOISE = (1.0, 1.01, 0.99, 1.005, 0.995)


def answer(trial: Trial, useful: bool) -> Record:
    """A trial in which a ring of 1 MiB saves all, or anything does, and larger ones take memory."""
    ring = trial.config.ringbuf_bytes if trial.config and trial.config.ringbuf_bytes else 0
    lost = 200 if useful and ring < 2**20 else 0
    noise = NOISE[trial.index % len(NOISE)]
    own = make_record(
        trial,
        fio=make_fio(runtime_s=10.0 * noise),
        summary=make_summary(trial, saved=1000 - lost, lost={"ring_full": lost}),
        usage=make_usage(pss_peak_bytes=round((2_000_000 + (ring if useful else 0)) * noise)),
    )
    return replace(own, steps=(Step("workload", EACH_S),))


def record_all(path: Path, study: Study, useful: bool, knobs: Iterable[str]) -> Run:
    """A run that has every configuration that may be tried."""
    found, _ = tuning.varied(study, [KNOBS[name] for name in knobs], 2**40, GOAL)
    trials = plan.unroll(replace(found, repetitions=3)).trials
    machine = {"host": "here", "cpus": 2, "cpu_model": "CPU", "kernel": "6.12"}
    image = asdict(make_image())
    info = RunInfo(RUN_FORMAT, path.name, "2026-01-02T03:04:05+00:00", "1", found, len(trials), (), image, machine)
    run = store.create(path, info, trials)
    for trial in trials:
        (run.begin(trial) / "record.json").write_text(to_json(answer(trial, useful)))
        run.commit(trial)
    return run


def on_record(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    useful: bool,
    setups: Iterable[str] = ("libbpf",),
    knobs: Iterable[str] = TURNED,
) -> Run:
    study = parse(MINE, "mine.toml")
    study = replace(study, factors=replace(study.factors, attach=(Attach.TRACEPOINT,), setups=tuple(setups)))
    run = record_all(tmp_path / "recorded", study, useful, knobs)
    roomy = Storage("/", 1, "/dev/vda", "ext4", 10**15)
    monkeypatch.setattr(facts, "storage", lambda path: replace(roomy, path=str(path)))
    monkeypatch.setattr(facts, "memory_available_bytes", lambda: 2**40)
    monkeypatch.setitem(stage.VENUES, "host", replay.venue(run))
    Path("mine.toml").write_text(MINE)
    return run


TUNE = ("tune", "mine.toml", "--for", "10min", "--knobs", ",".join(TURNED), "--run-dir", "tuning")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading a run for each block is what takes the time here."""
    monkeypatch.setattr(store, "_sync", lambda _: None)


def test_what_saves_enough_is_found_validated_and_written(
    bpfbench: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_record(tmp_path, monkeypatch, useful=True)
    found = bpfbench(*TUNE, "--output", "tuned.toml", "--json")
    assert found.status == 0, found.err
    (own,) = data_of(found)
    assert own["gain"] == "keeps-to-limits"
    assert own["chosen"]["ringbuf_bytes"] == 2**20
    assert own["fresh_blocks"] >= 3
    assert own["said"].startswith("libbpf: with ")
    assert "it kept to 99 % saved in all 12 fresh trials; the default is known not to" in own["said"]
    by_role = {row["role"]: row for row in own["validated"]}
    assert by_role["default"]["keeps_to_limits"] is False
    assert (by_role["tuned"]["keeps_to_limits"], by_role["tuned"]["limits"]) == (None, "in-each-trial")
    assert "cpu" in by_role["tuned"]["needs"]  # which nobody asked for, and a poller burns
    back = next(row for row in own["validated"] if "ringbuf_bytes" in row["set_back"])
    assert back["needs"]["fidelity"]["over_best"]["interval"][1] < 0
    assert own["lost_percent"] == {"ring_full": pytest.approx(20)}
    assert own["turned"]["fidelity"]["ringbuf_bytes"]["interval"][0] > 0
    assert own["turned"]["memory"]["ringbuf_bytes"]["interval"][0] > 0  # a larger ring is more of it
    assert "bpf_map__set_max_entries" in "".join(own["in_your_own"]["ringbuf_bytes"]["libbpf/rw.c"])
    tuned = load(Path("tuned.toml"))
    (values,) = tuned.tuned
    assert values.values["ringbuf_bytes"] == 2**20
    assert bpfbench("plan", "tuned.toml").status == 0
    assert "next: bpfbench run tuned.toml" in found.err
    shown = bpfbench("summary", "tuning")
    assert shown.status == 0  # it is a run as any other
    again = bpfbench("tune", "--resume", "tuning", "--markdown")
    assert again.status == 0, again.err
    assert own["said"] in again.out
    (symptom,) = (line for line in again.out.splitlines() if "events are lost" in line)
    assert "ring_full 20.00 %" in symptom.replace("\\", "")
    assert "ring 256 KiB | ring 1 MiB | +20.0 points saved" in symptom
    _, _, last = again.out.partition("\n## In a tracer of your own\n")
    assert [line for line in last.splitlines() if line.startswith("### ")] == [
        f"### {knob} of libbpf: {tuned}, not {usual}" for knob, tuned, usual in changed(own["chosen"])
    ]
    assert "\n        err = bpf_object__load_skeleton(rw.skeleton);\n" in last  # indented as in the source


def changed(chosen: dict[str, object]) -> Iterator[tuple[str, str, str]]:
    """The knobs of a choice that are not the default, with how both values are called."""
    for name, value in chosen.items():
        knob = KNOBS[name]
        (usual,) = knob.default
        if value != usual:
            yield name, knob.called(value), knob.called(usual)


def test_knobs_without_effect_have_no_gain_and_no_file(
    bpfbench: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_record(tmp_path, monkeypatch, useful=False)
    found = bpfbench(*TUNE, "--output", "tuned.toml")
    assert found.status == 0, found.err
    assert "libbpf: no gain found" in found.out
    assert "In a tracer of your own" not in found.out
    assert not Path("tuned.toml").exists()


@pytest.mark.parametrize("trials", [10, 15], ids=["within a block", "between blocks"])
def test_one_that_was_killed_goes_on_and_loses_no_trial(
    trials: int, bpfbench: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = on_record(tmp_path, monkeypatch, useful=True)
    ended: list[str] = []
    commit = Run.commit

    def killed(self: Run, trial: Trial) -> None:
        if len(ended) == trials:
            raise KeyboardInterrupt
        commit(self, trial)
        ended.append(trial.id)

    monkeypatch.setattr(Run, "commit", killed)
    first = bpfbench(*TUNE)
    assert first.status == 130
    assert "go on with: bpfbench tune --resume tuning" in first.err
    assert "bpfbench tune --resume tuning" in bpfbench("status", "tuning").out
    by_run = bpfbench("run", "--resume", "tuning")
    assert by_run.status == 2
    assert "this run tunes" in complaint(by_run)
    assert "bpfbench tune --resume tuning" in by_run.err
    monkeypatch.setattr(Run, "commit", commit)
    image = replay.ReplayTestbed(run, Path(), Path()).image
    monkeypatch.setattr(images, "with_key", lambda *_: image)
    short = bpfbench("tune", "--resume", "tuning", "--for", "1min")
    assert short.status == 2
    assert "--for: 60 s in all is too short: what libbpf has used, and a validation at least, take" in complaint(short)
    assert re.search(r"choose \d+min or more", short.err)
    before = Run(Path("tuning")).plan()
    second = bpfbench("tune", "--resume", "tuning", "--json")
    assert second.status == 0, second.err
    after = Run(Path("tuning"))
    assert after.plan()[: len(before)] == before
    assert set(ended) - {id_ for id_ in ended if id_.endswith("warm-up")} <= after.done()
    assert data_of(second)[0]["gain"] == "keeps-to-limits"
    if trials == 15:  # of a block in two parts, less can be compared
        assert bpfbench(*TUNE[:-1], "whole").status == 0
        assert after.plan() == Run(Path("whole")).plan()  # it proposed what it would have proposed


def test_more_time_for_a_run_that_is_over_is_used_and_the_search_stays_over(
    bpfbench: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = on_record(tmp_path, monkeypatch, useful=True)
    assert bpfbench(*TUNE).status == 0
    tuned = Run(Path("tuning"))
    known, planned = tuned.tuning(), tuned.plan()
    image = replay.ReplayTestbed(run, Path(), Path()).image
    monkeypatch.setattr(images, "with_key", lambda *_: image)
    again = bpfbench("tune", "--resume", "tuning", "--for", "20min", "--json")
    assert again.status == 0, again.err
    assert known is not None
    assert tuned.tuning() == replace(known, goal=replace(known.goal, seconds=1200.0))
    assert tuned.plan()[: len(planned)] == planned
    assert data_of(again)[0]["fresh_blocks"] >= 3


def test_what_rings_hold_and_how_long_settings_let_events_wait_is_told(
    bpfbench: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_record(tmp_path, monkeypatch, useful=True)
    found = bpfbench(*TUNE, "--markdown")
    assert found.status == 0, found.err
    # 1 MiB of 131,072 events of 168 bytes
    assert "can hold 4.76 % of a trial's events, which are saved however slow" in found.out
    assert "no more than 95.24 % saved is shown for a target that runs for longer" in found.out
    assert "delay by settings" in found.out
    assert "events come late" in found.out
    (own,) = data_of(bpfbench("tune", "--resume", "tuning", "--json"))
    assert own["rings_hold_percent"] == pytest.approx(100 * 2**20 / (131_072 * 168))
    tuned = next(row for row in own["validated"] if row["role"] == "tuned")
    assert tuned["shown_for_longer_percent"] == pytest.approx(100 - own["rings_hold_percent"])
    delay = next(row["needs"]["delay"] for row in own["validated"] if row["role"] == "default")
    # 1,000 events in 10 s: of 100 a second, 64 KiB of lines of 50 bytes hold 1,311
    assert (delay["metric"], delay["mean"]) == ("delay_by_settings_ms", pytest.approx(13107, rel=0.02))


def test_a_delay_is_a_limit_that_the_default_may_miss(
    bpfbench: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_record(tmp_path, monkeypatch, useful=True)
    found = bpfbench(*TUNE, "--max-delay", "0.05s", "--json")
    assert found.status == 0, found.err
    (own,) = data_of(found)
    # Of 100 events a second, none finds company within 10 ms: its buffer is written after that.
    assert own["gain"] == "keeps-to-limits"
    assert own["chosen"]["poll_ms"] <= 10
    assert (
        "99 % saved and 50 ms of delay by the settings in all 12 fresh trials; the default is known not to"
        in own["said"]
    )


def test_all_setups_are_tuned_in_turn_resumed_and_shown_side_by_side(
    bpfbench: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = on_record(tmp_path, monkeypatch, useful=True, setups=MAIN_SETUPS, knobs=("ringbuf_bytes",))
    ended: list[str] = []
    commit = Run.commit

    def killed(self: Run, trial: Trial) -> None:
        if len(ended) == 90:  # in the second setup
            raise KeyboardInterrupt
        commit(self, trial)
        ended.append(trial.setup)

    words = ("--setups", "all", "--study", "mine.toml", "--knobs", "ringbuf_bytes", "--for", "5min")
    monkeypatch.setattr(Run, "commit", killed)
    first = bpfbench("tune", *words, "--run-dir", "tuning", "--output", "tuned.toml", "--wait")
    assert first.status == 130
    assert "7 setups, one after the other: 5 min each, 35 min in all" in first.err
    assert "go on with: bpfbench tune --resume tuning --output tuned.toml --wait\n" in first.err
    assert set(ended) == {VANILLA, "bpftrace", "bcc"}
    assert not Path("tuned.toml").exists()
    monkeypatch.setattr(Run, "commit", commit)
    image = replay.ReplayTestbed(run, Path(), Path()).image
    monkeypatch.setattr(images, "with_key", lambda *_: image)
    second = bpfbench("tune", "--resume", "tuning", "--output", "tuned.toml", "--markdown")
    assert second.status == 0, second.err
    tuned = load(Path("tuned.toml"))
    assert {own.setup: own.values["ringbuf_bytes"] for own in tuned.tuned} == dict.fromkeys(MAIN_SETUPS, 2**20)
    _, _, after = second.out.partition("\n## Side by side\n")
    rows = [line.split("|")[1:3] for line in after.partition("\n## ")[0].splitlines() if line.startswith("|")][2:]
    told = [[cell.strip() for cell in row] for row in rows]
    assert told == [pair for setup in MAIN_SETUPS for pair in ([setup, "default"], ["", "tuned: ring 1 MiB"])]


def test_a_setup_with_nothing_to_choose_from_is_refused_and_left_out_of_all(bpfbench: Invoke) -> None:
    Path("mine.toml").write_text(MINE)
    words = ("tune", "mine.toml", "--knobs", "wakeup", "--attach", "tracepoint", "--setups")
    refused = bpfbench(*words, "libbpf,bpftrace")
    assert "bpftrace: there is nothing to choose from; rw-tracer: bpftrace has no wakeup = never" in complaint(refused)
    assert "tune the others: --setups libbpf" in refused.err
    refused = bpfbench(*words, "all", "--for", "30s")
    assert "option --for: 30 s is too short" in complaint(refused)
    assert "it is for each of 6 setups, one after the other" in refused.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--minimise", "overhead,price"), "option --minimise: 'price' is not one of: overhead, memory, cpu"),
        (("--minimise", "fidelity"), "option --minimise: fidelity is no cost"),
        (("--min-fidelity", "101"), "option --min-fidelity: 101 is out of range; valid is 0 to 100"),
        (("--max-memory", "1KiB"), "option --max-memory: no configuration can do with 1 KiB: the smallest ring alone"),
        (("--for", "20s"), "option --for: 20 s is too short: a search and its validation take 6 blocks"),
        (("--for", "soon"), "option --for: 'soon' is no time"),
        (("--knobs", "colour"), "option --knobs: 'colour' is not one of: format, ringbuf_bytes, poll_ms"),
        (("--poll-ms", "10"), "option --poll-ms: that is to be tuned, and the study says already what it is"),
        (("--rate", "200k", "--rate-iops", "9"), "options --rate and --rate-iops say the same: choose one"),
        (("--rate", "40k", "--targets", "nginx"), "fio's processes; for nginx say --rate-iops, its operations per"),
        (("--rate", "40k", "--targets", "valkey"), "--rate is events per second of fio's processes; valkey keeps no"),
        (("--rate-iops", "5000,9000"), "tune looks at one case, and factors.rate_iops has 2 values"),
        (("--tools", "syscount"), "syscount has no ring, and saves every count"),
        (("--output", "x.json"), "option --output: 'x.json' is no .toml file in an existing directory"),
        (("--resume", "latest", "--rate", "1k"), "--resume goes on with the study as it was"),
        (("--resume", "latest", "--min-fidelity", "9", "--knobs", "poll_ms"), ": --min-fidelity, --knobs cannot be"),
        (("--resume", "latest", "--max-cpu", "9", "--max-memory", "9"), ": --max-memory, --max-cpu cannot be given"),
        (("--resume", "latest", "--minimise", "cpu", "--max-delay", "9"), ": --max-delay, --minimise cannot be given"),
        (("--resume", "latest", "--run-dir", "x", "--poll-ms", "9"), ": --run-dir, --poll-ms cannot be given with it"),
        (("--max-delay", "soon"), "option --max-delay: 'soon' is not a number, alone or with one of: ms, s"),
        (("--max-delay", "1ms", "--rate", "10k"), "option --max-delay: no configuration can do with 1 ms: at 10,000"),
        (("--runtime-margin-percent", "0"), "criteria.runtime_margin_percent is 0"),
        (("--knobs", "ringbuf_bytes", "--format", "text,binary"), "factors.format is not tuned, and has 2 values"),
    ],
)
def test_what_is_wrong(bpfbench: Invoke, words: tuple[str, ...], message: str, tmp_path: Path) -> None:
    setups = () if "--resume" in words else ("--setups", "libbpf")
    assert message in complaint(bpfbench("tune", *setups, *words))
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("words", [("--setups", "libbpf"), ("--resume", "latest")])
def test_without_its_extra_it_says_how_to_get_it_before_anything_else(
    bpfbench: Invoke, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda _: None)
    outcome = bpfbench("tune", *words)
    assert complaint(outcome) == "bpfbench: tune wants optuna, which is not installed"
    assert "pip install" in outcome.err.splitlines()[1]
    assert "optuna" in outcome.err.splitlines()[1]
    assert not (tmp_path / "runs").exists()


def test_a_study_that_fixes_a_knob_is_told_where(bpfbench: Invoke) -> None:
    Path("mine.toml").write_text(MINE + "ringbuf_bytes = 65536\n")
    assert "mine.toml: factors.ringbuf_bytes: that is to be tuned" in complaint(bpfbench("tune", "mine.toml"))
