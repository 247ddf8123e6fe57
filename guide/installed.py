# SPDX-License-Identifier: Apache-2.0
"""The pages that `bpfbench docs` prints where bpfbench is installed from its wheel.

    python guide/installed.py DIRECTORY

writes them into DIRECTORY, as the wheel has them (guide/hook.py).
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pages


def write(docs: Path) -> None:
    """Write the pages into a directory that is not there yet, without the style that only the site has."""
    pages.write(docs)
    (docs / "site.css").unlink()


if __name__ == "__main__":
    directory = Path(sys.argv[1])
    shutil.rmtree(directory, ignore_errors=True)
    write(directory)
