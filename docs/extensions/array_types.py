"""Write arrays' types as ``ndarray``: their shapes and kinds of numbers stand in the docstrings."""

import re

from docutils.nodes import Element
from sphinx.application import Sphinx

_ARRAY = re.compile(
    r"~?numpy\.ndarray\[~?tuple\[[^\[\]]*(?:\[[^\[\]]*\][^\[\]]*)*\], "
    r"~?numpy\.dtype\[[^\[\]]*(?:\[[^\[\]]*\][^\[\]]*)*\]\]"
)


def shorten(app: Sphinx, domain: str, kind: str, content: Element) -> None:
    """Shorten the types that autodoc has noted, before it puts them into the description."""
    for types in app.env.current_document.autodoc_annotations.values():
        for name, written in types.items():
            types[name] = _ARRAY.sub("~numpy.ndarray", written)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the hook, which must come before autodoc's own."""
    app.connect("object-description-transform", shorten, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
