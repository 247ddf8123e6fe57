# SPDX-License-Identifier: Apache-2.0
"""What is installed: sdist and wheel are complete, and the wheel has the pages that its messages name."""

from __future__ import annotations

import posixpath
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pages
import pytest
import shared

from bpfbench import __version__

TOP = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the sdist, and the wheel from that, as who packages bpfbench does."""
    place = tmp_path_factory.mktemp("built")
    build = "from hatchling import build; print(build.build_{}({!r}))"
    for what, where in (("sdist", TOP), ("wheel", None)):
        if where is None:
            (packed,) = place.glob("*.tar.gz")
            with tarfile.open(packed) as file:
                file.extractall(place, filter="data")
            where = place / packed.name.removesuffix(".tar.gz")
        subprocess.run((sys.executable, "-c", build.format(what, str(place))), cwd=where, check=True)
    return place


@pytest.fixture(scope="module")
def wheel(built: Path) -> dict[str, str]:
    """Return the text of each file of the wheel, by its name."""
    (packed,) = built.glob("*.whl")
    with zipfile.ZipFile(packed) as file:
        return {name: file.read(name).decode(errors="replace") for name in file.namelist()}


def test_the_wheel_has_every_file_of_the_package(wheel: dict[str, str]) -> None:
    listed = subprocess.run(("git", "ls-files", "src/bpfbench"), cwd=TOP, capture_output=True, text=True, check=True)
    assert {name.removeprefix("src/") for name in listed.stdout.split()} <= wheel.keys()


def test_licences_are_in_it(wheel: dict[str, str]) -> None:
    for licence in ("LICENSE", *(f"LICENSES/{path.name}" for path in (TOP / "LICENSES").iterdir())):
        assert any(name.endswith(f".dist-info/licenses/{licence}") for name in wheel)


def test_every_page_that_something_names_is_in_it(wheel: dict[str, str]) -> None:
    named = {
        page
        for name, text in wheel.items()
        if name.endswith(".py")
        for page in re.findall(r"\bdocs/[a-z/-]+\.md", text)
    }
    assert len(named) > 5
    assert {f"bpfbench/{page}" for page in named} <= wheel.keys()


def test_every_link_of_its_pages_leads_to_another(wheel: dict[str, str]) -> None:
    docs = {name: text for name, text in wheel.items() if name.startswith("bpfbench/docs/") and name.endswith(".md")}
    dead = [
        (name, link[1])
        for name, text in docs.items()
        if not name.startswith("bpfbench/docs/source/")
        for link in pages.LINK.finditer(text)
        if posixpath.normpath(posixpath.join(posixpath.dirname(name), link[1])) not in wheel
    ]
    assert dead == []
    for page in (*pages.ELSEWHERE.values(), *pages.MADE.values()):
        assert f"bpfbench/docs/{page}" in docs


def test_what_man_and_shells_look_for_is_in_it_as_the_code_has_it(wheel: dict[str, str]) -> None:
    place = f"bpfbench-{__version__}.data/data/share/"
    assert {name.removeprefix(place): text for name, text in wheel.items() if name.startswith(place)} == shared.files()


def test_an_editable_install_has_none_of_it(tmp_path: Path) -> None:
    build = f"from hatchling import build; build.build_editable({str(tmp_path)!r})"
    subprocess.run((sys.executable, "-c", build), cwd=TOP, check=True)
    (packed,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(packed) as file:
        assert not [name for name in file.namelist() if "/share/" in name]
