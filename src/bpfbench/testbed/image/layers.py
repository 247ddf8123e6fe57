# SPDX-License-Identifier: Apache-2.0
"""Layers: directories named by what they are made of, built aside under a lock and renamed into place when whole."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from bpfbench.codec import from_json
from bpfbench.errors import ImageError
from bpfbench.machine import command, turn
from bpfbench.machine.command import Ending
from bpfbench.machine.privileges import as_root

T = TypeVar("T")
Progress = Callable[[str, float], None]
"""Told what is being done and which share of the whole build is done, 0 to 1."""


class Stopped(BaseException):
    """A build was ended, as another failed, or we were interrupted: it is no error, and nobody asks for its log."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where a layer is being built."""

    partial: Path
    """What becomes the layer."""
    tell: Progress
    """Told which step it is at, and which share of this layer is done."""
    ending: Ending
    """Ends its commands."""

    def run(self, argv: Sequence[str], what: str, on_line: Callable[[str], None] = lambda _: None) -> None:
        """Run a step of the build, with its words in the layer's log, and each told to `on_line`, too.

        Raises:
            ImageError: it failed; has its last words and where the log is.
            Stopped: it was ended.
        """
        last: list[str] = []
        with (self.partial / "log").open("a") as log:

            def keep(line: str) -> None:
                log.write(line + "\n")
                last[:] = [*last[-4:], line]
                on_line(line)

            finished = command.run(argv, on_line=keep, merge_stderr=True, ending=self.ending)
        if finished.status != 0 and self.ending.over:
            raise Stopped
        if finished.status != 0:
            words = "\n  ".join(last) or "no message"
            raise ImageError(
                f"{what} could not be built (exit status {finished.status}):\n  {words}",
                f"see {_failed_log(self.partial)}",
            )


def digest(*parts: bytes) -> str:
    """Return a content address: short, fit for a file name, and of these parts in this order only."""
    found = hashlib.sha256()
    for part in parts:
        found.update(len(part).to_bytes(8, "little") + part)
    return found.hexdigest()[:16]


def name_and_key(layer: str) -> tuple[str, str]:
    """Take the name of a layer, NAME-KEY, apart."""
    name, _, key = layer.rpartition("-")
    return name, key


def contents(files: Iterable[Path], base: Path) -> Iterator[bytes]:
    """Yield what files are told apart by: where below `base`, whether executable, and what is in them."""
    for path in sorted(files):
        yield str(path.relative_to(base)).encode()
        yield b"x" if os.access(path, os.X_OK) else b"-"
        yield path.read_bytes()


def lock(cache: Path, progress: Progress) -> contextlib.AbstractContextManager[object]:
    """Let one build run at a time, as images share layers."""
    return turn.locked(cache / "images.lock", lambda _: progress("waiting for another build of an image", 0.0))


@contextlib.contextmanager
def aside(layer: Path) -> Iterator[Path]:
    """Give a directory to build in, renamed to `layer` if all went well; one that a killed build left is deleted first.

    A failed build's log is kept beside, as LAYER.failed.log.
    """
    partial = _partial(layer)
    delete_tree(partial)
    partial.mkdir(parents=True)
    try:
        yield partial
        partial.rename(layer)
    except BaseException as error:
        if not isinstance(error, Stopped):
            with contextlib.suppress(OSError):
                (partial / "log").rename(_failed_log(partial))
        delete_tree(partial)
        raise


def load(cls: type[T], layer: Path, name: str) -> T:
    """Read what a layer says of itself.

    Raises:
        FileNotFoundError: it is not built.
        ImageError: another version of bpfbench built it.
    """
    path = layer / name
    try:
        return from_json(cls, path.read_bytes())
    except ValueError as error:
        raise ImageError(f"{path}: {error}", f"another version of bpfbench built it: delete {layer}") from error


def remove(layer: Path) -> None:
    """Delete what is finished, so that an interruption leaves something that does not look finished."""
    partial = _partial(layer)
    delete_tree(partial)
    layer.rename(partial)
    delete_tree(partial)


def delete_tree(path: Path) -> None:
    """Delete a tree without crossing into another file system, should anything be mounted below it."""
    if path.exists():
        finished = command.run((*as_root(), "rm", "-rf", "--one-file-system", "--", str(path)))
        if finished.status != 0:
            raise ImageError(f"{path} could not be deleted: {finished.last_words}")


def taken_bytes(path: Path) -> int:
    """Return what a file or a tree takes of its disk, as `du` has it: less than its length where it is sparse."""
    lines: list[str] = []
    command.run((*as_root(), "du", "-sx", "--block-size=1", "--", str(path)), on_line=lines.append)
    return int(lines[0].split()[0]) if lines else 0


def _partial(layer: Path) -> Path:
    return layer.with_name(f"{layer.name}.partial")


def _failed_log(partial: Path) -> Path:
    return partial.with_suffix(".failed.log")
