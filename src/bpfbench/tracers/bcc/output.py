# SPDX-License-Identifier: Apache-2.0
"""The output file behind one buffer, which knows at any time how many records are wholly in the file."""

import contextlib
import os
from bisect import bisect_right
from collections.abc import Callable
from ctypes import Array, c_char


class Output:
    """Opening raises OSError. A later error is kept in `error` and told to on_error; nothing is written after it.

    A record that is longer than the buffer is written by itself.
    """

    def __init__(self, path: str, buffer_bytes: int, on_error: Callable[[], None]) -> None:
        self.error: OSError | None = None
        self.saved = 0  # records wholly in the file
        self.lost = 0  # records put, but not in the file because of the error
        self.bytes = 0  # size of the saved records
        self._on_error = on_error
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        self._limit = buffer_bytes
        self._buffer = bytearray(buffer_bytes)
        self._used = 0
        self._ends: list[int] = []  # where each record in the buffer ends

    @property
    def taken(self) -> int:
        """How many records have been put so far."""
        return self.saved + self.lost + len(self._ends)

    def put(self, record: "bytes | Array[c_char]") -> None:
        # [snippet output_bytes]
        end = self._used + len(record)
        if end > self._limit:
            self.flush()
            end = len(record)
        self._buffer[self._used : end] = record  # copied in place; a longer one makes it grow
        self._used = end
        self._ends.append(end)
        # [end output_bytes]

    def flush(self) -> None:
        written = 0 if self.error else self._write()
        whole = bisect_right(self._ends, written)
        self.saved += whole
        self.lost += len(self._ends) - whole
        self.bytes += self._ends[whole - 1] if whole else 0
        if self.error:
            self._cut_back()
        self._used = 0
        self._ends.clear()

    def close(self) -> None:
        try:
            os.close(self._fd)
        except OSError as error:
            self.error = self.error or error

    def _write(self) -> int:
        """Returns how many bytes were written: all, unless there was an error. (os.write() itself retries on EINTR.)"""
        written = 0
        try:
            with memoryview(self._buffer) as view:
                while written < self._used:
                    written += os.write(self._fd, view[written : self._used])
        except OSError as error:
            self.error = error
            self._on_error()
        return written

    def _cut_back(self) -> None:
        with contextlib.suppress(OSError):  # a device or a pipe cannot be cut, and need not be
            os.ftruncate(self._fd, self.bytes)
