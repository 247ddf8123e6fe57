# SPDX-License-Identifier: Apache-2.0
"""What is carried into an image besides its own: tracers, commands and targets of a study, their files and packages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from bpfbench.model import DrivenTarget, Setup, TrialSpec, Workload
from bpfbench.testbed.image import Image
from bpfbench.testbed.sandbox import INSIDE

BROUGHT = "/run/bpfbench/setups"
"""Where the folders are seen inside an image: of a setup that a study brings by its name."""

TARGET, PACKAGES, DEBIAN = "target+", "packages+", "debian+"
"""What the names of folders of targets, of their packages, and of those of commands begin with, lest they be taken for
a setup's."""


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
            if (packages := self._packages(name)).is_dir():
                yield f"{PACKAGES}{name}", packages
        for name, setup in self.setups.items():
            if setup.files or not setup.is_command:
                yield name, Path(setup.files) if setup.files else Path(setup.command[0]).parent
            if setup.packages and (packages := self._debian(setup)).is_dir():
                yield f"{DEBIAN}{packages.name}", packages

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
            command_packages=f"{BROUGHT}/{DEBIAN}{self._debian(setup).name}" if setup and setup.packages else "",
            target=self._target(trial.workload),
            packages=f"{BROUGHT}/{PACKAGES}{name}" if self._packages(name).is_dir() else "",
        )

    def _target(self, workload: Workload) -> DrivenTarget | None:
        """Return what is driven in the place of fio, with its files where they are inside the image."""
        target = self.targets.get(workload.name)
        if target is None or target.files is None:
            return target
        return replace(target, files=f"{BROUGHT}/{TARGET}{target.name}")

    def _packages(self, target: str) -> Path:
        """Return where the packages of a target are, if it has any."""
        return Path(self.image.targets) / target

    def _debian(self, setup: Setup) -> Path:
        """Return where the packages of a setup's commands are, once they are there."""
        return Path(self.image.packages_of_commands) / "+".join(setup.packages)
