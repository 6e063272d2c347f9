"""Put the SVG pictures of ``pictures/`` into the page itself, where they take its colours.

As files they show on any viewer of Markdown and follow the system's light or dark setting; in the
page they follow the page's, and their text can be searched and selected.
"""

from html import escape
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform


class InlinePictures(SphinxPostTransform):
    """Replace each image that is a picture of ours by its SVG."""

    default_priority = 5  # before images are collected for copying
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        """Replace the images of one page."""
        for image in list(self.document.findall(nodes.image)):
            path = Path(self.env.srcdir, image["uri"])
            if path.suffix == ".svg" and "pictures" in path.parts:
                label = escape(image.get("alt", ""), quote=True)
                svg = path.read_text(encoding="utf-8")
                svg = svg.replace("<svg ", f'<svg class="picture" aria-label="{label}" ', 1)
                image.replace_self(nodes.raw("", svg, format="html"))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the transform."""
    app.add_post_transform(InlinePictures)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
