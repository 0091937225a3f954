"""The look of the EBR's pages, put into each page: a record is one file."""

from importlib.resources import files

CSS = files("simulators.ebr").joinpath("style.css").read_text("utf-8")
