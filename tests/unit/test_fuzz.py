# SPDX-License-Identifier: Apache-2.0
"""Mutants of studies, records, plans and runs: a few of each here, a thousand with --all (benchmarks/fuzz.py)."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import fuzz
import pytest

pytestmark = pytest.mark.filterwarnings("ignore:Cyclopts application invoked without tokens:UserWarning")
FEW, MANY = 15, 1000


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Have signals do afterwards what they did before bpfbench was called."""
    before = {sign: signal.getsignal(sign) for sign in (signal.SIGINT, signal.SIGTERM)}
    yield
    for sign, handler in before.items():
        signal.signal(sign, handler)


@pytest.mark.parametrize("kind", fuzz.KINDS)
def test_a_mutant_gets_one_clear_message_and_no_number_of_it_that_cannot_be_counts(
    kind: str, request: pytest.FixtureRequest
) -> None:
    mutants = MANY if request.config.getoption("--all") else FEW
    counts, wrong = fuzz.tried(kind, mutants, 11)
    assert [(mutant.what, problem) for mutant, problem in wrong] == []
    assert sum(counts.values()) == mutants
    assert len(counts) > 3


def test_what_is_looked_for_is_seen() -> None:
    assert fuzz.possible({"a": [0, 1.5, {"b": 2**64 - 1}], "c": "-1", "d": True})
    for number in (-1, float("nan"), float("inf"), 2**64):
        assert not fuzz.possible({"a": [{"b": number}]})
    assert fuzz.complaint(fuzz.Said(2, "", "bpfbench: no\n  do this\n")) == ""
    for err in ("", "Traceback\n", "bpfbench: no\nbpfbench: no\n", "bpfbench: \x1b[2J\n", f"bpfbench: {'x' * 9000}\n"):
        assert fuzz.complaint(fuzz.Said(2, "", err)) != ""
