# SPDX-License-Identifier: Apache-2.0
"""A run on a cluster before its first trial: who is there, the image brought to them, their ground, its directory."""

from __future__ import annotations

import json
import logging
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from bpfbench.cluster import code, settings
from bpfbench.cluster.client import Cluster, Gone, Heard, LostSchedulerError, TaskEnded
from bpfbench.cluster.order import BlockOrder
from bpfbench.declare import plan
from bpfbench.errors import MachineError
from bpfbench.model import Attach, Study
from bpfbench.run import campaign
from bpfbench.run.progress import ProgressReporter
from bpfbench.run.stage import VENUES, Means
from bpfbench.testbed.image import Image

LOG = logging.getLogger("bpfbench.cluster")

ARRIVE_S = 15.0
"""How long hosts are waited for that are not there; workers may have just been started."""

Grounds = Mapping[str, Mapping[str, Any]]
"""What hosts say of their ground, by name."""


def present_hosts(cluster: Cluster, wanted: Sequence[str]) -> tuple[str, ...]:
    """Return the hosts that a study is run on: those wanted, or all that are there.

    Raises:
        MachineError: one is not there, or none is.
    """
    deadline_s = time.monotonic() + ARRIVE_S
    while not (present := cluster.present()) or set(wanted) - present.keys():
        if time.monotonic() > deadline_s:
            break
        time.sleep(0.5)
    if absent := [host for host in wanted if host not in present]:
        there = ", ".join(sorted(present)) or "none"
        raise MachineError(
            f"not on the cluster: {', '.join(absent)} (there: {there})", "`bpfbench cluster up` starts their workers"
        )
    if not present:
        raise MachineError("no host is on the cluster", "`bpfbench cluster up` starts their workers")
    return tuple(wanted) or tuple(sorted(present))


def greet(cluster: Cluster, study: Study, hosts: Sequence[str], image: Image | None) -> dict[str, dict[str, Any]]:
    """Ask all hosts whether they can do this study; return what they say of themselves.

    Raises:
        MachineError: one cannot, or has another version of bpfbench; says what each says.
    """
    wanted = {"image": image.key, "parts": image.parts} if image else {}
    asked = {"code": code.digest(), "below": study.ground, **wanted}
    return _all(cluster.answers({host: cluster.ask(host, "hello", asked) for host in hosts}))


def remark(said: Mapping[str, Mapping[str, Any]]) -> None:
    """Tell of what hosts say of themselves that is in nobody's way, and good to know."""
    for host, own in said.items():
        if told := settings.clock(float(own.get("now_s") or 0.0)):
            LOG.warning("host %s: %s", host, told)
        if busy := own.get("running"):
            LOG.warning("host %s is at %s, which goes on first", host, str(busy)[:200])


def _all(answers: Mapping[str, dict[str, Any] | MachineError]) -> dict[str, dict[str, Any]]:
    """Return the answers of hosts, all of which must have said yes."""
    refusals = [answer.message for answer in answers.values() if isinstance(answer, MachineError)]
    if refusals:
        raise MachineError("; ".join(sorted(refusals)), "mend that, or leave the host out")
    return {host: answer for host, answer in answers.items() if isinstance(answer, dict)}


def bring_image(cluster: Cluster, study: Study, hosts: Sequence[str], means: Means) -> Image:
    """Have the study's image on all hosts, built here if need be.

    Raises:
        ImageError: it cannot be built.
        MachineError: a host cannot take it.
    """
    with ProgressReporter(means.console) as reporter:
        image = VENUES[study.ground].image(means.cache, study.image, means.sources, reporter.building, *study.wants)
    said = greet(cluster, study, hosts, image)
    if lacking := sorted(host for host, own in said.items() if not own.get("image")):
        packages = f" with {', '.join(image.parts)}" if image.parts else ""
        raise MachineError(
            f"image {image.name} {image.key}{packages} is not on: {', '.join(lacking)}",
            "`bpfbench cluster up` brings it; without SSH: `bpfbench image export` here, `bpfbench image import` there",
        )
    return image


def survey(
    cluster: Cluster, study: Study, hosts: Sequence[str], image: Image, reporter: ProgressReporter
) -> dict[str, dict[str, Any]]:
    """Have all hosts open their ground, side by side, and say what it is.

    Raises:
        MachineError: a host cannot.
    """
    executables = campaign.digests(study)
    name = f"survey-{uuid.uuid4().hex}"
    wanted = (), image.key, executables, image.parts
    orders = {host: BlockOrder(name, code.digest(), study.on(host), *wanted) for host in hosts}
    tasks = {cluster.order(host, order, (), ()): host for host, order in orders.items()}
    grounds: dict[str, dict[str, Any]] = {}
    reasons: dict[str, str] = {}
    while len(grounds.keys() | reasons.keys()) < len(hosts):
        reporter.building(f"the ground of {len(hosts)} hosts", len(grounds) / len(hosts))
        item = cluster.news.get()
        if isinstance(item, Gone):
            raise LostSchedulerError(f"scheduler {cluster.connection.scheduler} is lost")
        if isinstance(item, TaskEnded) and item.key in tasks:
            cluster.release(item.key)
            reasons.setdefault(tasks[item.key], "it says nothing of its ground")
        if isinstance(item, Heard) and (host := item.message.get("host")) in orders:
            _note(item.message, str(host), grounds, reasons)
    for key in tasks:
        cluster.release(key)
    for host in hosts:
        cluster.ask(host, "forget", {"run": name, "blocks": [-1]})
    if failed := [f"host {host}: {reason}" for host, reason in sorted(reasons.items()) if host not in grounds]:
        raise MachineError("; ".join(failed), "mend that, or leave the host out")
    return {host: grounds[host] for host in hosts}


def _note(message: Mapping[str, Any], host: str, grounds: dict[str, dict[str, Any]], reasons: dict[str, str]) -> None:
    """Take down what a host says of its ground."""
    if message.get("kind") == "end" and message.get("reason") is not None:
        reasons.setdefault(host, str(message["reason"])[:2000])
    if message.get("kind") == "ground":
        try:
            ground = json.loads(message["ground"])
            hooks, facts = frozenset(map(Attach, ground["hooks"])), dict(ground["facts"])
            grounds[host] = {"hooks": hooks, "facts": facts, "setups": frozenset(map(str, ground["setups"]))}
        except (KeyError, TypeError, ValueError, RecursionError):
            reasons.setdefault(host, "what it says of its ground is no such thing")


def settle(study: Study, grounds: Grounds) -> tuple[Study, plan.Plan]:
    """Return the study with the hooks that all hosts have, and its plan.

    Raises:
        MachineError: an image lacks a tracer.
        StudyError: a host lacks a way to attach, or no tracer can run, or outputs cannot be bound as the study says.
    """
    hooks = frozenset.intersection(*(ground["hooks"] for ground in grounds.values()))
    setups = frozenset.intersection(*(ground["setups"] for ground in grounds.values()))
    study = plan.resolve(study, hooks)
    if absent := set(study.factors.setups) - setups:
        named = ",".join(sorted(absent))
        raise MachineError(
            f"the image of a host has no tracer for: {named}",
            f"`bpfbench image build {study.image} --setups {named}` and `image export` here, `image import` there",
        )
    unrolled = plan.unroll(study)
    plan.require_tracers(study, unrolled)
    campaign.require_bound(study, unrolled.trials)
    return study, unrolled


def together(grounds: Grounds, kinds: Mapping[str, str]) -> dict[str, Any]:
    """Return the facts of hosts: what they all have in common, and each one's with what the user calls its kind."""
    facts = {host: ground["facts"] for host, ground in grounds.items()}
    first = next(iter(facts.values()))
    common = {key: value for key, value in first.items() if all(own.get(key) == value for own in facts.values())}
    emulated = any(own.get("emulated") for own in facts.values())
    own_facts = {host: {**own, "class": kinds.get(host, "")} for host, own in facts.items()}
    return {**common, **({"emulated": True} if emulated else {}), "hosts": own_facts}
