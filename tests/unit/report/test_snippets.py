# SPDX-License-Identifier: Apache-2.0
"""What a tracer does for a knob can be shown: of each setup and knob, in lines that a page has room for."""

from __future__ import annotations

import pytest

from bpfbench.catalogue import MAIN_SETUPS, PACKAGE, SETUPS
from bpfbench.factors import KNOBS
from bpfbench.model import EVENT_TOOLS, Setup
from bpfbench.report import snippets
from bpfbench.report.snippets import Snippet, regions

TRACERS = PACKAGE / "tracers"
ALL = sorted({own for name in snippets.LIBRARIES for own in snippets.of_library(name)}, key=str)
LINES_MOST, LINE_MOST = 16, 100


def knobs_of(setup: Setup) -> set[str]:
    """What a setup can be set to in more than one way."""
    if not set(EVENT_TOOLS) & set(setup.tools):
        return set()  # it has no ring
    several = {"format": len(setup.formats) > 1, "poll_ms": setup.poll_ms is None, "ringbuf_bytes": True}
    options = {option for option, kinds in setup.options.items() if len(kinds) > 1}
    return {knob for knob, is_one in several.items() if is_one} | options


@pytest.mark.parametrize("setup", SETUPS.values(), ids=lambda setup: setup.name)
def test_every_knob_of_a_setup_has_lines(setup: Setup) -> None:
    assert {knob for knob in knobs_of(setup) if not snippets.of(setup.name, knob)} == set()


@pytest.mark.parametrize("setup", MAIN_SETUPS.values(), ids=lambda setup: setup.name)
def test_what_a_library_lacks_has_none(setup: Setup) -> None:
    assert {knob for knob in KNOBS if snippets.of(setup.name, knob)} == knobs_of(setup)


def test_every_mark_in_the_sources_is_of_a_snippet_that_is_shown() -> None:
    texts = [path.read_text() for path in TRACERS.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    begun = sum("[snippet " in line for text in texts for line in text.splitlines())
    assert begun == len(ALL) > 40
    assert {own.knob for own in ALL} <= KNOBS.keys()
    assert {own.setup for own in ALL if own.setup} <= SETUPS.keys()


@pytest.mark.parametrize("own", ALL, ids=lambda own: f"{own.file}-{own.knob}")
def test_a_snippet_is_short(own: Snippet) -> None:
    assert 0 < len(own.lines) <= LINES_MOST
    assert [line for line in own.lines if len(line) > LINE_MOST] == []
    assert own.lines[0].strip()


@pytest.mark.parametrize(
    ("setup", "file"),
    [
        ("libbpf", "libbpf/ring.c"),
        ("libbpf-tuned", "libbpf/ring.c"),
        ("ebpf-go", "ebpf-go/consumer.go"),
        ("ebpf-go@0.22", "ebpf-go/consumer.go"),
        ("aya-sync", "aya/user/src/wait.rs"),
        ("aya-async", "aya/user/src/bin/aya-async.rs"),
        ("aya-async-threads", "aya/user/src/bin/aya-async.rs"),
    ],
)
def test_a_setup_has_the_lines_of_its_library_and_those_that_are_its_own(setup: str, file: str) -> None:
    kernel, *user = snippets.of(setup, "wakeup")
    assert kernel.startswith(("common/", "aya/kernel/"))
    assert user[-1] == file
    assert not {"aya/user/src/wait.rs", "aya/user/src/bin/aya-async.rs"} <= {kernel, *user}


def test_a_setup_that_is_not_ours_has_none() -> None:
    assert snippets.library("libbpf-mine") is None
    assert snippets.of("libbpf-mine", "rings") == {}


def test_a_region_is_what_stands_between_its_marks() -> None:
    text = (
        "int x;\n\t/* [snippet rings] */\n\t// [snippet wakeup of aya-async]\n\n\tif (x)\n\t\ty();\n"
        "\t# [end wakeup]\n\n\tz();\n\t/* [end rings] */\nint y;\n"
    )
    assert tuple(regions("a.c", text)) == (
        Snippet("a.c", "wakeup", "aya-async", ("if (x)", "    y();")),
        Snippet("a.c", "rings", None, ("if (x)", "    y();", "", "z();")),
    )


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("// [snippet rings]\nx\n", "a.c: a snippet of rings has no end"),
        ("// [end rings]\n", "a.c:1: a snippet of rings ends twice"),
        ("// [snippet rings]\n// [snippet rings]\n", "a.c:2: a snippet of rings begins twice"),
    ],
)
def test_a_region_that_is_not_balanced_is_refused(text: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong.replace("[", r"\[")):
        tuple(regions("a.c", text))
