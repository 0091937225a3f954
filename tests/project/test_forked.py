"""The gateways of tests are forked from a process that has imported what they need; a name that is gone would be left out in silence."""

import importlib

import pytest
from kit.forked import IMPORTED


@pytest.mark.parametrize("name", IMPORTED)
def test_what_is_imported_for_them_is_there(name: str) -> None:
    importlib.import_module(name)
