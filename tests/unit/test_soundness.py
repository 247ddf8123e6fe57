# SPDX-License-Identifier: Apache-2.0
"""What can be true of a run directory is believed, and nothing else; root writes where nobody else can put a link."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from builders import make_config, make_failure, make_record, make_trial
from hypothesis import given
from hypothesis import strategies as st

from bpfbench import soundness
from bpfbench.codec import to_json
from bpfbench.store import Run

RUNS = Path(__file__).parent.parent / "data" / "runs"
POSSIBLE = st.integers(0, 2**64 - 1) | st.floats(0, 1e19)
IMPOSSIBLE = st.integers(max_value=-1) | st.integers(2**64) | st.floats(max_value=-1e-9) | st.just(float("nan"))
root = pytest.mark.skipif(os.geteuid() != 0, reason="only root is in danger")


def nested(leaf: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.recursive(
        st.none() | st.booleans() | st.text() | leaf, lambda own: st.lists(own) | st.dictionaries(st.text(), own)
    )


@given(nested(POSSIBLE))
def test_what_can_be_is_read_as_it_is(data: object) -> None:
    assert soundness.parsed(json.dumps(data).encode()) == data


@given(nested(POSSIBLE), IMPOSSIBLE, nested(POSSIBLE))
def test_one_number_that_cannot_be_is_found_wherever_it_is(before: object, number: object, after: object) -> None:
    for data in ([before, number, after], {"a": before, "b": {"c": number}, "d": after}):
        with pytest.raises(ValueError, match=r"^(\[1\]|\.b\.c): .* is impossible: numbers here are finite"):
            soundness.parsed(json.dumps(data).encode())


def test_numbers_are_judged_only_where_they_are_to_be() -> None:
    assert soundness.parsed(b'{"a": -1, "b": 1}', "b") == {"a": -1, "b": 1}
    assert soundness.parsed(b"[-1]", None) == [-1]
    with pytest.raises(ValueError, match=r"^b: -1 is impossible"):
        soundness.parsed(b'{"a": -1, "b": -1}', "b")


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
def test_every_stored_run_is_believed(number: int) -> None:
    run = Run(RUNS / f"format-{number}")
    assert not [own.reason for own in run.records() if "cannot be used" in (own.reason or "")]
    assert run.strays() == ()
    run.warm_ups()


def test_the_absurd_numbers_of_a_trial_that_failed_are_its_own_affair() -> None:
    failed = make_failure(make_trial("bcc"), "it broke")
    soundness.record(failed)
    with pytest.raises(ValueError, match="is impossible: numbers here"):
        soundness.parsed(to_json(failed).replace("1000000.0", "-1.0").encode())


def test_a_tracer_without_an_account_did_not_end_ok() -> None:
    vanilla = make_record(make_trial())
    soundness.record(vanilla)
    with pytest.raises(ValueError, match="its tracer gave no account"):
        soundness.record(replace(vanilla, trial=make_trial("bcc")))


@pytest.mark.parametrize("said", [{"wakeup": "watermark:"}, {"wakeup": "\x1b[2J"}, {"rings": "0"}, {"rings": "../cpu"}])
def test_a_tracer_is_configured_with_words_of_ours(said: dict[str, str]) -> None:
    soundness.trial(make_trial("bcc", config=make_config(wakeup="watermark:4096", rings="cpu")))
    with pytest.raises(ValueError, match=rf"^config\.{next(iter(said))}: .* is none of ours"):
        soundness.trial(make_trial("bcc", config=make_config(**said)))


class TestExposed:
    @root
    @pytest.mark.parametrize(
        ("mode", "owner", "group", "said"),
        [
            (0o755, 0, 0, None),
            (0o775, 0, 0, None),
            (0o775, 0, 65534, "can be written to by others"),
            (0o777, 0, 0, "can be written to by others"),
            (0o1777, 0, 0, None),
            (0o755, 65534, 65534, "belongs to user 65534"),
            (0o755, 1234, 1234, None),
            (0o775, 1234, 1234, None),
        ],
    )
    def test_root_writes_to_what_is_roots_or_whoevers_who_called_sudo(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int, owner: int, group: int, said: str | None
    ) -> None:
        monkeypatch.setenv("SUDO_UID", "1234")
        monkeypatch.setenv("SUDO_GID", "1234")
        folder = tmp_path / "data"
        folder.mkdir()
        os.chown(folder, owner, group)
        folder.chmod(mode)
        found = soundness.exposed(folder)
        assert (found is None) is (said is None)
        assert said is None or said in str(found)

    @root
    def test_a_link_is_none(self, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to("/etc")
        assert soundness.exposed(tmp_path / "link") == "is a link"

    def test_an_ordinary_user_harms_nobody_else(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        tmp_path.chmod(0o777)
        assert soundness.exposed(tmp_path) is None
