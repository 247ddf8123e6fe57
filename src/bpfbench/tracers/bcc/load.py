# SPDX-License-Identifier: Apache-2.0
"""Compiling, loading and attaching: BCC does all three when a BPF object is made."""

import os
import platform
import re
import struct
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import bcc

HERE = Path(__file__).resolve().parent
LIBRARY = re.compile(r"/(libbcc|libbpf|libclang-cpp)\.so\.([\d.]+)$", re.MULTILINE)
RELEASE = re.compile(r'UTS_RELEASE "(.+)"')
VERIFIER_END = re.compile(r"^(.*)\nprocessed \d+ insns", re.MULTILINE)
COMPILER_ERROR = re.compile(r"^.*error: .*$", re.MULTILINE)


class CapturedStderr:
    """What BCC, LLVM and libbpf write to file descriptor 2 while the block runs; `text` has it afterwards."""

    text = ""

    def __enter__(self) -> Self:
        sys.stderr.flush()
        self._original = os.dup(2)
        self._capture = os.memfd_create("stderr")
        os.dup2(self._capture, 2)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        os.dup2(self._original, 2)
        os.close(self._original)
        with os.fdopen(self._capture, errors="replace") as capture:
            capture.seek(0)
            self.text = capture.read()


def load(declarations: str, sources: Sequence[str], macros: Mapping[str, int]) -> bcc.BPF:
    """On return, every function that TRACEPOINT_PROBE makes is attached. If it fails, stderr has the details."""
    _check_headers()
    flags = [f"-I{HERE}", *(f"-D{name}={value:#x}ULL" for name, value in macros.items())]
    # Unless forbidden, BCC raises RLIMIT_MEMLOCK where it finds it too low.
    text = declarations + "".join((HERE / source).read_text() for source in sources)
    return bcc.BPF(text=text, cflags=flags, allow_rlimit=False)


def reason(error: Exception, diagnostics: str) -> str:
    """The error and the line that says most: the verifier's last, the compiler's first error, or whatever is first."""
    rejection = VERIFIER_END.search(diagnostics)
    fault = COMPILER_ERROR.search(diagnostics)
    line = rejection[1] if rejection else fault[0] if fault else diagnostics.strip().partition("\n")[0]
    return f"{error}: {line}" if line else str(error)


def target_macros(comm: bytes) -> dict[str, int]:
    """The comm as the two words that is_target() compares."""
    first, second = struct.unpack("<QQ", comm.ljust(16, b"\0"))
    return {"TARGET_COMM_0": first, "TARGET_COMM_1": second}


def versions() -> dict[str, str]:
    """What is loaded, by the files mapped into this process, and the kernel headers that BCC compiles against."""
    libraries = LIBRARY.findall(Path("/proc/self/maps").read_text())
    return {
        "bcc": bcc.__version__,
        **dict(libraries),
        "python": platform.python_version(),
        "kernel-headers": _headers_release(),
    }


def _header_folders() -> tuple[Path, Path]:
    """The source and the build folder, found as BCC finds them."""
    override = os.environ.get("BCC_KERNEL_SOURCE")
    if override:
        return Path(override), Path(override)
    modules = Path("/lib/modules", os.uname().release)
    source, build = modules / "source", modules / "build"
    return (source, build) if source.is_dir() and build.is_dir() else (build, build)


def _check_headers() -> None:
    """Without headers BCC would load the module kheaders, unpack it into /tmp and leave it there."""
    source, _ = _header_folders()
    if not (source / "include/linux/kconfig.h").is_file():
        raise FileNotFoundError(f"no kernel headers in {source}: BCC compiles against them at start-up")


def _headers_release() -> str:
    _, build = _header_folders()
    try:
        found = RELEASE.search((build / "include/generated/utsrelease.h").read_text())
    except OSError:
        return "unknown"
    return found[1] if found else "unknown"
