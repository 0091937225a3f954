"""Write a batch's record as one HTML file: no script, nothing from elsewhere."""

import re
from collections.abc import Iterable, Iterator
from html import escape

from buffer.pages.blocks import Block, Form, Heading, NamedValues, Table, Text

STYLE = """body{font:14px/1.4 sans-serif;max-width:80em;margin:2em auto;padding:0 1em;color:#111}
h2{margin:1.6em 0 .3em;border-bottom:1px solid #999}table{border-collapse:collapse;width:100%;margin:.5em 0 1em}
th,td{border:1px solid #bbb;padding:.2em .5em;text-align:left;vertical-align:top;overflow-wrap:break-word}th{background:#eee}
.long,.facts td{overflow-wrap:anywhere}
.wide{font-size:11px}.wide th,.wide td{padding:.15em .3em}
.look{background:#fdd}
.form td{height:3.2em}.form{break-inside:avoid}table.facts{width:auto}
@page{size:A4 landscape}@media print{body{font-size:10px}thead{display:table-header-group}tr{break-inside:avoid}}"""

FOOT = """
@page{{margin:14mm 14mm 18mm;@bottom-left{{content:"{foot}";font:9px sans-serif}}
@bottom-right{{content:"page " counter(page) " of " counter(pages);font:9px sans-serif}}}}"""

LONGEST_WHOLE = 40
"""Characters: each column is as wide as its words; a longer one (a digest, a device's text) breaks anywhere, or a table outgrows a page."""

MOST_COLUMNS = 10
"""A table with more of them has smaller letters, and names in it break after their points and strokes: else it outgrows a screen."""
_BREAKS = re.compile(r"(?<=\w[._])(?=[^\W\d]\w\w)|(?<=\w/)(?=\w{3})")


def html(title: str, blocks: Iterable[Block], foot: str | None = None) -> str:
    """Return the whole file. foot: printed on every page with its number, where the browser can (CSS Paged Media, 6)."""
    style = STYLE if foot is None else STYLE + FOOT.format(foot=escape(foot).replace("\\", "").replace("\n", " "))
    head = f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title><style>{style}</style></head>'
    return "\n".join([f"{head}<body><main>", f"<h1>{escape(title)}</h1>", *map(_block, blocks), "</main></body></html>\n"])


def _block(block: Block) -> str:
    match block:
        case Heading():
            return f"<h{block.level + 1}>{escape(block.text)}</h{block.level + 1}>"
        case Text():
            return f"<p{' class=look' if block.marked else ''}>{escape(block.text)}</p>"
        case NamedValues():
            rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in block.rows)
            return f'<table class="facts">{rows}</table>'
        case Table():
            titles = "".join(f"<th>{escape(title)}</th>" for title in block.titles)
            wide = " class=wide" if len(block.titles) > MOST_COLUMNS else ""
            return f"<table{wide}><thead><tr>{titles}</tr></thead><tbody>{''.join(_rows(block))}</tbody></table>"
        case Form():
            titles = "".join(f"<th>{escape(title)}</th>" for title in block.titles)
            rows = "".join(f"<tr><td>{escape(label)}</td>{'<td></td>' * (len(block.titles) - 1)}</tr>" for label in block.labels)
            return f'<table class="form"><thead><tr>{titles}</tr></thead><tbody>{rows}</tbody></table>'


def _rows(table: Table) -> Iterator[str]:
    for index, row in enumerate(table.rows):
        cells = "".join(_cell(text, breaks=len(table.titles) > MOST_COLUMNS) for text in row)
        yield f'<tr class="look">{cells}</tr>' if index in table.marked else f"<tr>{cells}</tr>"


def _cell(text: str, *, breaks: bool) -> str:
    is_long = len(text) > LONGEST_WHOLE and max(map(len, text.split()), default=0) > LONGEST_WHOLE
    shown = "<wbr>".join(map(escape, _BREAKS.split(text))) if breaks else escape(text)
    return f"<td{' class=long' if is_long else ''}>{shown}</td>"
