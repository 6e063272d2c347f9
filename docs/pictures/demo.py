"""Draw the demo's result, as ``docs/demo.md`` has it: ``python docs/pictures/demo.py``."""

from pathlib import Path

from factors import DARK_MODE, INK

from xling.report.headline import Dots, draw_dots

FILE = Path(__file__).parent / "demo.svg"
# Shares of 1,000 sentences, at the best layer.
RESULTS = (
    Dots("default: one joint vocabulary", 0.786, 0.207),
    Dots("default, measured without the shared tokens", 0.760, 0.054),
    Dots("no-anchors: the two languages share no token", 0.602, 0.004),
)


def draw() -> str:
    """Return the picture: an open dot before training, a full one after it."""
    return draw_dots(RESULTS, 0.001, INK, DARK_MODE)


if __name__ == "__main__":
    FILE.write_text(draw(), encoding="utf-8")
