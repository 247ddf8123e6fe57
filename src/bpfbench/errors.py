# SPDX-License-Identifier: Apache-2.0
"""Every error a user can meet. Each says what is wrong, where, and what to do about it.

BpfbenchError                 exit status 1
├── UsageError                exit status 2: the command line cannot be carried out as given
│   └── StudyError            a key of a study file, or the option that overrides it
├── MachineError              this machine lacks something
├── ImageError                an image could not be built or used
├── StoreError                a run directory cannot be read or written
└── StepError                a step of a trial could not be done; becomes the trial's reason
    └── LostError            the virtual machine it was done on is gone
"""

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
    """A study file is wrong; the message names file, key, value and the valid choices."""


class MachineError(BpfbenchError):
    """This machine lacks something."""


class ImageError(BpfbenchError):
    """An image could not be built or used."""


class StoreError(BpfbenchError):
    """A run directory cannot be read or written."""


class StepError(BpfbenchError):
    """A step of a trial could not be done."""


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
