# SPDX-License-Identifier: Apache-2.0
"""cluster: many hosts brought up by SSH, looked at, and taken down."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from bpfbench.cli import extras
from bpfbench.cli.app import Verbose, cache_dir, stderr
from bpfbench.cli.means import SourceOptions, means
from bpfbench.cli.show import Form, show
from bpfbench.declare import hosts as declared
from bpfbench.declare.hosts import Hosts
from bpfbench.report.document import Block, Paragraph, table
from bpfbench.run.progress import set_up_logging

with contextlib.suppress(ModuleNotFoundError):  # all verbs are loaded where one is misspelt
    from bpfbench.cluster import certificates, node, scheduler, up, worker
    from bpfbench.cluster.up import HostOutcome

cluster_app = App(
    name="cluster", help="Measure on many hosts as one: up, status, down (docs/cluster.md).", help_format="plaintext"
)
node_app = App(name="node", show=False, help="What `cluster up` calls on a host.", help_format="plaintext")
cluster_app.command(node_app)

HostsFile = Annotated[Path, Parameter(help="A file of hosts; docs/cluster.md shows one.")]
Certificates = Annotated[Path | None, Parameter(help="A directory with ca.pem, node.pem and node.key.")]
Insecure = Annotated[
    bool, Parameter(negative="", help="Without certificates on a network: whoever reaches it is root on all hosts.")
]
DEFAULT_FILE = Path("hosts.toml")


@cluster_app.command(name="up")
def up_(
    file: HostsFile = DEFAULT_FILE,
    /,
    *,
    source_options: SourceOptions = SourceOptions(),
    verbose: Verbose = False,
    form: Form = Form(),
) -> int:
    """Check every host, bring what it lacks (bpfbench, the image, certificates), and start its worker. May be repeated.

    This machine gets the scheduler. Hosts are reached by SSH; their keys must be known here.

    Exit status: 0, all hosts are ready; 1, one is not.
    """
    extras.require("cluster", "a cluster")
    set_up_logging(stderr, verbose=verbose)
    hosts = declared.load(file)
    outcomes = up.up(hosts, means(source_options, wait=False), _tell)
    _report(hosts, outcomes, form)
    if not _status(outcomes):
        _tell(f"next: bpfbench run STUDY --testbed cluster --hosts {file}")
    return _status(outcomes)


@cluster_app.command
def status(file: HostsFile = DEFAULT_FILE, /, *, verbose: Verbose = False, form: Form = Form()) -> int:
    """Show what each host has, and where the scheduler is.

    Exit status: 0, all hosts answered; 1, one did not.
    """
    extras.require("cluster", "a cluster")
    set_up_logging(stderr, verbose=verbose)
    hosts = declared.load(file)
    outcomes = up.status(hosts)
    _report(hosts, outcomes, form)
    return _status(outcomes)


@cluster_app.command
def down(
    file: HostsFile = DEFAULT_FILE,
    /,
    *,
    purge: Annotated[
        bool,
        Parameter(negative="", help="Also delete records not yet fetched, and all that was brought except images."),
    ] = False,
    verbose: Verbose = False,
) -> int:
    """End the scheduler and what runs on hosts, and delete the certificates. Records not yet fetched are kept.

    Exit status: 0, all hosts are down; 1, one could not be taken down.
    """
    extras.require("cluster", "a cluster")
    set_up_logging(stderr, verbose=verbose)
    outcomes = up.down(declared.load(file), cache_dir(), _tell, purge=purge)
    for own in outcomes:
        if own.error is None:
            blocks = own.facts["blocks"]
            _tell(f"{own.host.name}: {_ended(bool(own.facts['worker']), int(blocks))}")
    _complain(outcomes)
    return _status(outcomes)


@cluster_app.command(name="scheduler", show=False)
def scheduler_(
    *, listen: str, port: int, certificates: Certificates = None, insecure: Insecure = False, said: Path | None = None
) -> int:
    """Be the scheduler of a cluster, until ended."""
    extras.require("cluster", "a cluster")
    scheduler.serve(listen, port, certificates, insecure=insecure, said=said)
    return 0


@cluster_app.command(name="worker", show=False)
def worker_(
    *,
    scheduler: str,
    name: str,
    certificates: Certificates = None,
    cache: Path | None = None,
    insecure: Insecure = False,
) -> int:
    """Be the worker of a host, until ended."""
    extras.require("cluster", "a cluster")
    worker.serve(scheduler, name, certificates, cache or cache_dir(), insecure=insecure)
    return 0


@node_app.command(name="state")
def node_state() -> int:
    """Say what there is on this host, in JSON."""
    extras.require("cluster", "a cluster")
    return _answer(node.state(cache_dir()))


@node_app.command(name="begin")
def node_begin(*, scheduler: str, name: str, certificates: Path, mark: str) -> int:
    """Have a worker on this host."""
    extras.require("cluster", "a cluster")
    return _answer(node.begin(cache_dir(), scheduler, name, certificates, mark))


@node_app.command(name="end")
def node_end() -> int:
    """End the worker of this host, and its blocks."""
    extras.require("cluster", "a cluster")
    return _answer(node.end(cache_dir()))


def _answer(answer: dict[str, object]) -> int:
    sys.stdout.write(json.dumps(answer) + "\n")
    return 0


def _report(hosts: Hosts, outcomes: Sequence[HostOutcome], form: Form) -> None:
    """Print what there is, and to stderr what went wrong."""
    at = up.folder(cache_dir(), hosts)
    found = up.scheduler(cache_dir(), hosts)
    rows = [
        (
            own.host.name,
            own.host.address,
            own.host.kind,
            "?" if own.error else ("runs" if own.facts["worker"] else "none"),
            ", ".join(own.facts.get("blocks", ())) or "",
            ", ".join(own.facts.get("images", ())) or "",
        )
        for own in outcomes
    ]
    until = certificates.good_until(at / "certificates")
    days = (until - datetime.now(UTC)).days if until else 0
    told: list[Block] = [table(("host", "address", "class", "worker", "runs block", "images"), rows, texts=6)]
    if found:
        told.append(Paragraph(f"Scheduler: {found['address']}, process {found['pid']}"))
        told.append(Paragraph(f"Dask's own pages: {found['dashboard']} (on this machine)"))
    else:
        told.append(Paragraph("The scheduler does not run."))
    if until:
        told.append(Paragraph(f"Certificates: good for {days} days, until {until:%Y-%m-%d %H:%M} UTC"))
    data = {
        "scheduler": found,
        "certificates_until": until.isoformat() if until else None,
        "hosts": {own.host.name: {"error": own.error.message if own.error else None, **own.facts} for own in outcomes},
    }
    show(form, "cluster", tuple(told), data)
    _complain(outcomes)


def _ended(worker: bool, blocks: int) -> str:
    told = "its worker has ended" if worker else "there was no worker"
    return f"{told}; {blocks} running block{'s were' if blocks != 1 else ' was'} stopped" if blocks else told


def _complain(outcomes: Sequence[HostOutcome]) -> None:
    for own in outcomes:
        if own.error is not None:
            _tell(f"bpfbench: {own.error.message}")
            if own.error.hint:
                _tell(f"  {own.error.hint}")


def _status(outcomes: Sequence[HostOutcome]) -> int:
    return 1 if any(own.error for own in outcomes) else 0


def _tell(line: str) -> None:
    stderr.print(line, highlight=False, markup=False, soft_wrap=True)
