# SPDX-License-Identifier: Apache-2.0
"""A host runs no block without all that it is run with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from builders import make_image

from bpfbench.cluster import block
from bpfbench.cluster.order import BlockOrder
from bpfbench.codec import to_json
from bpfbench.declare import study
from bpfbench.errors import StoreError


def test_a_host_without_the_packages_of_a_target_refuses_it(tmp_path: Path) -> None:
    image = make_image(root=str(tmp_path / "roots" / "trixie-1" / "root"))
    layer = tmp_path / "images" / f"trixie-{image.key}"
    layer.mkdir(parents=True)
    (layer / "image.json").write_text(to_json(image))
    order = BlockOrder("run", "code", study.load(study.find("smoke")), (), image.key, {}, ("postgres-1",))
    assert block.image(tmp_path, replace(order, parts=())) == image
    with pytest.raises(StoreError, match="not on this host, or not all of its packages: postgres-1") as refused:
        block.image(tmp_path, order)
    assert refused.value.hint == "`bpfbench cluster up` brings them"
    (tmp_path / "libraries" / "postgres-1" / "out").mkdir(parents=True)
    found = block.image(tmp_path, order)
    assert found.part("postgres") == tmp_path / "libraries" / "postgres-1" / "out"
