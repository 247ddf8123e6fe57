# SPDX-License-Identifier: Apache-2.0
"""What man and shells look for below share/: manual pages and completions, made from the code of the command line.

    python guide/shared.py DIRECTORY

writes them into DIRECTORY, as the wheel has them (guide/hook.py).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

import manual

from bpfbench.cli import command_line

COMPLETIONS: dict[Literal["bash", "zsh", "fish"], str] = {
    "bash": "bash-completion/completions/bpfbench",
    "zsh": "zsh/site-functions/_cyclopts_bpfbench",
    "fish": "fish/vendor_completions.d/bpfbench.fish",
}
"""Where each shell looks for what completes a command. That of zsh is named like the function in it."""


def files() -> dict[str, str]:
    """Return the text of each file, by where it is below share/."""
    app = command_line(None)
    completions = {place: app.generate_completion(shell=shell) for shell, place in COMPLETIONS.items()}
    return {f"man/man1/{name}": page for name, page in manual.pages().items()} | completions


if __name__ == "__main__":
    for place, text in files().items():
        path = Path(sys.argv[1]) / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
