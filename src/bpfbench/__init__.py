# SPDX-License-Identifier: Apache-2.0
"""bpfbench measures eBPF libraries side by side."""

__version__ = "0.1.0"
