# SPDX-License-Identifier: Apache-2.0
"""Which setup this is, and what it does otherwise; `build` changes the values for all but bpftrace."""

SETUP = "bpftrace"
MAX_STRLEN_LEAST = 0  # bytes that each string has room for at least: by itself bpftrace 0.23 gives it 1024
