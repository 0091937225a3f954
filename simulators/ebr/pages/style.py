"""The look of the EBR's pages, put into each page: a record is one file."""

from importlib.resources import files

CSS = files("simulators.ebr.pages").joinpath("style.css").read_text("utf-8")
