"""Which release a disk would start, and whether all of it is there: what is looked at of each state that a power cut may leave."""

from collections.abc import Mapping
from pathlib import Path

from kit.disk_states import Node, Tree
from kit.installer_stage import Stage
from kit.tiny_bundle import ACCOUNT, content, unit

OLD, NEW = "1.0.0", "1.1.0"
CURRENT = "/opt/ebr-gateway"
UNIT_AT = "/etc/systemd/system/ebr-gateway@.service"
ACCOUNT_AT = "/etc/sysusers.d/ebr-gateway.conf"
COMMAND_AT = "/usr/local/bin/ebr-gateway"
PYTHON = Path("/usr/bin/python3")


class Releases:
    """What each version consists of, by the names beneath its folder, and which one was installed by hand in the room of the link."""

    def __init__(self, trees: Mapping[str, Tree], by_hand: str = "") -> None:
        self.trees, self.by_hand = trees, by_hand
        self.units = {unit(version) for version in trees}

    def in_charge(self, tree: Tree) -> str:
        """Return which version a boot would run; empty where none is installed. Fails where any of it is not whole."""
        for version in self.counted(tree):
            self.is_whole(tree, version, f"{CURRENT}-{version}")
        at = tree.get(CURRENT)
        if at is None:
            return ""
        version = self.by_hand if at.kind == "folder" else at.content.decode().removeprefix(f"{CURRENT}-")
        assert version in self.trees, f"in charge is {at}, which is no release"
        self.is_whole(tree, version, CURRENT if at.kind == "folder" else f"{CURRENT}-{version}")
        found = {path: node.content for path in (UNIT_AT, ACCOUNT_AT, COMMAND_AT) if (node := tree.get(path))}
        assert found.get(UNIT_AT) in self.units, "the unit is not whole"
        assert found.get(ACCOUNT_AT) == ACCOUNT, "the account's file is not whole"
        assert found.get(COMMAND_AT) == f"{CURRENT}/bin/ebr-gateway".encode(), "the command leads elsewhere"
        return version

    def counted(self, tree: Tree) -> list[str]:
        """Return what `list` takes for a version, and `switch` would start."""
        return [version for version in self.trees if (whole := tree.get(f"{CURRENT}-{version}/whole")) is not None and whole.content != b""]

    def is_whole(self, tree: Tree, version: str, at: str) -> None:
        """Fail where a file of this version is not there, is not as it was made, or was never of it."""
        known = self.trees[version]
        for name, node in known.items():
            found = tree.get(f"{at}/{name}")
            assert name == "whole" or found == node or self._is_by_hand(version, node, found), f"{name} of {version} is not whole: {found}"
        strange = [path for path in tree if path.startswith(f"{at}/") and path.removeprefix(f"{at}/") not in known]
        assert [path for path in strange if not path.endswith(".new")] == [], f"version {version} has what it never had: {strange}"

    def _is_by_hand(self, version: str, node: Node, found: Node | None) -> bool:
        """Whether it is a command that still names the place in which it was installed."""
        if version != self.by_hand or found is None:
            return False
        return found == node._replace(content=node.content.replace(f"#!{CURRENT}-{version}/".encode(), f"#!{CURRENT}/".encode(), 1))


def tiny(version: str, at: str = "") -> Tree:
    """Return a release as it lies in its folder, or in another one, by the names in that folder. See kit.tiny_bundle."""
    packages = f"lib/{PYTHON.resolve().name}/site-packages"
    files = {
        "pyvenv.cfg": f"home = {PYTHON.parent}\n".encode(),
        **{f"{packages}/{name}": data for name, data in content(version).items()},
        f"{packages}/ebr_gateway-{version}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: ebr-gateway\nVersion: {version}\n".encode(),
    }
    folders = {str(folder) for name in ["bin/python", *files] for folder in list(Path(name).parents)[:-1]}
    program = f"#!{at or f'{CURRENT}-{version}'}/bin/python\nfrom gateway import main\n\nmain()\n".encode()
    return {
        **{name: Node("folder") for name in sorted(folders)},
        **{name: Node("file", 0o644, data) for name, data in files.items()},
        "bin/python": Node("link", 0o777, str(PYTHON.resolve()).encode()),
        "bin/ebr-gateway": Node("file", 0o755, program),
    }


def put(tree: Tree, at: str) -> Tree:
    """Return it with names from the root on."""
    return {at: Node("folder"), **{f"{at}/{name}": node for name, node in tree.items()}}


def lay_tiny(stage: Stage, *versions: str, by_hand: str = "") -> Releases:
    """Lay releases on this disk as the installer would have made them, none in use; by_hand: one in use that it did not make."""
    trees = {version: {**tiny(version), "whole": Node("file", 0o644, f"ebr-gateway {version}\n".encode())} for version in versions}
    for version in versions:
        if version != by_hand:
            stage.lay({}, put(trees[version], f"{CURRENT}-{version}"))
    if by_hand:
        around = {
            UNIT_AT: Node("file", 0o644, unit(by_hand)),
            ACCOUNT_AT: Node("file", 0o644, ACCOUNT),
            COMMAND_AT: Node("link", 0o777, f"{CURRENT}/bin/ebr-gateway".encode()),
        }
        stage.lay({}, {**put(tiny(by_hand, CURRENT), CURRENT), **around})
    return Releases(trees, by_hand)


def beneath(tree: Tree, version: str) -> Tree:
    """Return what lies in the folder of a version, by the names in it."""
    at = f"{CURRENT}-{version}/"
    return {path.removeprefix(at): node for path, node in tree.items() if path.startswith(at)}
