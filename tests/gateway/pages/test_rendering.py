"""How templates are rendered: nothing passes unescaped, an undefined name is an error, and jinja2 comes with the pages alone."""

import subprocess
import sys

import pytest
from jinja2 import UndefinedError

from gateway.pages.rendering import Frame, Person, personal, render

EVIL = "<script>\"'&<!-- person -->"


def test_what_is_not_there_is_an_error_and_no_empty_word() -> None:
    with pytest.raises(UndefinedError):
        render("login.html", frame=Frame("site-1/line-1"), csrf="", wrong="", user="")


@pytest.mark.bar("S09")
@pytest.mark.urs("URS-SEC-08")
def test_what_people_and_devices_said_is_escaped_everywhere() -> None:
    page = render("login.html", frame=Frame(EVIL, is_personal=True), csrf=EVIL, wrong=EVIL, user=EVIL, must_change=True)
    assert "<script" not in page
    assert page.count("&lt;script&gt;") == 5, "title, name, refusal, secret, user"
    assert page.count("<!-- person -->") == 1, "nobody can make a second place for the person"
    whole = personal(page.encode(), Person(EVIL, "qa", EVIL)).decode()
    assert "<script" not in whole
    assert "<!-- person -->" not in whole
    assert whole.count("&lt;script&gt;") == 7


def test_jinja2_is_loaded_with_the_first_page_and_not_with_a_gateway_that_has_none() -> None:
    told = "import sys, gateway.cli.line, gateway.runtime.gateway, gateway.runtime.assembly, gateway.operation.server\n"
    told += "before = 'jinja2' in sys.modules\nfrom gateway.pages.rendering import compile_templates\ncompile_templates()\n"
    told += "print(before, 'jinja2' in sys.modules)"
    shown = subprocess.run([sys.executable, "-P", "-c", told], capture_output=True, text=True, check=True)
    assert shown.stdout.split() == ["False", "True"]
