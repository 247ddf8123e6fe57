# SPDX-License-Identifier: Apache-2.0
"""The kernel's own word, by system calls and /proc: BPF objects, hooks, tasks, their I/O, the page cache."""
