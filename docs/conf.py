"""The documentation site: ``make docs`` builds it; nothing in it asks the network."""

import sys
from pathlib import Path

import xling

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "extensions"))

project = "xling"
author = "the xling contributors"
copyright = author
version = release = xling.__version__

extensions = [
    "inline_pictures",
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    # after autodoc, whose events they hear
    "array_types",
    "settings_tables",
]
exclude_patterns = ["extensions", "pictures", "static"]
myst_heading_anchors = 3

# Google style only; attributes of a class stand in one table with its arguments.
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_attr_annotations = False
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
# A name of ours that leads nowhere is an error. Other libraries' names lead nowhere: an inventory
# of theirs would have to come from the network.
nitpicky = True
nitpick_ignore_regex = [(r"py:.*", r"(?!xling).*"), (r"py:.*", r"xling\..*\._.*")]

highlight_language = "none"  # a block says its language, or has none

html_theme = "furo"
html_title = "xling"
html_static_path = ["static"]
html_css_files = ["pictures.css"]
html_copy_source = False
html_show_sphinx = False
pygments_style = "default"
pygments_dark_style = "monokai"
