# SPDX-License-Identifier: Apache-2.0
"""Places that a command line names to write to: what is refused there."""

from __future__ import annotations

from pathlib import Path

from bpfbench.errors import StoreError
from bpfbench.soundness import exposed

GENERATOR = '<meta name="generator" content="bpfbench'
BEGINNING = 2_000
"""Characters in which a page says who made it, and what it is."""


def is_ours(page: Path, title: str) -> bool:
    """Tell whether a file is a page of bpfbench's, which may be written anew.

    Args:
        page: the file.
        title: what the page's title says behind `bpfbench`: the verb.
    """
    try:
        if not page.is_file():
            return False
        with page.open(errors="replace") as file:
            beginning = file.read(BEGINNING)
    except OSError:
        return False
    return GENERATOR in beginning and f"<title>bpfbench {title}" in beginning


def require_unlinked(path: Path, within: Path, hint: str = "choose another --output") -> None:
    """Refuse a link, and as root a place that others could put one into.

    Args:
        path: what is written.
        within: what others are not to write to.
        hint: what to do then.

    Raises:
        StoreError: so it is.
    """
    if path.is_symlink():
        raise StoreError(f"{path}: is a link, and bpfbench follows none where it writes", hint)
    if reason := exposed(within):
        raise StoreError(reason, hint)
