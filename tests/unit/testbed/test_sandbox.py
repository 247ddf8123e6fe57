# SPDX-License-Identifier: Apache-2.0
"""The command that enters an image: what it hides, what it shows, and what ends with it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from builders import make_image, make_trial

from bpfbench.codec import from_json
from bpfbench.errors import MachineError
from bpfbench.machine import command
from bpfbench.machine.command import KILLED_WITH_US, Finished
from bpfbench.model import Predecessor, Record, Settings, Status, Tool, TrialSpec, Workload
from bpfbench.testbed.base import data_name
from bpfbench.testbed.host import Headers, HostTestbed, kernel_headers, require
from bpfbench.testbed.sandbox import SUPERVISE, Bind, Sandbox, argv

PLAIN = Sandbox(root="/cache/roots/trixie-1/root")
IMAGE = make_image()
FIRST = TrialSpec(make_trial("libbpf"), Settings())


def options(words: tuple[str, ...], name: str, values: int) -> list[tuple[str, ...]]:
    """Every use of a bubblewrap option, with its values."""
    inside = words[words.index("bwrap") : words.index("--", words.index("bwrap"))]
    return [tuple(inside[i + 1 : i + 1 + values]) for i, word in enumerate(inside) if word == name]


def before(words: tuple[str, ...], first: tuple[str, ...], second: tuple[str, ...]) -> bool:
    """Tell whether one run of words comes before another; both are there."""
    places = [next(i for i in range(len(words)) if words[i : i + len(wanted)] == wanted) for wanted in (first, second)]
    return places[0] < places[1]


class TestArgv:
    def test_the_root_is_read_only(self) -> None:
        words = argv(PLAIN, ("true",))
        assert ("/cache/roots/trixie-1/root", "/") in options(words, "--ro-bind", 2)
        assert all(inside != "/" for _, inside in options(words, "--bind", 2))

    def test_the_command_is_run_word_for_word(self) -> None:
        inner = ("sh", "-c", 'echo "$1" --', "x", "--bind", "")
        words = argv(PLAIN, inner)
        assert words[-len(inner) :] == inner
        assert words[-len(inner) - 1] == "--"

    def test_binds_are_writable_only_where_that_is_said(self) -> None:
        sandbox = Sandbox("/root", binds=(Bind("/a", "/bpfbench/src"), Bind("/b", "/bpfbench/data", writable=True)))
        words = argv(sandbox, ("true",))
        assert ("/a", "/bpfbench/src") in options(words, "--ro-bind", 2)
        assert ("/b", "/bpfbench/data") in options(words, "--bind", 2)
        assert ("/b", "/bpfbench/data") not in options(words, "--ro-bind", 2)

    def test_binds_come_in_their_order_over_the_root_and_the_fresh_file_systems(self) -> None:
        sandbox = Sandbox("/root", binds=(Bind("/outer", "/usr/src"), Bind("/inner", "/usr/src/linux")))
        words = argv(sandbox, ("true",))
        assert before(words, ("--ro-bind", "/root", "/"), ("--ro-bind", "/outer", "/usr/src"))
        assert before(words, ("--tmpfs", "/usr/lib/modules"), ("--ro-bind", "/outer", "/usr/src"))
        assert before(words, ("--ro-bind", "/outer", "/usr/src"), ("--ro-bind", "/inner", "/usr/src/linux"))

    def test_symlinks_are_made_in_fresh_module_folders(self) -> None:
        sandbox = Sandbox("/root", symlinks=(("/usr/src/h", "/usr/lib/modules/6.1/build"),))
        words = argv(sandbox, ("true",))
        assert options(words, "--symlink", 2) == [("/usr/src/h", "/usr/lib/modules/6.1/build")]
        assert before(words, ("--tmpfs", "/usr/lib/modules"), ("--symlink", "/usr/src/h"))

    def test_nothing_of_our_environment_comes_in_but_what_is_given(self) -> None:
        words = argv(Sandbox("/root", env={"PYTHONPATH": "/x", "http_proxy": ""}), ("true",))
        assert before(words, ("--clearenv",), ("--setenv", "PATH"))
        given: dict[str, str] = dict(options(words, "--setenv", 2))  # type: ignore[arg-type]
        assert given["PYTHONPATH"] == "/x"
        assert given["http_proxy"] == ""
        assert set(given) == {"PATH", "HOME", "LANG", "PYTHONPATH", "http_proxy"}

    def test_processes_and_ipc_are_private_and_end_with_us(self) -> None:
        words = argv(PLAIN, ("true",))
        assert words[: len(KILLED_WITH_US)] == KILLED_WITH_US
        assert {"--die-with-parent", "--unshare-pid", "--unshare-ipc"} <= set(words)

    def test_mounts_are_private_before_tracefs_may_be_mounted(self) -> None:
        words = argv(PLAIN, ("true",))
        assert before(words, ("unshare", "--mount", "--propagation", "private"), (SUPERVISE,))
        assert before(words, (SUPERVISE,), ("bwrap",))

    def test_the_folder_to_work_in(self) -> None:
        assert options(argv(PLAIN, ("true",)), "--chdir", 1) == [("/",)]
        assert options(argv(Sandbox("/root", workdir="/bpfbench/build/bcc"), ("true",)), "--chdir", 1) == [
            ("/bpfbench/build/bcc",)
        ]

    @pytest.mark.parametrize("directory", ["", "/cache/output/bpfbench-1-0001 x"])
    def test_the_supervisor_is_told_what_to_remove_if_we_are_killed(self, directory: str) -> None:
        words = argv(PLAIN, ("true",), remove_if_killed=directory)
        assert words[words.index(SUPERVISE) + 1 : words.index(SUPERVISE) + 3] == (directory, "bwrap")

    def test_the_supervisor_can_be_executed(self) -> None:
        assert os.access(SUPERVISE, os.X_OK)


class TestHeaders:
    def test_those_of_the_host_are_used_where_it_has_them(self, tmp_path: Path) -> None:
        build = tmp_path / "lib/modules/6.1.0-9-amd64/build"
        build.mkdir(parents=True)
        found = kernel_headers(IMAGE, tmp_path, "6.1.0-9-amd64", tmp_path / "kheaders")
        assert found.origin == "the host's own, 6.1.0-9-amd64"
        assert found.binds == (
            Bind("/usr/src", "/usr/src"),
            Bind(str(build), "/usr/lib/modules/6.1.0-9-amd64/build"),
        )
        assert found.symlinks == ()

    def test_those_of_a_kernel_of_ones_own_are_bound_from_where_they_really_are(self, tmp_path: Path) -> None:
        modules, tree = tmp_path / "lib/modules/6.6.1-custom", tmp_path / "srv/me/linux"
        modules.mkdir(parents=True)
        (tree / "out").mkdir(parents=True)
        (modules / "build").symlink_to("../../../srv/me/linux/out")
        (modules / "source").symlink_to(tree)
        found = kernel_headers(IMAGE, tmp_path, "6.6.1-custom", None)
        assert found.binds == (
            Bind("/usr/src", "/usr/src"),
            Bind(str(tree.resolve() / "out"), "/usr/lib/modules/6.6.1-custom/build"),
            Bind(str(tree.resolve()), "/usr/lib/modules/6.6.1-custom/source"),
        )

    def test_a_link_to_headers_that_are_gone_is_none(self, tmp_path: Path) -> None:
        (tmp_path / "lib/modules/6.6.1").mkdir(parents=True)
        (tmp_path / "lib/modules/6.6.1/build").symlink_to(tmp_path / "gone")
        assert kernel_headers(IMAGE, tmp_path, "6.6.1", None).origin.startswith("the image's nearest")

    def test_then_those_that_the_kernel_carries(self, tmp_path: Path) -> None:
        found = kernel_headers(IMAGE, tmp_path, "6.1.0", tmp_path / "kheaders")
        assert found.origin == "the running kernel's kheaders, 6.1.0"
        assert found.binds == (Bind(f"{tmp_path}/kheaders", "/usr/lib/modules/6.1.0/build"),)

    def test_else_the_images_nearest_and_both_releases_are_told(self, tmp_path: Path) -> None:
        found = kernel_headers(IMAGE, tmp_path, "6.6.1-custom", None)
        assert found.origin == "the image's nearest, 6.12.43+deb13-amd64, for kernel 6.6.1-custom"
        assert found.binds == ()
        assert {path: target for target, path in found.symlinks} == {
            "/usr/lib/modules/6.6.1-custom/build": "/usr/src/linux-headers-6.12.43+deb13-amd64",
            "/usr/lib/modules/6.6.1-custom/source": "/usr/src/linux-headers-6.12.43+deb13-common",
        }


class TestTrial:
    """A runner that says what a test wants, in place of one in an image."""

    @pytest.fixture
    def testbed(self, tmp_path: Path) -> HostTestbed:
        (tmp_path / "output").mkdir()
        return HostTestbed(IMAGE, Headers("none", ()), tmp_path / "data", tmp_path / "output")

    def run(self, testbed: HostTestbed, place: Path, spec: TrialSpec = FIRST) -> tuple[TrialSpec, Record]:
        place.mkdir()
        record = testbed.run(spec, place, lambda _: None)
        assert from_json(Record, (place / "record.json").read_bytes()) == record
        return from_json(TrialSpec, (place / "spec.json").read_bytes()), record

    def ends(self, monkeypatch: pytest.MonkeyPatch, finished: Finished, *lines: str) -> None:
        def run(_: object, *, on_line: Callable[[str], None], **__: object) -> Finished:
            for line in lines:
                on_line(line)
            return finished

        monkeypatch.setattr(command, "run", run)

    def test_it_is_told_session_and_what_was_before_it(
        self, testbed: HostTestbed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.ends(monkeypatch, Finished(1, ""))
        warm_up = Predecessor("0001-x-warm-up", "vanilla", Tool.SYSCOUNT, Workload("read", 4, 4096), warm_up=True)
        second = replace(FIRST, predecessor=warm_up, place=3, output_disk_bytes=4096)
        one, first = self.run(testbed, tmp_path / "1", second)[0], self.run(testbed, tmp_path / "2")[0]
        assert (one.predecessor, one.place, one.output_disk_bytes) == (warm_up, 3, 4096)
        assert (first.predecessor, first.place, first.output_disk_bytes) == (None, None, None)
        assert one.session == first.session != ""

    def test_every_testbed_is_a_session_of_its_own_also_in_records_of_trials_that_crashed(
        self, testbed: HostTestbed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.ends(monkeypatch, Finished(1, ""))
        time.sleep(0.002)  # sessions are named by the millisecond they begin in
        later = HostTestbed(IMAGE, Headers("none", ()), tmp_path / "data", tmp_path / "output")
        for number, place in enumerate((testbed, later)):
            spec, record = self.run(place, tmp_path / str(number))
            assert record.session == spec.session
        assert self.run(testbed, tmp_path / "3")[1].session != self.run(later, tmp_path / "4")[1].session

    @pytest.mark.parametrize(
        ("finished", "reason"),
        [
            (Finished(-9, "", timed_out=True), "the trial was not done after "),
            (Finished(3, "x\nno python\n"), "trial runner ended with status 3: no python ("),
        ],
    )
    def test_a_runner_that_ends_without_a_record_makes_a_failed_trial_with_the_reason(
        self,
        testbed: HostTestbed,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        finished: Finished,
        reason: str,
    ) -> None:
        self.ends(monkeypatch, finished)
        record = self.run(testbed, tmp_path / "1")[1]
        assert record.status is Status.FAILED
        assert record.reason is not None
        assert record.reason.startswith(reason)

    def test_words_of_a_runner_that_are_no_event_are_passed_over(
        self, testbed: HostTestbed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.ends(monkeypatch, Finished(1, ""), "warning: {", '{"event": "failed", "reason": "disk full"}')
        record = self.run(testbed, tmp_path / "1")[1]
        assert record.reason is not None
        assert record.reason.startswith("disk full (")
        assert list((tmp_path / "output").iterdir()) == []


class TestHost:
    def test_workloads_of_one_size_share_their_files(self) -> None:
        read, write, large = Workload("read", 4, 4096), Workload("write", 4, 4096), Workload("read", 4, 8192)
        assert data_name(read) == data_name(write) != data_name(large)

    def test_measuring_without_root_is_refused_with_what_to_do(self) -> None:
        with pytest.raises(MachineError) as caught:
            require(1000, iter(()))
        assert caught.value.hint == "run the same command with sudo"

    def test_the_first_thing_the_machine_lacks_is_told(self) -> None:
        with pytest.raises(MachineError, match=r"^BTF: none$"):
            require(0, iter(("BTF: none", "bwrap: not installed")))

    def test_a_machine_that_has_everything_will_do(self) -> None:
        require(0, iter(()))
