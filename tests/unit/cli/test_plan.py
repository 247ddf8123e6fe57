# SPDX-License-Identifier: Apache-2.0
"""plan: what a study takes, and what is at fault with it in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from invoked import SETUPS, STUDIES, Invoke, complaint, data_of

# The entry point reads sys.argv, as the command does.
pytestmark = pytest.mark.filterwarnings("ignore:Cyclopts application invoked without tokens")


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

    def test_one_may_be_called_in_the_singular_and_fios_workloads_targets(self, bpfbench: Invoke) -> None:
        usual = bpfbench("plan", "smoke", "--setups", "bcc", "--tools", "rw-tracer", "--workloads", "read", "--trials")
        typed = bpfbench("plan", "smoke", "--setup", "bcc", "--tool", "rw-tracer", "--target", "fio-read", "--trials")
        assert usual.status == 0
        assert typed == usual
        both = ("--setup", "bcc", "--workload", "write", "--target", "fio-read,sqlite", "--trials")
        assert all(f"-{name}-" in bpfbench("plan", "smoke", *both).out for name in ("read", "write", "sqlite"))

    @pytest.mark.parametrize("one", ["setup", "tool", "workload", "target"])
    def test_a_wrong_value_is_told_of_the_option_that_was_typed(self, bpfbench: Invoke, one: str) -> None:
        for option in (f"--{one}", f"--{one}s"):
            for words in ((option, "nonsense"), (f"{option}=nonsense",)):
                message = complaint(bpfbench("plan", "smoke", *words))
                assert message.startswith(f"bpfbench: option {option}: 'nonsense' is not one of: ")
            assert complaint(bpfbench("plan", "smoke", option, "")).startswith(f"bpfbench: option {option}: ")
            assert complaint(bpfbench("plan", "smoke", option)) == f"bpfbench: option {option}: a value is wanted"

    def test_a_wrong_workload_is_told_of_the_options_it_may_be_of(self, bpfbench: Invoke) -> None:
        wrong = "'reed' is not one of: read, write, mixed"
        assert f"option --target: {wrong}" in complaint(bpfbench("plan", "smoke", "--target", "fio-reed"))
        both = ("--workload", "write", "--target", "fio-reed")
        assert f"option --workload and --target: {wrong}" in complaint(bpfbench("plan", "smoke", *both))

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
            ("--scale", "-1", "-1 is out of range; valid is 1.2e-07 (one block of 4 KiB per process) to 1024"),
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


class TestPlan:
    def test_the_plan_of_every_shipped_study_is_shown(self, bpfbench: Invoke) -> None:
        for name in STUDIES.split(", "):
            outcome = bpfbench("plan", name)
            assert (outcome.status, outcome.err) == (0, "")
            assert "0001-" not in outcome.out
            first = outcome.out.splitlines()[0]
            assert " trials in " in first
            shown = bpfbench("plan", name, "--trials").out
            assert shown.startswith(first)
            assert shown.count("-r1\n") >= 2

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
