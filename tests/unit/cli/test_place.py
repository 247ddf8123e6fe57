# SPDX-License-Identifier: Apache-2.0
"""A file that an option names is written to by root where no link of anybody's is followed, and by others as ever."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from invoked import Invoke, complaint

from bpfbench import soundness
from bpfbench.cli import place
from bpfbench.errors import StoreError, UsageError

pytestmark = pytest.mark.filterwarnings("ignore:Cyclopts application invoked without tokens:UserWarning")
RUN = Path(__file__).parents[2] / "data" / "runs" / "format-4"
LINK = "is a link, and bpfbench follows none where it writes"


@pytest.fixture
def as_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Be root, by sudo, as far as bpfbench can tell: whoever runs the tests."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("SUDO_UID", str(os.getuid()))
    monkeypatch.setenv("SUDO_GID", str(os.getgid()))
    monkeypatch.setattr(soundness, "LOGIN", tmp_path / "none")


@pytest.fixture
def as_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)


@pytest.fixture
def linked(tmp_path: Path) -> Path:
    """A link in a folder that all may write to, as /tmp."""
    (tmp_path / "theirs").write_text("theirs")
    (folder := tmp_path / "tmp").mkdir()
    folder.chmod(0o1777)
    (folder / "out.json").symlink_to(tmp_path / "theirs")
    return folder / "out.json"


VERBS = (
    (("export", str(RUN), "--format", "markdown", "--output"), ".md"),
    (("tune", "--setups", "libbpf", "--output"), ".toml"),
    (("overhead", "true", "--target", "true", "--export"), ".json"),
    (("bench", "drain", "--output"), ".json"),
    (("bench", "roofline", "--output"), ".json"),
    (("image", "export"), ".tar"),
)


@pytest.mark.parametrize(("words", "suffix"), VERBS, ids=[" ".join(words[:2]) for words, _ in VERBS])
@pytest.mark.usefixtures("as_root")
def test_no_verb_begins_that_would_write_through_a_link(
    bpfbench: Invoke, tmp_path: Path, linked: Path, words: tuple[str, ...], suffix: str
) -> None:
    if words[0] == "tune":
        pytest.importorskip("optuna")
    link = linked.rename(linked.with_suffix(suffix))
    assert complaint(bpfbench(*words, str(link)), status=1) == f"bpfbench: {link}: {LINK}"
    assert (tmp_path / "theirs").read_text() == "theirs"


@pytest.mark.usefixtures("as_root")
def test_nor_below_a_folder_of_anybodys(bpfbench: Invoke, tmp_path: Path) -> None:
    (anybodys := tmp_path / "anybodys").mkdir()
    anybodys.chmod(0o777)
    done = bpfbench("export", str(RUN), "--format", "markdown", "--output", str(anybodys / "run.md"))
    assert complaint(done, status=1).startswith(f"bpfbench: {anybodys}: can be written to by others")
    assert "choose another --output" in done.err
    assert list(anybodys.iterdir()) == []


@pytest.mark.usefixtures("as_root")
@pytest.mark.parametrize("made", [Path.touch, lambda path: path.symlink_to("theirs")], ids=["a file", "a link"])
def test_what_others_put_there_after_the_last_look_is_not_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: Callable[[Path], None]
) -> None:
    (tmp_path / "theirs").write_text("theirs")
    monkeypatch.setattr(place, "require_file", lambda path, _: made(path))
    with pytest.raises(FileExistsError):
        place.write(tmp_path / "out", "ours")
    assert (tmp_path / "theirs").read_text() == "theirs"
    assert not (tmp_path / "out").read_text().startswith("ours")


@pytest.mark.usefixtures("as_root")
def test_a_file_of_somebody_elses_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "out").write_text("theirs")
    monkeypatch.setattr(place, "exposed", lambda _: None)
    monkeypatch.setattr(place, "trusted", lambda: soundness.Trusted(frozenset(), frozenset()))
    with pytest.raises(StoreError, match=f"belongs to user {os.getuid()}, who could put a link there"):
        place.write(tmp_path / "out", "ours")
    assert (tmp_path / "out").read_text() == "theirs"


@pytest.mark.parametrize("who", ["as_root", "as_user"])
def test_a_file_of_ones_own_is_written_anew_in_its_place(
    tmp_path: Path, request: pytest.FixtureRequest, who: str
) -> None:
    request.getfixturevalue(who)
    (out := tmp_path / "out").write_text("what was longer before")
    out.chmod(0o666)
    inode = out.stat().st_ino
    place.write(out, "new")
    place.write(tmp_path / "another", b"new")
    assert (out.read_text(), (tmp_path / "another").read_bytes()) == ("new", b"new")
    assert out.stat().st_ino == inode


@pytest.mark.usefixtures("as_user")
def test_an_ordinary_user_follows_links_but_in_a_run_directory(tmp_path: Path, linked: Path) -> None:
    place.write(linked, "mine")
    assert (tmp_path / "theirs").read_text() == "mine"
    (linked.parent / "run.json").touch()
    with pytest.raises(StoreError, match=LINK):
        place.write(linked, "run")
    assert (tmp_path / "theirs").read_text() == "mine"


@pytest.mark.parametrize("who", ["as_root", "as_user"])
@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "/dev/null"])
def test_what_we_were_called_with_and_devices_are_written_to(
    capfd: pytest.CaptureFixture[str], request: pytest.FixtureRequest, who: str, name: str
) -> None:
    request.getfixturevalue(who)
    place.require_file(Path(name))
    place.write(Path(name), "text")
    place.write(Path(name), "s\n")
    assert capfd.readouterr().out == ("" if name == "/dev/null" else "texts\n")


@pytest.mark.parametrize("name", ["", "no/such/out"])
def test_what_is_no_file_in_a_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="is not a file in an existing directory"):
        place.require_file(tmp_path / name)


def test_a_device_is_not_replaced_by_an_archive(bpfbench: Invoke) -> None:
    done = bpfbench("image", "export", "/dev/null")
    assert complaint(done) == "bpfbench: '/dev/null' is not a file in an existing directory"
