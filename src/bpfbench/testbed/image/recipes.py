# SPDX-License-Identifier: Apache-2.0
"""What images and their kernels are made of, and where it comes from."""

from __future__ import annotations

from dataclasses import dataclass

from bpfbench.catalogue import IMAGES
from bpfbench.errors import UsageError


@dataclass(frozen=True, slots=True)
class Recipe:
    """What an image is made of."""

    name: str
    description: str
    suite: str
    packages: tuple[str, ...]
    shown: dict[str, str]
    """What people call a component -> the package whose version is shown for it."""


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="trixie",
            description=IMAGES["trixie"],
            suite="trixie",
            packages=(
                "bpftool",
                "bpftrace",
                "busybox-static",
                "ca-certificates",
                "cargo",
                "clang",
                "e2fsprogs",
                "fio",
                "g++",
                "gcc",
                "golang-go",
                "kmod",
                "libbpf-dev",
                "libc6-dev",
                "libelf-dev",
                "libpolly-19-dev",
                "libzstd-dev",
                "llvm",
                "llvm-19-dev",
                "make",
                "procps",
                "python3",
                "python3-bpfcc",
                "python3-psutil",
                "rust-clippy",
                "rust-src",
                "rustc",
                "rustfmt",
                "util-linux-extra",
                "zlib1g-dev",
            ),
            shown={
                "bpftrace": "bpftrace",
                "bcc": "python3-bpfcc",
                "libbpf": "libbpf-dev",
                "clang": "clang",
                "go": "golang-go",
                "rustc": "rustc",
                "bpftool": "bpftool",
                "fio": "fio",
                "python": "python3",
                "psutil": "python3-psutil",
            },
        ),
    )
}

KERNEL_SUITES = {"trixie": "trixie", "backports": "trixie-backports", "sid": "sid"}
"""Kernel (catalogue.KERNELS) -> the Debian suite it is from."""


def recipe_of(name: str) -> Recipe:
    """Return the recipe of that name.

    Raises:
        UsageError: there is none; lists those there are.
    """
    try:
        return RECIPES[name]
    except KeyError:
        raise UsageError(f"image {name!r} is not one of: {', '.join(RECIPES)}") from None
