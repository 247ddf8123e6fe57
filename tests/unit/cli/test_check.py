# SPDX-License-Identifier: Apache-2.0
"""check: a mistaken command line is told, and of all else the suite's verdicts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from builders import make_executable, make_image
from invoked import STUDIES, Invoke, complaint

from bpfbench import catalogue
from bpfbench.inside.conformance.suite import CASES
from bpfbench.machine import facts, turn
from bpfbench.model import Attach, Tool
from bpfbench.model.check import CaseVerdict, CheckSpec, Ended, Subject
from bpfbench.testbed import host, image
from bpfbench.testbed.host import Headers, HostTestbed

# The entry point reads sys.argv, as the command does.
pytestmark = pytest.mark.filterwarnings("ignore:Cyclopts application invoked without tokens")


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

    def test_while_another_measures_nothing_is_checked(self, bpfbench: Invoke, specs: list[CheckSpec]) -> None:
        with turn.alone():
            message = complaint(bpfbench("check"), status=1)
        assert message.startswith("bpfbench: another bpfbench is measuring on this machine: process ")
        assert specs == []

    def test_certificates_that_are_not_there_are_blamed_on_the_option(self, bpfbench: Invoke) -> None:
        message = complaint(bpfbench("check", "--ca-bundle", "/no/ca.pem"))
        assert message == "bpfbench: option --ca-bundle: '/no/ca.pem' is not a file"
