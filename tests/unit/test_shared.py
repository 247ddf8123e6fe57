# SPDX-License-Identifier: Apache-2.0
"""Manual pages and completions: man and shells understand them, and they have what the command line has."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import manual
import pytest
import reference
import shared

from bpfbench.cli import VERBS

PAGES = manual.pages()


@pytest.fixture(scope="module")
def share(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the files as they are installed."""
    place = tmp_path_factory.mktemp("share")
    for name, text in shared.files().items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
    return place


def run(argv: Sequence[str | Path], **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, capture_output=True, text=True, check=False, env=os.environ | variables)


def tool(name: str) -> str:
    """Return where a program is; a test that wants one that is not here is left out."""
    return shutil.which(name) or pytest.skip(f"{name} is not installed")


def plain(page: str) -> str:
    """Return what a page prints, but for its layout."""
    text = re.sub(r"\\f[BIR]", "", page).replace(r"\-", "-").replace(r"\(aq", "'")
    return re.sub(r"\\\[u([0-9A-F]{4,})\]", lambda found: chr(int(found[1], 16)), text)


def test_every_verb_has_a_page_that_begins_with_its_own_words() -> None:
    assert PAGES.keys() == {"bpfbench.1", *(f"bpfbench-{verb}.1" for verb in VERBS)}
    for verb, (_, words) in VERBS.items():
        said = words.rstrip(".")
        assert f"\nbpfbench-{verb} - {said[0].lower()}{said[1:]}\n" in plain(PAGES[f"bpfbench-{verb}.1"])
        assert f"\n{verb}\n" in plain(PAGES["bpfbench.1"])


def test_a_page_says_what_the_verb_says_of_itself_at_length() -> None:
    assert "\nExit status with --fail-on: 0, no change" in plain(PAGES["bpfbench-compare.1"])


def test_every_option_and_verb_of_a_verb_of_the_reference_is_in_its_page() -> None:
    _, *parts = manual.VERB.split(reference.verbs())
    for verb, text in zip(parts[::2], parts[1::2], strict=True):
        terms = re.findall(r"^\* \[?`(.+?)`", text, re.MULTILINE)
        page = plain(PAGES[f"bpfbench-{verb}.1"]).splitlines()
        assert [term for term in terms if term not in page] == []
        assert page.count(".TP") == len(terms)
        within = re.findall(r"^### (.+)$", text, re.MULTILINE)
        assert [part for part in within if f".SH {part.upper()}" not in page] == []
        assert page.count(".SH SYNOPSIS") == page.count(".SH SEE ALSO") == 1
        assert f"bpfbench {verb}" in page[page.index(".SH SYNOPSIS") + 1]


def test_nothing_of_markdown_is_left() -> None:
    for page in PAGES.values():
        assert page.isascii()
        assert not re.findall(r"^[#*]|```|\]\(#|\*\[|\*\*", page, re.MULTILINE)


def test_text_is_printed_as_it_is() -> None:
    usage, said = "```console\nbpfbench x [-- A…]\n```\n", ".a 'b' \\c `-d`\n"
    options = "**Options**:\n\n* `--e, -f STR`: g.\n    h *[default: 1]*\n"
    lines = manual.page("plan", "\n".join((usage, said, options))).splitlines()
    assert r"\fBbpfbench x [\-\- A\[u2026]]\fR" in lines
    assert r"\&.a \(aqb\(aq \(rsc \fB\-d\fR" in lines
    assert lines[lines.index(".TP") :][1:3] == [r"\fB\-\-e,\fR \fB\-f\fR \fISTR\fR", "g. h [default: 1]"]


def test_man_prints_every_page_without_a_warning(share: Path) -> None:
    man = tool("man")
    for page in sorted((share / "man" / "man1").iterdir()):
        done = run((man, "--warnings", "-E", "UTF-8", "-l", "-Tutf8", page), MANWIDTH="80")
        assert (done.returncode, done.stderr) == (0, "")
        assert "SEE ALSO" in re.sub(".\b", "", done.stdout)  # bold is printed twice


def test_mandoc_finds_no_fault(share: Path) -> None:
    done = run((tool("mandoc"), "-Tlint", "-Wwarning", *sorted((share / "man" / "man1").iterdir())))
    assert [line for line in done.stdout.splitlines() if "missing date" not in line] == []


ASK = '. "$0" && COMP_WORDS=("$@") && COMP_CWORD=$(($# - 1)) ; _bpfbench; printf "%s\\n" "${COMPREPLY[@]}"'


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (("comp",), ["compare"]),
        (("image", "ex"), ["export"]),
        (("compare", "a", "b", "--fail"), ["--fail-on"]),
        (("system", ""), ["restore", "show", "tune"]),
    ],
)
def test_bash_completes_what_was_begun(share: Path, typed: tuple[str, ...], offered: list[str]) -> None:
    script = share / shared.COMPLETIONS["bash"]
    assert run(("bash", "-n", script)).stderr == ""
    done = run(("bash", "--norc", "-c", ASK, script, "bpfbench", *typed))
    assert (done.stderr, sorted(done.stdout.split())) == ("", offered)


def test_bash_finds_it_where_it_looks(share: Path) -> None:
    loader = Path("/usr/share/bash-completion/bash_completion")
    if not loader.exists():
        pytest.skip("bash-completion is not installed")
    load = f". {loader}; {{ _comp_load bpfbench || _completion_loader bpfbench; }} 2>/dev/null; complete -p bpfbench"
    assert "_bpfbench" in run(("bash", "--norc", "-c", load), XDG_DATA_DIRS=str(share)).stdout


def test_zsh_understands_it_and_finds_it_where_it_looks(share: Path) -> None:
    zsh, script = tool("zsh"), share / shared.COMPLETIONS["zsh"]
    assert run((zsh, "-n", script)).stderr == ""
    find = f"fpath=({script.parent} $fpath); autoload -Uz compinit; compinit -D -u; print $_comps[bpfbench]"
    assert run((zsh, "-f", "-c", find)).stdout.strip() == script.name


def test_fish_understands_it_and_completes_what_was_begun(share: Path) -> None:
    fish, script = tool("fish"), share / shared.COMPLETIONS["fish"]
    assert run((fish, "--no-execute", script)).stderr == ""
    done = run((fish, "--no-config", "-c", f"source {script}; complete --do-complete 'bpfbench comp'"))
    assert done.stdout.startswith("compare")
