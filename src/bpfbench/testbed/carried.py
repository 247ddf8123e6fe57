# SPDX-License-Identifier: Apache-2.0
"""What is carried into an image besides its own: tracers, commands and targets of a study, their files and packages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from bpfbench.model import DrivenTarget, Setup, TrialSpec, Workload
from bpfbench.testbed.image import Image
from bpfbench.testbed.image.libraries import debian
from bpfbench.testbed.sandbox import INSIDE

BROUGHT = "/run/bpfbench/setups"
"""Where the folders are seen inside an image: of a setup that a study brings by its name."""

TARGET, PACKAGES = "target+", "packages+"
"""What the names of folders of targets, and of packages, begin with, lest they be taken for a setup's."""


def own_files(target: DrivenTarget) -> tuple[Path, ...]:
    """Return the files of a target: of its folder all, but runs in it, or where that is not its own what is named."""
    if target.files is None:
        return ()
    if target.shares_files:
        below = (sorted(own.rglob("*")) if own.is_dir() else [own] for own in target.named_files)
        return tuple(path for paths in below for path in paths if not path.is_dir())
    found = [path for path in sorted(Path(target.files).rglob("*")) if path.is_file() and path.suffix != ".pyc"]
    runs = [path.parent for path in found if path.name == "run.json"]
    return tuple(path for path in found if not any(path.is_relative_to(run) for run in runs))


@dataclass(frozen=True, slots=True)
class Carried:
    """What a study brings, and where it is in the image."""

    image: Image
    setups: Mapping[str, Setup]
    """Those with a command of their own; all others are the image's."""
    targets: Mapping[str, DrivenTarget]
    """Those besides fio."""

    @property
    def folders(self) -> dict[str, Path]:
        """The folders, as BROUGHT has them."""
        return dict(self._folders())

    def _folders(self) -> Iterator[tuple[str, Path]]:
        for name, target in self.targets.items():
            if target.files:
                yield f"{TARGET}{name}", Path(target.files)
            if packages := self.image.part(name):
                yield f"{PACKAGES}{name}", packages
        for name, setup in self.setups.items():
            if setup.files or not setup.is_command:
                yield name, Path(setup.files) if setup.files else Path(setup.command[0]).parent
            if packages := self.image.part(debian(setup.packages)):
                yield f"{PACKAGES}{debian(setup.packages)}", packages

    def tracer_command(self, setup: str) -> tuple[str, ...]:
        """Return what starts the tracer of a setup, less the contract's options."""
        if setup not in self.setups:
            return (f"{INSIDE}/tracers/{setup}/tracer",)
        executable, *arguments = self.setups[setup].command
        return (f"{BROUGHT}/{setup}/{Path(executable).name}", *arguments)

    def filled(self, spec: TrialSpec) -> TrialSpec:
        """Return the spec of a trial with its tracer and its target, as they are inside the image."""
        trial, setup = spec.trial, self.setups.get(spec.trial.setup)
        name = trial.workload.name
        command = setup.commands.get(trial.tool) if setup else None
        return replace(
            spec,
            tracer_command=None if trial.is_vanilla or command else self.tracer_command(trial.setup),
            command=command,
            command_files=f"{BROUGHT}/{setup.name}" if setup and setup.files else "",
            command_packages=f"{BROUGHT}/{PACKAGES}{debian(setup.packages)}" if setup and setup.packages else "",
            target=self._target(trial.workload),
            packages=f"{BROUGHT}/{PACKAGES}{name}" if self.image.part(name) else "",
        )

    def _target(self, workload: Workload) -> DrivenTarget | None:
        """Return what is driven in the place of fio, with its files where they are inside the image."""
        target = self.targets.get(workload.name)
        if target is None or target.files is None:
            return target
        return replace(target, files=f"{BROUGHT}/{TARGET}{target.name}")
