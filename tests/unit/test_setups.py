# SPDX-License-Identifier: Apache-2.0
"""What a setup can run, it runs; what it cannot, it refuses with the reason."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from builders import make_brought, make_config

from bpfbench import catalogue
from bpfbench.declare import study
from bpfbench.model import (
    EVENT_TOOLS,
    OPTIONS,
    PAPER_TOOLS,
    VANILLA,
    Attach,
    Buffer,
    Consumers,
    Epoll,
    Format,
    Setup,
    Slots,
    Tool,
    TracerConfig,
    kind_of,
)

ANY = Setup("any", "for tests", attaches=tuple(Attach))
SMOKE = study.load(study.find("smoke"))


def config(**factors: Any) -> TracerConfig:
    return make_config(**{"attach": Attach.TRACEPOINT, **factors})


class TestRefusal:
    @pytest.mark.parametrize("tool", PAPER_TOOLS)
    @pytest.mark.parametrize("attach", Attach)
    @pytest.mark.parametrize("form", Format)
    def test_a_setup_that_can_do_everything_refuses_nothing(self, tool: Tool, attach: Attach, form: Format) -> None:
        assert ANY.refusal(tool, config(attach=attach, format=form, poll_ms=7)) is None

    @pytest.mark.parametrize(
        ("lacking", "reason"),
        [
            ({"tools": (Tool.SYSCOUNT, Tool.RW_TRACER_ALL)}, "any has no rw-tracer"),
            ({"formats": (Format.TEXT,)}, "any cannot write binary"),
            ({"attaches": (Attach.KPROBE, Attach.FENTRY)}, "any cannot attach by tracepoint"),
            ({"poll_ms": (50, 200)}, "any cannot poll every 100 ms"),
        ],
    )
    def test_what_a_setup_lacks_is_the_reason(self, lacking: dict[str, Any], reason: str) -> None:
        assert replace(ANY, **lacking).refusal(Tool.RW_TRACER, config()) == reason

    def test_fs_profile_writes_text_only(self) -> None:
        profiler = replace(ANY, tools=tuple(Tool))
        assert profiler.refusal(Tool.FS_PROFILE, config(format=Format.TEXT)) is None
        assert (
            profiler.refusal(Tool.FS_PROFILE, config(format=Format.BINARY))
            == "any cannot write binary: fs-profile is text only"
        )

    def test_where_nothing_is_polled_the_poll_time_out_is_no_obstacle(self) -> None:
        assert replace(ANY, poll_ms=(50,)).refusal(Tool.SYSCOUNT, config(poll_ms=None)) is None

    @pytest.mark.parametrize(
        ("changed", "reason"),
        [
            ({"wakeup": "never"}, "any has no wakeup = never"),
            ({"rings": "4"}, "any has no rings = 4: it has one"),
            ({"rings": "cpu"}, None),
            ({"output_buffer_bytes": 4096}, None),
            ({"rings": "cpu", "consumers": Consumers.RING}, None),
            ({"consumers": Consumers.RING}, "one ring has one consumer"),
            ({"wakeup": "watermark:262143"}, None),
            ({"wakeup": "watermark:262144"}, "a ring of 262144 bytes never holds more than a watermark of 262144"),
            ({"records": Slots.VARIABLE}, None),
            (
                {"buffer": Buffer.PERF, "rings": "cpu"},
                "a perf event array has a buffer for each CPU, and records of one length",
            ),
            ({"epoll": Epoll.EDGE}, None),
            ({"epoll": Epoll.EDGE, "wakeup": "watermark:4096"}, None),
            ({"epoll": Epoll.EDGE, "buffer": Buffer.PERF}, "an edge is when a ring wakes its consumer"),
        ],
    )
    def test_of_version_2_a_setup_has_what_it_says_and_nothing_that_contradicts_itself(
        self, changed: dict[str, Any], reason: str | None
    ) -> None:
        options = {**OPTIONS, "wakeup": ("watermark",), "rings": ("cpu",)}
        own = replace(ANY, options=options, lacks={"rings": "it has one"})
        assert own.refusal(Tool.RW_TRACER_ALL, config(**changed)) == reason
        assert own.refusal(Tool.RW_TRACER_ALL, config()) is None

    def test_what_a_setup_lacks_with_a_perf_event_array_alone_it_refuses_there_alone(self) -> None:
        own = replace(ANY, options=OPTIONS, with_perf={"wakeup": ("adaptive", "never")}, lacks={"wakeup": "it counts"})
        for wakeup, has in (("watermark:4096", False), ("poll", False), ("never", True), ("adaptive", True)):
            assert own.refusal(Tool.RW_TRACER, config(wakeup=wakeup)) is None
            reason = None if has else f"any has no wakeup = {wakeup} with a perf event array: it counts"
            assert own.refusal(Tool.RW_TRACER, config(wakeup=wakeup, buffer=Buffer.PERF)) == reason

    @pytest.mark.parametrize("nobody", ["never", "poll"])
    def test_who_is_never_woken_waits_for_no_edge(self, nobody: str) -> None:
        own = replace(ANY, options=OPTIONS)
        refused = own.refusal(Tool.RW_TRACER, config(epoll=Epoll.EDGE, wakeup=nobody))
        assert refused == "an edge is when a ring wakes its consumer"

    def test_what_version_1_does_every_setup_does(self) -> None:
        for option, (usual, *others) in OPTIONS.items():
            assert kind_of(option, usual) == usual
            assert others
        assert config().options == {}
        assert [kind_of("rings", value) for value in ("2", "64", "cpu")] == ["many", "many", "cpu"]

    def test_a_setup_that_says_no_more_has_the_papers_tools_both_formats_and_tracepoints(self) -> None:
        setup = Setup("x", "y")
        assert (setup.tools, setup.formats, setup.attaches) == (PAPER_TOOLS, tuple(Format), (Attach.TRACEPOINT,))
        assert (setup.poll_ms, setup.command) == (None, ())


class TestCatalogue:
    def test_the_setups_are_those_promised(self) -> None:
        assert list(catalogue.SETUPS) == [
            "bpftrace",
            "bcc",
            "libbpf",
            "ebpf-go",
            "ebpf-go@0.22",
            "aya-sync",
            "aya-async",
            "bpftrace-default",
            "bcc-event",
            "libbpf-tuned",
            "libbpf-hash",
            "ebpf-go-default",
            "ebpf-go-procs",
            "aya-sync-helpers",
            "aya-sync-tuned",
            "aya-sync-poll",
            "aya-async-threads",
        ]

    @pytest.mark.parametrize("setup", catalogue.SETUPS.values(), ids=lambda setup: setup.name)
    def test_an_alternative_is_one_to_a_setup_in_its_own_right_by_whose_name_it_begins(self, setup: Setup) -> None:
        assert (setup.name in catalogue.MAIN_SETUPS) == (setup.alternative_to is None)
        if setup.alternative_to is not None:
            assert setup.alternative_to in catalogue.MAIN_SETUPS
            assert setup.name.startswith(f"{setup.alternative_to}-")
            assert set(setup.tools) <= set(catalogue.SETUPS[setup.alternative_to].tools)
            assert set(setup.formats) <= set(catalogue.SETUPS[setup.alternative_to].formats)
            assert set(setup.attaches) <= set(catalogue.SETUPS[setup.alternative_to].attaches)

    @pytest.mark.parametrize("name", [name for name in catalogue.SETUPS if name not in catalogue.MAIN_SETUPS])
    def test_what_an_alternative_lacks_and_its_setup_has_it_says_for_itself(self, name: str) -> None:
        setup = catalogue.SETUPS[name]
        usual = catalogue.SETUPS[setup.alternative_to or ""]
        less = [option for option, kinds in usual.options.items() if set(kinds) - set(setup.options.get(option, ()))]
        if set(setup.tools) & set(EVENT_TOOLS):
            assert not [option for option in less if setup.lacks.get(option) in {None, usual.lacks.get(option)}]
        else:
            assert setup.options == {}

    def test_alternatives_of_whole_tracers_have_the_knobs_of_their_setups(self) -> None:
        never = config(format=Format.TEXT, wakeup="never")
        for name in ("aya-sync-poll", "aya-sync-helpers", "aya-async-threads", "bcc-event"):
            assert catalogue.SETUPS[name].refusal(Tool.RW_TRACER, never) is None
        each = config(format=Format.TEXT, rings="cpu", consumers=Consumers.RING)
        assert catalogue.SETUPS["aya-async-threads"].refusal(Tool.RW_TRACER, each) is None
        variable = config(format=Format.TEXT, records=Slots.VARIABLE)
        refused = catalogue.SETUPS["bcc-event"].refusal(Tool.RW_TRACER_ALL, variable)
        assert refused == "bcc-event has no records = variable: BCC's event() takes records of one length"

    @pytest.mark.parametrize("setup", catalogue.SETUPS.values(), ids=lambda setup: setup.name)
    def test_what_one_can_be_set_to_is_of_the_contract_and_not_said_to_be_lacking(self, setup: Setup) -> None:
        assert all(set(kinds) <= set(OPTIONS[option]) for option, kinds in setup.options.items())
        has = {**setup.options, **setup.with_perf}
        assert not [option for option in setup.lacks if has.get(option) == OPTIONS[option]]
        with_perf = setup.with_perf.items() if "buffer" in setup.options else ()
        assert all(set(kinds) < set(setup.options[option]) for option, kinds in with_perf)

    @pytest.mark.parametrize("path", catalogue.studies().values(), ids=lambda path: path.stem)
    def test_alternatives_are_in_no_study_but_fairness_and_one_in_that_of_edges(self, path: Path) -> None:
        shipped = study.load(path)
        chosen = set(shipped.factors.setups) - {setup.name for setup in shipped.setups}
        if path.stem == "fairness":
            assert chosen == set(catalogue.SETUPS) - {"ebpf-go@0.22"}
        elif path.stem == "edge":  # aya-sync would not sleep by level
            assert chosen <= {*catalogue.MAIN_SETUPS, "aya-sync-poll"}
        else:
            assert chosen <= set(catalogue.MAIN_SETUPS)

    @pytest.mark.parametrize("setup", catalogue.SETUPS.values(), ids=lambda setup: setup.name)
    def test_each_is_found_by_its_name_described_and_of_the_image(self, setup: Setup) -> None:
        assert catalogue.SETUPS[setup.name] is setup
        assert setup.description
        assert setup.command == ()
        assert setup.name != VANILLA

    @pytest.mark.parametrize("name", catalogue.SETUPS)
    def test_each_is_named_by_the_build_that_installs_it(self, name: str) -> None:
        builds = [path.read_text() for path in (catalogue.PACKAGE / "tracers").glob("*/build")]
        assert any(name.partition("@")[0] in text for text in builds), "no build in tracers/ installs it"

    @pytest.mark.parametrize("setup", catalogue.MAIN_SETUPS.values(), ids=lambda setup: setup.name)
    def test_each_has_every_tool_of_the_paper_and_writes_text(self, setup: Setup) -> None:
        for tool in PAPER_TOOLS:
            assert setup.refusal(tool, config(format=Format.TEXT)) is None

    @pytest.mark.parametrize("name", catalogue.SETUPS)
    def test_a_name_does_as_part_of_a_file_name_and_of_a_list_of_options(self, name: str) -> None:
        assert re.fullmatch(r"[a-z0-9][a-z0-9@.-]*", name)

    @pytest.mark.parametrize("name", [name for name in catalogue.SETUPS if "@" in name])
    def test_a_version_of_a_library_is_a_lock_file_of_it(self, name: str) -> None:
        library, version = name.split("@")
        assert (catalogue.PACKAGE / "tracers" / library / "versions" / f"{version}.mod").is_file()
        assert library in catalogue.SETUPS

    def test_a_study_can_name_ours_and_those_it_brings(self) -> None:
        own = make_brought("own")
        found = catalogue.setups(replace(SMOKE, setups=(own,)))
        assert found == {**catalogue.SETUPS, "own": own}
        assert list(found)[-1] == "own"
        assert catalogue.setups(SMOKE) == catalogue.SETUPS
