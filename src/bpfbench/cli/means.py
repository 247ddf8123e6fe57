# SPDX-License-Identifier: Apache-2.0
"""What a stage is made with: of verbs that measure, or build. Where packages come from, and where a cluster is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Group, Parameter

from bpfbench.cli.app import cache_dir, on_wait, stderr
from bpfbench.cluster.connection import Connection, kept
from bpfbench.declare.hosts import Hosts
from bpfbench.errors import UsageError
from bpfbench.model import Sources
from bpfbench.run.stage import Means
from bpfbench.values import seconds


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """Where an image's packages come from."""

    mirror: Annotated[str | None, Parameter(env_var="BPFBENCH_MIRROR", help="Debian mirror (default: apt's own).")] = (
        None
    )
    suite: Annotated[str | None, Parameter(env_var="BPFBENCH_SUITE", help="Debian suite (default: the image's).")] = (
        None
    )
    ca_bundle: Annotated[
        str | None, Parameter(env_var="BPFBENCH_CA_BUNDLE", help="CA certificates for https (default: the host's).")
    ] = None

    def sources(self) -> Sources:
        """Return them as the image builder wants them."""
        if self.ca_bundle and not Path(self.ca_bundle).is_file():
            raise UsageError(f"option --ca-bundle: {self.ca_bundle!r} is not a file")
        return Sources(self.mirror, self.suite, self.ca_bundle)


PATIENCE = "10min"
CLUSTER_OPTIONS = Group("Many hosts", help="With --testbed cluster; docs/cluster.md explains how.")


@Parameter(name="*", group=CLUSTER_OPTIONS)
@dataclass(frozen=True, kw_only=True)
class ClusterOptions:
    """Which cluster, and how patient with it. Its hosts are named by --hosts: a .toml file, or names."""

    scheduler: Annotated[
        str | None, Parameter(help="Where its scheduler is, e.g. tls://10.0.0.1:8786; default: that of the .toml file.")
    ] = None
    certificates: Annotated[
        Path | None, Parameter(help="A directory with ca.pem, node.pem and node.key; default: those of the .toml file.")
    ] = None
    insecure: Annotated[
        bool,
        Parameter(help="Use no certificates. Whoever reaches the scheduler is then root on every host.", negative=""),
    ] = False
    host_patience: Annotated[str, Parameter(help="How long a host may be away before its blocks are given up.")] = (
        PATIENCE
    )

    def connection(self, hosts: Hosts | None, begun: Path | None) -> Connection:
        """Return where the cluster is, by options, or by a file of hosts, or where a run was begun.

        Raises:
            MachineError: that of the file is not up.
            StoreError: what the run says of it is not to be believed.
            UsageError: nobody says.
        """
        if self.scheduler is None and hosts is not None:
            from bpfbench.cluster import up  # with asyncssh, which is an extra

            return up.connection(cache_dir(), hosts)
        if self.scheduler is None and begun is not None and (same := kept(begun)) is not None:
            said = f"bpfbench: goes on with the scheduler that {begun} names: {same.scheduler!r}"
            stderr.print(said, highlight=False, markup=False, soft_wrap=True)
            return Connection(same.scheduler, self.certificates or same.certificates, self.insecure)
        if self.scheduler is None:
            raise UsageError("testbed cluster wants to know which: --hosts FILE.toml, or --scheduler tls://HOST:PORT")
        return Connection(self.scheduler, self.certificates, self.insecure)

    def patience_s(self) -> float:
        """Return how long a host may be away, in seconds."""
        try:
            return seconds(self.host_patience)
        except ValueError as error:
            raise UsageError(f"option --host-patience: {error}") from None

    def refuse(self) -> None:
        """Refuse them all, where there is no cluster."""
        given = {
            "--scheduler": self.scheduler,
            "--certificates": self.certificates,
            "--insecure": self.insecure,
            "--host-patience": self.host_patience != PATIENCE,
        }
        if named := ", ".join(option for option, value in given.items() if value):
            raise UsageError(f"{named}: only testbed cluster has use for that", "add --testbed cluster")


def means(source_options: SourceOptions, *, wait: bool) -> Means:
    """Return what a stage is made with."""
    return Means(cache_dir(), source_options.sources(), stderr, on_wait(wait=wait))
