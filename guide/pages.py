# SPDX-License-Identifier: Apache-2.0
"""The documentation as it is read: made of docs/, of pages that lie elsewhere, and of the code.

    python guide/pages.py DIRECTORY [RUN]

lays out a project for Zensical in DIRECTORY, which is made anew, and builds its folder `site`. A link without an end
is an error. The sample report and the picture on the first page are of RUN, by default one that is stored, as this
bpfbench makes them. The wheel has the same pages, but for the sample (guide/installed.py).
"""

from __future__ import annotations

import posixpath
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import picture
import reference

from bpfbench import catalogue

TOP = Path(__file__).parents[1]
ELSEWHERE = {source: f"{name}.md" for name, source in catalogue.ELSEWHERE.items()}
"""Where pages come from that are not in docs/: there, and how they are called here."""
FRONT = {"README.md": "index.md"}
"""The front page of the repository has one of its own here, docs/index.md."""
MADE = {
    "src/bpfbench/cli": "reference/cli.md",
    "src/bpfbench/factors.py": "reference/study-keys.md",
    "src/bpfbench/tracers": "reference/knobs.md",
}
"""What pages are made from that are not in the repository: links that lead there lead to the page here."""
SAMPLE = {picture.STORED: "sample-report/index.html"}
"""The page that is on the site alone; in the repository, links to it lead to the run that is stored."""
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)#\s]+)(#[^)\s]*)?(?=\))")
WHOLE = re.compile(r"\[([^\]]*)\]\((?![a-z]+:|#)([^)#\s]+)\)")


def lay_out(to: Path, run: Path = TOP / picture.STORED, top: Path = TOP) -> None:
    """Write the project for Zensical into a directory that is not there yet.

    Args:
        to: the directory.
        run: whose report and summary are shown.
        top: the repository.
    """
    docs = to / "docs"
    write(docs, top, SAMPLE)
    shutil.copy(top / "zensical.toml", to)
    report = [sys.executable, "-m", "bpfbench", "report", str(run), "--output", str(docs / "sample-report")]
    subprocess.run(report, check=True, stdout=subprocess.DEVNULL)
    (to / picture.PLACE).write_text(picture.of(run))


def write(docs: Path, top: Path = TOP, more: Mapping[str, str] | None = None) -> None:
    """Write all pages into a directory that is not there yet, with links that lead from one to another.

    Args:
        docs: the directory.
        top: the repository.
        more: pages that somebody else writes there, by what links to them lead to in the repository.
    """
    shutil.copytree(top / "docs", docs)
    for source, page in ELSEWHERE.items():
        (docs / page).parent.mkdir(exist_ok=True)
        shutil.copyfile(top / source, docs / page)
    made = ELSEWHERE | FRONT | MADE | dict(more or {})
    shown: set[str] = set()
    for page in sorted(path.relative_to(docs).as_posix() for path in docs.rglob("*.md")):
        path = docs / page
        path.write_text(relinked(path.read_text(), page, top, made, shown))
    for source in sorted(shown):
        path = docs / source_page(source)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {source}\n\n````\n{(top / source).read_text()}````\n")
    for page, text in reference.pages().items():
        (docs / page).parent.mkdir(exist_ok=True)
        (docs / page).write_text(text)


def source_page(source: str) -> str:
    """Return the page that shows a file of the repository which is no page."""
    return f"source/{source}.md"


def relinked(text: str, page: str, top: Path, made: Mapping[str, str], shown: set[str]) -> str:
    """Return a page with its links as they are here, and add files that it links to and that are no pages."""
    sources = {page: source for source, page in ELSEWHERE.items()}
    place = PurePosixPath(sources.get(page, f"docs/{page}")).parent

    def target(link: str) -> str | None:
        source = posixpath.normpath((place / link).as_posix())
        if source in made:
            return made[source]
        if source.startswith("docs/"):
            return source.removeprefix("docs/")
        if (top / source).is_file():
            shown.add(source)
            return source_page(source)
        return None

    def there(link: re.Match[str]) -> str:
        found = target(link[1])
        if found is None:
            return link[0]  # the build says that it leads nowhere
        return posixpath.relpath(found, posixpath.dirname(page) or ".") + (link[2] or "")

    if picture.STORED not in made:  # the sample is shown on the site alone
        sample = posixpath.relpath(picture.STORED, place)
        text = WHOLE.sub(lambda link: link[1] if link[2] == sample else link[0], text)
    return LINK.sub(there, text)


def build(to: Path) -> int:
    """Build the pages of a project; return 0 if all internal links lead somewhere."""
    argv = [sys.executable, "-m", "zensical", "build", "--strict", "--config-file", str(to / "zensical.toml")]
    return subprocess.run(argv, check=False).returncode


if __name__ == "__main__":
    directory = Path(sys.argv[1])
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    lay_out(directory, *map(Path, sys.argv[2:]))
    sys.exit(build(directory))
