# SPDX-License-Identifier: Apache-2.0
"""The host: its tracers are found inside, its headers chosen, what it lacks refused, and the suite understood."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from builders import make_brought, make_image, make_trial

from bpfbench import catalogue
from bpfbench.codec import from_json, to_json
from bpfbench.errors import MachineError, StepError
from bpfbench.machine import command
from bpfbench.machine.command import Finished
from bpfbench.model import PAPER_TOOLS, Attach, Format, Settings, Tool, TrialSpec, Workload
from bpfbench.model.check import CaseVerdict, CheckSpec, Ended, Subject
from bpfbench.testbed.base import data_name
from bpfbench.testbed.carried import BROUGHT
from bpfbench.testbed.host import Headers, HostTestbed, kernel_headers, require
from bpfbench.testbed.job import Job
from bpfbench.testbed.sandbox import INSIDE, Bind

HEADERS = Headers("none", (Bind("/usr/src", "/usr/src"),), (("/usr/src/h", "/usr/lib/modules/6/build"),))
OWN = make_brought("own", ("/srv/me/bin/tracer", "--fast", "a b"))
OTHER = make_brought("other", ("/srv/me/bin/second",))
IMAGE = make_image()


@pytest.fixture
def testbed(tmp_path: Path) -> HostTestbed:
    """One that knows two setups of a study's."""
    (tmp_path / "output").mkdir()
    return HostTestbed(IMAGE, HEADERS, tmp_path / "data", tmp_path / "output", (OWN, OTHER))


class TestTracerCommand:
    @pytest.mark.parametrize("setup", catalogue.SETUPS)
    def test_a_tracer_of_ours_is_the_images(self, testbed: HostTestbed, setup: str) -> None:
        assert testbed.tracer_command(setup) == (f"{INSIDE}/tracers/{setup}/tracer",)
        assert Bind(IMAGE.tracers, f"{INSIDE}/tracers") in testbed.sandbox(()).binds

    def test_a_tracer_that_is_brought_is_in_its_folder_and_keeps_its_arguments(self, testbed: HostTestbed) -> None:
        assert testbed.tracer_command("own") == (f"{BROUGHT}/own/tracer", "--fast", "a b")
        assert testbed.tracer_command("other") == (f"{BROUGHT}/other/second",)

    def test_a_trial_is_told_that_command(
        self, testbed: HostTestbed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(command, "run", lambda *_, **__: Finished(1, ""))
        for setup, words in (("own", testbed.tracer_command("own")), ("vanilla", None)):
            (tmp_path / setup).mkdir()
            testbed.run(TrialSpec(make_trial(setup), Settings()), tmp_path / setup, lambda _: None)
            spec = from_json(TrialSpec, (tmp_path / setup / "spec.json").read_bytes())
            assert spec.tracer_command == words


class TestSandbox:
    def test_the_folder_of_each_executable_is_seen_read_only_under_the_setups_name(self, testbed: HostTestbed) -> None:
        binds = testbed.sandbox(()).binds
        assert Bind("/srv/me/bin", f"{BROUGHT}/own") in binds
        assert Bind("/srv/me/bin", f"{BROUGHT}/other") in binds
        assert not any(bind.writable for bind in binds)

    def test_nothing_else_is_seen_but_ourselves_the_tracers_and_the_headers(self, tmp_path: Path) -> None:
        plain = HostTestbed(IMAGE, HEADERS, tmp_path, tmp_path)
        inside = plain.sandbox((Bind("/x", "/y", writable=True),))
        assert inside.root == IMAGE.root
        assert set(inside.binds) == {
            Bind(str(catalogue.PACKAGE), f"{INSIDE}/src/bpfbench"),
            Bind(IMAGE.tracers, f"{INSIDE}/tracers"),
            *HEADERS.binds,
            Bind("/x", "/y", writable=True),
        }
        assert inside.symlinks == HEADERS.symlinks

    def test_what_a_trial_binds_comes_over_all_else(self, testbed: HostTestbed) -> None:
        assert testbed.sandbox((Bind("/x", "/y", writable=True),)).binds[-1] == Bind("/x", "/y", writable=True)

    def test_a_shell_sees_what_is_brought_too(self, testbed: HostTestbed) -> None:
        words = testbed.shell(())
        assert words[-1] == "bash"
        assert f"{BROUGHT}/own" in words
        assert testbed.shell(("ls", "-l"))[-2:] == ("ls", "-l")


SPEC = CheckSpec(
    subjects=(
        Subject("own", (), Attach.TRACEPOINT, (Tool.SYSCOUNT,), (Format.TEXT,)),
        Subject("libbpf", (), Attach.TRACEPOINT, PAPER_TOOLS, tuple(Format)),
    ),
    cases=("events", "counts"),
)
GOOD = CaseVerdict("counts", "own", Attach.TRACEPOINT, "syscount text", Ended.PASSED, "")
BAD = CaseVerdict("events", "libbpf", Attach.KPROBE, "rw-tracer text", Ended.FAILED, "offset is 1, not 2 – ö")


class TestCheck:
    """A suite that says what a test wants, in place of one in an image."""

    @pytest.fixture
    def told(self) -> dict[str, Any]:
        """What the suite was told."""
        return {}

    @pytest.fixture
    def suite(self, monkeypatch: pytest.MonkeyPatch, told: dict[str, Any]) -> Callable[..., None]:
        def says(finished: Finished, *lines: str) -> None:
            def run(argv: tuple[str, ...], *, stdin: str, on_line: Callable[[str], None], **_: object) -> Finished:
                told.update(argv=argv, stdin=stdin)
                for line in lines:
                    on_line(line)
                return finished

            monkeypatch.setattr(command, "run", run)

        return says

    def test_the_suite_is_run_in_the_image_and_told_where_each_tracer_is(
        self, testbed: HostTestbed, suite: Callable[..., None], told: dict[str, Any]
    ) -> None:
        suite(Finished(0, ""))
        testbed.check(SPEC, lambda _: pytest.fail("nothing was said"))
        assert told["argv"][-3:] == ("-m", "bpfbench.inside", "check")
        found = from_json(CheckSpec, told["stdin"])
        assert {subject.setup: subject.command for subject in found.subjects} == {
            "own": testbed.tracer_command("own"),
            "libbpf": testbed.tracer_command("libbpf"),
        }
        assert found.cases == SPEC.cases
        assert [(s.tools, s.formats) for s in found.subjects] == [(s.tools, s.formats) for s in SPEC.subjects]
        assert len(told["stdin"].splitlines()) == 1

    def test_every_verdict_is_handed_on_as_it_comes(self, testbed: HostTestbed, suite: Callable[..., None]) -> None:
        found: list[CaseVerdict] = []
        suite(Finished(0, ""), *(to_json(verdict, indent=None).rstrip("\n") for verdict in (GOOD, BAD)))
        testbed.check(SPEC, found.append)
        assert found == [GOOD, BAD]

    def test_a_suite_that_fails_itself_is_an_error_with_its_last_words(
        self, testbed: HostTestbed, suite: Callable[..., None]
    ) -> None:
        found: list[CaseVerdict] = []
        suite(Finished(1, "Traceback\nRuntimeError: a process failed\n"), to_json(GOOD, indent=None))
        with pytest.raises(StepError, match=r"^the conformance suite failed: RuntimeError: a process failed$"):
            testbed.check(SPEC, found.append)
        assert found == [GOOD]

    def test_words_of_the_suite_that_are_no_verdict_are_passed_over(
        self, testbed: HostTestbed, suite: Callable[..., None]
    ) -> None:
        found: list[CaseVerdict] = []
        suite(Finished(0, ""), "warning: {", to_json(GOOD, indent=None))
        testbed.check(SPEC, found.append)
        assert found == [GOOD]


def test_what_tracers_may_write_has_to_fit(testbed: HostTestbed) -> None:
    testbed.require_room(1)
    with pytest.raises(MachineError, match=r" free; tracers may write 1048576\.0 GiB there$") as caught:
        testbed.require_room(2**50, "choose less")
    assert caught.value.hint == "choose less"


def test_data_files_are_found_by_the_size_of_their_workload(testbed: HostTestbed, tmp_path: Path) -> None:
    small, large = Workload("read", 2, 4096), Workload("read", 2, 8192)
    assert list(testbed.data_files((small, large))) == []
    (tmp_path / "data" / "2x8192").mkdir(parents=True)
    (tmp_path / "data" / "2x8192" / "fio.0").touch()
    (tmp_path / "data" / "2x8192" / "other").touch()
    assert [path.name for path in testbed.data_files((small, large))] == ["fio.0"]
    assert list(testbed.data_files((small,))) == []


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


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is in danger")
def test_data_files_are_written_to_no_link(testbed: HostTestbed, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "data" / "4x4096").symlink_to(tmp_path / "elsewhere")
    job = Job(("true",), "", data="4x4096")
    with pytest.raises(MachineError, match="4x4096: is a link"):
        testbed.inside(job, lambda _: None)
