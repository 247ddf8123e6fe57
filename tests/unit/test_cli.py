# SPDX-License-Identifier: Apache-2.0
"""A mistaken command line gets exit status 2 (1 where a run is at fault), one clear line, and nothing on stdout."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from builders import make_executable, make_image, make_record

from bpfbench import catalogue, cli, store
from bpfbench.codec import to_json
from bpfbench.declare import plan, study
from bpfbench.errors import ImageError
from bpfbench.inside.conformance.suite import CASES
from bpfbench.machine import facts, privileges, tune, turn
from bpfbench.machine.facts import lacking, ok
from bpfbench.machine.privileges import NAMESPACES
from bpfbench.model import VANILLA, Attach, Tool, Trial
from bpfbench.model.check import CaseVerdict, CheckSpec, Ended, Subject
from bpfbench.run import images
from bpfbench.store import RUN_FORMAT, Run, RunInfo
from bpfbench.testbed import host, image
from bpfbench.testbed.host import Headers, HostTestbed
from bpfbench.testbed.image import libraries
from bpfbench.testbed.image.boot import Kernel

# The entry point reads sys.argv, as the command does.
pytestmark = pytest.mark.filterwarnings("ignore:Cyclopts application invoked without tokens")

STUDIES = "fairness, paper, quick, smoke"
SETUPS = ", ".join((*catalogue.SETUPS, VANILLA))


@dataclass(frozen=True)
class Outcome:
    """How bpfbench ended."""

    status: int
    out: str
    err: str


Invoke = Callable[..., Outcome]

KERNEL = Kernel(
    name="trixie",
    key="0123456789abcdef",
    suite="trixie",
    release="6.12.48+deb13-amd64",
    version="6.12.48-1",
    hooks=(Attach.KPROBE, Attach.TRACEPOINT),
    config={},
    vmlinuz="/cache/kernels/x/vmlinuz",
    initrd="/cache/kernels/x/initrd",
    disk="/cache/kernels/x/kernel.ext4",
)


@pytest.fixture
def bpfbench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, invoke: Callable[..., tuple[int, str, str]]) -> Invoke:
    """Call the entry point with these words, in an empty directory, with an empty cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BPFBENCH_CACHE", str(tmp_path / "cache"))
    for name in ("BPFBENCH_MIRROR", "BPFBENCH_SUITE", "BPFBENCH_CA_BUNDLE", "BPFBENCH_WAIT"):
        monkeypatch.delenv(name, raising=False)
    return lambda *words: Outcome(*invoke(*words))


def data_of(outcome: Outcome) -> Any:
    """Return what programs are told, out of its envelope."""
    found = json.loads(outcome.out)
    assert list(found) == ["schema", "kind", "run", "data"]
    return found["data"]


def complaint(outcome: Outcome, status: int = 2) -> str:
    """Return the one line that was said, and check what holds for all of them."""
    assert outcome.status == status
    assert outcome.out == ""
    first, *rest = outcome.err.splitlines()
    assert len(rest) <= 1, "a message and at most a hint"
    assert all(line.startswith("  ") for line in rest)
    assert "Traceback" not in outcome.err
    return first


def make_run(path: Path) -> tuple[tuple[Trial, ...], Run]:
    """A run of two trials."""
    chosen = study.load(study.find("smoke"))
    trials = plan.unroll(chosen).trials[:2]
    image = {"name": "trixie", "key": "0123456789abcdef"}
    machine = {"host": "testhost", "cpus": 2, "cpu_model": "CPU", "kernel": "6.12"}
    info = RunInfo(RUN_FORMAT, path.name, "2026-01-02T03:04:05+00:00", "0.1.0", chosen, 2, (), image, machine)
    return trials, store.create(path, info, trials)


def record_trial(run: Run, trial: Trial) -> None:
    (run.begin(trial) / "record.json").write_text(to_json(make_record(trial)))
    run.commit(trial)


class TestUsage:
    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (("plna", "quick"), ("plna", "plan")),
            (("image", "biuld"), ("biuld", "build")),
            (("plan",), ("study", "requires an argument")),
            (("plan", "quick", "--bogus"), ("--bogus",)),
            (("plan", "quick", "--setup", "bcc"), ("--setup", "--setups")),
            (("plan", "quick", "extra"), ("extra",)),
            (("plan", "quick", "--setups"), ("--setups", "requires an argument")),
            (("run", "quick", "--run-dir"), ("--run-dir", "requires an argument")),
            (("data", "remove", "all"), ("all",)),
        ],
    )
    def test_what_the_parser_cannot_read_is_named(
        self, bpfbench: Invoke, words: tuple[str, ...], said: tuple[str, ...]
    ) -> None:
        outcome = bpfbench(*words)
        message = complaint(outcome)
        assert message.startswith("bpfbench: ")
        assert all(part in message for part in said)
        assert outcome.err.splitlines()[1:] == ["  see bpfbench --help"]

    @pytest.mark.parametrize("option", ["--repetitions", "--seed"])
    def test_a_fraction_is_not_rounded_to_a_whole_number(self, bpfbench: Invoke, option: str) -> None:
        assert option in complaint(bpfbench("plan", "quick", option, "1.5"))

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (("run",), "give either a study, or --resume and a run"),
            (("run", "quick", "--resume", "latest"), "give either a study, or --resume and a run"),
            (
                ("run", "--resume", "latest", "--seed", "3"),
                "--resume goes on with the study as it was; it takes no study options",
            ),
            (("run", "quick", "--retry-failed"), "--retry-failed goes with --resume"),
            (("summary", "--json", "--csv"), "choose one of --json, --markdown, --csv"),
            (("summary", "--csv", "--markdown"), "choose one of --json, --markdown, --csv"),
        ],
    )
    def test_options_that_exclude_each_other_are_told_apart(
        self, bpfbench: Invoke, words: tuple[str, ...], message: str
    ) -> None:
        assert complaint(bpfbench(*words)) == f"bpfbench: {message}"


class TestStudies:
    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("quikc", f"study 'quikc' is not one of: {STUDIES} (did you mean 'quick'?)"),
            ("mine", f"study 'mine' is not one of: {STUDIES}"),
            ("mine.toml", "study file 'mine.toml' does not exist"),
            ("./mine", "study file './mine' does not exist"),
        ],
    )
    def test_a_study_that_does_not_exist(self, bpfbench: Invoke, name: str, message: str) -> None:
        assert complaint(bpfbench("plan", name)) == f"bpfbench: {message}"

    @pytest.mark.parametrize(
        ("option", "value", "fault"),
        [
            ("--setups", "libpbf", f"'libpbf' is not one of: {SETUPS} (did you mean 'libbpf'?)"),
            ("--setups", "bcc,bbc", f"'bbc' is not one of: {SETUPS} (did you mean 'bcc'?)"),
            ("--setups", "", "the list is empty; give at least one value"),
            ("--tools", "rw-trace", "'rw-trace' is not one of: syscount, rw-tracer, rw-tracer-all"),
            ("--workloads", "raed", "'raed' is not one of: read, write, mixed (did you mean 'read'?)"),
            ("--processes", "0", "0 is out of range; valid is 1 to 1024"),
            ("--processes", "4x", "a whole number is wanted, not '4x'"),
            ("--scale", "-1", "-1.0 is out of range; valid is 1.1920928955078125e-07 to 1024"),
            ("--scale", "big", "a number is wanted, not 'big'"),
            (
                "--attach",
                "kprobes",
                "'kprobes' is not one of: tracepoint, kprobe, fentry, auto (did you mean 'kprobe'?)",
            ),
            ("--format", "txt", "'txt' is not one of: text, binary (did you mean 'text'?)"),
            ("--ringbuf-bytes", "300000", "a BPF ring buffer is a power of two: 262144 or 524288, not 300000"),
            ("--ringbuf-bytes", "4KiB,5KiB", "a BPF ring buffer is a power of two: 4096 or 8192, not 5120"),
            ("--poll-ms", "100,0", "0 is out of range; valid is 1 to 60000"),
            ("--payload-bytes", "1MiB", "1048576 is out of range; valid is 1 to 16384"),
            ("--repetitions", "0", "0 is out of range; valid is 1 to 10000"),
            ("--seed", "-1", "-1 is out of range; valid is 0 or more"),
            ("--placement", "papr", "'papr' is not one of: paper, shared, auto (did you mean 'paper'?)"),
            ("--data-dir", "/no/where", "'/no/where' is not an existing directory; create it or choose another"),
            ("--output-dir", "/no/where", "'/no/where' is not an existing directory; create it or choose another"),
            ("--image", "trixi", "'trixi' is not one of: trixie (did you mean 'trixie'?)"),
        ],
    )
    def test_a_bad_value_of_an_option_is_blamed_on_it(
        self, bpfbench: Invoke, option: str, value: str, fault: str
    ) -> None:
        message = complaint(bpfbench("plan", "quick", f"{option}={value}"))
        assert message.startswith(f"bpfbench: option {option}: {fault}")

    def test_a_bad_value_of_a_file_is_blamed_on_it(self, bpfbench: Invoke, tmp_path: Path) -> None:
        (tmp_path / "mine.toml").write_text('name = "x"\n[factors]\nsetups = "bcc"\nworkloads = "read"\npoll_ms = 0\n')
        message = complaint(bpfbench("plan", "mine.toml"))
        assert message == "bpfbench: mine.toml: factors.poll_ms: 0 is out of range; valid is 1 to 60000"

    def test_a_name_with_brackets_is_shown_as_it_is(self, bpfbench: Invoke) -> None:
        message = complaint(bpfbench("plan", "[bold]x[/bold].toml"))
        assert message == "bpfbench: study file '[bold]x[/bold].toml' does not exist"

    def test_a_long_message_stays_one_line(self, bpfbench: Invoke, tmp_path: Path) -> None:
        name = f"{'x' * 150}.toml"
        (tmp_path / name).write_text("colour = 1")
        message = complaint(bpfbench("plan", name))
        assert message.startswith(f"bpfbench: {name}: colour: unknown key; 'colour' is not one of: name, ")


class TestRuns:
    @pytest.mark.parametrize("verb", ["status", "summary"])
    @pytest.mark.parametrize("name", ["20260101-000000-quick", "latest"])
    def test_a_run_that_does_not_exist(self, bpfbench: Invoke, verb: str, name: str) -> None:
        message = complaint(bpfbench(verb, name), status=1)
        assert message == (f"bpfbench: {name!r} is no run: neither a run directory nor a run in runs (there: none yet)")

    def test_a_run_whose_file_is_damaged(self, bpfbench: Invoke, tmp_path: Path) -> None:
        (tmp_path / "runs" / "r1").mkdir(parents=True)
        (tmp_path / "runs" / "r1" / "run.json").write_text("{")
        message = complaint(bpfbench("status", "r1"), status=1)
        assert message.startswith("bpfbench: runs/r1/run.json: ")


class TestStatus:
    def test_failed_trials_that_were_run_again_are_told(self, bpfbench: Invoke, tmp_path: Path) -> None:
        trials, run = make_run(tmp_path / "runs" / "r1")
        for trial in trials:
            record_trial(run, trial)
        run.forget(trials[0].id)
        record_trial(run, trials[0])
        found = json.loads(bpfbench("status", "r1", "--json").out)
        assert (found["schema"], found["kind"]) == (1, "status")
        assert (found["run"]["trials_done"], found["run"]["superseded"]) == (2, 1)
        assert (found["data"]["ok"], found["data"]["running"]) == (2, False)
        with run.locked():
            assert data_of(bpfbench("status", "r1", "--json"))["running"] is True


class TestMachine:
    def test_what_is_measured_with_cannot_be_removed_meanwhile(self, bpfbench: Invoke, tmp_path: Path) -> None:
        files = tmp_path / "cache" / "data" / "4x4096"
        files.mkdir(parents=True)
        (files / "fio.0").touch()
        assert len(data_of(bpfbench("data", "list", "--json"))) == 1
        with turn.alone(tmp_path / "cache"):
            message = complaint(bpfbench("data", "remove"), status=1)
            assert message.startswith("bpfbench: another bpfbench is measuring on this machine: process ")
        assert files.is_dir()
        assert bpfbench("data", "remove").status == 0
        assert not files.exists()

    def test_what_the_system_refuses_is_told_in_one_line(
        self, bpfbench: Invoke, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(_: str) -> Path:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/x/y")

        monkeypatch.setattr(study, "find", fail)
        assert complaint(bpfbench("plan", "quick"), status=1) == "bpfbench: /x/y: No space left on device"


OWN = """\
name = "x"
[factors]
setups = "own"
workloads = "read"
[setups.own]
command = "./tracer"
tools = "syscount"
"""
ALL = tuple(catalogue.SETUPS)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A study that brings a setup."""
    make_executable(tmp_path / "tracer")
    (tmp_path / "own.toml").write_text(OWN)
    return tmp_path / "own.toml"


class TestCheckOptions:
    """What is wrong with a command line is told before anybody asks for root."""

    @pytest.mark.parametrize("user", [0, 1000])
    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (
                ("--setups", "libpbf"),
                f"option --setups: 'libpbf' is not one of: {', '.join(ALL)} (did you mean 'libbpf'?)",
            ),
            (
                ("--setups", "bcc,bbc"),
                f"option --setups: 'bbc' is not one of: {', '.join(ALL)} (did you mean 'bcc'?)",
            ),
            (("--setups", "vanilla"), f"option --setups: 'vanilla' is not one of: {', '.join(ALL)}"),
            (("--setups", "own"), f"option --setups: 'own' is not one of: {', '.join(ALL)}"),
            (("--setups="), f"option --setups: give at least one of: {', '.join(ALL)}"),
            (("--setups", " , "), f"option --setups: give at least one of: {', '.join(ALL)}"),
            (
                ("--cases", "evnts"),
                f"option --cases: 'evnts' is not one of: {', '.join(CASES)} (did you mean 'events'?)",
            ),
            (("--cases="), f"option --cases: give at least one of: {', '.join(CASES)}"),
            (("--image", "trixi"), "option --image: 'trixi' is not one of: trixie (did you mean 'trixie'?)"),
            (("--study", "none.toml"), "study file 'none.toml' does not exist"),
            (("--study", "quikc"), f"study 'quikc' is not one of: {STUDIES} (did you mean 'quick'?)"),
        ],
    )
    def test_a_bad_value_is_blamed_on_its_option_with_the_choices(
        self,
        bpfbench: Invoke,
        monkeypatch: pytest.MonkeyPatch,
        words: str | tuple[str, ...],
        message: str,
        user: int,
    ) -> None:
        monkeypatch.setattr("os.geteuid", lambda: user)
        given = (words,) if isinstance(words, str) else words
        assert complaint(bpfbench("check", *given)) == f"bpfbench: {message}"

    def test_what_a_study_brings_is_among_the_choices(self, bpfbench: Invoke, own: Path) -> None:
        message = complaint(bpfbench("check", "--study", str(own), "--setups", "onw"))
        assert message == f"bpfbench: option --setups: 'onw' is not one of: {', '.join(ALL)}, own (did you mean 'own'?)"

    def test_a_study_that_is_wrong_is_told_as_ever(self, bpfbench: Invoke, own: Path, tmp_path: Path) -> None:
        (tmp_path / "tracer").chmod(0o644)
        message = complaint(bpfbench("check", "--study", own.name))
        assert message.startswith("bpfbench: own.toml: setups.own.command: ")
        assert message.endswith(f"is not executable; run: chmod +x {(tmp_path / 'tracer').resolve()}")

    def test_without_root_it_is_told_what_to_do(self, bpfbench: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("os.geteuid", lambda: 1000)
        outcome = bpfbench("check", "--setups", "bcc")
        assert complaint(outcome, status=1) == "bpfbench: measuring on this machine's kernel needs root"
        assert outcome.err.splitlines()[1] == "  run the same command with sudo"


def verdict_of(subject: Subject, case: str, ended: Ended = Ended.PASSED) -> CaseVerdict:
    return CaseVerdict(
        case, subject.setup, subject.attach, "", ended, "" if ended is Ended.PASSED else "as it should not be"
    )


class TestCheck:
    """A suite of which every case passes, but those of a test's choice, in place of one in an image."""

    @pytest.fixture
    def specs(self) -> list[CheckSpec]:
        """What the suite was told."""
        return []

    @pytest.fixture
    def failing(self) -> set[str]:
        """The cases that fail."""
        return set()

    @pytest.fixture(autouse=True)
    def suite(self, monkeypatch: pytest.MonkeyPatch, specs: list[CheckSpec], failing: set[str]) -> None:
        def run(_: HostTestbed, spec: CheckSpec, on_verdict: Callable[[CaseVerdict], None]) -> None:
            specs.append(spec)
            for case in spec.cases:
                for subject in spec.subjects:
                    on_verdict(verdict_of(subject, case, Ended.FAILED if case in failing else Ended.PASSED))

        monkeypatch.setattr("os.geteuid", lambda: 0)
        monkeypatch.setattr(facts, "missing", lambda: iter(()))
        monkeypatch.setattr(image, "build", lambda *_: make_image())
        monkeypatch.setattr(facts, "hooks", lambda: frozenset({Attach.TRACEPOINT}))
        monkeypatch.setattr(host, "headers_here", lambda *_: Headers("none"))
        monkeypatch.setattr(HostTestbed, "setups", frozenset((*catalogue.SETUPS, "own")))
        monkeypatch.setattr(HostTestbed, "check", run)

    def test_by_default_all_of_ours_but_alternatives_are_checked(
        self, bpfbench: Invoke, specs: list[CheckSpec]
    ) -> None:
        assert bpfbench("check").status == 0
        (spec,) = specs
        assert spec.cases == tuple(CASES)
        assert [(subject.setup, subject.tools, subject.formats) for subject in spec.subjects] == [
            (setup.name, setup.tools, setup.formats) for setup in catalogue.MAIN_SETUPS.values()
        ]

    def test_an_alternative_is_checked_where_it_is_named(self, bpfbench: Invoke, specs: list[CheckSpec]) -> None:
        assert bpfbench("check", "--setups", "libbpf-tuned", "--cases", "counts").status == 0
        assert [subject.setup for subject in specs[0].subjects] == ["libbpf-tuned"]

    def test_what_is_chosen_is_checked_once_in_the_order_there_is(
        self, bpfbench: Invoke, specs: list[CheckSpec]
    ) -> None:
        bpfbench("check", "--setups", "libbpf, bcc,libbpf", "--cases", "counts,events,")
        (spec,) = specs
        assert [subject.setup for subject in spec.subjects] == ["bcc", "libbpf"]
        assert spec.cases == ("events", "counts")

    def test_a_setup_that_a_study_brings_is_checked_by_what_it_has(
        self, bpfbench: Invoke, specs: list[CheckSpec], own: Path
    ) -> None:
        bpfbench("check", "--study", str(own), "--setups", "own")
        (subject,) = specs[0].subjects
        assert (subject.setup, subject.tools) == ("own", (Tool.SYSCOUNT,))

    def test_a_setup_is_checked_with_a_hook_that_it_has(
        self, bpfbench: Invoke, specs: list[CheckSpec], own: Path
    ) -> None:
        own.write_text(f'{OWN}attaches = "kprobe"\n')
        bpfbench("check", "--study", str(own), "--setups", "own")
        assert specs[0].subjects[0].attach is Attach.KPROBE

    def test_the_status_tells_whether_all_is_well(self, bpfbench: Invoke, failing: set[str]) -> None:
        assert bpfbench("check", "--cases", "events,counts").status == 0
        failing.add("counts")
        outcome = bpfbench("check", "--cases", "events,counts", "--setups", "bcc")
        assert outcome.status == 1
        assert "  bcc tracepoint counts: failed: as it should not be" in outcome.out.splitlines()
        assert outcome.out.splitlines()[-1] == "1 passed, 1 failed, 0 skipped"

    def test_json_has_every_verdict_and_what_it_was_found_with(self, bpfbench: Invoke, failing: set[str]) -> None:
        failing.add("counts")
        outcome = bpfbench("check", "--cases", "events,counts", "--setups", "bcc", "--json")
        found = json.loads(outcome.out)["data"]
        assert outcome.status == 1
        assert found["image"] == make_image().key
        assert found["machine"] == {**facts.gather(), "headers_for_bcc": "none"}
        assert [(v["case"], v["setup"], v["outcome"]) for v in found["verdicts"]] == [
            ("events", "bcc", "passed"),
            ("counts", "bcc", "failed"),
        ]
        assert found["verdicts"][1]["detail"] == "as it should not be"

    def test_the_cases_are_told_on_stderr_as_they_come(self, bpfbench: Invoke) -> None:
        outcome = bpfbench("check", "--cases", "events,counts", "--setups", "bcc,libbpf")
        said = [line.split(" ", 2)[2] for line in outcome.err.splitlines()]
        assert said == ["1/2 events", "2/2 counts"]

    def test_while_another_measures_nothing_is_checked(
        self, bpfbench: Invoke, tmp_path: Path, specs: list[CheckSpec]
    ) -> None:
        with turn.alone(tmp_path / "cache"):
            message = complaint(bpfbench("check"), status=1)
        assert message.startswith("bpfbench: another bpfbench is measuring on this machine: process ")
        assert specs == []

    def test_certificates_that_are_not_there_are_blamed_on_the_option(self, bpfbench: Invoke) -> None:
        message = complaint(bpfbench("check", "--ca-bundle", "/no/ca.pem"))
        assert message == "bpfbench: option --ca-bundle: '/no/ca.pem' is not a file"


class TestImage:
    @pytest.fixture(autouse=True)
    def root(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A machine that has everything, and root, unless a test says otherwise."""
        monkeypatch.setattr("os.geteuid", lambda: 0)
        monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
        monkeypatch.setattr(facts, "missing", lambda: iter(()))

    @pytest.mark.parametrize("verb", ["check", "enter"])
    def test_an_image_that_is_not_built_is_told_with_how_to_build_it(self, bpfbench: Invoke, verb: str) -> None:
        for words in ((), ("trixie",)):
            outcome = bpfbench("image", verb, *words)
            assert complaint(outcome) == "bpfbench: image 'trixie' is not built"
            assert outcome.err.splitlines()[1] == "  bpfbench image build trixie"

    @pytest.mark.parametrize("verb", ["check", "enter", "build"])
    def test_an_image_that_does_not_exist_is_told_with_those_that_do(self, bpfbench: Invoke, verb: str) -> None:
        assert complaint(bpfbench("image", verb, "sidd")) == "bpfbench: image 'sidd' is not one of: trixie"

    @pytest.mark.parametrize("words", [("build",), ("check",), ("enter",), ("remove", "trixie")], ids="-".join)
    def test_without_root_and_without_user_namespaces_it_is_told_what_to_do(
        self, bpfbench: Invoke, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
    ) -> None:
        monkeypatch.setattr("os.geteuid", lambda: 1000)
        lack = lacking(NAMESPACES, "newuidmap is not installed", "apt-get install uidmap")
        monkeypatch.setattr(privileges, "namespaces", lambda: lack)
        monkeypatch.setattr(images, "headers_here", lambda *_: Headers("none"))
        if words != ("build",):
            monkeypatch.setattr(image, "find", lambda *_: make_image())
            monkeypatch.setattr(image, "built", lambda *_: (make_image(),))
        outcome = bpfbench("image", *words)
        expected = "bpfbench: without root, images need user namespaces: newuidmap is not installed"
        assert complaint(outcome, status=1) == expected
        assert outcome.err.splitlines()[1] == "  apt-get install uidmap"

    def test_what_the_machine_lacks_keeps_out_of_an_image(
        self, bpfbench: Invoke, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(facts, "missing", lambda: iter(("bwrap: not installed",)))
        monkeypatch.setattr(image, "find", lambda *_: make_image())
        monkeypatch.setattr(images, "headers_here", lambda *_: Headers("none"))
        assert complaint(bpfbench("image", "enter"), status=1) == "bpfbench: bwrap: not installed"

    @pytest.mark.parametrize(
        ("given", "words"),
        [
            ((), ("bash",)),
            (("trixie",), ("bash",)),
            (("trixie", "ls", "/"), ("ls", "/")),
            (("trixie", "--", "ls", "-l", "--help"), ("ls", "-l", "--help")),
        ],
    )
    def test_a_shell_or_a_command_takes_bpfbenchs_place(
        self, bpfbench: Invoke, monkeypatch: pytest.MonkeyPatch, given: tuple[str, ...], words: tuple[str, ...]
    ) -> None:
        told: list[tuple[str, ...]] = []

        def execvp(name: str, argv: tuple[str, ...]) -> None:
            assert name == argv[0]
            told.append(argv)
            raise SystemExit(0)

        monkeypatch.setattr(image, "find", lambda *_: make_image())
        monkeypatch.setattr(images, "headers_here", lambda *_: Headers("none"))
        monkeypatch.setattr("os.execvp", execvp)
        assert bpfbench("image", "enter", *given).status == 0
        (argv,) = told
        assert argv[-len(words) - 1 :] == ("--", *words)

    def test_the_sources_of_every_library_are_checked(self, bpfbench: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(image, "find", lambda *_: make_image())
        monkeypatch.setattr(libraries, "checked_libraries", lambda: ("aya", "ebpf-go"))
        monkeypatch.setattr(libraries, "check_sources", lambda *_: None)
        outcome = bpfbench("image", "check")
        assert (outcome.status, outcome.out, outcome.err) == (0, "aya: ok\nebpf-go: ok\n", "")

    def test_what_a_linter_found_ends_the_check(self, bpfbench: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
        def check_sources(_: object, library: str, __: object) -> None:
            if library == "ebpf-go":
                raise ImageError("ebpf-go: check failed (exit status 2):\n  rw.go:1: [unused]")

        monkeypatch.setattr(image, "find", lambda *_: make_image())
        monkeypatch.setattr(libraries, "checked_libraries", lambda: ("aya", "ebpf-go"))
        monkeypatch.setattr(libraries, "check_sources", check_sources)
        outcome = bpfbench("image", "check")
        assert (outcome.status, outcome.out) == (1, "aya: ok\n")
        assert outcome.err == "bpfbench: ebpf-go: check failed (exit status 2):\n  rw.go:1: [unused]\n"

    def test_a_kernel_that_does_not_exist_is_refused_before_anything_is_built(self, bpfbench: Invoke) -> None:
        message = complaint(bpfbench("image", "build", "--kernels", "trixie,bookworm"))
        assert message == "bpfbench: kernel 'bookworm' is not one of: trixie, backports, sid"

    def test_the_kernels_asked_for_are_built_with_an_image_and_none_otherwise(
        self, bpfbench: Invoke, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[tuple[str, ...]] = []
        monkeypatch.setattr(image, "build", lambda *_: make_image())
        monkeypatch.setattr(image, "bootable", lambda _, __, names, *___: asked.append(names))
        monkeypatch.setattr(image, "boot_layers", lambda *_: (None, ()))
        monkeypatch.setattr(images, "taken_bytes", lambda _: 0)
        assert bpfbench("image", "build").status == 0
        assert asked == []
        assert bpfbench("image", "build", "trixie", "--kernels", "sid,trixie").status == 0
        assert asked == [("sid", "trixie")]

    def test_a_list_has_what_virtual_machines_boot_and_what_it_takes(
        self, bpfbench: Invoke, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(image, "built", lambda *_: (make_image(),))
        monkeypatch.setattr(image, "boot_layers", lambda *_: (Path("/cache/disks/x/root.ext4"), (KERNEL,)))
        monkeypatch.setattr(images, "taken_bytes", lambda path: {"root": 3, "root.ext4": 2}.get(path.name, 1) * 2**30)
        text = bpfbench("image", "list").out
        assert "root           3.0 GiB, /cache/root\n" in text
        assert "disk           2.0 GiB, /cache/disks/x/root.ext4\n" in text
        assert "kernel trixie  6.12.48+deb13-amd64 (6.12.48-1; kprobe, tracepoint), 1.0 GiB\n" in text
        (told,) = data_of(bpfbench("image", "list", "--json"))
        assert (told["root_taken_bytes"], told["disk_taken_bytes"]) == (3 * 2**30, 2 * 2**30)
        assert told["disk"] == "/cache/disks/x/root.ext4"
        assert [(kernel["name"], kernel["taken_bytes"]) for kernel in told["kernels"]] == [("trixie", 2**30)]

    def test_an_image_that_is_not_there_is_not_removed(self, bpfbench: Invoke) -> None:
        message = complaint(bpfbench("image", "remove", "trixie"))
        assert message == "bpfbench: no image 'trixie' is built (there are: none)"

    def test_no_name_is_not_every_name(self, bpfbench: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
        removed: list[object] = []
        monkeypatch.setattr(image, "built", lambda _: (make_image(),))
        monkeypatch.setattr(image, "remove", lambda _, item: removed.append(item))
        bpfbench("image", "remove", "")
        assert removed == []


class TestAnswers:
    def test_the_plan_of_every_shipped_study_is_shown(self, bpfbench: Invoke) -> None:
        for name in STUDIES.split(", "):
            outcome = bpfbench("plan", name)
            assert (outcome.status, outcome.err) == (0, "")
            assert "0001-" in outcome.out
            assert "trials in" in outcome.out

    def test_options_take_the_place_of_the_studys_values(self, bpfbench: Invoke) -> None:
        words = "--setups libbpf,bpftrace --tools rw-tracer --workloads read --ringbuf-bytes 4KiB,8192 --scale 0.5"
        outcome = bpfbench("plan", "quick", "--json", "--repetitions", "2", "--seed", "9", *words.split())
        chosen = data_of(outcome)["study"]
        assert (chosen["repetitions"], chosen["seed"]) == (2, 9)
        assert chosen["factors"]["setups"] == ["libbpf", "bpftrace"]
        assert chosen["factors"]["tools"] == ["rw-tracer"]
        assert chosen["factors"]["ringbuf_bytes"] == [4096, 8192]
        assert chosen["factors"]["scale"] == [0.5]

    def test_paths_and_settings_can_be_given_as_options(self, bpfbench: Invoke, tmp_path: Path) -> None:
        outcome = bpfbench(
            "plan", "quick", "--json", "--data-dir", ".", "--output-dir", ".", "--placement", "shared", "--keep-output"
        )
        chosen = data_of(outcome)["study"]
        assert chosen["paths"] == {"data": str(tmp_path), "output": str(tmp_path)}
        assert (chosen["settings"]["placement"], chosen["settings"]["keep_output"]) == ("shared", True)
        assert chosen["settings"]["sample_interval_s"] == 0.1

    def test_what_cannot_be_combined_is_told_in_the_plan(self, bpfbench: Invoke) -> None:
        outcome = bpfbench("plan", "smoke", "--format", "text,binary", "--tools", "rw-tracer")
        assert outcome.status == 0
        assert "left out: rw-tracer: bpftrace cannot write binary" in outcome.out

    def test_json_of_a_plan_has_every_trial_and_what_they_need(self, bpfbench: Invoke) -> None:
        data = data_of(bpfbench("plan", "smoke", "--json"))
        assert [trial["index"] for trial in data["trials"]] == list(range(len(data["trials"])))
        assert set(data["needs"]) == {"seconds", "data_bytes", "output_bytes", "memory_bytes"}

    def test_everything_that_can_be_chosen_is_listed(self, bpfbench: Invoke) -> None:
        found = data_of(bpfbench("list", "--json"))
        assert set(found["studies"]) == set(STUDIES.split(", "))
        assert set(found["setups"]) == {VANILLA, *catalogue.SETUPS}
        assert set(found["tools"]) == {"syscount", "rw-tracer", "rw-tracer-all"}
        assert set(found["workloads"]) == {"read", "write", "mixed"}
        assert all(line for section in found.values() for line in section.values())

    def test_doctor_tells_which_setups_are_built(self, bpfbench: Invoke) -> None:
        assert data_of(bpfbench("doctor", "--json"))["setups"] == dict.fromkeys(catalogue.SETUPS, False)
        assert "none built" in bpfbench("doctor").out

    def test_an_empty_cache_holds_nothing(self, bpfbench: Invoke) -> None:
        assert data_of(bpfbench("image", "list", "--json")) == []
        assert data_of(bpfbench("data", "list", "--json")) == {}
        assert bpfbench("data", "remove").status == 0

    @pytest.mark.parametrize("words", [("--version",), ("--help",), ("run", "--help"), ("image", "--help")])
    def test_help_and_version_are_answers_not_errors(self, bpfbench: Invoke, words: tuple[str, ...]) -> None:
        outcome = bpfbench(*words)
        assert (outcome.status, outcome.err) == (0, "")
        assert outcome.out.strip()


class TestDoctor:
    @pytest.mark.parametrize("testbed", ["host", "vm"])
    def test_both_testbeds_are_examined(self, bpfbench: Invoke, monkeypatch: pytest.MonkeyPatch, testbed: str) -> None:
        monkeypatch.setattr(privileges, "namespaces", lambda: ok(NAMESPACES, "not needed"))
        found = data_of(bpfbench("doctor", "--testbed", testbed, "--json"))
        assert found["testbed"] == testbed
        assert found["usable"] == all(finding["verdict"] != "missing" for finding in found["findings"])
        assert {finding["what"] for finding in found["findings"]} >= {"CPUs", "energy"}
        assert {line["what"] for line in found["against_paper"]} >= {"CPU", "memory", "kernel", "hooks", "disks"}
        assert found["environment"]["kernel"] == found["machine"]["kernel"]

    def test_a_testbed_that_is_none_is_refused(self, bpfbench: Invoke) -> None:
        assert complaint(bpfbench("doctor", "--testbed", "moon")) == (
            "bpfbench: option --testbed: 'moon' is none of host, vm"
        )


class TestSystem:
    """On a machine whose settings are files of the test's own."""

    @pytest.fixture(autouse=True)
    def root(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        watchdog = tmp_path / "proc/sys/kernel/nmi_watchdog"
        watchdog.parent.mkdir(parents=True)
        watchdog.write_text("1\n")
        here = {name: partial(getattr(tune, name), tmp_path) for name in ("show", "tune", "restore")}
        monkeypatch.setattr(cli.system, "tune", SimpleNamespace(**here))
        monkeypatch.setattr("os.geteuid", lambda: 0)
        return watchdog

    def test_shown_is_what_is_there_and_what_would_be_better(self, bpfbench: Invoke, root: Path) -> None:
        outcome = bpfbench("system", "show")
        assert outcome.status == 0
        assert "NMI watchdog" in outcome.out
        assert "not on this machine" in outcome.out
        assert root.read_text() == "1\n"

    def test_tuned_is_told_and_restored_is_as_before(self, bpfbench: Invoke, root: Path) -> None:
        assert bpfbench("system", "tune").out == "NMI watchdog (/proc/sys/kernel/nmi_watchdog): 1 -> 0\n"
        (state,) = [s for s in data_of(bpfbench("system", "show", "--json")) if s["current"] is not None]
        assert (state["current"], state["saved"]) == ("0", "1")
        (change,) = data_of(bpfbench("system", "restore", "--json"))
        assert (change["outcome"], change["before"], change["after"]) == ("changed", "0", "1")
        assert root.read_text() == "1\n"
        assert bpfbench("system", "restore").out == "nothing was tuned\n"

    @pytest.mark.parametrize("verb", ["tune", "restore"])
    def test_without_root_nothing_is_set(
        self, bpfbench: Invoke, root: Path, monkeypatch: pytest.MonkeyPatch, verb: str
    ) -> None:
        monkeypatch.setattr("os.geteuid", lambda: 1000)
        outcome = bpfbench("system", verb)
        assert complaint(outcome, status=1) == "bpfbench: changing the settings of this machine needs root"
        assert root.read_text() == "1\n"


class TestCosts:
    def test_a_run_without_variants_has_none_to_show(self, bpfbench: Invoke, tmp_path: Path) -> None:
        trials, run = make_run(tmp_path / "runs" / "r")
        for trial in trials:
            record_trial(run, trial)
        outcome = bpfbench("costs", "r")
        assert complaint(outcome).endswith("has no two variants to compare")
        assert "--variants" in outcome.err
