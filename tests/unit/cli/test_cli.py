# SPDX-License-Identifier: Apache-2.0
"""A mistaken command line gets exit status 2 (1 where a run is at fault), one clear line, and nothing on stdout."""

from __future__ import annotations

import errno
import importlib
import inspect
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cyclopts import App
from invoked import Invoke, complaint, data_of, make_run

from bpfbench import cli
from bpfbench.cli import runs
from bpfbench.declare import study
from bpfbench.machine import turn

# The entry point reads sys.argv, as the command does.
pytestmark = pytest.mark.filterwarnings("ignore:Cyclopts application invoked without tokens")


RUNS = Path(__file__).parents[2] / "data" / "runs"
OLD, NEW, RUN = (str(RUNS / name) for name in ("format-1", "format-2", "format-4"))


class TestUsage:
    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (("plna", "quick"), ("plna", "plan")),
            (("image", "biuld"), ("biuld", "build")),
            (("plan",), ("plan: STUDY is wanted",)),
            (("compare", RUN), ("compare: RUN-B is wanted",)),
            (("recommend",), ("recommend: --rate is wanted",)),
            (("plan", "quick", "--bogus"), ("--bogus",)),
            (("plan", "quick", "--format", "text", "--formats", "text"), ("--formats", "--format")),
            (("plan", "quick", "extra"), ("extra",)),
            (("plan", "quick", "--setups"), ("option --setups: a value is wanted",)),
            (("run", "quick", "--run-dir"), ("option --run-dir: a value is wanted",)),
            (("run", "quick", "--for", "-5min"), ("option --for: a value is wanted",)),
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
        verb = {"plna": "", "image": " image", "data": " data remove"}.get(words[0], f" {words[0]}")
        assert outcome.err.splitlines()[1:] == [f"  see bpfbench{verb} --help"]

    @pytest.mark.parametrize("words", [("list",), ("run", "smoke")])
    def test_what_is_interrupted_before_there_is_a_run_is_not_told_to_go_on(
        self, bpfbench: Invoke, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
    ) -> None:
        def interrupted(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("bpfbench.cli.about.show", interrupted)
        monkeypatch.setattr("bpfbench.cli.run.foreseen", interrupted)
        outcome = bpfbench(*words)
        assert (outcome.status, outcome.err) == (130, "bpfbench: interrupted\n")

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
                "--resume goes on with the study as it was; of its options it takes --repetitions and --hosts",
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


class TestMachine:
    def test_what_is_measured_with_cannot_be_removed_meanwhile(self, bpfbench: Invoke, tmp_path: Path) -> None:
        files = tmp_path / "cache" / "data" / "4x4096"
        files.mkdir(parents=True)
        (files / "fio.0").touch()
        assert len(data_of(bpfbench("data", "list", "--json"))) == 1
        with turn.alone():
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


class TestHelp:
    @pytest.mark.parametrize(
        "words", [("--version",), ("-V",), ("--help",), ("run", "--help"), ("help",), ("help", "image")]
    )
    def test_help_and_version_are_answers_not_errors(self, bpfbench: Invoke, words: tuple[str, ...]) -> None:
        outcome = bpfbench(*words)
        assert (outcome.status, outcome.err) == (0, "")
        assert outcome.out.strip()

    @pytest.mark.parametrize("words", [("plan",), ("image", "build")])
    def test_help_of_a_verb_is_what_the_verb_says_of_itself(self, bpfbench: Invoke, words: tuple[str, ...]) -> None:
        assert bpfbench("help", *words) == bpfbench(*words, "--help")

    def test_help_tells_what_an_exit_status_means(self, bpfbench: Invoke) -> None:
        said = " ".join(bpfbench("--help").out.split())
        failed = "1 it could not be done, or a trial or check failed"
        assert f"Exit status: 0 done, {failed}, 2 usage, 130 interrupted, 143 terminated." in said
        assert "0 passed, 1 failed, 2 no verdict because of an error, 3 undecided (with --strict)." in said
        for gate in ("compare", "recommend"):
            said = " ".join(bpfbench(gate, "--help").out.split())
            assert re.search(r"Exit status with --[\w-]+: 0, .*; 1, .*; 2, there is no verdict, .*; 3, with", said)

    @pytest.mark.parametrize(
        "words",
        ["run", "check", "doctor", "bench drain", "bench roofline", "cluster up", "cluster status", "cluster down"],
    )
    def test_help_of_a_verb_that_may_find_something_wrong_tells_its_exit_status(
        self, bpfbench: Invoke, words: str
    ) -> None:
        said = " ".join(bpfbench(*words.split(), "--help").out.split())
        assert re.search(r"Exit status: 0, [^;]+; 1, [^;]+\.", said)

    def test_completion_is_installed_for_the_shell_that_asks(
        self, bpfbench: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("SHELL", "/bin/bash")
        assert bpfbench("--install-completion").status == 0
        (script,) = tmp_path.rglob("completions/bpfbench")
        assert all(verb in script.read_text() for verb in cli.VERBS)
        assert subprocess.run(("bash", "-n", str(script)), check=False).returncode == 0


@pytest.mark.parametrize("verb", cli.VERBS)
def test_a_verb_is_listed_by_its_own_words(verb: str) -> None:
    where, words = cli.VERBS[verb]
    module, name = where.split(":")
    found = getattr(importlib.import_module(f"bpfbench.cli.{module}"), name)
    # What is listed of an App is what it says of itself, or what is called says.
    said = found.help if isinstance(found, App) else inspect.getdoc(found)
    assert (said or "").splitlines()[0] == words


READING = {"numpy", "scipy", "polars"}
DRAWING = {"jinja2", "matplotlib"}
"""What takes longer to import than everything else."""


FAST = (("summary", RUN), ("claims", RUN), ("tradeoffs", RUN), ("recommend", RUN, "--rate", "50k"), ("capacity", RUN))
"""Verbs that say what is known of a run."""


@pytest.mark.parametrize(
    ("words", "unwanted"),
    [
        ((), READING | DRAWING | {"bpfbench.declare", "bpfbench.run", "bpfbench.analysis"}),
        (("--version",), READING | DRAWING | {"bpfbench.declare", "bpfbench.run", "bpfbench.analysis"}),
        (("--help",), READING | DRAWING | {"bpfbench.declare", "bpfbench.run", "bpfbench.analysis"}),
        (("image", "--help"), READING | DRAWING),
        (("trace", "--help"), READING | DRAWING),
        (("list",), READING | DRAWING),
        (("plan", "smoke"), READING | DRAWING),
        (("status", RUN), READING | DRAWING),
        (("doctor",), READING | DRAWING),
        (("data", "list"), READING | DRAWING),
        (("system", "show"), READING | DRAWING),
        (("tune", "--help"), DRAWING | {"optuna"}),
        *((words, DRAWING | {"optuna", "polars", "scipy.special", "scipy.stats"}) for words in FAST),
    ],
)
def test_nobody_waits_for_what_a_verb_does_not_need(words: tuple[str, ...], unwanted: set[str], tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from bpfbench import cli\n"
        "try:\n    cli.main()\n"
        "except SystemExit as ended:\n    print('\\nstatus', ended.code, *sys.modules)\n"
    )
    environment = {**os.environ, "BPFBENCH_CACHE": str(tmp_path)}
    argv = (sys.executable, "-c", script, *words)
    ended = subprocess.run(argv, capture_output=True, text=True, check=True, env=environment, cwd=tmp_path)
    status, *imported = ended.stdout.splitlines()[-1].removeprefix("status ").split()
    assert status in ("0", "1")  # a doctor may find what is missing
    assert unwanted.isdisjoint(imported)


def test_no_threads_are_started_for_arithmetic_and_what_verbs_start_is_not_kept_from_it(tmp_path: Path) -> None:
    script = (
        "import os\n"
        "from bpfbench import cli\n"
        "try:\n    cli.main()\n"
        "except SystemExit:\n    print(len(os.listdir('/proc/self/task')), 'OPENBLAS_NUM_THREADS' in os.environ)\n"
    )
    environment = {key: value for key, value in os.environ.items() if key != "OPENBLAS_NUM_THREADS"}
    argv = (sys.executable, "-c", script, "summary", RUN)
    ended = subprocess.run(argv, capture_output=True, text=True, check=True, env=environment, cwd=tmp_path)
    assert ended.stdout.splitlines()[-1] == "1 False"


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("summary", "runs/x"), 0),
        (("compare", "runs/x", "runs/x"), 0),
        (("compare", OLD, NEW, "--fail-on", "runtime_s > 5 %"), 2),
        (("recommend", "runs/x", "--rate", "1k"), 0),
        (("recommend", "runs/x", "--rate", "1k", "--check"), 2),
        (("list",), 0),
        (("plan", "quick", "--trials"), 0),
        (("doctor",), 1),
    ],
)
def test_who_has_read_enough_gets_no_more_and_no_complaint(words: tuple[str, ...], status: int, tmp_path: Path) -> None:
    shutil.copytree(RUN, tmp_path / "runs" / "x")
    argv = (sys.executable, "-m", "bpfbench", *words)
    environment = {**os.environ, "BPFBENCH_CACHE": str(tmp_path)}
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, cwd=tmp_path
    ) as writer:
        assert writer.stdout is not None
        writer.stdout.close()
        assert writer.stderr is not None
        assert writer.stderr.read() == b""
    assert writer.returncode == status


ENDINGS = pytest.mark.parametrize(("sign", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])


@ENDINGS
@pytest.mark.parametrize(
    ("options", "again"),
    [
        ((), ""),
        (("--until", "memory, cpu", "--at-most", "60min"), " --until 'memory, cpu' --at-most 60min"),
        (("--for", "10min", "--wait", "--repetitions", "3"), " --for 10min --wait"),
    ],
)
def test_an_interrupted_run_says_how_it_goes_on(
    bpfbench: Invoke,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    options: tuple[str, ...],
    again: str,
    sign: signal.Signals,
    status: int,
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        make_run(tmp_path / "a b")
        signal.raise_signal(sign)

    monkeypatch.setattr("bpfbench.cli.run.foreseen", interrupted)
    outcome = bpfbench("run", "smoke", "--run-dir", "a b", *options)
    said = f"bpfbench: interrupted; go on with: bpfbench run --resume 'a b'{again}\n"
    assert (outcome.status, outcome.err) == (status, said)


@pytest.mark.parametrize(
    ("user", "by", "sudo"), [(0, "me", "sudo "), (0, None, ""), (1000, "me", "")], ids=["sudo", "root", "a user"]
)
def test_what_is_to_be_typed_next_is_by_sudo_where_this_was(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, user: int, by: str | None, sudo: str
) -> None:
    _, run = make_run(tmp_path / "a b")
    monkeypatch.setattr(os, "geteuid", lambda: user)
    if by is not None:
        monkeypatch.setenv("SUDO_USER", by)
    assert runs.command("report", "latest") == f"{sudo}bpfbench report latest"
    assert runs.going_on(run, "--wait") == f"{sudo}bpfbench run --resume '{run.path}' --wait"


@ENDINGS
def test_a_resumed_run_that_is_interrupted_goes_on_with_what_it_was_given(
    bpfbench: Invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sign: signal.Signals, status: int
) -> None:
    make_run(tmp_path / "begun")
    monkeypatch.setattr("bpfbench.cli.run.Stage", lambda *_: signal.raise_signal(sign))
    options = ("--retry-failed", "--repetitions", "7", "--until", "decided")
    outcome = bpfbench("run", "--resume", "begun", *options)
    said = f"bpfbench: interrupted; go on with: bpfbench run --resume begun {' '.join(options)}\n"
    assert (outcome.status, outcome.err) == (status, said)
