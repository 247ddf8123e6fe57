# SPDX-License-Identifier: Apache-2.0
"""The command that enters an image: what it hides, what it shows, and what ends with it."""

from __future__ import annotations

import os

import pytest
from builders import make_image

from bpfbench.machine.command import KILLED_WITH_US
from bpfbench.testbed.sandbox import SUPERVISE, Bind, Sandbox, argv, beside

PLAIN = Sandbox(root="/cache/roots/trixie-1/root")
IMAGE = make_image()


def options(words: tuple[str, ...], name: str, values: int) -> list[tuple[str, ...]]:
    """Every use of a bubblewrap option, with its values."""
    inside = words[words.index("bwrap") : words.index("--", words.index("bwrap"))]
    return [tuple(inside[i + 1 : i + 1 + values]) for i, word in enumerate(inside) if word == name]


def before(words: tuple[str, ...], first: tuple[str, ...], second: tuple[str, ...]) -> bool:
    """Tell whether one run of words comes before another; both are there."""
    at = [next(i for i in range(len(words)) if words[i : i + len(wanted)] == wanted) for wanted in (first, second)]
    return at[0] < at[1]


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


def test_a_command_beside_the_hosts_processes_is_one_of_them() -> None:
    seen = Sandbox("/root", (Bind("/host/a", "/a"),), (("/usr/src/x", "/usr/lib/modules/y"),), {"A": "b"})
    words = beside(seen, ("tracer", "--", "x"))
    assert words[:4] == ("unshare", "--mount", "--propagation", "private")
    assert not {"--pid", "--fork", "bwrap", *KILLED_WITH_US[:1]} & set(words)
    assert words[5:] == (
        "/root", "bind", "/host/a", "/a", "link", "/usr/src/x", "/usr/lib/modules/y", "--", "A=b", "tracer", "--", "x"
    )  # fmt: skip
