# SPDX-License-Identifier: Apache-2.0
"""The documentation site: a project for Zensical, made of docs/, of pages that lie elsewhere, and of the code.

    python guide/pages.py DIRECTORY

lays it out in DIRECTORY, which is made anew, and builds its folder `site`. A link without an end is an error. The
sample report is that of a stored run, as this bpfbench makes it.
"""

from __future__ import annotations

import posixpath
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import reference

TOP = Path(__file__).parents[1]
ELSEWHERE = {
    "README.md": "index.md",
    "ARCHITECTURE.md": "explanation/architecture.md",
    "CHANGELOG.md": "project/changes.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "src/bpfbench/tracers/README.md": "reference/tracer-contract.md",
}
"""Where pages of the site come from that are not in docs/: there, and how the site calls them.

The front page of the repository has one of its own in the site, docs/index.md.
"""
SAMPLE = "tests/data/runs/quick"
"""The run whose report is shown."""
MADE = {
    "src/bpfbench/cli": "reference/cli.md",
    "src/bpfbench/factors.py": "reference/study-keys.md",
    "src/bpfbench/tracers": "reference/knobs.md",
    SAMPLE: "sample-report/index.html",
}
"""What pages are made from that are in the site alone: in the repository links lead there, in the site to the page."""
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)#\s]+)(#[^)\s]*)?(?=\))")


def lay_out(to: Path, top: Path = TOP) -> None:
    """Write the project for Zensical into a directory that is not there yet."""
    docs = to / "docs"
    shutil.copytree(top / "docs", docs)
    shutil.copy(top / "zensical.toml", to)
    for source, page in ELSEWHERE.items():
        if page != "index.md":
            (docs / page).parent.mkdir(exist_ok=True)
            (docs / page).write_text(without_diagrams((top / source).read_text()))
    shown: set[str] = set()
    for page in sorted(path.relative_to(docs).as_posix() for path in docs.rglob("*.md")):
        path = docs / page
        path.write_text(relinked(path.read_text(), page, top, shown))
    for source in sorted(shown):
        path = docs / source_page(source)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {source}\n\n````\n{(top / source).read_text()}````\n")
    for page, text in reference.pages().items():
        (docs / page).parent.mkdir(exist_ok=True)
        (docs / page).write_text(text)
    report = [sys.executable, "-m", "bpfbench", "report", str(top / SAMPLE), "--output", str(docs / "sample-report")]
    subprocess.run(report, check=True, stdout=subprocess.DEVNULL)


def source_page(source: str) -> str:
    """Return the page that shows a file of the repository which is no page."""
    return f"source/{source}.md"


def relinked(text: str, page: str, top: Path, shown: set[str]) -> str:
    """Return a page with its links as the site has them, and add files that it links to and that are no pages."""
    pages = {page: source for source, page in ELSEWHERE.items() if page != "index.md"}
    place = PurePosixPath(pages.get(page, f"docs/{page}")).parent

    def there(link: re.Match[str]) -> str:
        source = posixpath.normpath((place / link[1]).as_posix())
        if found := (ELSEWHERE | MADE).get(source):
            target = found
        elif source.startswith("docs/"):
            target = source.removeprefix("docs/")
        elif (top / source).is_file():
            shown.add(source)
            target = source_page(source)
        else:
            return link[0]  # the build says that it leads nowhere
        return posixpath.relpath(target, posixpath.dirname(page) or ".") + (link[2] or "")

    return LINK.sub(there, text)


def without_diagrams(text: str) -> str:
    """Return a page with flow charts as tables: the site fetches no program that draws them from elsewhere."""
    return re.sub(
        r"^```mermaid\n(.*?)^```\n",
        lambda chart: "\n".join(table(chart[1])) + "\n",
        text,
        flags=re.MULTILINE | re.DOTALL,
    )


def table(chart: str) -> Iterator[str]:
    """Yield the lines of a table of a flow chart's boxes, and where their arrows lead."""
    arrows = dict(re.findall(r"^ *(\w+) --> (.*)$", chart, re.MULTILINE))
    yield "| room | what it is | imports |"
    yield "| --- | --- | --- |"
    for name, what in re.findall(r'^ *(\w+)\["\w+: (.*)"\]$', chart, re.MULTILINE):
        yield f"| `{name}` | {what} | {arrows.get(name, '').replace(' &', ',')} |"


def build(to: Path) -> int:
    """Build the pages of a project; return 0 if all links lead somewhere."""
    argv = [sys.executable, "-m", "zensical", "build", "--strict", "--config-file", str(to / "zensical.toml")]
    return subprocess.run(argv, check=False).returncode


if __name__ == "__main__":
    directory = Path(sys.argv[1])
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    lay_out(directory)
    sys.exit(build(directory))
