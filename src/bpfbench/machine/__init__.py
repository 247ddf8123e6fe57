# SPDX-License-Identifier: Apache-2.0
"""The machine that bpfbench is started on: what it is, what may be done on it, and whose turn it is."""
