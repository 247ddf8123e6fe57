# SPDX-License-Identifier: Apache-2.0
"""Every command line of bpfbench that a page has is one: verb, options, and the study and setups that it names."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from cyclopts import CycloptsError

from bpfbench.cli import command_line
from bpfbench.cli.options import StudyOptions
from bpfbench.declare import study
from bpfbench.errors import StudyError, UsageError

TOP = Path(__file__).parents[2]
PAGES = [TOP / "README.md", *sorted((TOP / "docs").rglob("*.md"))]
FENCED = re.compile(r"^(?P<indent> *)```\w*\n(?P<lines>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?:^ {4,}\S.*\n)+", re.MULTILINE)
BEFORE = re.compile(r"^(?:[A-Z_]+=\S*|sudo|env|\S*/env|-E)$")
"""What may stand before a command: variables, and whoever it is run as."""
OPERATORS = re.compile(r"^[();<>|&]+$")


def commands(page: str) -> Iterator[tuple[str, ...]]:
    """Yield the words that are typed behind `bpfbench`, in blocks of a page."""
    blocks = [found["lines"] for found in FENCED.finditer(page)]
    blocks += INDENTED.findall(FENCED.sub("", page))
    for line in re.sub(r"\\\n", " ", "\n".join(blocks)).splitlines():
        if "bpfbench " in line:
            yield from _commands(line.strip().removeprefix("$ "))


def _commands(line: str) -> Iterator[tuple[str, ...]]:
    # Of what may be left out, too, the options are looked at.
    words = shlex.shlex(re.sub(r"[\[\]…]", "", line), posix=True, punctuation_chars=True)
    words.whitespace_split, words.commenters = True, "#"
    own: list[str] = []
    try:
        typed = [*words, ";"]
    except ValueError:
        return  # prose, with an apostrophe
    for word in typed:
        if not OPERATORS.match(word):
            own.append(word)
            continue
        while own and BEFORE.match(own[0]):
            del own[0]
        if own and Path(own[0]).name == "bpfbench":
            yield tuple(own[1:])
        own = []


def mistake(words: tuple[str, ...]) -> str | None:
    """Say what is wrong with a command line, None if nothing is. Nothing is carried out."""
    if words[:1] == ("help",):
        words = (*words[1:], "--help")
    try:
        _, given, _ = command_line(words[0] if words else None).parse_args(
            words, exit_on_error=False, print_error=False
        )
        given.apply_defaults()
        named, options = given.arguments.get("name"), given.arguments.get("options")
        if isinstance(options, StudyOptions) and isinstance(named, str) and not named.isupper():
            overrides = options.overrides()
            if str(vars(options)["hosts"]).endswith(".toml"):
                del overrides["hosts"]  # of a file that the page tells of
            written = TOP / named
            if written.suffix != ".toml" or written.exists():
                study.load(study.find(str(written) if written.suffix else named), overrides)
    except (CycloptsError, StudyError, UsageError) as error:
        return " ".join(str(error).split())
    return None


TYPED = sorted({(str(page.relative_to(TOP)), own) for page in PAGES for own in commands(page.read_text())})


def test_there_are_such_commands() -> None:
    assert len(TYPED) > 100


@pytest.mark.parametrize(("page", "words"), TYPED, ids=lambda own: own if isinstance(own, str) else shlex.join(own))
def test_what_a_page_has_typed_is_understood(page: str, words: tuple[str, ...]) -> None:
    assert (page, mistake(words)) == (page, None)


def test_the_study_of_a_gate_is_one_and_is_at_full_speed(tmp_path: Path) -> None:
    (written,) = re.findall(r"```toml\n(.*?)```", (TOP / "docs/how-to/guard-a-library.md").read_text(), re.DOTALL)
    (tmp_path / "bench").mkdir()
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "tracer").touch(0o755)
    (tmp_path / "bench" / "gate.toml").write_text(written)
    factors = study.load(tmp_path / "bench" / "gate.toml").factors
    assert (factors.setups, factors.rate_iops) == (("libbpf", "mine"), (None,))


def test_commands_are_found_in_blocks_of_either_kind() -> None:
    page = (
        "`bpfbench inline x`\n\n    sudo bpfbench a --b \\\n        'c d'  # why\n    # bpfbench is it\n\n"
        "1. one:\n\n"
        "    ```sh\n    $ A=b sudo env .venv/bin/bpfbench e && bpfbench f | tee x\n    bpfbench: told\n    ```\n"
    )
    assert list(commands(page)) == [("e",), ("f",), ("a", "--b", "c d")]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("runn quick", "runn"),
        ("run quick --setup-file x", "--setup-file"),
        ("run quicker", "quicker"),
        ("run quick --setups libbpf,mine", "mine"),
        ("plan quick --workloads sleep", "sleep"),
        ("run quick --repetitions", "--repetitions"),
    ],
)
def test_what_is_not_understood_is_noticed(words: str, said: str) -> None:
    assert said in (mistake(tuple(words.split())) or "")
