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


# The same of the study ways-to-meet.
WAYS = (
    Dots("default: joint vocabulary", 0.797, 0.191, 0.774, 0.824),
    Dots("no-anchors: no token in common", 0.615, 0.004, 0.575, 0.635),
    Dots("sep-tokens: separate token tables", 0.685, 0.006, 0.645, 0.715),
    Dots("mixed: both languages in every step", 0.693, 0.004, 0.669, 0.710),
    Dots("frozen-body: first one language, then the other's tokens", 0.223, 0.006, 0.164, 0.269),
    Dots("active-forgetting: and tokens are reset", 0.034, 0.006, 0.027, 0.040),
    Dots("imbalance: nine steps in ten in one language", 0.108, 0.004, 0.064, 0.136),
    Dots("imbalance-95: nineteen in twenty", 0.031, 0.004, 0.018, 0.051),
    Dots("copy: a language and its copy", 0.982, 0.004, 0.973, 0.987),
    Dots("copy-imbalance: nine steps in ten in one", 0.228, 0.004, 0.178, 0.300),
    Dots("copy-imbalance-95: nineteen in twenty", 0.038, 0.004, 0.025, 0.053),
    Dots("dose-1: 1 % of the tokens in common", 0.655, 0.011, 0.594, 0.694),
    Dots("dose-5: 5 %", 0.637, 0.033, 0.607, 0.656),
    Dots("default-anchors: 20 %", 0.694, 0.178, 0.670, 0.716),
    Dots("deep: eight narrow layers", 0.551, 0.006, 0.469, 0.597),
    Dots("wide: two wide layers", 0.655, 0.003, 0.613, 0.678),
)
PICTURES = {"ladder": LADDER, "ways": WAYS}


def draw(results: tuple[Dots, ...]) -> str:
    """Return a picture: an open dot before training, a full one after it."""
    return draw_dots(results, 0.001, INK, DARK_MODE)


if __name__ == "__main__":
    for name, results in PICTURES.items():
        (HERE / f"{name}.svg").write_text(draw(results), encoding="utf-8")
