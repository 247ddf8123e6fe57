# SPDX-License-Identifier: Apache-2.0
"""What the tracers in Python share: the command line of the contract, and the summary's file."""

from __future__ import annotations

import contextlib
import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from bpfbench.catalogue import PACKAGE
from bpfbench.codec import from_json
from bpfbench.inside import tracer
from bpfbench.model import Attach, Format, Tool, TracerConfig, TracerSummary

FOLDER = str(PACKAGE / "tracers" / "python")


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, ModuleType]]:
    """The tracers' modules, gone afterwards: others have such names, too."""
    monkeypatch.syspath_prepend(FOLDER)
    names = ("options", "summary")
    yield {name: importlib.import_module(name) for name in names}
    for name in names:
        del sys.modules[name]


def words(**changed: str) -> list[str]:
    """A good command line, but for what is changed; an empty name takes an option out."""
    config = TracerConfig(Attach.TRACEPOINT, Format.BINARY, 4096, 50, 16)
    usual = tracer.arguments(Tool.RW_TRACER_ALL, config, Path("/o/output"), Path("/o/summary.json"))
    options = dict(zip(usual[::2], usual[1::2], strict=True))
    options |= {f"--{name.replace('_', '-')}": value for name, value in changed.items()}
    return [word for option in options.items() for word in option]


def test_the_command_line_of_a_trial_is_understood(modules: dict[str, ModuleType]) -> None:
    options = modules["options"].parse(words())
    assert options._asdict() == {
        "tool": "rw-tracer-all",
        "attach": "tracepoint",
        "target_comm": b"fio",
        "ringbuf_bytes": 4096,
        "poll_ms": 50,
        "payload_bytes": 16,
        "format": "binary",
        "output": "/o/output",
        "summary": "/o/summary.json",
        "wakeup": "adaptive",
        "rings": 1,
        "consumers": "one",
        "output_bytes": 65536,
        "records": "fixed",
        "buffer": "ring",
        "epoll": "level",
    }


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (words(tool="x"), "--tool 'x' is not supported; supported: syscount, rw-tracer, rw-tracer-all"),
        (words(ringbuf_bytes="5000"), "--ringbuf-bytes '5000' is not supported; supported: a power of two, 4096 to "),
        (words(ringbuf_bytes="2048"), "--ringbuf-bytes '2048' is not supported; "),
        (words(ringbuf_bytes="0"), "--ringbuf-bytes '0' is not supported; "),
        (words(poll_ms="+1"), "--poll-ms '+1' is not supported; supported: 1 to 60000"),
        (words(payload_bytes="16385"), "--payload-bytes '16385' is not supported; supported: 1 to 16384"),
        (words(target_comm="x" * 16), "--target-comm 'xxxxxxxxxxxxxxxx' is not supported; supported: 1 to 15 bytes"),
        (words(output=""), "--output '' is not supported; supported: the path of a file"),
        (words(other="1"), "--other '1' is an unknown option; supported: --tool, --attach, "),
        (words()[2:], "--tool '' is missing; supported: "),
        (words()[:-1], "--summary '' lacks its value; supported: "),
        ([*words(), "--tool", "syscount"], "--tool 'syscount' is given twice; supported: each option once"),
        (words(tool="syscount", attach="kprobe"), "--attach 'kprobe' is not supported by syscount; supported: tracep"),
        (words(tool="fs-profile"), "--format 'binary' is not supported by fs-profile; supported: text"),
        (words(epoll="edge", wakeup="poll"), "--epoll 'edge' is not supported where nobody is woken; supported: level"),
    ],
)
def test_what_is_wrong_is_said_with_the_option_the_value_and_what_is_supported(
    modules: dict[str, ModuleType], bad: list[str], said: str
) -> None:
    with pytest.raises(modules["options"].OptionError) as caught:
        modules["options"].parse(bad)
    assert str(caught.value).startswith(said)


def written(modules: dict[str, ModuleType], path: Path, **values: Any) -> TracerSummary:
    """A summary, once written."""
    account = modules["summary"].Account({"read": 3}, 2, 312, **values)
    account.explain_unknown("BCC")
    options = modules["options"].parse(words())
    times_ns = {"start": 1, "ready": None, "stop": 3, "drained": 4}
    with modules["summary"].SummaryFile(str(path)) as file:
        file.write("bcc", options, account, {"bcc": "0.31"}, times_ns)
    return from_json(TracerSummary, path.read_text())


def test_a_summary_is_what_the_contract_says(modules: dict[str, ModuleType], tmp_path: Path) -> None:
    summary = written(modules, tmp_path / "summary.json", ring_full=1, recursion=0)
    assert (summary.setup, summary.saved, summary.bytes, summary.unavailable) == ("bcc", 2, 312, {})
    assert summary.lost == {"ring_full": 1, "map_full": 0, "recursion": 0, "missed": 0, "output_error": 0}
    assert [path.name for path in tmp_path.iterdir()] == ["summary.json"]


def test_what_nobody_can_tell_has_a_reason(modules: dict[str, ModuleType], tmp_path: Path) -> None:
    summary = written(modules, tmp_path / "summary.json", missed=None)
    assert set(summary.unavailable) == {"recursion", "missed"}
    assert "BCC attaches without one" in summary.unavailable["missed"]
    assert json.loads((tmp_path / "summary.json").read_text())["lost"]["missed"] is None


def test_of_a_summary_that_is_not_written_nothing_is_left(modules: dict[str, ModuleType], tmp_path: Path) -> None:
    file = modules["summary"].SummaryFile(str(tmp_path / "summary.json"))
    assert Path(file.temporary).stat().st_size == modules["summary"].RESERVED_BYTES
    with contextlib.suppress(KeyboardInterrupt), file:
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
