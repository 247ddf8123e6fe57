# SPDX-License-Identifier: Apache-2.0
"""What is in every form of a summary."""

from __future__ import annotations

import io
import json

from builders import (
    READ,
)
from rich.console import Console
from typical import INFO, typical_run

from bpfbench.analysis.results import of
from bpfbench.analysis.summary import summarise
from bpfbench.report.documents.summary import data, document, flat
from bpfbench.report.wording import Said
from bpfbench.report.write import csv as csv_writer
from bpfbench.report.write import markdown, terminal
from bpfbench.report.write.json import text as as_json

SAID = Said(("Order: no effect was found.", "Noise: 3 %."), ("Order mattered.",), {"order": {"found": True}})


def test_what_is_said_of_the_trials_as_a_whole_is_in_every_form() -> None:
    summary, out = summarise(of(typical_run())), io.StringIO()
    terminal.write(document(summary, INFO, SAID), Console(file=out, width=140))
    text, written = out.getvalue(), markdown.text(document(summary, INFO, SAID))
    assert text.index("Warning: Order mattered.") < text.index("libbpf") < text.index("Order: no effect was found.")
    assert written.index("**Warning:** Order mattered.") < written.index("libbpf") < written.index("- Noise: 3 %.")
    assert json.loads(as_json("summary", 2, INFO, data(summary, SAID)))["data"]["order"] == {"found": True}


def test_every_form_shows_the_same_workload() -> None:
    summary, out = summarise(of(typical_run())), io.StringIO()
    terminal.write(document(summary, INFO), Console(file=out, width=140))
    for text in (
        as_json("summary", 2, INFO, data(summary, Said())),
        csv_writer.data(*flat(summary)),
        markdown.text(document(summary, INFO)),
        out.getvalue(),
    ):
        assert READ.name in text
        assert text.endswith("\n")
