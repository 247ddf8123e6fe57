# SPDX-License-Identifier: Apache-2.0
"""The bpftrace scripts: one for each tool and hook, which report the same columns whatever the hook."""

from __future__ import annotations

import re

import pytest

from bpfbench.catalogue import PACKAGE, SETUPS
from bpfbench.model import Attach, Tool

SCRIPTS = PACKAGE / "tracers" / "bpftrace"
HOOKED = (Tool.RW_TRACER, Tool.RW_TRACER_ALL, Tool.FS_PROFILE)
RETURN_VALUE = re.compile(r"args\.ret|\(int64\)retval|\$ret|retval")


def script(tool: Tool, attach: Attach) -> str:
    return (SCRIPTS / f"{tool}.{attach}.bt").read_text()


def reports(text: str) -> list[str]:
    """What is printed, with one name for the return value, which each hook has its own for."""
    return [RETURN_VALUE.sub("RET", printed) for printed in re.findall(r"printf\(\".*?\);", text, re.DOTALL)]


def after_exit(tool: Tool, attach: Attach) -> str:
    """What is done once a call has returned, with one name for what."""
    return RETURN_VALUE.sub("RET", script(tool, attach).rpartition("\n{\n\t$call")[2])


def test_each_hook_of_the_catalogue_has_its_scripts() -> None:
    hooked = {f"{tool}.{attach}.bt" for tool in HOOKED for attach in SETUPS["bpftrace"].attaches}
    assert {path.name for path in SCRIPTS.glob("*.bt")} == hooked | {"syscount.tracepoint.bt"}


@pytest.mark.parametrize("tool", HOOKED)
@pytest.mark.parametrize("attach", [Attach.KPROBE, Attach.FENTRY])
def test_hooks_report_the_same_columns(tool: Tool, attach: Attach) -> None:
    assert reports(script(tool, attach)) == reports(script(tool, Attach.TRACEPOINT))
    assert reports(script(tool, attach))


@pytest.mark.parametrize("attach", [Attach.KPROBE, Attach.FENTRY])
def test_hooks_keep_the_same_sums(attach: Attach) -> None:
    assert after_exit(Tool.FS_PROFILE, attach) == after_exit(Tool.FS_PROFILE, Attach.TRACEPOINT)
