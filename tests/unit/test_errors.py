# SPDX-License-Identifier: Apache-2.0
"""Every error says what is wrong, may say what to do, and has an exit status that scripts can rely on."""

from __future__ import annotations

import pytest

from bpfbench import errors
from bpfbench.errors import BpfbenchError, StudyError, UsageError

ALL = [cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, BpfbenchError)]


@pytest.mark.parametrize("cls", ALL, ids=lambda cls: cls.__name__)
def test_an_error_carries_message_and_hint(cls: type[BpfbenchError]) -> None:
    error = cls("the disk is full", "free some")
    assert (str(error), error.message, error.hint) == ("the disk is full", "the disk is full", "free some")
    assert cls("the disk is full").hint is None


@pytest.mark.parametrize("cls", ALL, ids=lambda cls: cls.__name__)
def test_mistakes_of_the_command_line_exit_with_2_and_everything_else_with_1(cls: type[BpfbenchError]) -> None:
    assert cls("x").exit_status == (2 if issubclass(cls, UsageError) else 1)


def test_a_wrong_study_is_a_mistake_of_the_command_line() -> None:
    assert issubclass(StudyError, UsageError)
