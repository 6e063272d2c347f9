"""Draw the demo's result, as ``docs/demo.md`` has it: ``python docs/pictures/demo.py``."""

from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

from factors import BLUE, DARK_MODE, INK

FILE = Path(__file__).parent / "demo.svg"
LEFT, RIGHT, TOP, STEP = 20, 400, 54, 52


class Result(NamedTuple):
    """Share of 1,000 sentences whose nearest neighbour is their translation, at the best layer."""

    label: str
    untrained: float
    trained: float


RESULTS = (
    Result("default: joint vocabulary", 0.207, 0.786),
    Result("default, shared tokens left out", 0.054, 0.760),
    Result("no-anchors: not one token in common", 0.004, 0.602),
)


def draw() -> str:
    """Return the picture: an open dot before training, a full one after it."""
    height = TOP + STEP * len(RESULTS) + 34
    lines = [_text(LEFT, 18, "Translations found among 1,000 sentences", 14, "bold")]
    for y, result in enumerate(RESULTS):
        lines += _row(TOP + STEP * y, result)
    axis = TOP + STEP * len(RESULTS) - 6
    lines.append(f'<path d="M{LEFT} {axis}H{RIGHT}" stroke="{INK}" stroke-width="1"/>')
    for share in (0, 0.25, 0.5, 0.75, 1):
        lines.append(_text(_x(share), axis + 17, f"{100 * share:g} %", 12, anchor="middle"))
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="420" height="{height}" '
            f'viewBox="0 0 420 {height}" role="img" font-family="system-ui, sans-serif">',
            "<title>Retrieval before and after training</title>",
            f"<style>{DARK_MODE}</style>",
            *lines,
            "</svg>\n",
        ]
    )


def _row(y: int, result: Result) -> list[str]:
    before, after = _x(result.untrained), _x(result.trained)
    return [
        _text(LEFT, y, result.label, 13),
        f'<path d="M{before + 6:g} {y + 16}H{after:g}" stroke="{BLUE}" stroke-width="3"/>',
        f'<circle cx="{before:g}" cy="{y + 16}" r="6" fill="none" stroke="{INK}" '
        'stroke-width="2"/>',
        f'<circle cx="{after:g}" cy="{y + 16}" r="7" fill="{BLUE}"/>',
        _text(after + 12, y + 20.5, f"{100 * result.trained:.1f} %", 12),
    ]


def _x(share: float) -> float:
    return round(LEFT + share * (RIGHT - LEFT), 1)


def _text(
    x: float, y: float, words: str, size: int, weight: str = "normal", anchor: str = "start"
) -> str:
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size}" font-weight="{weight}" '
        f'text-anchor="{anchor}" fill="{INK}">{escape(words)}</text>'
    )


if __name__ == "__main__":
    FILE.write_text(draw(), encoding="utf-8")
