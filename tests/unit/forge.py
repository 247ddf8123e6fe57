# SPDX-License-Identifier: Apache-2.0
"""The steps of action.yml, run as a forge's runner runs them: scripts by bash, with inputs in their environment."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

TOP = Path(__file__).parents[2]
ACTION: dict[str, Any] = yaml.safe_load((TOP / "action.yml").read_text())
STEPS: dict[str, dict[str, Any]] = {step["name"]: step for step in ACTION["runs"]["steps"]}
IDS = {step["id"] for step in STEPS.values() if "id" in step}
EXPRESSION = re.compile(r"\$\{\{ *(.+?) *\}\}")


@dataclass
class Job:
    """A job on a machine, and what its steps have told so far."""

    place: Path
    """Where the runner has its files."""
    inputs: Mapping[str, str] = field(default_factory=dict)
    """Those that differ from their defaults."""
    commands: Path | None = None
    """A directory with commands that come before all others."""
    outputs: dict[str, str] = field(default_factory=dict)

    @property
    def gate(self) -> Path:
        """Where the action keeps runs and tables."""
        return self.place / "bpfbench" / self._value("inputs.baseline")

    @property
    def summary(self) -> str:
        """What the steps have written into the job's summary."""
        return self._file("summary").read_text()

    def run(self, name: str) -> subprocess.CompletedProcess[str]:
        """Run a step's script, and take up what it tells those that follow."""
        step = STEPS[name]
        given = {key: EXPRESSION.sub(lambda found: self._value(found[1]), said) for key, said in step["env"].items()}
        told = {f"GITHUB_{what}": str(self._file(what.lower())) for what in ("PATH", "OUTPUT")}
        around = {
            "GITHUB_ACTION_PATH": str(TOP),
            "GITHUB_STEP_SUMMARY": str(self._file("summary")),
            "GITHUB_SHA": "0123456789abcdef0123456789abcdef01234567",
            "GITHUB_REPOSITORY": "somebody/tracer",
            "PATH": os.pathsep.join([*self._paths(), os.environ["PATH"]]),
        }
        argv = ("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"])
        environment = os.environ | told | around | given
        done = subprocess.run(argv, cwd=self.place, env=environment, capture_output=True, text=True, check=False)
        for line in self._file("output").read_text().splitlines():
            key, _, value = line.partition("=")
            self.outputs[f"steps.{step.get('id')}.outputs.{key}"] = value
        self._file("output").write_text("")
        return done

    def _paths(self) -> Iterator[str]:
        if self.commands is not None:
            yield str(self.commands)
        yield from reversed(self._file("path").read_text().splitlines())

    def _file(self, name: str) -> Path:
        path = self.place / f"{name}.txt"
        path.touch()
        return path

    def _value(self, expression: str) -> str:
        """Return what an expression stands for; one that the runner has and we do not is a KeyError."""
        kind, _, name = expression.partition(".")
        if kind == "inputs":
            return self.inputs[name] if name in self.inputs else str(ACTION["inputs"][name]["default"])
        known = {"runner.temp": str(self.place), "github.event.pull_request.number": "7", **self.outputs}
        if kind == "steps" and name.partition(".")[0] in IDS:
            return known.get(expression, "")  # as of what a step has not said
        return known[expression]
