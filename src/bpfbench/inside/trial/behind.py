# SPDX-License-Identifier: Apache-2.0
"""A program of ours that reads what a tracer has written: afterwards, or behind it while it writes."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from typing import Generic, Self, TypeVar

from bpfbench.codec import from_json
from bpfbench.errors import StepError

F = TypeVar("F")

_TIMEOUT_S = 600.0


class Behind(Generic[F]):
    """The program at work. Use as a context manager around the tracer's life: on leaving, it is gone.

    Args:
        name: what it is called where it is spoken of.
        command: it, and what it is told.
        kind: of what it finds.
        inherited: descriptors that it takes over.

    Raises:
        StepError: it cannot be started.
    """

    def __init__(self, name: str, command: Sequence[str], kind: type[F], inherited: Sequence[int] = ()) -> None:
        self._name, self._kind, pipe = name, kind, subprocess.PIPE
        try:
            self._process = subprocess.Popen(
                command, stdin=pipe, stdout=pipe, stderr=pipe, pass_fds=inherited, start_new_session=True
            )
        except OSError as error:
            raise StepError(f"{command[0]} cannot be started: {error.strerror}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._process:
            self._process.kill()

    def result(self) -> F:
        """Say, by the end of its stdin, that nobody writes any more; return what it found once it has read the rest.

        Raises:
            StepError: the output could not be read to its end.
        """
        try:
            found, said = self._process.communicate(timeout=_TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            self.__exit__()
            raise StepError(f"{self._name} was still reading the tracer's output after {_TIMEOUT_S:g} s") from error
        if status := self._process.returncode:
            raise StepError(said.decode(errors="replace").strip() or f"{self._name} ended with status {status}")
        try:
            return from_json(self._kind, found)
        except ValueError as error:
            raise StepError(f"{self._name}'s result cannot be used: {error}") from error
