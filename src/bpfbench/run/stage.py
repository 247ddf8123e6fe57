# SPDX-License-Identifier: Apache-2.0
"""The stage: the one way to measured ground, and off it again with nothing left behind.

    with Stage(study, means) as stage:
        stage.testbed.run(…)

Entering it checks that this machine can do what the study wants, waits for its turn, builds the image, makes ready what
the testbed wants besides, and opens that. What is done on the stage is all that run, bench, check and trace differ in.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from rich.console import Console

from bpfbench.declare import plan
from bpfbench.errors import MachineError, UsageError
from bpfbench.machine.turn import OnWait, alone
from bpfbench.model import Accelerator, Sources, Study
from bpfbench.run.progress import ProgressReporter
from bpfbench.soundness import exposed
from bpfbench.testbed import host
from bpfbench.testbed.base import Ground, Sizes, Testbed, Venue
from bpfbench.testbed.image import Image
from bpfbench.testbed.image.layers import Progress
from bpfbench.testbed.vm import accelerator
from bpfbench.testbed.vm import testbed as vm

VENUES: dict[str, Venue] = {"host": host.VENUE, "vm": vm.VENUE}
"""By the names of catalogue.TESTBEDS."""


@dataclass(frozen=True, slots=True)
class Means:
    """What a stage is made with, whatever comes on it."""

    cache: Path
    """bpfbench's cache directory: images, data files, and the lock of the machine."""
    sources: Sources
    """Where an image's packages come from."""
    console: Console
    """Shows how an image is built."""
    on_wait: OnWait = None


class Stage:
    """Measured ground. Use as a context manager: on leaving, nothing of it is running, and the machine is free.

    Args:
        study: says where: testbed, image, kernels, virtual machines, directories, and which setups must be there.
        means: what the stage is made with.
        disks: what those of virtual machines must hold.
        image: gets the image that is wanted, and tells how it is built; None: it is the study's.

    Raises (on entering):
        ImageError: the image, a kernel or a disk could not be built.
        MachineError: this machine lacks something, or another bpfbench has it, or the image lacks a tracer.
        StudyError: the study names a way to attach that the kernel lacks.
    """

    study: Study
    """With the hooks that are there in the place of `auto`."""
    testbed: Testbed
    """Open."""

    def __init__(
        self, study: Study, means: Means, disks: Sizes = Sizes(), image: Callable[[Progress], Image] | None = None
    ) -> None:
        self.study = study
        self._means = means
        self._disks = disks
        self._image = image

    def __enter__(self) -> Self:
        venue = _venue(self.study)
        venue.check()
        with contextlib.ExitStack() as leaving:
            leaving.enter_context(alone(self._means.on_wait))
            self.testbed = leaving.enter_context(self._made(venue))
            self.study = plan.resolve(self.study, self.testbed.hooks)
            if absent := set(self.study.factors.setups) - self.testbed.setups:
                name = self.testbed.image.name
                raise MachineError(f"image {name} has no tracer for: {', '.join(sorted(absent))}")
            self.testbed.discard_outputs()
            self._leaving = leaving.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._leaving.__exit__(*error)  # type: ignore[arg-type]

    def _made(self, venue: Venue) -> Testbed:
        study, means = self.study, self._means
        with ProgressReporter(means.console) as reporter:
            wanted = study.image, means.sources, reporter.building, *study.wants
            image = self._image(reporter.building) if self._image else venue.image(means.cache, *wanted)
            ground = Ground(study, image, means.cache, means.sources, reporter.building, self._disks)
            for option, path in (("--data-dir", ground.data_dir), ("--output-dir", ground.output_dir)):
                if reason := exposed(path):
                    raise MachineError(reason, f"choose another directory: {option}")
            return venue.testbed(ground)


def _venue(study: Study) -> Venue:
    if study.testbed not in VENUES:
        raise UsageError(
            f"testbed {study.testbed} is no ground of its own: it runs studies on hosts (`bpfbench run`)",
            f"choose --testbed {' or '.join(VENUES)}",
        )
    return VENUES[study.testbed]


def foreseen(study: Study) -> Study:
    """Return a study with the hooks that it is going to find in the place of `auto`, as far as that can be told here.

    Raises:
        StudyError: it names one that the kernel lacks.
    """
    if study.testbed not in VENUES:
        return study  # its hosts tell
    hooks = _venue(study).hooks()
    return plan.resolve(study, hooks) if hooks else study


def expected_accelerator(study: Study, cache: Path) -> Accelerator:
    """Return what virtual machines will be run with, as far as that is known without trying: `auto` where it is not."""
    wanted, probe = study.machine.accelerator, accelerator.known(cache)
    if wanted is Accelerator.TCG or accelerator.lack() or (probe and probe.reason):
        return Accelerator.TCG
    return Accelerator.KVM if probe else wanted
