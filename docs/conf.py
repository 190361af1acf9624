"""Sphinx configuration: ``python -m sphinx -W -b html docs docs/_build`` builds the site."""

from __future__ import annotations

import re

from relay_sync import __version__

project = "relay-sync"
author = "the relay-sync authors"
copyright = author
version = release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
html_theme = "alabaster"
html_theme_options = {
    "description": "Synchronous Python SDK for SignalWire RELAY",
    "fixed_sidebar": True,
    "page_width": "1100px",
}
html_sidebars = {"**": ["about.html", "navigation.html", "searchbox.html"]}
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
suppress_warnings = ["myst.header", "ref.python"]  # "type" is a builtin and an attribute of five classes
nitpicky = False

_FIELD = re.compile(r"(?<=\S)\s+(?:and\s+)?(?=:(?:param|raises|returns?|ivar|cvar)\b[^:\n]*:)")
_STARTS_FIELD = re.compile(r":(?:param|raises|returns?|ivar|cvar)\b[^:\n]*:")


def one_field_a_line(app, what, name, obj, options, lines):
    """In the source several short fields may share a line; the reader of docstrings wants each on its own."""
    text = "\n".join(lines)
    blocks = []
    for block in re.split(r"\n(?=:(?:param|raises|returns?|ivar|cvar)\b)", text):
        if _STARTS_FIELD.match(block):
            body, gap, rest = block.partition("\n\n")
            block = _FIELD.sub("\n", re.sub(r"\n\s*(?=\S)", "\n    ", body)) + gap + rest
        blocks.append(block)
    lines[:] = "\n".join(blocks).split("\n")


def setup(app):
    app.connect("autodoc-process-docstring", one_field_a_line)
