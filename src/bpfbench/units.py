# SPDX-License-Identifier: Apache-2.0
"""Amounts as people write them: bytes and times."""

from __future__ import annotations


def size(count: int) -> str:
    """Write a number of bytes in the largest binary unit that leaves no fraction, else with one decimal."""
    units = ("B", "KiB", "MiB", "GiB", "TiB")
    exact = max(power for power in range(len(units)) if count % 1024**power == 0) if count else 0
    if count < 10240 * 1024**exact:
        return f"{count // 1024**exact} {units[exact]}"
    power = min((count.bit_length() - 1) // 10, len(units) - 1)
    return f"{count / 1024**power:.1f} {units[power]}"


def gib(count: int) -> str:
    """Write a number of bytes in GiB."""
    return f"{count / 2**30:.1f} GiB"


def duration(seconds: float) -> str:
    """Write a time as people say it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def exactly(seconds: float) -> str:
    """Write a time that is compared with another: what is rounded could look the same."""
    return f"{seconds / 60:g} min" if seconds >= 120 and seconds % 60 == 0 else f"{seconds:g} s"


def plural(number: int, what: str) -> str:
    """Write how many there are of something whose plural ends in s."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def count(number: float) -> str:
    """Write how many there are, with three figures."""
    for least, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if number >= least:
            return f"{number / least:.3g}{unit}"
    return f"{number:.3g}"
