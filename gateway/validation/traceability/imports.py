"""Which room of the product a file of tests reaches: by what it imports, and what that imports, read from the text.

Everything that is imported counts, also within a function, but for what stands there for types alone. Importing a module runs the
packages above it, so it reaches what they import. A name that a package gives at its first use (`config`, `buffer`) reaches its home.
What no text tells is in `LOADS` by hand, and a file that starts processes reaches everything. So a file may be said to reach more than it
does, and not less: tests/gateway/validation compares it with what was really loaded.
"""

import ast
from collections.abc import Iterator, Mapping
from fnmatch import filter as matching
from functools import cache
from pathlib import Path

PRODUCT = ("gateway", "drivers", "buffer", "config", "simulators")
EVERYTHING = "*"
STARTS_PROCESSES = frozenset({"subprocess"})
"""What runs another program. A process that is forked (`multiprocessing`) imports by the same text."""
OF_OTHERS = frozenset({"kit.commands", "kit.databases", "kit.mosquitto_site", "kit.node_opcua", "kit.pages_read"})
"""What of tests/kit starts programs that are not ours, or none."""
WAITING = frozenset({"eventually", "until", "free_port", "listens", "DEADLINE_S"})
"""What of kit.processes waits and counts, and starts nothing."""
FIXTURES = {"recorded": "kit.random_line"}
"""Fixtures of tests/conftest.py, which all tests have and few use, with what they import."""
LOADS = {
    "gateway.cli.commands": ("gateway.cli.*",),
    "simulators.line.drive": ("simulators.*",),
}
"""Modules that import others by a name that is computed."""
ASKS = {"driver_class": ("drivers.opcua", "drivers.modbus", "drivers.serial", "drivers.mes_sql", "drivers.mes_file")}
"""Functions that do so for who calls them."""


class Imports:
    """What each module of a source tree imports, and what each file of tests reaches."""

    def __init__(self, tree: Path) -> None:
        self._tree = tree
        roots = {name: tree / name for name in PRODUCT} | {name: tree / "tests" / name for name in ("kit", "golden")}
        self._paths = {module: path for name, root in roots.items() for module, path in _modules(name, root)}
        self._direct: dict[str, frozenset[str]] = {}
        self._gives: dict[str, Mapping[str, str]] = {}

    def modules(self) -> list[str]:
        """List the product's modules."""
        return sorted(module for module in self._paths if module.partition(".")[0] in PRODUCT)

    def has(self, name: str) -> bool:
        """Whether the tree has this file."""
        return (self._tree / name).is_file()

    def reach(self, file: str) -> frozenset[str]:
        """Return the modules that a file of tests reaches, its conftests included; `*` alone if it starts processes."""
        path = self._tree / file
        above = [self._tree / name for name in conftests(file) if (self._tree / name).exists()]
        waiting = [name for one in (path, *above) for name in self._names(one, "")]
        if STARTS_PROCESSES & set(waiting):
            return frozenset({EVERYTHING})
        waiting += [FIXTURES[node.arg] for node in ast.walk(_parsed(path)) if isinstance(node, ast.arg) and node.arg in FIXTURES]
        seen: set[str] = set()
        while waiting:
            name = waiting.pop()
            if name in seen or name not in self._paths:
                continue
            seen.add(name)
            imported = self.direct(name)
            if STARTS_PROCESSES & imported and name.startswith("kit.") and name not in OF_OTHERS:
                return frozenset({EVERYTHING})
            waiting += imported
        return frozenset(seen)

    def direct(self, module: str) -> frozenset[str]:
        """Return what a module imports, of ours and of others, and the packages above it."""
        if module not in self._direct:
            above = {module.rpartition(".")[0]} - {""}
            loaded = {name for pattern in LOADS.get(module, ()) for name in matching(self._paths, pattern)}
            self._direct[module] = frozenset({*self._names(self._paths[module], module), *above, *loaded})
        return self._direct[module]

    def _names(self, path: Path, module: str) -> set[str]:
        """Return what a file imports; module: its own name, for what it says of its neighbours."""
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        found: set[str] = set()
        bound: dict[str, str] = {}
        nodes = list(_executed(_parsed(path)))
        for node in nodes:
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
                bound |= {
                    (alias.asname or alias.name.partition(".")[0]): (alias.name if alias.asname else alias.name.partition(".")[0])
                    for alias in node.names
                }
            elif isinstance(node, ast.ImportFrom):
                base = _absolute(node, package)
                if base == "kit.processes" and {alias.name for alias in node.names} <= WAITING:
                    continue
                found |= {name for alias in node.names if package != "drivers" for name in ASKS.get(alias.name, ())}
                found |= {self._home(base, alias.name) for alias in node.names} | {base}
                bound |= {(alias.asname or alias.name): f"{base}.{alias.name}" for alias in node.names}
        for node in nodes:  # `import buffer; buffer.Journal`
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and bound.get(node.value.id) in self._paths:
                found.add(self._home(bound[node.value.id], node.attr))
        return found

    def _home(self, base: str, name: str) -> str:
        """Return the module in which a name lives that is imported from `base`: a module of it, or one that it gives on, or itself."""
        if f"{base}.{name}" in self._paths or base not in self._paths:
            return f"{base}.{name}" if f"{base}.{name}" in self._paths else base
        if base not in self._gives:
            self._gives[base] = dict(self._given(base))
        return self._gives[base].get(name, base)

    def _given(self, module: str) -> Iterator[tuple[str, str]]:
        """Yield the names that a module has from another one, with that one; what stands there for types too."""
        path = self._paths[module]
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        for node in ast.walk(_parsed(path)):
            if isinstance(node, ast.ImportFrom):
                base = _absolute(node, package)
                for alias in node.names:
                    yield alias.asname or alias.name, f"{base}.{alias.name}" if f"{base}.{alias.name}" in self._paths else base


@cache
def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def _modules(name: str, root: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        yield ".".join((name, *(part for part in parts if part != "__init__"))), path


def _executed(module: ast.AST) -> Iterator[ast.AST]:
    """Walk a module without what stands under `if TYPE_CHECKING`."""
    waiting: list[ast.AST] = [module]
    while waiting:
        node = waiting.pop()
        yield node
        for_types = isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        waiting += node.orelse if isinstance(node, ast.If) and for_types else ast.iter_child_nodes(node)


def _absolute(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    parts = package.split(".")
    return ".".join([*parts[: len(parts) - node.level + 1], *([node.module] if node.module else [])])


def room_of(module: str) -> str:
    """Return the room of a module: `gateway.context.records`, `drivers.modbus`; a module of the buffer's ground stands for itself."""
    parts = module.split(".")
    return module if len(parts) <= 2 else ".".join(parts[: max(2, min(3, len(parts) - 1))])


def reached(imports: Imports, file: str) -> list[str]:
    """Return what a file of tests reaches, in few words: rooms of the product, modules that tests share, conftests; `*`: everything."""
    modules = imports.reach(file)
    names = {room_of(module) if module.partition(".")[0] in PRODUCT else module for module in modules}
    return sorted(names | {name for name in conftests(file) if imports.has(name)})


def conftests(file: str) -> list[str]:
    """Name the conftests that a file of tests may have, but for that of all tests."""
    parts = file.split("/")[:-1]
    return ["/".join((*parts[:length], "conftest.py")) for length in range(2, len(parts) + 1)]
