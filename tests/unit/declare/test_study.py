# SPDX-License-Identifier: Apache-2.0
"""A study file is read as it was meant, or refused with one message that tells the place, the fault and the choices."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from builders import make_executable
from hypothesis import given
from hypothesis import strategies as st
from invoked import STUDIES

from bpfbench import catalogue
from bpfbench.declare import plan, study, targets
from bpfbench.declare.study import Override
from bpfbench.errors import StudyError
from bpfbench.model import (
    VANILLA,
    Accelerator,
    Assignment,
    Attach,
    Boot,
    Factors,
    Format,
    Machine,
    Paths,
    Placement,
    RateProcess,
    Settings,
    Setup,
    Study,
    Tool,
    Variant,
)

REQUIRED = {
    "name": '"mine"',
    "factors.setups": '["libbpf"]',
    "factors.workloads": '["read"]',
}
TOP_KEYS = (
    "name, description, image, testbed, seed, repetitions, output_limit_bytes, factors, hosts, assignment, below, "
    "settings, criteria, paths, machine, setups, targets, tuned"
)
FACTOR_KEYS = (
    "setups, tools, workloads, processes, scale, attach, format, ringbuf_bytes, poll_ms, payload_bytes, variants, "
    "rate_iops, burst_ios, duty_percent, rate_process, targets, kernels, wakeup, rings, consumers, output_bytes, "
    "records, buffer, epoll"
)
SETUP_KEYS = (
    "command, description, formats, attaches, tools, kind, contract, wakeup, rings, consumers, output_bytes, records, "
    "buffer, epoll"
)
MACHINE_KEYS = "cpus, memory_bytes, accelerator, boot"
CRITERIA_KEYS = (
    "runtime_margin_percent, fidelity_margin_points, cpu_margin_percent, memory_margin_percent, fidelity_floor_percent"
)
SETTING_KEYS = "placement, idle_s, rest_s, sample_interval_s, keep_output"
SETUPS = ", ".join((*catalogue.SETUPS, VANILLA))
NO_SIZE = 'a size in bytes, or a text such as "256KiB", is wanted'
NO_NAME = "is no name; write 1 to 64 letters, digits, '_', '.' and '-', first a letter or digit"

REPOSITORY = Path(__file__).parents[3]
EXAMPLE = REPOSITORY / "examples" / "ring-sizes.toml"
OWN_EXAMPLE = REPOSITORY / "examples" / "own-tracer" / "study.toml"

FOREIGN_WORDS = ("validation error", "Input should", "pydantic", "http", "type=", "input_value", "For further")


def toml(values: Mapping[str, str]) -> str:
    """Write TOML from values, as TOML writes them, by dotted key."""
    lines: dict[str, list[str]] = {"": []}
    for dotted, value in values.items():
        table, _, key = dotted.rpartition(".")
        lines.setdefault(table, []).append(f"{key} = {value}")
    return "\n".join(line for table, body in lines.items() for line in ([f"[{table}]"] if table else []) + body)


def parse_with(changes: Mapping[str, str]) -> Study:
    """Parse the smallest study there is, with these values changed or added."""
    return study.parse(toml({**REQUIRED, **changes}), "my.toml")


def without(key: str) -> str:
    return toml({name: value for name, value in REQUIRED.items() if name != key})


def refusal(text: str, overrides: Mapping[str, Override] | None = None) -> StudyError:
    """Parse what must be refused, and check what holds for every refusal."""
    with pytest.raises(StudyError) as caught:
        study.parse(text, "my.toml", overrides)
    error = caught.value
    whole = f"{error.message} {error.hint or ''}"
    assert error.exit_status == 2
    assert "\n" not in whole
    assert not [words for words in FOREIGN_WORDS if words in whole]
    assert error.message.startswith(("my.toml: ", "option --"))
    return error


class TestReading:
    def test_a_study_that_says_only_what_it_must_gets_the_papers_usual_values(self) -> None:
        assert parse_with({}) == Study(
            name="mine",
            description="",
            image="trixie",
            testbed="host",
            seed=1,
            repetitions=3,
            factors=Factors(
                setups=("libbpf",),
                tools=(Tool.SYSCOUNT, Tool.RW_TRACER, Tool.RW_TRACER_ALL),
                workloads=("read",),
                processes=(4,),
                scale=(1.0,),
                attach=(Attach.AUTO,),
                format=(Format.TEXT,),
                ringbuf_bytes=(262144,),
                poll_ms=(100,),
                payload_bytes=(4096,),
            ),
            settings=Settings(rest_s=2.0),
            paths=Paths(),
            output_limit_bytes=None,
        )

    def test_every_key_is_taken_over(self, tmp_path: Path) -> None:
        (tmp_path / "data").mkdir()
        (tmp_path / "output").mkdir()
        given_study = parse_with(
            {
                "description": '"rings"',
                "image": '"trixie"',
                "testbed": '"host"',
                "seed": "7",
                "repetitions": "5",
                "output_limit_bytes": '"2GiB"',
                "factors.setups": '["bcc", "libbpf"]',
                "factors.tools": '["rw-tracer"]',
                "factors.workloads": '["write", "read"]',
                "factors.processes": "[1, 2]",
                "factors.scale": "[0.5, 1]",
                "factors.attach": '["tracepoint", "fentry"]',
                "factors.format": '["text", "binary"]',
                "factors.ringbuf_bytes": '[4096, "1MiB", "1GiB"]',
                "factors.poll_ms": "[1, 60000]",
                "factors.payload_bytes": '[1, "16KiB"]',
                "factors.rate_iops": '["unlimited", 5000]',
                "factors.burst_ios": "[1, 4096]",
                "factors.duty_percent": "[12.5, 100]",
                "factors.rate_process": '["linear", "poisson"]',
                "settings.placement": '"shared"',
                "settings.idle_s": "0",
                "settings.rest_s": "1.5",
                "settings.sample_interval_s": "0.05",
                "settings.keep_output": "true",
                "paths.data": f'"{tmp_path}/data"',
                "paths.output": f'"{tmp_path}/output"',
            }
        )
        assert given_study == Study(
            name="mine",
            description="rings",
            image="trixie",
            testbed="host",
            seed=7,
            repetitions=5,
            factors=Factors(
                setups=("bcc", "libbpf"),
                tools=(Tool.RW_TRACER,),
                workloads=("write", "read"),
                processes=(1, 2),
                scale=(0.5, 1.0),
                attach=(Attach.TRACEPOINT, Attach.FENTRY),
                format=(Format.TEXT, Format.BINARY),
                ringbuf_bytes=(4096, 2**20, 2**30),
                poll_ms=(1, 60000),
                payload_bytes=(1, 16384),
                rate_iops=(None, 5000),
                burst_ios=(1, 4096),
                duty_percent=(12.5, 100.0),
                rate_process=(RateProcess.LINEAR, RateProcess.POISSON),
            ),
            settings=Settings(
                placement=Placement.SHARED, idle_s=0.0, rest_s=1.5, sample_interval_s=0.05, keep_output=True
            ),
            paths=Paths(data=str(tmp_path / "data"), output=str(tmp_path / "output")),
            output_limit_bytes=2 * 2**30,
        )

    @pytest.mark.parametrize(
        ("options", "expected"), [({}, (("read",), ())), ({"targets": "nginx"}, ((), ("nginx",)))], ids=str
    )
    def test_options_alone_have_the_targets_that_they_name_and_no_other(
        self, options: Mapping[str, str], expected: tuple[tuple[str, ...], tuple[str, ...]]
    ) -> None:
        given = {"setups": "libbpf", "tools": "rw-tracer", **options}
        said = {f"factors.{key}": Override(f"--{key}", value) for key, value in given.items()}
        factors = study.around("tune", said).factors
        assert (factors.workloads, factors.targets) == expected

    def test_virtual_machines_are_declared(self) -> None:
        given_study = parse_with(
            {
                "testbed": '"vm"',
                "hosts": '["left", "right-2"]',
                "assignment": '"by-setup"',
                "factors.kernels": '["trixie", "sid"]',
                "factors.variants": '["full", "no-output", "no-consumer", "run-time", "delay"]',
                "machine.cpus": "6",
                "machine.memory_bytes": '"16GiB"',
                "machine.accelerator": '"tcg"',
                "machine.boot": '"trial"',
            }
        )
        assert given_study.testbed == "vm"
        assert given_study.hosts == ("left", "right-2")
        assert given_study.assignment is Assignment.BY_SETUP
        assert given_study.factors.kernels == ("trixie", "sid")
        assert given_study.factors.variants == tuple(Variant)
        assert given_study.machine == Machine(6, 16 * 2**30, Accelerator.TCG, Boot.TRIAL)

    def test_hosts_may_be_a_number(self) -> None:
        assert parse_with({"testbed": '"vm"', "hosts": "3"}).hosts == ("vm1", "vm2", "vm3")

    def test_a_virtual_machine_boots_the_images_own_kernel_unless_told(self) -> None:
        declared = parse_with({"testbed": '"vm"'})
        assert (declared.hosts, declared.factors.kernels) == (("vm1",), ("trixie",))

    @pytest.mark.parametrize(
        ("given", "told"),
        [
            ({"hosts": "2"}, "hosts: vm1, vm2: testbed host is this machine alone"),
            ({"factors.kernels": '"trixie"'}, "factors.kernels: trixie: only testbed vm boots kernels"),
            ({"testbed": '"vm"', "hosts": "0"}, "0 is out of range; valid is 1 to 64"),
            ({"testbed": '"vm"', "hosts": "[]"}, "a number of hosts, or a list of their names, is wanted, not []"),
            ({"testbed": '"vm"', "hosts": '"my host"'}, "'my host' is no host name"),
            ({"testbed": '"vm"', "factors.kernels": '"6.12"'}, "'6.12' is not one of: trixie, backports, sid"),
            ({"testbed": '"vm"', "machine.memory_bytes": "1"}, "1 is out of range; valid is 1073741824 or more"),
            ({"factors.variants": '"none"'}, "'none' is not one of: full, no-output, no-consumer, run-time, delay"),
        ],
    )
    def test_what_no_machine_can_be_is_told(self, given: dict[str, str], told: str) -> None:
        assert told in refusal(toml({**REQUIRED, **given})).message

    @pytest.mark.parametrize(
        ("key", "one", "listed"),
        [
            ("setups", '"bcc"', '["bcc"]'),
            ("tools", '"syscount"', '["syscount"]'),
            ("workloads", '"write"', '["write"]'),
            ("processes", "2", "[2]"),
            ("scale", "0.5", "[0.5]"),
            ("attach", '"kprobe"', '["kprobe"]'),
            ("format", '"binary"', '["binary"]'),
            ("ringbuf_bytes", '"64KiB"', '["64KiB"]'),
            ("poll_ms", "50", "[50]"),
            ("payload_bytes", "16", "[16]"),
        ],
    )
    def test_one_value_of_a_factor_needs_no_list(self, key: str, one: str, listed: str) -> None:
        assert parse_with({f"factors.{key}": one}) == parse_with({f"factors.{key}": listed})

    def test_a_value_given_twice_counts_once(self) -> None:
        factors = parse_with(
            {"factors.setups": '["bcc", "libbpf", "bcc"]', "factors.ringbuf_bytes": '[4096, "4KiB", 8192]'}
        ).factors
        assert factors.setups == ("bcc", "libbpf")
        assert factors.ringbuf_bytes == (4096, 8192)

    def test_vanilla_may_be_named_and_is_in_every_block_anyway(self) -> None:
        assert parse_with({"factors.setups": '["vanilla", "bcc"]'}) == parse_with({"factors.setups": '["bcc"]'})

    def test_vanilla_alone_is_a_study(self) -> None:
        assert parse_with({"factors.setups": '"vanilla"'}).factors.setups == ()

    @pytest.mark.parametrize(
        ("text", "n"), [("8192", 8192), ('"8192"', 8192), ('"8KiB"', 8192), ('"8 KiB"', 8192), ('"1mib"', 2**20)]
    )
    def test_a_size_is_a_number_of_bytes_or_a_text_with_a_unit(self, text: str, n: int) -> None:
        assert parse_with({"factors.ringbuf_bytes": text}).factors.ringbuf_bytes == (n,)

    @given(st.integers(12, 30))
    def test_every_power_of_two_from_a_page_to_a_gib_is_a_ring(self, exponent: int) -> None:
        assert parse_with({"factors.ringbuf_bytes": str(2**exponent)}).factors.ringbuf_bytes == (2**exponent,)

    def test_a_path_is_made_absolute_because_the_run_may_be_resumed_elsewhere(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert parse_with({"paths.data": '"."'}).paths.data == str(tmp_path.resolve())

    def test_a_path_may_begin_at_home(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        assert parse_with({"paths.output": '"~"'}).paths.output == str(tmp_path.resolve())

    @pytest.mark.parametrize("name", catalogue.studies())
    def test_a_shipped_study_is_valid_and_has_trials_of_every_setup(self, name: str) -> None:
        shipped = study.load(study.find(name))
        assert shipped.name == name.rpartition("/")[2]
        assert shipped.description
        setups = {trial.setup for trial in plan.unroll(shipped).trials}
        assert setups == {"vanilla", *shipped.factors.setups}

    def test_the_example_is_valid_and_leaves_nothing_out(self) -> None:
        example = study.load(EXAMPLE)
        unrolled = plan.unroll(example)
        assert {trial.setup for trial in unrolled.trials} == {"vanilla", *example.factors.setups}
        assert unrolled.left_out == ()

    def test_the_values_in_the_examples_comments_are_those_of_keys_left_out(self) -> None:
        text = EXAMPLE.read_text()
        shown = re.sub(r"^# (\w+ = (?!\.\.\.)(?:\S+))(?: {2}.*)?$", r"\1", text, flags=re.MULTILINE)
        assert shown.count("\nplacement = ") == 1
        assert study.parse(shown, str(EXAMPLE)) == study.load(EXAMPLE)

    def test_the_example_names_every_key(self) -> None:
        keys = set(re.findall(r"^(?:# )?(\w+) = ", EXAMPLE.read_text(), flags=re.MULTILINE))
        tables = set(re.findall(r"^\[(\w+)\]", EXAMPLE.read_text(), flags=re.MULTILINE))
        assert keys | tables == {
            *f"{TOP_KEYS}, {FACTOR_KEYS}, {SETTING_KEYS}, {CRITERIA_KEYS}, {MACHINE_KEYS}, data, output".split(", ")
        } - {"tuned"}  # which `tune` writes

    def test_the_shipped_studies_are_those_promised(self) -> None:
        assert catalogue.studies().keys() >= {"smoke", "quick", "standard", "paper", "cases/watermark"}

    def test_one_of_a_folder_is_named_with_it_and_a_wrong_name_there_is_told_the_right_ones(self) -> None:
        assert study.find("cases/wakeup").name == "wakeup.toml"
        with pytest.raises(StudyError) as caught:
            study.find("cases/wakup")
        assert caught.value.message.startswith("study 'cases/wakup' is not one of: ")
        assert caught.value.message.endswith("(did you mean 'cases/wakeup'?)")


class TestUnknownKeys:
    @pytest.mark.parametrize(
        ("key", "valid", "guess"),
        [
            ("repetition", TOP_KEYS, "repetitions"),
            ("wholly_other", TOP_KEYS, None),
            ("factors.ringbuf_byte", FACTOR_KEYS, "ringbuf_bytes"),
            ("factors.seed", FACTOR_KEYS, None),
            ("settings.idle", SETTING_KEYS, "idle_s"),
            ("criteria.runtime_margin", CRITERIA_KEYS, "runtime_margin_percent"),
            ("paths.dta", "data, output", "data"),
            ("machine.cpu", MACHINE_KEYS, "cpus"),
        ],
    )
    def test_an_unknown_key_is_named_with_those_of_its_table(self, key: str, valid: str, guess: str | None) -> None:
        name = key.rpartition(".")[2]
        said = f" (did you mean {guess!r}?)" if guess else ""
        message = refusal(toml({**REQUIRED, key: "1"})).message
        assert message == f"my.toml: {key}: unknown key; {name!r} is not one of: {valid}{said}"

    def test_an_unknown_table_is_an_unknown_key(self) -> None:
        message = refusal(toml({**REQUIRED, "setting.idle_s": "1"})).message
        assert (
            message == f"my.toml: setting: unknown key; 'setting' is not one of: {TOP_KEYS} (did you mean 'settings'?)"
        )

    def test_a_misspelt_required_key_is_called_unknown_not_missing(self) -> None:
        message = refusal(toml({"name": '"x"', "factors.setup": '"bcc"', "factors.workloads": '"read"'})).message
        assert message.startswith("my.toml: factors.setup: unknown key")
        assert "did you mean 'setups'?" in message


class TestUnknownChoices:
    @pytest.mark.parametrize(
        ("key", "value", "valid", "guess"),
        [
            ("factors.setups", "libpbf", SETUPS, "libbpf"),
            ("factors.setups", "ebpf_exporter", SETUPS, None),
            ("factors.tools", "rw-trace", "syscount, rw-tracer, rw-tracer-all, fs-profile", "rw-tracer"),
            ("factors.workloads", "raed", "read, write, mixed", "read"),
            ("factors.attach", "kprobes", "tracepoint, kprobe, fentry, auto", "kprobe"),
            ("factors.format", "txt", "text, binary", "text"),
            ("settings.placement", "papr", "paper, shared, auto", "paper"),
            ("image", "trixi", "trixie", "trixie"),
            ("testbed", "hots", "host, vm, cluster", "host"),
            ("factors.setups", "", SETUPS, None),
        ],
    )
    def test_an_unknown_choice_is_named_with_the_valid_ones(
        self, key: str, value: str, valid: str, guess: str | None
    ) -> None:
        said = f" (did you mean {guess!r}?)" if guess else ""
        message = refusal(toml({**REQUIRED, key: f'"{value}"'})).message
        assert message == f"my.toml: {key}: {value!r} is not one of: {valid}{said}"

    def test_one_bad_element_of_a_list_is_the_one_that_is_named(self) -> None:
        message = refusal(toml({**REQUIRED, "factors.setups": '["bcc", "bbc", "libbpf"]'})).message
        assert message.startswith("my.toml: factors.setups: 'bbc' is not one of: ")


class TestVersion2:
    """What version 2 of the contract has."""

    @pytest.mark.parametrize(
        ("key", "value", "read"),
        [
            ("wakeup", '["adaptive", "never", "poll"]', ("adaptive", "never", "poll")),
            ("wakeup", '["watermark:4KiB", "watermark:4096", "watermark:1"]', ("watermark:4096", "watermark:1")),
            ("rings", '[1, "4", 4, "cpu", 64]', ("1", "4", "cpu", "64")),
            ("output_bytes", '["4KiB", "64MiB"]', (4096, 67108864)),
        ],
    )
    def test_values_are_read_as_the_contract_has_them(self, key: str, value: str, read: tuple[object, ...]) -> None:
        found = parse_with({f"factors.{key}": value})
        assert getattr(found.factors, key) == read
        assert study.parse(study.to_toml(found), "my.toml") == found

    @pytest.mark.parametrize("value", ['"sometimes"', '"watermark"', '"watermark:"', '"never:1"', "1", "true"])
    def test_no_other_wake_up_is_accepted(self, value: str) -> None:
        said = value.replace('"', "'")
        assert refusal(toml({**REQUIRED, "factors.wakeup": value})).message == (
            f"my.toml: factors.wakeup: {said} is not one of: adaptive, never, poll, watermark:BYTES, "
            "as in watermark:4KiB"
        )

    @pytest.mark.parametrize(
        ("count", "what"), [("0", "0 is out of range"), ("1GiB", "is out of range"), ("x", "size")]
    )
    def test_a_watermark_is_a_size_that_a_ring_can_have(self, count: str, what: str) -> None:
        message = refusal(toml({**REQUIRED, "factors.wakeup": f'"watermark:{count}"'})).message
        assert message.startswith("my.toml: factors.wakeup: ")
        assert what in message

    @pytest.mark.parametrize("value", ["0", "65", "-1", "1.0", '"all"', "true"])
    def test_no_other_number_of_rings_is_accepted(self, value: str) -> None:
        said = value.replace('"', "'")
        assert refusal(toml({**REQUIRED, "factors.rings": value})).message == (
            f"my.toml: factors.rings: {said} is no number of rings: 1 to 64, or 'cpu', one for each CPU"
        )


class TestNumbers:
    @pytest.mark.parametrize(
        ("key", "value", "valid"),
        [
            ("repetitions", "0", "1 to 10000"),
            ("repetitions", "-3", "1 to 10000"),
            ("repetitions", "10001", "1 to 10000"),
            ("seed", "-1", "0 or more"),
            ("output_limit_bytes", "0", "1 or more"),
            ("factors.processes", "0", "1 to 1024"),
            ("factors.processes", "-4", "1 to 1024"),
            ("factors.ringbuf_bytes", "0", "4096 to 1073741824"),
            ("factors.ringbuf_bytes", "2048", "4096 to 1073741824"),
            ("factors.ringbuf_bytes", "2147483648", "4096 to 1073741824"),
            ("factors.poll_ms", "0", "1 to 60000"),
            ("factors.output_bytes", "4095", "4096 to 67108864"),
            ("factors.poll_ms", "-100", "1 to 60000"),
            ("factors.payload_bytes", "0", "1 to 16384"),
            ("factors.payload_bytes", "16385", "1 to 16384"),
        ],
    )
    def test_a_whole_number_out_of_range_is_refused_with_the_range(self, key: str, value: str, valid: str) -> None:
        message = refusal(toml({**REQUIRED, key: value})).message
        assert message == f"my.toml: {key}: {value} is out of range; valid is {valid}"

    @pytest.mark.parametrize("value", ["1", "-1", "1000000001"])
    def test_a_rate_out_of_range_is_refused_with_the_range_and_the_word_for_none(self, value: str) -> None:
        message = refusal(toml({**REQUIRED, "factors.rate_iops": f"[100, {value}]"})).message
        assert message == (
            f"my.toml: factors.rate_iops: {value} is out of range; valid is 2 to 1000000000, or 'unlimited'"
        )

    def test_a_rate_at_which_fio_would_run_into_its_deadline_is_refused_with_one_that_does(self) -> None:
        # scale 0.5: 4,194,304 I/Os a process, within an hour at 1165.1 per second
        slow = {**REQUIRED, "factors.scale": "[0.25, 0.5]", "factors.rate_iops": "[5000, 1165]"}
        error = refusal(toml(slow))
        assert error.message == (
            "my.toml: factors.rate_iops: at 1165 I/Os per second, the 4194304 I/Os of a process at scale 0.5 take "
            "3600 s, more than the 3600 s that fio is given"
        )
        assert error.hint == "choose 1166 or more, or a smaller scale"
        given = {"factors.rate_iops": Override("--rate-iops", 2)}
        assert refusal(toml(slow), given).message.startswith("option --rate-iops: at 2 I/Os per second, ")
        assert study.parse(toml({**slow, "factors.rate_iops": "[5000, 1166]"}), "my.toml")

    @pytest.mark.parametrize(
        ("more", "reason", "hint"),
        [
            ({}, "bursts want a mean rate, and rate_iops is unlimited", "give one: --rate-iops 5000"),
            (
                {"factors.rate_iops": "5000", "factors.workloads": '["read", "mixed"]'},
                "workload mixed cannot have bursts: fio's pauses count in one direction only",
                "choose from: read, write",
            ),
            (
                {"factors.rate_iops": "5000", "factors.scale": "0.0009765625"},
                "a process that does 8192 I/Os has no two bursts of 4097",
                "choose 4096 or less, or a larger scale",
            ),
        ],
    )
    def test_bursts_that_a_target_cannot_have_are_refused(self, more: dict[str, str], reason: str, hint: str) -> None:
        bursts = {**REQUIRED, "factors.scale": "0.001953125", "factors.burst_ios": "[1, 4097]", **more}
        error = refusal(toml(bursts))
        assert (error.message, error.hint) == (f"my.toml: factors.burst_ios: {reason}", hint)
        assert study.parse(toml({**bursts, "factors.duty_percent": "100"}), "my.toml")  # steady after all

    @pytest.mark.parametrize(
        ("rates", "reason", "hint"),
        [
            ('"unlimited"', "a Poisson process wants a mean rate, and rate_iops is unlimited", "give one: "),
            (
                "[500, 20001]",
                "fio keeps no Poisson process of 20001 I/Os per second: it draws whole microseconds",
                "choose a rate of 20000 or less",
            ),
        ],
    )
    def test_chance_that_fio_does_not_have_is_refused(self, rates: str, reason: str, hint: str) -> None:
        random = {**REQUIRED, "factors.scale": "0.001", "factors.rate_process": '["linear", "poisson"]'}
        error = refusal(toml({**random, "factors.rate_iops": rates}))
        assert error.message == f"my.toml: factors.rate_process: {reason}"
        assert str(error.hint).startswith(hint)
        assert study.parse(toml({**random, "factors.rate_iops": '[20000, "unlimited"]'}), "my.toml")

    @pytest.mark.parametrize("value", ["0", "-1.5", "1e-9", "1025", "nan", "inf"])
    def test_a_scale_must_leave_each_process_a_block(self, value: str) -> None:
        message = refusal(toml({**REQUIRED, "factors.scale": value})).message
        assert message.startswith("my.toml: factors.scale: ")
        assert message.endswith("is out of range; valid is 1.2e-07 (one block of 4 KiB per process) to 1024")

    @pytest.mark.parametrize(
        ("key", "value", "valid"),
        [
            ("idle_s", "-1", "0 to 3600"),
            ("idle_s", "3601", "0 to 3600"),
            ("idle_s", "nan", "0 to 3600"),
            ("sample_interval_s", "0", "0.05 to 60"),
            ("sample_interval_s", "inf", "0.05 to 60"),
        ],
    )
    def test_a_time_out_of_range_is_refused_with_the_range(self, key: str, value: str, valid: str) -> None:
        message = refusal(toml({**REQUIRED, f"settings.{key}": value})).message
        assert message == f"my.toml: settings.{key}: {value} is out of range; valid is {valid}"

    @pytest.mark.parametrize(
        ("value", "below", "above", "n"),
        [("5000", 4096, 8192, 5000), ("300000", 262144, 524288, 300000), ('"3MiB"', 2**21, 2**22, 3 * 2**20)],
    )
    def test_a_ring_that_is_no_power_of_two_is_told_its_neighbours(
        self, value: str, below: int, above: int, n: int
    ) -> None:
        message = refusal(toml({**REQUIRED, "factors.ringbuf_bytes": value})).message
        assert message == (
            f"my.toml: factors.ringbuf_bytes: a BPF ring buffer is a power of two: {below} or {above}, not {n}"
        )

    @given(st.integers(4097, 2**30 - 1).filter(lambda n: n & (n - 1)))
    def test_the_neighbours_told_are_valid_themselves(self, n: int) -> None:
        message = refusal(toml({**REQUIRED, "factors.ringbuf_bytes": str(n)})).message
        below, above = map(int, re.findall(r"two: (\d+) or (\d+),", message)[0])
        assert below < n < above
        assert parse_with({"factors.ringbuf_bytes": f"[{below}, {above}]"}).factors.ringbuf_bytes == (below, above)

    @pytest.mark.parametrize("key", ["factors.ringbuf_bytes", "factors.payload_bytes", "output_limit_bytes"])
    @pytest.mark.parametrize("value", ["-1", '"-4KiB"', '"banana"', '"12 bananas"', '""'])
    def test_a_negative_size_or_one_in_no_known_unit_is_refused(self, key: str, value: str) -> None:
        shown = value if value == "-1" else repr(value.strip('"'))
        assert refusal(toml({**REQUIRED, key: value})).message == f"my.toml: {key}: {shown} is no size; {NO_SIZE}"

    def test_one_bad_number_in_a_list_is_the_one_that_is_named(self) -> None:
        message = refusal(toml({**REQUIRED, "factors.poll_ms": "[100, 0, 50]"})).message
        assert message == "my.toml: factors.poll_ms: 0 is out of range; valid is 1 to 60000"

    @pytest.mark.parametrize("key", ["seed", "repetitions", "factors.poll_ms", "factors.scale", "output_limit_bytes"])
    @pytest.mark.parametrize("digits", [400, 5000])
    def test_an_absurdly_long_number_is_refused_like_any_other(self, key: str, digits: int) -> None:
        if key in ("seed", "output_limit_bytes") and digits == 400:
            assert parse_with({key: "9" * digits})
        else:
            refusal(toml({**REQUIRED, key: "9" * digits}))


class TestTypes:
    @pytest.mark.parametrize(
        ("key", "wanted", "wrong"),
        [
            ("name", "a text is wanted", ("3", "true", '["x"]', "{a = 1}", "2020-01-01")),
            ("description", "a text is wanted", ("3", "true", '["x"]')),
            ("seed", "a whole number is wanted", ("1.5", "true", '"1"', "[1]", "1979-05-27")),
            ("repetitions", "a whole number is wanted", ("2.0", "false", '"3"', "[3]", "{n = 3}")),
            ("output_limit_bytes", NO_SIZE, ("true", "1.5", "[1]", "{}")),
            ("factors.processes", "a whole number is wanted", ("true", "4.0", '"four"', "[[4]]", "[4, true]")),
            ("factors.scale", "a number is wanted", ("true", '"1"', "[[1.0]]", "[1.0, false]")),
            ("factors.ringbuf_bytes", NO_SIZE, ("true", "4096.0", "[[4096]]", "inf", "{a = 1}", "[4096, false]")),
            ("factors.poll_ms", "a whole number is wanted", ("true", "100.0", '"100"', "{}", '[100, "x"]')),
            ("factors.payload_bytes", NO_SIZE, ("false", "1.5", "[[1]]")),
            ("factors.rate_iops", "a whole number or 'unlimited' is wanted", ("true", "1.5", '"fast"', "{}", "[[1]]")),
            ("settings.idle_s", "a number is wanted", ("true", '"1"', "[1]", "{}")),
            ("settings.sample_interval_s", "a number is wanted", ("false", '"1"')),
            ("settings.keep_output", "true or false is wanted", ("1", "0", '"yes"', '"true"', "[]")),
            ("paths.data", "a text is wanted", ("1", "true", '["/tmp"]', "{a = 1}")),
            ("paths.output", "a text is wanted", ("1", "false")),
        ],
    )
    def test_a_value_of_the_wrong_type_is_refused_with_what_is_wanted(
        self, key: str, wanted: str, wrong: tuple[str, ...]
    ) -> None:
        for value in wrong:
            message = refusal(toml({**REQUIRED, key: value})).message
            assert message.startswith(f"my.toml: {key}: {wanted}, not ")

    @pytest.mark.parametrize("key", ["setups", "tools", "workloads", "attach", "format"])
    @pytest.mark.parametrize(
        ("value", "shown"), [("3", "3"), ("true", "true"), ("1.5", "1.5"), ("{a = 1}", "a table"), ('[["x"]]', "['x']")]
    )
    def test_where_a_name_is_due_the_names_are_listed(self, key: str, value: str, shown: str) -> None:
        message = refusal(toml({**REQUIRED, f"factors.{key}": value})).message
        assert message.startswith(f"my.toml: factors.{key}: {shown} is not one of: ")

    @pytest.mark.parametrize("value", ["1", "true", '"x"', "[1]", "[{a = 1}]"])
    @pytest.mark.parametrize("table", ["factors", "settings", "paths"])
    def test_a_value_where_a_table_is_due_is_told_how_a_table_is_written(self, table: str, value: str) -> None:
        rest = {key: text for key, text in REQUIRED.items() if not key.startswith(f"{table}.")}
        message = refusal(f"{table} = {value}\n{toml(rest)}").message
        assert message == f"my.toml: {table}: a table is wanted, as in [{table}]"

    def test_a_table_where_a_value_is_due_is_refused(self) -> None:
        message = refusal(without("factors.setups") + "\n[factors.setups]\nlibbpf = true\n").message
        assert message == f"my.toml: factors.setups: a table is not one of: {SETUPS}"

    @pytest.mark.parametrize("value", ["", "a b", "../up", "-x", ".hidden", "x" * 65, "a/b", "é"])
    def test_a_name_must_do_as_the_name_of_a_directory(self, value: str) -> None:
        message = refusal(toml({**REQUIRED, "name": f'"{value}"'})).message
        assert message == f"my.toml: name: {value!r} {NO_NAME}"


class TestMissing:
    def test_the_name_is_required(self) -> None:
        error = refusal(without("name"))
        assert error.message == "my.toml: name: this key is required"
        assert error.hint == 'give the study a name: name = "my-study"'

    def test_factors_are_required(self) -> None:
        error = refusal('name = "x"')
        assert error.message == "my.toml: factors: this key is required"
        assert error.hint == "a [factors] table has at least setups, and workloads or targets"

    @pytest.mark.parametrize(("key", "choices"), [("setups", SETUPS), ("workloads", "read, write, mixed")])
    def test_a_required_factor_comes_with_its_choices(self, key: str, choices: str) -> None:
        error = refusal(without(f"factors.{key}"))
        assert error.message == f"my.toml: factors.{key}: this key is required"
        assert error.hint == f"choose from: {choices}"

    def test_an_empty_file_lacks_the_name_first(self) -> None:
        assert refusal("").message == "my.toml: name: this key is required"

    @pytest.mark.parametrize("key", FACTOR_KEYS.split(", "))
    def test_an_empty_list_is_refused(self, key: str) -> None:
        error = refusal(toml({**REQUIRED, f"factors.{key}": "[]"}))
        assert error.message == f"my.toml: factors.{key}: the list is empty; give at least one value"

    @pytest.mark.parametrize(
        ("key", "choices"),
        [("tools", "syscount, rw-tracer, rw-tracer-all, fs-profile"), ("attach", "tracepoint, kprobe, fentry, auto")],
    )
    def test_an_empty_list_of_names_comes_with_the_choices(self, key: str, choices: str) -> None:
        assert refusal(toml({**REQUIRED, f"factors.{key}": "[]"})).hint == f"choose from: {choices}"


class TestPaths:
    @pytest.mark.parametrize("key", ["paths.data", "paths.output"])
    @pytest.mark.parametrize("value", ["/nowhere/at/all", "", "~nobody-of-that-name/x", "x" * 5000])
    def test_a_directory_that_does_not_exist_is_refused(self, key: str, value: str) -> None:
        message = refusal(toml({**REQUIRED, key: f'"{value}"'})).message
        assert message == f"my.toml: {key}: {value!r} is not an existing directory; create it or choose another"

    def test_a_file_is_no_directory(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        message = refusal(toml({**REQUIRED, "paths.data": f'"{tmp_path}/file"'})).message
        assert message.startswith("my.toml: paths.data: ")
        assert "is not an existing directory" in message


class TestFiles:
    def test_text_that_is_no_toml_is_refused_with_the_line(self) -> None:
        message = refusal('name = "x"\nthis is not toml\n').message
        assert message.startswith("my.toml: not valid TOML: ")
        assert "line 2" in message

    def test_a_key_given_twice_is_no_toml(self) -> None:
        assert refusal('name = "x"\nname = "y"\n').message.startswith("my.toml: not valid TOML: ")

    def test_lists_nested_absurdly_deep_are_refused(self) -> None:
        assert refusal("name = " + "[" * 5000).message.startswith("my.toml: not valid TOML: ")

    def test_a_file_that_cannot_be_read_is_refused_with_the_reason(self, tmp_path: Path) -> None:
        with pytest.raises(StudyError) as caught:
            study.load(tmp_path)
        assert caught.value.message == f"{tmp_path}: cannot be read: Is a directory"

    def test_a_file_that_is_no_text_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "study.toml"
        path.write_bytes(b'name = "\xff"')
        with pytest.raises(StudyError) as caught:
            study.load(path)
        assert caught.value.message == f"{path}: cannot be read: not UTF-8 text at byte 8"

    def test_messages_name_the_file_that_was_loaded(self, tmp_path: Path) -> None:
        path = tmp_path / "study.toml"
        path.write_text("x = 1")
        with pytest.raises(StudyError) as caught:
            study.load(path)
        assert caught.value.message.startswith(f"{path}: x: unknown key")

    def test_a_study_is_found_by_the_name_of_a_shipped_one_or_by_path(self, tmp_path: Path) -> None:
        mine = tmp_path / "mine.toml"
        mine.write_text(toml(REQUIRED))
        assert study.load(study.find(str(mine))).name == "mine"
        assert study.load(study.find("smoke")).name == "smoke"

    def test_an_unknown_study_is_refused_with_those_there_are(self) -> None:
        with pytest.raises(StudyError) as caught:
            study.find("quikc")
        assert caught.value.message == f"study 'quikc' is not one of: {STUDIES} (did you mean 'quick'?)"
        assert caught.value.hint == "or give the path of a .toml file"
        assert caught.value.exit_status == 2

    @pytest.mark.parametrize("name", ["mine.toml", "no/such", "/no/such.toml"])
    def test_the_path_of_a_study_that_does_not_exist_is_refused(self, name: str) -> None:
        with pytest.raises(StudyError) as caught:
            study.find(name)
        assert caught.value.message == f"study file {name!r} does not exist"

    def test_what_is_there_and_no_file_is_told_so(self, tmp_path: Path) -> None:
        folder = tmp_path / "mine.toml"
        folder.mkdir()
        for name in ("/dev/null", str(folder)):
            with pytest.raises(StudyError) as caught:
                study.find(name)
            assert caught.value.message == f"study file {name!r} is not a regular file"


class TestOverrides:
    def test_an_option_replaces_the_files_value(self) -> None:
        overrides = {
            "factors.setups": Override("--setups", ["bcc", "bpftrace"]),
            "factors.ringbuf_bytes": Override("--ringbuf-bytes", ["1MiB", 4096]),
            "repetitions": Override("--repetitions", 9),
        }
        found = study.parse(toml({**REQUIRED, "repetitions": "2"}), "my.toml", overrides)
        assert found.factors.setups == ("bcc", "bpftrace")
        assert found.factors.ringbuf_bytes == (2**20, 4096)
        assert found.repetitions == 9

    def test_a_study_that_options_change_is_not_described_as_the_file_does(self) -> None:
        text = toml({**REQUIRED, "description": '"reads, 3 times"'})
        changed = {"factors.workloads": Override("--workloads", ["write"]), "repetitions": Override("--repetitions", 9)}
        assert study.parse(text, "my.toml", changed).description == (
            "reads, 3 times; changed by --workloads, --repetitions"
        )
        assert study.parse(text, "my.toml", {"seed": Override("--seed", 9)}).description == "reads, 3 times"

    def test_an_option_may_set_what_the_file_leaves_out(self, tmp_path: Path) -> None:
        found = study.parse(toml(REQUIRED), "my.toml", {"paths.data": Override("--data-dir", str(tmp_path))})
        assert found.paths.data == str(tmp_path.resolve())

    def test_an_option_mends_a_bad_value_of_the_file(self) -> None:
        bad = toml({**REQUIRED, "repetitions": "0"})
        assert study.parse(bad, "my.toml", {"repetitions": Override("--repetitions", 1)}).repetitions == 1

    @pytest.mark.parametrize(
        ("key", "option", "value", "fault"),
        [
            ("factors.setups", "--setups", ["libpbf"], f"'libpbf' is not one of: {SETUPS}"),
            ("factors.setups", "--setups", [], "the list is empty; give at least one value"),
            ("factors.processes", "--processes", ["4x"], "a whole number is wanted, not '4x'"),
            ("factors.ringbuf_bytes", "--ringbuf-bytes", [5000], "a BPF ring buffer is a power of two: 4096 or 8192"),
            ("factors.scale", "--scale", [math.nan], "nan is out of range"),
            ("repetitions", "--repetitions", 0, "0 is out of range; valid is 1 to 10000"),
            ("settings.placement", "--placement", "papr", "'papr' is not one of: paper, shared, auto"),
            ("paths.data", "--data-dir", "/nowhere", "'/nowhere' is not an existing directory"),
        ],
    )
    def test_a_bad_value_from_the_command_line_is_blamed_on_the_option(
        self, key: str, option: str, value: object, fault: str
    ) -> None:
        message = refusal(toml(REQUIRED), {key: Override(option, value)}).message
        assert message.startswith(f"option {option}: {fault}")
        assert "my.toml" not in message

    def test_a_bad_value_of_the_file_is_blamed_on_the_file_also_when_options_are_given(self) -> None:
        bad = toml({**REQUIRED, "seed": "-1"})
        assert refusal(bad, {"repetitions": Override("--repetitions", 1)}).message.startswith("my.toml: seed: ")

    def test_a_file_whose_table_is_none_is_blamed_not_the_option_within_it(self) -> None:
        text = f"settings = 1\n{toml(REQUIRED)}"
        message = refusal(text, {"settings.placement": Override("--placement", "paper")}).message
        assert message == "my.toml: settings: a table is wanted, as in [settings]"


class TestBrought:
    """[setups.NAME]: a tracer of the user's own."""

    @pytest.fixture(autouse=True)
    def tracer(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """An executable beside the study, which is in the current directory."""
        monkeypatch.chdir(tmp_path)
        return make_executable(tmp_path.resolve() / "tracer")

    def brought(self, text: str = 'command = "./tracer"', name: str = "own") -> Setup:
        """The one setup of a study that brings it."""
        (setup,) = study.parse(f"{toml(REQUIRED)}\n[setups.{name}]\n{text}\n", "my.toml").setups
        return setup

    def refused(self, text: str = 'command = "./tracer"', name: str = "own") -> str:
        return refusal(f"{toml(REQUIRED)}\n[setups.{name}]\n{text}\n").message

    def test_a_setup_that_says_only_what_it_must_has_every_tool_and_format(self, tracer: Path) -> None:
        assert self.brought() == Setup(
            name="own",
            description="brought by the study",
            formats=(Format.TEXT, Format.BINARY),
            attaches=(Attach.TRACEPOINT,),
            poll_ms=None,
            tools=(Tool.SYSCOUNT, Tool.RW_TRACER, Tool.RW_TRACER_ALL),
            command=(str(tracer),),
        )

    def test_every_key_is_taken_over(self, tracer: Path) -> None:
        found = self.brought(
            'command = ["tracer", "--fast", ""]\ndescription = "mine"\nformats = "binary"\n'
            'attaches = ["kprobe", "fentry"]\ntools = ["rw-tracer", "syscount"]'
        )
        assert found == Setup(
            name="own",
            description="mine",
            formats=(Format.BINARY,),
            attaches=(Attach.KPROBE, Attach.FENTRY),
            tools=(Tool.RW_TRACER, Tool.SYSCOUNT),
            command=(str(tracer), "--fast", ""),
        )

    def test_a_path_is_relative_to_the_study_file_wherever_bpfbench_is_called(self, tmp_path: Path) -> None:
        mine = make_executable(tmp_path.resolve() / "deep" / "bin" / "tracer")
        (tmp_path / "deep" / "my.toml").write_text(f'{toml(REQUIRED)}\n[setups.own]\ncommand = "bin/tracer"\n')
        (setup,) = study.load(Path("deep/my.toml")).setups
        assert setup.command == (str(mine),)

    def test_a_path_may_be_absolute_or_begin_at_home(self, tracer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", str(tracer.parent))
        assert self.brought(f'command = "{tracer}"') == self.brought('command = "~/tracer"') == self.brought()

    def test_a_link_is_followed_because_only_the_folder_it_is_in_is_seen_inside(self, tmp_path: Path) -> None:
        real = make_executable(tmp_path.resolve() / "target" / "release" / "mine")
        Path("link").symlink_to(real)
        assert self.brought('command = "./link"').command == (str(real),)

    @pytest.mark.parametrize("value", ['"own"', '["own", "bcc"]', '["vanilla", "own"]'])
    def test_a_setup_that_is_brought_can_be_chosen(self, value: str) -> None:
        text = toml({**REQUIRED, "factors.setups": value, "setups.own.command": '"tracer"'})
        assert "own" in study.parse(text, "my.toml").factors.setups

    def test_the_command_line_can_choose_it_too(self) -> None:
        text = toml({**REQUIRED, "setups.own.command": '"tracer"'})
        found = study.parse(text, "my.toml", {"factors.setups": Override("--setups", ["own", "bcc"])})
        assert found.factors.setups == ("own", "bcc")

    def test_a_misspelt_one_is_told_with_those_brought_among_the_choices(self) -> None:
        text = toml({**REQUIRED, "setups.own.command": '"tracer"'})
        message = refusal(text, {"factors.setups": Override("--setups", ["onw"])}).message
        assert message.startswith("option --setups: 'onw' is not one of: ")
        assert message.endswith("own, vanilla (did you mean 'own'?)")

    def test_what_it_can_be_set_to_is_said_by_one_of_version_2(self) -> None:
        said = 'command = "tracer"\ncontract = 2\nwakeup = ["never", "watermark"]\nrings = [1, "cpu"]'
        found = self.brought(f'{said}\noutput_bytes = "any"')
        assert found.options == {"wakeup": ("never", "watermark"), "rings": ("1", "cpu"), "output_bytes": ("any",)}
        assert self.brought('command = "tracer"\ncontract = 2').options == {}

    @pytest.mark.parametrize(
        ("text", "fault"),
        [
            ("contract = 3", "contract: 3 is out of range; valid is 1 to 2"),
            (
                'wakeup = "never"',
                "wakeup: version 1 of the contract has no such option; a tracer that keeps version 2 says contract = 2",
            ),
            (
                'contract = 2\nwakeup = "nevr"',
                "wakeup: 'nevr' is not one of: adaptive, never, watermark, poll (did you mean 'never'?)",
            ),
            ("contract = 2\nrings = 4", "rings: '4' is not one of: 1, many, cpu"),
        ],
    )
    def test_what_no_tracer_can_be_set_to_is_refused(self, text: str, fault: str) -> None:
        assert self.refused(f'command = "tracer"\n{text}') == f"my.toml: setups.own.{fault}"

    def test_several_can_be_brought(self) -> None:
        text = toml({**REQUIRED, "setups.a.command": '"tracer"', "setups.b.command": '["tracer", "-b"]'})
        assert [setup.name for setup in study.parse(text, "my.toml").setups] == ["a", "b"]

    def test_a_study_without_any_brings_none(self) -> None:
        assert parse_with({}).setups == study.parse(toml(REQUIRED) + "\n[setups]\n", "my.toml").setups == ()

    @pytest.mark.parametrize("value", ['"./none"', '"."', '""', '"./folder"', '"tracer/x"'])
    def test_a_command_that_is_no_file_is_refused_with_the_path_that_was_tried(
        self, tmp_path: Path, value: str
    ) -> None:
        Path("folder").mkdir()
        tried = (tmp_path / value.strip('"')).resolve()
        assert self.refused(f"command = {value}") == (
            f"my.toml: setups.own.command: '{tried}' is not a file; "
            "give the path of an executable, relative to the study file"
        )

    def test_a_file_that_is_not_executable_is_refused_with_what_to_do(self, tracer: Path) -> None:
        tracer.chmod(0o644)
        assert self.refused() == (f"my.toml: setups.own.command: '{tracer}' is not executable; run: chmod +x {tracer}")

    def test_an_empty_command_is_refused_with_an_example(self) -> None:
        assert self.refused("command = []") == (
            'my.toml: setups.own.command: the list is empty; give the path of an executable, as in ["./tracer"]'
        )

    @pytest.mark.parametrize("value", ["~nobody-of-that-name/x", "x" * 5000])
    def test_a_path_that_cannot_even_be_looked_up_is_refused(self, value: str) -> None:
        assert self.refused(f'command = "{value}"').startswith("my.toml: setups.own.command: ")

    @pytest.mark.parametrize(
        ("text", "fault"),
        [
            ("command = 1", "command: a text is wanted, not 1"),
            ('command = ["tracer", 1]', "command: a text is wanted, not 1"),
            ("command = {a = 1}", "command: a text is wanted, not a table"),
            ('command = "tracer"\ndescription = 1', "description: a text is wanted, not 1"),
            (
                'command = "tracer"\nformats = "txt"',
                "formats: 'txt' is not one of: text, binary (did you mean 'text'?)",
            ),
            (
                'command = "tracer"\nattaches = ["kprobes"]',
                "attaches: 'kprobes' is not one of: tracepoint, kprobe, fentry (did you mean 'kprobe'?)",
            ),
            (
                'command = "tracer"\ntools = "rw-trace"',
                "tools: 'rw-trace' is not one of: syscount, rw-tracer, rw-tracer-all, fs-profile (did you mean"
                " 'rw-tracer'?)",
            ),
            ('command = "tracer"\ntools = []', "tools: the list is empty; give at least one value"),
            ('command = "tracer"\nformats = []', "formats: the list is empty; give at least one value"),
            ('command = "tracer"\nattaches = []', "attaches: the list is empty; give at least one value"),
            ('description = "x"', "command: this key is required"),
            ("", "command: this key is required"),
            (
                'comand = "tracer"',
                f"comand: unknown key; 'comand' is not one of: {SETUP_KEYS} (did you mean 'command'?)",
            ),
            (
                'command = "tracer"\npoll_ms = 100',
                f"poll_ms: unknown key; 'poll_ms' is not one of: {SETUP_KEYS} (did you mean 'epoll'?)",
            ),
        ],
    )
    def test_a_fault_is_told_with_the_file_the_setup_and_the_key(self, text: str, fault: str) -> None:
        assert self.refused(text) == f"my.toml: setups.own.{fault}"

    @pytest.mark.parametrize("name", ["factors", "command", "settings"])
    def test_a_setup_may_be_named_as_a_table_or_a_key_is(self, name: str) -> None:
        assert self.brought(name=name).name == name
        message = self.refused('comand = "tracer"', name)
        assert message.startswith(f"my.toml: setups.{name}.comand: unknown key; 'comand' is not one of: {SETUP_KEYS} ")

    @pytest.mark.parametrize("value", ["1", '"./tracer"', "[]"])
    def test_a_value_where_the_table_of_a_setup_is_due_is_told_how_it_is_written(self, value: str) -> None:
        message = refusal(f"setups = {{own = {value}}}\n{toml(REQUIRED)}").message
        assert message == "my.toml: setups.own: a table is wanted, as in [setups.own]"

    @pytest.mark.parametrize("value", ["1", '"./tracer"', "[]"])
    def test_a_value_where_the_table_of_all_setups_is_due_is_told_how_it_is_written(self, value: str) -> None:
        assert "a table is wanted" in refusal(f"setups = {value}\n{toml(REQUIRED)}").message

    @pytest.mark.parametrize("name", [name for name in (*catalogue.SETUPS, VANILLA) if "@" not in name])
    def test_a_name_of_ours_cannot_be_taken(self, name: str) -> None:
        message = self.refused(name=name)
        assert message.startswith(f"my.toml: setups.{name}")
        assert message.endswith(f": {name!r} is a setup of bpfbench's; choose another name")

    @pytest.mark.parametrize("name", ["", "a b", "../up", "-x", ".hidden", "x" * 65, "a/b", "é", "own@2"])
    def test_a_name_must_do_as_part_of_a_file_name(self, name: str) -> None:
        message = self.refused(name=f'"{name}"')
        assert message.startswith(f"my.toml: setups.{name}")
        assert message.endswith(f": {name!r} {NO_NAME}")

    @pytest.mark.parametrize("name", ["bcc", "-x"])
    def test_the_place_of_a_bad_name_is_told_as_the_user_wrote_it(self, name: str) -> None:
        assert self.refused(name=name).startswith(f"my.toml: setups.{name}: ")

    @pytest.mark.parametrize(
        ("key", "value", "once"),
        [
            ("formats", '["text", "text"]', (Format.TEXT,)),
            ("tools", '["syscount", "rw-tracer", "syscount"]', (Tool.SYSCOUNT, Tool.RW_TRACER)),
            ("attaches", '["kprobe", "kprobe"]', (Attach.KPROBE,)),
        ],
    )
    def test_a_value_given_twice_counts_once(self, key: str, value: str, once: tuple[object, ...]) -> None:
        assert getattr(self.brought(f'command = "tracer"\n{key} = {value}'), key) == once

    def test_the_example_is_valid_and_leaves_nothing_out(self) -> None:
        example = study.load(OWN_EXAMPLE)
        (own,) = example.setups
        assert own.command == (str(OWN_EXAMPLE.parent / "tracer"),)
        unrolled = plan.unroll(example)
        assert {trial.setup for trial in unrolled.trials} == {VANILLA, *example.factors.setups}
        assert own.name in example.factors.setups
        assert unrolled.left_out == ()

    def test_the_document_explains_every_key(self) -> None:
        text = (REPOSITORY / "docs" / "adding-a-tracer.md").read_text()
        table = text.partition("## The table `[setups.NAME]`")[2].partition("##")[0]
        assert sorted(re.findall(r"^\| `(\w+)` \|", table, flags=re.MULTILINE)) == sorted(SETUP_KEYS.split(", "))


VALUES = st.recursive(
    st.sampled_from(["true", "-1", "0", "7", "1.5", "nan", "-inf", '"x"', '""', '"4KiB"', '"read"', "07:32:00"]),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
        | inner.map(lambda item: f"{{a = {item}}}")
    ),
    max_leaves=4,
)
TABLES = ("factors", "settings", "criteria", "paths", "machine", "setups", "targets", "tuned")
KEYS = (
    *(key for key in TOP_KEYS.split(", ") if key not in TABLES),
    *(f"factors.{key}" for key in FACTOR_KEYS.split(", ")),
    *(f"settings.{key}" for key in SETTING_KEYS.split(", ")),
    *(f"criteria.{key}" for key in CRITERIA_KEYS.split(", ")),
    *(f"machine.{key}" for key in MACHINE_KEYS.split(", ")),
    *(f"setups.own.{key}" for key in SETUP_KEYS.split(", ")),
    *(f"targets.mine.{key.name}" for key in targets.keys(Path())),
    "paths.data",
    "paths.output",
)


@given(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=3))
def test_whatever_values_a_file_has_it_is_a_study_or_gets_one_message_in_our_words(changes: dict[str, str]) -> None:
    text = toml({**REQUIRED, "setups.own.command": '"/bin/sh"', "targets.mine.drive": '"true"', **changes})
    try:
        study.parse(text, "my.toml")
    except StudyError:
        message = refusal(text).message
        assert message.split(": ")[1] in (*changes, "targets.mine")
