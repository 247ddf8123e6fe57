# SPDX-License-Identifier: Apache-2.0
"""Every error a user can meet. Each says what is wrong, where, and what to do about it."""

from __future__ import annotations


class BpfbenchError(Exception):
    """Base of all errors.

    Args:
        message: what is wrong, and where.
        hint: what to do about it, if that is known.
    """

    exit_status = 1

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(BpfbenchError):
    """The command line cannot be carried out as given."""

    exit_status = 2


class StudyError(UsageError):
    """A key of a study file, or the option that overrides it, is wrong; the message names it and the valid choices."""


class MachineError(BpfbenchError):
    """This machine lacks something."""


class ImageError(BpfbenchError):
    """An image could not be built or used."""


class StoreError(BpfbenchError):
    """A run directory cannot be read or written."""


class StepError(BpfbenchError):
    """A step of a trial could not be done; becomes the trial's reason."""


class LostError(StepError):
    """The virtual machine that a step was done on ended, or was ended, before its time.

    Args:
        message: why, with the last lines of its console.
        hint: what to do about it, if that is known.
        console: what is known of it, whole.
    """

    def __init__(self, message: str, hint: str | None = None, console: str = "") -> None:
        super().__init__(message, hint)
        self.console = console
