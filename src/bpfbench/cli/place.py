# SPDX-License-Identifier: Apache-2.0
"""Places that a command line names to write to: what of others is refused there, and how a file is written."""

from __future__ import annotations

import os
from pathlib import Path

from bpfbench.errors import StoreError, UsageError
from bpfbench.soundness import exposed, trusted

GENERATOR = '<meta name="generator" content="bpfbench'
BEGINNING = 2_000
"""Characters in which a page says who made it, and what it is."""
STREAMS = {"/dev/stdout": 1, "/dev/stderr": 2}
OPEN_FILES = (Path("/dev/fd"), Path("/proc/self/fd"))
"""Where what we have open has a name: its number."""


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


def require_file(
    path: Path | None, option: str = "--output", *, kinds: tuple[str, ...] = (), anew: bool = False
) -> None:
    """Refuse a file that could not be written, or that root had better not write, before anything is worked out.

    An ordinary user is not held back by links, but for those in a run directory, which may be anybody's.

    Args:
        path: of the file; None: there is to be none.
        option: by which it was named.
        kinds: how its name may end, where that matters.
        anew: whether it takes the place of what is there, be that a device, and is not written into it.

    Raises:
        StoreError: others could have a link followed.
        UsageError: it is no file, or in no directory.
    """
    right = path is None or not kinds or path.suffix in kinds
    if path is None or (right and _descriptor(path) is not None and not anew):
        return
    hint, root = f"choose another {option}", os.geteuid() == 0
    something = path.exists() if anew else path.is_dir()
    if not right or not path.absolute().parent.is_dir() or (something and not path.is_file()):
        where = f"option {option}: " if option.startswith("--") else ""
        what = f"no {' or '.join(kinds)} file" if kinds else "not a file"
        raise UsageError(f"{where}{str(path)!r} is {what} in an existing directory", hint)
    if root or (path.parent / "run.json").exists():
        require_unlinked(path, path.absolute().parent, hint)
    if root and path.exists() and (owner := path.lstat().st_uid) not in trusted().users:
        raise StoreError(f"{path}: belongs to user {owner}, who could put a link there", hint)


def write(path: Path, content: str | bytes, option: str = "--output") -> None:
    """Write a file for which `require_file` holds, which is looked at again: minutes may have passed.

    Raises:
        StoreError: others could have a link followed.
        OSError: it cannot be written.
        UsageError: it is no file any more, or in no directory.
    """
    there = path.exists()
    require_file(path, option)
    with open(_opened(path, there=there), "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)


def _opened(path: Path, *, there: bool) -> int:
    if (number := _descriptor(path)) is not None:
        return os.dup(number)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    if os.geteuid() == 0:  # what is there, nobody else can replace; whatever others put there now is not written to
        flags |= os.O_NOFOLLOW | (0 if there else os.O_EXCL)
    return os.open(path, flags, 0o666)


def _descriptor(path: Path) -> int | None:
    """Return which of the files that we have open a path names: whoever called us has chosen where that leads."""
    if path.parent in OPEN_FILES and path.name.isdecimal():
        return int(path.name)
    return STREAMS.get(str(path))
