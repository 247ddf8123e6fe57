# SPDX-License-Identifier: Apache-2.0
"""The inside of a root in which layers are built: with what package managers need to reach their registries."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from bpfbench.model import Sources
from bpfbench.testbed.sandbox import Bind, Sandbox

_CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"

_ENV = {
    "SSL_CERT_FILE": _CA_BUNDLE,
    "SSL_CERT_DIR": "/etc/ssl/certs",
    "CARGO_HTTP_CAINFO": _CA_BUNDLE,
    "GOFLAGS": "-buildvcs=false",
    "GOTOOLCHAIN": "local",  # the image's Go, not one that a module asks for
}


def build_sandbox(root: Path, binds: Sequence[Bind], sources: Sources, env: dict[str, str], workdir: str) -> Sandbox:
    """Return the inside of a root with `binds`, and with what package managers need."""
    return Sandbox(
        root=str(root),
        binds=(*binds, *_network_files(sources)),
        env={**env, **_ENV, **_proxy_variables()},
        workdir=workdir,
    )


def _network_files(sources: Sources) -> Iterator[Bind]:
    bundle = sources.ca_bundle or os.environ.get("SSL_CERT_FILE") or _CA_BUNDLE
    for host, inside in ((bundle, _CA_BUNDLE), ("/etc/resolv.conf", "/etc/resolv.conf")):
        if Path(host).exists():
            yield Bind(host, inside)


def _proxy_variables() -> dict[str, str]:
    names = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
    return {name: os.environ[name] for name in names if name in os.environ}
