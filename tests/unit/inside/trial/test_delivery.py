# SPDX-License-Identifier: Apache-2.0
"""The delay of delivery: the pipe that a tracer writes to, who reads it, and what is stored of it."""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path

import pytest
from builders import make_config, make_delivery

from bpfbench.codec import from_json, to_json
from bpfbench.errors import StepError
from bpfbench.inside.trial import delivery
from bpfbench.model import Delivery, Format

READER = """#!/bin/sh
cat >/dev/null
echo '{"records": 1, "output_bytes": 9, "notices": 0, "torn": 0, "impossible": 0, "delay_ns": null}'
"""
BINARY = make_config(format=Format.BINARY)


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in for the program."""
    program = tmp_path / "delivery"
    program.write_text(READER)
    program.chmod(0o755)
    monkeypatch.setattr(delivery, "READER", str(program))
    return program


@pytest.mark.usefixtures("reader")
def test_there_is_a_pipe_that_holds_a_mebibyte_as_long_as_it_is_read(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    with delivery.timed(BINARY, pipe, 5) as reading:
        assert stat.S_ISFIFO(pipe.stat().st_mode)
        end = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)  # fails where nobody reads
        assert fcntl.fcntl(end, fcntl.F_GETPIPE_SZ) == delivery.PIPE_BYTES
        assert os.write(end, bytes(delivery.PIPE_BYTES)) == delivery.PIPE_BYTES
        os.close(end)
        assert reading.result() == Delivery(1, 9, 0, 0, 0, None)
    assert not pipe.exists()


def test_where_the_reader_has_gone_so_has_the_pipe(reader: Path, tmp_path: Path) -> None:
    reader.write_text("#!/bin/sh\necho 'delivery: no' >&2; exit 1\n")
    with pytest.raises(StepError, match="delivery: no"), delivery.timed(BINARY, tmp_path / "pipe", 5) as reading:
        reading.result()
    reader.unlink()
    with pytest.raises(StepError, match="cannot be started"), delivery.timed(BINARY, tmp_path / "pipe", 5):
        pass
    assert not (tmp_path / "pipe").exists()


@pytest.mark.usefixtures("reader")
def test_a_pipe_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    with pytest.raises(StepError, match="the pipe for the tracer's output cannot be made"):
        delivery.timed(BINARY, tmp_path / "none" / "pipe", 5).__enter__()


def test_the_reader_is_told_how_long_a_record_is_unless_it_is_a_line() -> None:
    assert delivery.argv(BINARY, 7, 5)[1:] == ("7", "156", "5")
    assert delivery.argv(make_config(format=Format.BINARY, payload_bytes=100), 7, 5)[1:] == ("7", "256", "5")
    assert delivery.argv(make_config(format=Format.TEXT, payload_bytes=100), 7, 5)[1:] == ("7", "0", "5")


def test_it_is_stored_and_read_again() -> None:
    assert from_json(Delivery, to_json(make_delivery())) == make_delivery()


def test_a_percentile_wants_enough_records_behind_it() -> None:
    found = make_delivery(p99_ms=4.0, records=1000)
    assert [found.percentile_ms(own) for own in ("50", "99", "99.9")] == [2.0, 4.0, 8.0]
    few = make_delivery(records=99)
    assert (few.percentile_ms("50"), few.percentile_ms("99")) == (2.0, None)
    assert Delivery(0, 0, 0, 0, 0, None).percentile_ms("50") is None
