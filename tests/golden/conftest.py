"""`--freeze`: write the golden files anew, on purpose."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--freeze", action="store_true", help="write what the code makes today over the golden files")
