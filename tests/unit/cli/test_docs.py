# SPDX-License-Identifier: Apache-2.0
"""docs: pages by name."""

from __future__ import annotations

import pytest
from invoked import Invoke, complaint

from bpfbench import catalogue


def test_pages_are_listed_by_name_with_their_titles(bpfbench: Invoke) -> None:
    said = bpfbench("docs")
    assert said.status == 0
    assert {line.split()[0] for line in said.out.splitlines()} == catalogue.docs().keys()
    assert "Guide" in said.out


@pytest.mark.parametrize("name", ["guide", "guide.md", "docs/guide.md"])
def test_a_page_is_printed_as_it_is(bpfbench: Invoke, name: str) -> None:
    assert bpfbench("docs", name).out == catalogue.docs()["guide"].read_text()


def test_where_a_page_is_can_be_asked(bpfbench: Invoke) -> None:
    assert bpfbench("docs", "guide", "--path").out.strip() == str(catalogue.docs()["guide"])


def test_pages_that_a_clone_has_elsewhere_are_among_them(bpfbench: Invoke) -> None:
    listed = bpfbench("docs").out
    for name in ("explanation/architecture", "project/changes", "project/contributing", "reference/tracer-contract"):
        assert f"{name} " in listed
    assert bpfbench("docs", "reference/tracer-contract").out.startswith("# The tracer contract")


def test_a_page_that_is_not_there_is_told_with_those_that_are(bpfbench: Invoke) -> None:
    assert "guide" in complaint(bpfbench("docs", "giude"))
