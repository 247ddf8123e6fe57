# SPDX-License-Identifier: Apache-2.0
"""Being root in a user namespace: the prefix, and what is said where there can be none."""

from __future__ import annotations

from pathlib import Path

import pytest

from bpfbench.errors import MachineError
from bpfbench.machine import facts, privileges
from bpfbench.machine.facts import Diagnosis, lacking
from bpfbench.machine.privileges import NAMESPACES, as_root, lent_ids, reasons, unshare
from bpfbench.testbed.sandbox import Sandbox, building


class TestPrefix:
    def test_root_needs_no_user_namespace(self) -> None:
        assert as_root(euid=0) == ()
        assert unshare("--mount", euid=0) == ("unshare", "--mount")

    def test_anybody_else_is_root_in_one_with_the_ids_of_others_besides(self) -> None:
        assert as_root(euid=1000) == ("unshare", "--user", "--map-root-user", "--map-auto", "--")
        assert unshare("--mount", euid=1000) == ("unshare", "--user", "--map-root-user", "--map-auto", "--mount")

    @pytest.mark.parametrize("euid", [0, 1000])
    def test_a_build_enters_an_image_as_root_and_mounts_no_tracefs(self, euid: int) -> None:
        words = building(Sandbox("/cache/root"), ("./build", "out"), euid=euid)
        at = words.index("bwrap")
        assert words[at - len(as_root(euid)) : at] == as_root(euid)
        assert words[-3:] == ("--", "./build", "out")
        assert not any(word.endswith("supervise") for word in words)


class TestLentIds:
    @pytest.mark.parametrize(
        ("text", "lent"),
        [
            ("me:100000:65536\n", 65536),
            ("1000:100000:65536\n", 65536),
            ("you:100000:65536\nme:165536:1000\n", 1000),
            ("me:100000:1000\nme:200000:65535\n", 65535),
            ("", 0),
            ("# comment\nme:broken\n", 0),
        ],
    )
    def test_the_longest_range_of_the_user_by_name_or_id(self, text: str, lent: int) -> None:
        assert lent_ids(text, "me", 1000) == lent


def make_machine(root: Path, **sysctls: str) -> Path:
    """A machine on which an ordinary user has user namespaces, but for what a test says."""
    for name in ("subuid", "subgid"):
        (root / "etc").mkdir(exist_ok=True)
        (root / "etc" / name).write_text("me:100000:65536\n")
    (root / "usr/bin").mkdir(parents=True)
    (root / "usr/bin/newuidmap").touch()
    for name, value in {"user.max_user_namespaces": "96365", **sysctls}.items():
        path = root / "proc/sys" / name.replace(".", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value + "\n")
    return root


class TestDiagnosis:
    def found(self, root: Path) -> list[Diagnosis]:
        return list(reasons(root, "me", 1000))

    def test_a_machine_that_lacks_nothing(self, tmp_path: Path) -> None:
        assert self.found(make_machine(tmp_path)) == []

    @pytest.mark.parametrize(
        ("sysctl", "value"),
        [
            ("kernel.unprivileged_userns_clone", "0"),
            ("user.max_user_namespaces", "0"),
            ("kernel.apparmor_restrict_unprivileged_userns", "1"),
        ],
    )
    def test_a_setting_that_forbids_them_is_named_with_the_command_that_allows_them(
        self, tmp_path: Path, sysctl: str, value: str
    ) -> None:
        (lack,) = self.found(make_machine(tmp_path, **{sysctl: value}))
        assert lack.found == f"{sysctl} is {value}"
        assert (lack.advice or "").startswith(f"sudo sysctl {sysctl}=")

    def test_a_missing_package_is_named(self, tmp_path: Path) -> None:
        (make_machine(tmp_path) / "usr/bin/newuidmap").unlink()
        assert self.found(tmp_path) == [lacking(NAMESPACES, "newuidmap is not installed", "apt-get install uidmap")]

    @pytest.mark.parametrize(("file", "option"), [("subuid", "--add-subuids"), ("subgid", "--add-subgids")])
    def test_ids_that_are_not_lent_are_told_with_how_to_have_them_lent(
        self, tmp_path: Path, file: str, option: str
    ) -> None:
        (make_machine(tmp_path) / "etc" / file).write_text("you:100000:65536\n")
        (lack,) = self.found(tmp_path)
        assert lack.found == f"/etc/{file} lends me 0 ids in a row, and 65535 are needed"
        assert f"usermod {option} 100000-165535 me" in (lack.advice or "")

    def test_a_machine_without_the_file_lends_none(self, tmp_path: Path) -> None:
        (make_machine(tmp_path) / "etc/subuid").unlink()
        assert [lack.found.split()[0] for lack in self.found(tmp_path)] == ["/etc/subuid"]


class TestRequire:
    @pytest.fixture(autouse=True)
    def commands(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Every command is there."""
        monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")

    def test_what_lacks_is_told_with_what_to_do(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(
            privileges,
            "namespaces",
            lambda: lacking(NAMESPACES, "newuidmap is not installed", "apt-get install uidmap"),
        )
        with pytest.raises(MachineError) as caught:
            privileges.require()
        assert caught.value.message == "without root, images need user namespaces: newuidmap is not installed"
        assert caught.value.hint == "apt-get install uidmap"

    def test_a_command_that_is_not_there_is_told_first(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("shutil.which", lambda name: None if name == "bwrap" else f"/usr/bin/{name}")
        monkeypatch.setattr(privileges, "namespaces", lambda: pytest.fail("asked too early"))
        with pytest.raises(MachineError) as caught:
            privileges.require()
        assert (caught.value.message, caught.value.hint) == ("bwrap is not installed", "apt-get install bubblewrap")

    def test_only_who_builds_an_image_needs_what_builds_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("shutil.which", lambda name: None if name == "mmdebstrap" else f"/usr/bin/{name}")
        monkeypatch.setattr("os.geteuid", lambda: 0)
        privileges.require()
        with pytest.raises(MachineError, match="mmdebstrap is not installed"):
            privileges.require(facts.BUILDING)

    def test_root_lacks_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("os.geteuid", lambda: 0)
        privileges.require()
