# SPDX-License-Identifier: Apache-2.0
"""The content of a tracer's output, as far as a record tells of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Defect:
    """Records that are wrong in one way."""

    count: int
    record: int
    """The first of them, from 1."""
    example: str
    """What is wrong with that one, with its values."""


@dataclass(frozen=True, slots=True)
class Silence:
    """A time without a record of the data files, by CLOCK_MONOTONIC."""

    begin_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class ProfileContent:
    """What the lines of fs-profile come to."""

    files: int
    """Lines of latencies."""
    other: int
    """Calls in those of no file: without one, or of a file for which there was no room."""
    slow: int
    """Calls that were sent one by one, with their stacks."""
    slow_least: int
    """How many there are by the latencies at least, and at most: where it begins is within a slot."""
    slow_most: int


@dataclass(frozen=True, slots=True)
class Content:
    """What reading all records of a tracer's output found; the program is tracers/audit.

    A *data record* is one of a data file, by inode and device; all others are the target's own accesses.
    """

    output_bytes: int
    """Size of the output."""
    records: int
    """Whole ones, good or bad."""
    record_bytes: int
    """Of those alone."""
    notices: int
    """Lines of bpftrace's among the records, where its adapter has not taken them out."""
    data_reads: int
    data_writes: int
    other_records: int
    uncopied: int
    """Other records that lack their payload: it could not be copied."""
    comparable: int
    """Data records with a payload whose file holds it still."""
    compared: int
    """Those that were compared with the file, a sample: the first, and every compare_every-th after it."""
    compare_every: int
    """0: none."""
    first_ns: int | None
    """When the first call on the data ended; None without one."""
    last_ns: int | None
    peak_bytes: int | None
    """The most the output took on the disk; None where nobody followed it."""
    released_bytes: int | None
    """What was given back to the disk while it was written."""
    silences: tuple[Silence, ...]
    """Between calls on the data: the eight longest, the longest first."""
    defects: dict[str, Defect]
    """By kind, as tracers/audit/defects.h names them; those that were found."""
    profile: ProfileContent | None = None
    """Of fs-profile, whose records are calls: those in its latencies, and the slow ones once more."""
