# SPDX-License-Identifier: Apache-2.0
"""The settings of this machine that make results noisy: what they are, and setting them for a while.

Before anything is changed, the originals are saved in a file that lasts until the machine is rebooted, as the settings
do. Left alone is what would change what is measured rather than how steadily: the number of CPUs (SMT), mitigations,
ASLR, write-back.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from bpfbench.catalogue import PACKAGE
from bpfbench.errors import MachineError
from bpfbench.inside.environment import chosen
from bpfbench.inside.kernel.files import text_if_any

STATE = "run/bpfbench/system.json"
"""Where the originals are saved: path -> text."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What can be set: a table of settings.toml."""

    name: str
    pattern: str
    """Of the files, below the root."""
    recommended: str
    reason: str
    """What it does to results when it is not as recommended."""


@dataclass(frozen=True, slots=True)
class State:
    """One file of a setting, as it is. Most settings have one; a governor has one for each group of CPUs."""

    setting: Setting
    path: str
    """Below the root; the pattern, where there is no such file."""
    current: str | None
    """None: this machine does not have the setting."""
    saved: str | None
    """What it was before it was tuned; None: it is as it was."""

    @property
    def as_recommended(self) -> bool:
        """Whether there is nothing to do."""
        return self.current in (None, self.setting.recommended)


class Tuned(StrEnum):
    """What came of setting one."""

    CHANGED = "changed"
    KEPT = "kept"
    """It was so already."""
    ABSENT = "absent"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Change:
    """What was done to one file of a setting."""

    name: str
    path: str
    outcome: Tuned
    before: str | None
    after: str | None
    reason: str | None = None
    """Why it failed."""


def show(root: Path = Path("/")) -> tuple[State, ...]:
    """Return all settings as they are.

    Raises:
        MachineError: what was saved cannot be read.
    """
    saved = _saved(root)
    tables = tomllib.loads((PACKAGE / "machine" / "settings.toml").read_text())["setting"]
    return tuple(
        State(setting, path, _current(root / path), saved.get(path))
        for setting in (Setting(**table) for table in tables)
        for path in _paths(root, setting)
    )


def tune(root: Path = Path("/")) -> tuple[Change, ...]:
    """Set everything as recommended, with the originals saved first. Done again, it saves none again.

    Raises:
        MachineError: the originals cannot be saved; nothing is changed then.
    """
    states = show(root)
    originals = {state.path: state.current for state in states if state.current and not state.as_recommended}
    _save(root, {**originals, **_saved(root)})
    return tuple(_set(root, state.setting.name, state.path, state.setting.recommended) for state in states)


def restore(root: Path = Path("/")) -> tuple[Change, ...]:
    """Set everything that was tuned as it was before. What fails stays saved, to be tried again.

    Raises:
        MachineError: what was saved cannot be read or changed.
    """
    names = {state.path: state.setting.name for state in show(root)}
    saved = _saved(root)
    changes = tuple(_set(root, names.get(path, path), path, original) for path, original in saved.items())
    failed = {change.path for change in changes if change.outcome is Tuned.FAILED}
    _save(root, {path: original for path, original in saved.items() if path in failed})
    return changes


def _set(root: Path, name: str, path: str, wanted: str) -> Change:
    before = _current(root / path)
    if before is None:
        return Change(name, path, Tuned.ABSENT, None, None)
    if before == wanted:
        return Change(name, path, Tuned.KEPT, before, before)
    try:
        (root / path).write_text(f"{wanted}\n")
    except OSError as error:
        return Change(name, path, Tuned.FAILED, before, before, error.strerror)
    after = _current(root / path)
    if after != wanted:
        return Change(name, path, Tuned.FAILED, before, after, f"the kernel did not take {wanted}")
    return Change(name, path, Tuned.CHANGED, before, after)


def _paths(root: Path, setting: Setting) -> Iterator[str]:
    found = sorted(str(path.relative_to(root)) for path in root.glob(setting.pattern))
    yield from found or [setting.pattern]


def _current(path: Path) -> str | None:
    text = text_if_any(path)
    return None if text is None else chosen(text)


def _saved(root: Path) -> dict[str, str]:
    path = root / STATE
    try:
        found = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise MachineError(f"{path}, which has the original settings, cannot be read: {error}") from error
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise MachineError(f"{path} does not have the original settings", "it was edited: set them by hand, delete it")
    return found


def _save(root: Path, originals: dict[str, str]) -> None:
    path = root / STATE
    try:
        if not originals:
            path.unlink(missing_ok=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(".new")
        beside.write_text(json.dumps(originals, indent=1) + "\n")
        beside.replace(path)
    except OSError as error:
        raise MachineError(f"the original settings cannot be saved in {path}: {error.strerror}") from error
