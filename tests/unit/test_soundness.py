# SPDX-License-Identifier: Apache-2.0
"""What can be true of a run directory is believed, and nothing else; root writes where nobody else can put a link."""

from __future__ import annotations

import json
import os
import pwd
import stat
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


WRITABLE = "can be written to by others, who could put links into it"
ME, MALLORY, STAFF = 1000, 1001, 50
WHO = soundness.Trusted(frozenset({0, ME}), frozenset({0, ME}))
Seen = tuple[int, int, int]
"""Mode, user and group."""


class TestWay:
    """Which directories lead to a path, as whom they belong to; the files are there, and all else of them is said."""

    @pytest.fixture
    def top(self, tmp_path: Path) -> Path:
        (tmp_path / "home" / "me" / "runs").mkdir(parents=True)
        (tmp_path / "tmp").mkdir()
        return tmp_path

    def open_to_others(self, path: Path, said: dict[Path, Seen]) -> str | None:
        def look(at: Path) -> os.stat_result:
            kind = stat.S_IFMT(at.lstat().st_mode)
            mode, user, group = said.get(at, (0o755, 0, 0))
            return os.stat_result((kind | mode, 0, 0, 1, user, group, 0, 0, 0, 0))

        return soundness.open_to_others(path, WHO, look)

    @pytest.mark.parametrize(
        ("home", "fault"),
        [
            ((0o755, 0, 0), None),
            ((0o700, ME, ME), None),
            ((0o775, ME, ME), None),
            ((0o775, 0, 0), None),
            ((0o1777, 0, 0), None),
            ((0o1775, 0, STAFF), None),
            ((0o775, ME, STAFF), WRITABLE),
            ((0o757, ME, ME), WRITABLE),
            ((0o777, 0, 0), WRITABLE),
            ((0o755, MALLORY, ME), f"belongs to user {MALLORY}, who could put links into it"),
            ((0o1777, MALLORY, 0), f"belongs to user {MALLORY}, who could put links into it"),
        ],
    )
    @pytest.mark.parametrize("end", ["home/me", "home/me/runs", "home/me/runs/new", "home/me/no/such/place"])
    def test_each_parent_that_is_there_counts(self, top: Path, home: Seen, fault: str | None, end: str) -> None:
        me = top / "home" / "me"
        assert self.open_to_others(top / end, {me: home}) == (None if fault is None else f"{me}: {fault}")

    def test_the_home_of_who_called_sudo_will_do(self, top: Path) -> None:
        said = {top / "home" / "me": (0o750, ME, ME), top / "home" / "me" / "runs": (0o755, 0, 0)}
        assert self.open_to_others(top / "home" / "me" / "runs" / "new", said) is None

    def test_below_a_sticky_directory_only_ones_own_will_do(self, top: Path) -> None:
        (mine := top / "tmp" / "mine").mkdir()
        said = {top / "tmp": (0o1777, 0, 0), mine: (0o755, MALLORY, MALLORY)}
        assert self.open_to_others(top / "tmp" / "new", said) is None
        assert self.open_to_others(mine / "new", said) == (
            f"{mine}: belongs to user {MALLORY}, who could put links into it"
        )

    @pytest.mark.parametrize(
        ("owner", "target", "fault"),
        [
            (ME, (0o755, 0, 0), None),
            (ME, (0o777, 0, 0), "{0}/disk: " + WRITABLE),
            (MALLORY, (0o755, 0, 0), "{0}/tmp/link: belongs to user 1001, who could lead it elsewhere"),
        ],
    )
    def test_a_link_counts_and_so_does_the_way_that_it_leads(
        self, top: Path, owner: int, target: Seen, fault: str | None
    ) -> None:
        (top / "disk" / "data").mkdir(parents=True)
        (link := top / "tmp" / "link").symlink_to("../disk/data")
        said = {top / "tmp": (0o1777, 0, 0), link: (0o777, owner, owner), top / "disk": target}
        assert self.open_to_others(link / "new", said) == (None if fault is None else fault.format(top))

    def test_links_in_a_circle_lead_nowhere(self, top: Path) -> None:
        (top / "a").symlink_to("tmp/../b")
        (top / "b").symlink_to("tmp/../a")
        assert self.open_to_others(top / "a" / "new", {}) is None


class TestTrusted:
    @pytest.fixture(autouse=True)
    def _nobody(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        for name in ("SUDO_UID", "SUDO_GID"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(soundness, "LOGIN", tmp_path / "loginuid")

    def test_an_ordinary_user_trusts_root_and_whoever_claims_sudo_is_nobody(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: ME)
        monkeypatch.setenv("SUDO_UID", str(MALLORY))
        assert soundness.trusted().users == {0, ME}

    def test_root_trusts_who_called_sudo(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        monkeypatch.setenv("SUDO_UID", str(ME))
        monkeypatch.setenv("SUDO_GID", str(STAFF))
        assert soundness.trusted() == soundness.Trusted(frozenset({0, ME}), frozenset({0, STAFF}))

    @pytest.mark.parametrize("login", ["4294967295", "", None])
    def test_who_logged_in_may_be_nobody(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, login: str | None
    ) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        if login is not None:
            (tmp_path / "loginuid").write_text(login)
        assert soundness.trusted() == soundness.Trusted(frozenset({0}), frozenset({0}))

    def test_root_trusts_who_has_become_root_by_su(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        (tmp_path / "loginuid").write_text("65534")
        known = pwd.getpwuid(65534)
        assert soundness.trusted() == soundness.Trusted(frozenset({0, 65534}), frozenset({0, known.pw_gid}))


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
    def test_it_may_not_be_there_yet(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o777)
        assert soundness.exposed(tmp_path / "new" / "run") == f"{tmp_path}: {WRITABLE}"

    def test_an_ordinary_user_harms_nobody_else(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        tmp_path.chmod(0o777)
        assert soundness.exposed(tmp_path) is None
