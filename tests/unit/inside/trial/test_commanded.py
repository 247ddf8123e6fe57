# SPDX-License-Identifier: Apache-2.0
"""What a command says that it counted is read of what it printed; what was printed is kept, as far as there is room."""

from __future__ import annotations

from pathlib import Path

import pytest

from bpfbench.errors import StepError
from bpfbench.inside.printed import count
from bpfbench.inside.trial.commanded import KEPT_BYTES, _keep
from bpfbench.inside.trial.verify import _command_checks
from bpfbench.model import CallAccount
from bpfbench.model.command import Calls, CommandAccount, Tally

PRINTED = ["PID COMM\n", "12 cat\n", "lost 3 events\n", "13 ls\n", "lost 1,004 events\n", "total 2\n", "total 5\n"]


@pytest.mark.parametrize(
    ("tally", "counted"),
    [
        (Tally(r"^\d+ "), 2),
        (Tally(r"^lost ([\d,]+) events"), 1007),
        (Tally(r"^total (\d+)", last=True), 5),
        (Tally(r"^nothing (\d+)"), 0),
    ],
)
def test_lines_are_counted_numbers_added_up_or_the_last_taken(tally: Tally, counted: int) -> None:
    assert count(tally, PRINTED) == counted


def test_what_is_no_number_is_no_count() -> None:
    with pytest.raises(StepError, match=r"printed 'cat' where /\\d\+ \(\\w\+\)/ has a number"):
        count(Tally(r"\d+ (\w+)"), PRINTED)


def test_of_much_that_was_printed_the_beginning_and_the_end_are_kept(tmp_path: Path) -> None:
    printed, kept = tmp_path / "printed", tmp_path / "kept"
    printed.write_bytes(b"a" * KEPT_BYTES + b"x" * 1000 + b"z" * KEPT_BYTES)
    _keep(printed, kept)
    assert kept.read_bytes() == b"a" * KEPT_BYTES + b"\n[1000 bytes are not kept]\n" + b"z" * KEPT_BYTES
    printed.write_bytes(b"short")
    _keep(printed, kept)
    assert kept.read_bytes() == b"short"


def account(received: int, lost: int | None, calls: Calls | None) -> CommandAccount:
    return CommandAccount(("x",), "", None, 0, received, lost, calls)


def test_who_counts_more_calls_than_there_were_is_not_believed() -> None:
    truth = CallAccount(90, 10)
    (more,) = _command_checks(account(91, 0, Calls.READS), truth)
    (fewer,) = _command_checks(account(60, 40, Calls.BOTH), truth)
    assert (more.ok, fewer.ok) == (False, True)
    assert more.detail == "91 reads by the tracer's word, 90 by the kernel's"
    assert not list(_command_checks(account(10**9, None, None), truth))
