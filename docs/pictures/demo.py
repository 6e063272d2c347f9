"""Draw the demo's result, as ``docs/demo.md`` has it: ``python docs/pictures/demo.py``."""

from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

from factors import BLUE, DARK_MODE, INK

FILE = Path(__file__).parent / "demo.svg"
WIDTH, LEFT, RIGHT, TOP, STEP = 600, 20, 540, 78, 52


class Result(NamedTuple):
    """Share of 1,000 sentences whose nearest neighbour is their translation, at the best layer."""

    label: str
    untrained: float
    trained: float


RESULTS = (
    Result("default: one joint vocabulary", 0.207, 0.786),
    Result("default, measured without the shared tokens", 0.054, 0.760),
    Result("no-anchors: the two languages share no token", 0.004, 0.602),
)


def draw() -> str:
    """Return the picture: an open dot before training, a full one after it."""
    height = TOP + STEP * len(RESULTS) + 34
    title = "Sentences whose nearest neighbour is their translation"
    lines = [_text(LEFT, 18, title, 15, "bold"), *_legend(41)]
    for y, result in enumerate(RESULTS):
        lines += _row(TOP + STEP * y, result)
    axis = TOP + STEP * len(RESULTS) - 6
    lines.append(f'<path d="M{LEFT} {axis}H{RIGHT}" stroke="{INK}" stroke-width="1"/>')
    for share in (0, 0.25, 0.5, 0.75, 1):
        lines.append(_text(_x(share), axis + 17, f"{100 * share:g} %", 12, anchor="middle"))
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
            f'viewBox="0 0 {WIDTH} {height}" role="img" font-family="system-ui, sans-serif">',
            "<title>Retrieval before and after training</title>",
            f"<style>{DARK_MODE}</style>",
            *lines,
            "</svg>\n",
        ]
    )


def _legend(y: int) -> list[str]:
    return [
        _before(LEFT + 6, y - 5),
        _text(LEFT + 18, y, "before training", 13),
        _after(LEFT + 137, y - 5),
        _text(LEFT + 150, y, "after training, at the best layer", 13),
        _text(LEFT + 365, y, "(by guessing: 0.1 %)", 13),
    ]


def _row(y: int, result: Result) -> list[str]:
    before, after = _x(result.untrained), _x(result.trained)
    return [
        _text(LEFT, y, result.label, 13),
        f'<path d="M{before + 6:g} {y + 16}H{after:g}" stroke="{BLUE}" stroke-width="3"/>',
        _before(before, y + 16),
        _after(after, y + 16),
        _text(after + 12, y + 20.5, f"{100 * result.trained:.1f} %", 12),
    ]


def _before(x: float, y: float) -> str:
    return f'<circle cx="{x:g}" cy="{y:g}" r="6" fill="none" stroke="{INK}" stroke-width="2"/>'


def _after(x: float, y: float) -> str:
    return f'<circle cx="{x:g}" cy="{y:g}" r="7" fill="{BLUE}"/>'


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
