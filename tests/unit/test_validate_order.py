# SPDX-License-Identifier: Apache-2.0
"""benchmarks/validate_order.py: both protocols run the same, and what it prints is what was put into its records."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import validate_order
from simulated import simulated

from bpfbench.analysis import order
from bpfbench.analysis.results import of
from bpfbench.codec import to_json
from bpfbench.model import VANILLA, Record


def test_both_protocols_run_the_same_blocks_reads_and_writes_in_turn() -> None:
    _, blocks = validate_order.planned(20, 1 / 64)
    found = list(validate_order.schedule(blocks))
    names = [own[0].workload.name for _, own in found]
    assert names == ["read", "write"] * 20
    of = {name: [own for protocol, own in found if protocol == name] for name in validate_order.PROTOCOLS}
    assert of[validate_order.WAS] == of[validate_order.IS] == blocks
    assert all([trial.setup for trial in own].count(VANILLA) == 2 and len(own) == 6 for own in blocks)
    first = [protocol for protocol, _ in found[::4]]
    assert first == [validate_order.WAS, validate_order.IS] * 5


def test_first_over_later_is_found_of_whom_it_is() -> None:
    found = validate_order.by_workload(order.timed(of(simulated(1, blocks=40, first=1.5))))
    reads, writes = (validate_order.first_over_later(found[name]) for name in ("read", "write"))
    assert reads is not None
    assert writes is not None
    assert reads.interval is not None
    assert writes.interval is not None
    assert 1.3 < reads.interval.low <= 1.5 <= reads.interval.high
    assert writes.interval.low <= 1.0 <= writes.interval.high


@pytest.mark.filterwarnings("error")
def test_the_sd_falls_by_what_the_second_vanilla_takes_away() -> None:
    # Noise of one size everywhere: a ratio has sqrt(2) of it with one vanilla, sqrt(1.5) with the mean of two.
    rng = np.random.default_rng(1)
    one = rng.normal(0, 0.1, (400, 4, 1)) - rng.normal(0, 0.1, (400, 1, 2))
    ratios = validate_order.Ratios(("a", "b", "c", "d"), one, one.mean(axis=2, keepdims=True))
    every, of_workload, *cells = validate_order.falls({"read": ratios}, {"read": ratios})
    assert (every.was, every.now) == (of_workload.was, of_workload.now)
    assert every.was == pytest.approx(0.1 * 2**0.5, rel=0.05)
    assert every.now == pytest.approx(0.1 * 1.5**0.5, rel=0.05)
    assert every.low < (1.5 / 2) ** 0.5 < every.high
    assert [own.what for own in cells] == ["read, a", "read, b", "read, c", "read, d"]


def test_records_that_were_kept_are_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for protocol, first in ((validate_order.WAS, 1.5), (validate_order.IS, 1.0)):
        for record in simulated(1, blocks=20, first=first):
            write(tmp_path / protocol / record.trial.id, record)
        warm_up = dataclasses.replace(record, trial=dataclasses.replace(record.trial, id="warm", warm_up=True))
        write(tmp_path / protocol / "warm", warm_up)
    found = json.loads(json.dumps(validate_order.report(tmp_path), allow_nan=False))
    assert found["trials"] == {validate_order.WAS: {"ok": 120}, validate_order.IS: {"ok": 120}}
    assert [found["examined"][protocol]["order"]["found"] for protocol in validate_order.PROTOCOLS] == [True, False]
    printed = capsys.readouterr().out
    assert "| as it was | read | 10 | 1." in printed
    assert "| all | " in printed


def write(place: Path, record: Record) -> None:
    place.mkdir(parents=True)
    (place / "record.json").write_text(to_json(record))
