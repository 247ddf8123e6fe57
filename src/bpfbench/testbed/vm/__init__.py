# SPDX-License-Identifier: Apache-2.0
"""The `vm` testbed: an image booted by QEMU on a kernel of its own."""
