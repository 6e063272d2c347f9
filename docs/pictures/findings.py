"""Draw the pictures of ``docs/findings.md``: ``python docs/pictures/findings.py``."""

from pathlib import Path

from factors import DARK_MODE, INK

from xling.report.headline import Dots, draw_dots

HERE = Path(__file__).parent
# Shares of 1,000 held-out sentences of the near language, at each variant's best layer, with the
# means of both languages subtracted: mean over three seeds, untrained, lowest and highest seed.
LADDER = (
    Dots("default: everything is shared", 0.836, 0.234, 0.784, 0.868),
    Dots("no-anchors: no token in common", 0.727, 0.010, 0.688, 0.750),
    Dots("and separate special tokens", 0.721, 0.009, 0.707, 0.738),
    Dots("and separate random replacements", 0.767, 0.010, 0.744, 0.803),
    Dots("and a separate softmax", 0.856, 0.010, 0.849, 0.865),
    Dots("and separate special tokens and softmax", 0.757, 0.009, 0.703, 0.791),
    Dots("sep-tokens: all of these separate", 0.797, 0.007, 0.786, 0.803),
    Dots("sep-tokens-L1-3: and layers 1-2 of 4", 0.618, 0.007, 0.549, 0.700),
    Dots("sep-tokens-L1-6: and layers 1-3 of 4", 0.398, 0.007, 0.187, 0.537),
    Dots("no token in common, separate positions", 0.037, 0.002, 0.033, 0.044),
    Dots("sep-emb: tokens, positions and norm separate", 0.001, 0.001, 0.000, 0.003),
    Dots("the same with fixed sinusoidal positions", 0.839, 0.019, 0.810, 0.858),
)


PICTURES = {"ladder": LADDER}


def draw(results: tuple[Dots, ...]) -> str:
    """Return a picture: an open dot before training, a full one after it."""
    return draw_dots(results, 0.001, INK, DARK_MODE)


if __name__ == "__main__":
    for name, results in PICTURES.items():
        (HERE / f"{name}.svg").write_text(draw(results), encoding="utf-8")
