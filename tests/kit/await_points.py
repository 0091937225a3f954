"""Every `await`, `async for` and `async with` of the product as a point at which something may be raised, if a task waits there or not.

A process that begins with `begin` imports the product with a call at each of them. A task goes on at most of them without a wait, so
that nobody sees from outside that it was there.
"""

import ast
import asyncio
import builtins
import importlib.machinery
import os
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any

from kit.repository import ROOT

if TYPE_CHECKING:
    from kit.await_places import Place
    from kit.awaits_line import Done

ROOMS = ("gateway", "drivers", "config", "buffer")
CALLED = "_at_await"
called: list[Callable[[str, Any], Any]] = []
"""Who is told of each point that a task comes to, as `gateway/intake/port.py:88`, and of what it will wait for; it may raise."""


def _at_await(point: str, awaited: Any) -> Any:
    for told in called:
        told(point, awaited)
    return awaited


class _Pointed(ast.NodeTransformer):
    """Has the call at each point."""

    def __init__(self, name: str) -> None:
        self._name = name

    def _at(self, node: ast.AST, line: int) -> Any:
        point = ast.Constant(f"{self._name}:{line}")
        return ast.copy_location(ast.Call(ast.Name(CALLED, ast.Load()), [point, node], []), node)  # type: ignore[list-item]

    def visit_Await(self, node: ast.Await) -> ast.AST:
        self.generic_visit(node)
        node.value = self._at(node.value, node.lineno)
        return node

    def visit_AsyncFor(self, node: ast.AsyncFor) -> ast.AST:
        self.generic_visit(node)
        node.iter = self._at(node.iter, node.lineno)
        return node

    def visit_AsyncWith(self, node: ast.AsyncWith) -> ast.AST:
        self.generic_visit(node)
        node.items[0].context_expr = self._at(node.items[0].context_expr, node.lineno)
        return node


class _Loader(importlib.machinery.SourceFileLoader):
    """Compiles a module of the product with its points; byte code that is on the disk has none."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        tree = ast.parse(self.get_data(path), path)
        pointed = ast.fix_missing_locations(_Pointed(Path(path).relative_to(ROOT).as_posix()).visit(tree))
        return compile(pointed, path, "exec", dont_inherit=True)


class _Finder:
    """Finds the modules of the product."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> Any:
        if name.partition(".")[0] not in ROOMS:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.origin is not None and spec.origin.endswith(".py"):
            spec.loader = _Loader(name, spec.origin)
        return spec


def begin() -> None:
    """Have this process import the product with its points; it is ours alone. Its output goes nowhere: what it does is asked of it."""
    assert not {name for name in sys.modules if name.partition(".")[0] in ROOMS}, "imported before"
    setattr(builtins, CALLED, _at_await)
    sys.meta_path.insert(0, _Finder)
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    from kit import awaits_line

    awaits_line.hurry()


def shown(line: str, folder: Path) -> "Counter[Place]":
    """`awaits_line.shown`, for a process that has begun."""
    from kit import awaits_line

    return awaits_line.shown(line, folder)


def raised(line: str, folder: Path, kind: str, wanted: "list[Place]") -> "Done":
    """`awaits_line.raised`, for a process that has begun."""
    from kit import awaits_line

    return awaits_line.raised(line, folder, kind, wanted)


def forget(awaited: Any) -> None:
    """Close a coroutine that nobody will wait for."""
    if asyncio.iscoroutine(awaited):
        awaited.close()
