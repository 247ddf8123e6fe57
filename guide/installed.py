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
    """Write the pages into a directory that is not there yet, without what only the site has."""
    pages.write(docs)
    first = docs / "index.md"
    first.write_text(first.read_text().replace(f"{pages.HERE}\n", ""))
    (docs / "site.css").unlink()
    for page in (docs / "pictures").glob("*.md"):
        page.unlink()


if __name__ == "__main__":
    directory = Path(sys.argv[1])
    shutil.rmtree(directory, ignore_errors=True)
    write(directory)
