"""The pages at [web] listen: HTML from templates, for people at the panel and at their desks.

Invariants: every page is a template (`templates/`), rendered by `rendering.render`, which escapes everything and refuses what is not there;
no HTML is put together anywhere else. Style and scripts are files of this package (`static/`), served by this port: a page loads nothing
from elsewhere, holds no script and no style inside, and works without the script. What a page shows is made in a pace, whoever asks
(`gateway.operation.views.Made`). jinja2 is imported when the page is opened, in a thread, and by nothing else.

Modules, each knowing those after it: `server` (the port), `alarm` (a form), `door` (who is let in), `proxy` (whose word is taken for that),
`streams` (keeps pages up to date), `views` (what everybody sees), `line`, `tags`, `journal` and `clock` (a page each: pure functions from a
snapshot to HTML), `banner` (what needs attention, from `concerns`), `rendering`, `assets`, `sessions`.
"""
