"""Sphinx configuration: ``python -m sphinx -W -b html docs docs/_build`` builds the site."""

from __future__ import annotations

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
