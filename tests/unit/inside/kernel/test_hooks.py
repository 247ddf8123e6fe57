# SPDX-License-Identifier: Apache-2.0
"""Functions are found in BTF under the number the kernel gives them, whatever kinds of types come before."""

from __future__ import annotations

import struct

import pytest

from bpfbench.inside.kernel.hooks import function_id

NAMES = b"\0int\0vfs_read\0read\0"
TEXT = {name: NAMES.index(b"\0" + name + b"\0") + 1 for name in (b"int", b"vfs_read", b"read")}
# One of each kind, with two members where it has any: (kind, bytes after the three words), of Documentation/bpf/btf.rst
KINDS = [(1, 4), (2, 0), (3, 12), (4, 24), (5, 24), (6, 16), (7, 0), (8, 0), (9, 0), (10, 0), (11, 0), (13, 16)]
KINDS += [(14, 4), (15, 24), (16, 0), (17, 4), (18, 0), (19, 24)]


def btf(*functions: bytes) -> bytes:
    types = b"".join(struct.pack("=III", TEXT[b"int"], kind << 24 | 2, 0) + bytes(tail) for kind, tail in KINDS)
    types += b"".join(struct.pack("=III", TEXT[name], 12 << 24, 1) for name in functions)
    return struct.pack("=HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(NAMES)) + types + NAMES


def test_a_function_has_the_number_of_its_place_from_1() -> None:
    assert function_id(btf(b"read", b"vfs_read"), b"vfs_read") == len(KINDS) + 2


def test_a_part_of_a_name_is_no_name() -> None:
    assert function_id(btf(b"vfs_read"), b"vfs") is None
    assert function_id(btf(b"vfs_read", b"read"), b"read") == len(KINDS) + 2


def test_a_name_that_is_no_functions_is_not_found() -> None:
    assert function_id(btf(b"vfs_read"), b"int") is None


@pytest.mark.parametrize("data", [b"\x9f\xeb" + bytes(30), bytes(32)])
def test_what_is_no_btf_is_refused_unless_it_is_merely_empty(data: bytes) -> None:
    if data.startswith(b"\x9f\xeb"):
        assert function_id(data, b"vfs_read") is None
    else:
        with pytest.raises(ValueError, match="no BTF"):
            function_id(data, b"vfs_read")
