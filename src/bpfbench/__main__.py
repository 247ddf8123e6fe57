# SPDX-License-Identifier: Apache-2.0
"""`python -m bpfbench` is `bpfbench`."""

from bpfbench.cli import main

if __name__ == "__main__":
    main()
