"""Draw what two languages share in each preset, from the presets and their sharing plans.

``python docs/pictures/factors.py`` writes ``docs/pictures/factors/NAME.svg`` for every preset. A
setting that no picture shows is an error, so that a new preset asks for a new picture.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from xling.model.sharing import (
    HEAD,
    LANGUAGE,
    NORM,
    POSITIONS,
    SPECIALS,
    TOKENS,
    SharingPlan,
    sublayer_part,
)
from xling.study.presets import presets

FOLDER = Path(__file__).parent / "factors"
LAYERS = 8  # the paper's depth
SHOWN = {"vocabulary", "separate", "domain", "derive", "pretraining", "model"}
SWITCHES = {"softmax", "replacements"}
WAYS = {"base_first", "forget_every", "mixed", "base_share"}
POSITION_LABELS = {"sinusoidal": "fixed waves", "same": "one start", "": "positions"}

# Blue and orange of Okabe and Ito; ink is dark on light ground and turned over on dark ground.
BLUE, ORANGE, INK, WHITE, BLACK = "#0072B2", "#E69F00", "#1a1a1a", "#ffffff", "#000000"
DARK_MODE = (
    f"@media (prefers-color-scheme: dark) {{ [fill='{INK}'] {{ fill: #eeeeee }} "
    f"[stroke='{INK}'] {{ stroke: #eeeeee }} }}"
)
WIDTH, MARGIN, GAP = 220, 10, 8
FULL = WIDTH - 2 * MARGIN
HALF = (FULL - GAP) // 2
RIGHT = MARGIN + HALF + GAP

VOCABULARIES = {
    "joint": "one BPE: every identical string",
    "union": "a BPE each: identical tokens merge",
    "disjoint": "a BPE each: no token in common",
    "separate": "a BPE each: ids of their own",
}
COMMON = {"joint": ("Paris", "7", "tion"), "union": ("Paris", "7"), "disjoint": (), "separate": ()}
# How far a circle's centre lies from the middle.
APART = {"joint": 26, "union": 34, "disjoint": 51, "separate": 51}


@dataclass(frozen=True)
class Row:
    """One part of the encoders, drawn as one box or as one for each language."""

    label: str
    parts: tuple[str, ...]
    height: int
    size: float = 11


def draw(name: str, changes: Mapping[str, Any]) -> str:
    """Return the picture of a preset as SVG, whose text is text."""
    unknown = set(changes) - SHOWN
    if unknown:
        raise ValueError(f"preset {name}: no picture shows {', '.join(sorted(unknown))}")
    plan = SharingPlan.parse(changes.get("separate", ()), LAYERS)
    kind = changes.get("vocabulary", {}).get("kind", "joint")
    lines = [_text(WIDTH / 2, 17, name, 13, INK, "bold")]
    y = 28
    training = changes.get("pretraining", {})
    if training.get("softmax") == "own":
        lines += _own_pair("softmax", y)
        y += 20
    for row in rows(plan, _positions(changes.get("model", {}))):
        lines += _boxes(row, plan, y)
        y += row.height + 2
    if training.get("replacements") == "own":
        lines += _own_pair("random tokens", y)
        y += 20
    lines += _vocabulary(kind, changes.get("derive"), y + 6)
    y += 88
    lines += _training_text(changes, y)
    height = y + (60 if "forget_every" in training else 34)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
            f'viewBox="0 0 {WIDTH} {height}" role="img" '
            'font-family="system-ui, sans-serif" text-anchor="middle">',
            f"<title>{escape(_title(name, plan, kind))}</title>",
            f"<style>{DARK_MODE}</style>",
            *lines,
            "</svg>\n",
        ]
    )


def _positions(model: Mapping[str, str]) -> str:
    """Return what the row of positions is called."""
    unknown = set(model) - {"positions", "first_positions"}
    if unknown:
        raise ValueError(f"no picture shows model.{', '.join(sorted(unknown))}")
    return POSITION_LABELS[next(iter(model.values()), "")]


def rows(plan: SharingPlan, positions: str = POSITION_LABELS[""]) -> Iterator[Row]:
    """Yield the rows from the output down to the embeddings, sublayers where they differ."""
    yield Row("output (token embeddings)", (TOKENS,), 20)
    yield Row("head", (HEAD,), 18)
    for layer in range(LAYERS, 0, -1):
        attention, forward = (sublayer_part(layer, s) for s in ("attention", "feed-forward"))
        if plan.separates(attention) == plan.separates(forward):
            yield Row(f"layer {layer}", (attention, forward), 16)
        else:
            yield Row(f"feed-forward {layer}", (forward,), 12, 9)
            yield Row(f"attention {layer}", (attention,), 12, 9)
    if plan.separates(LANGUAGE) and not plan.separates(NORM):
        yield Row("language", (LANGUAGE,), 18)
    if plan.separates(NORM) and not plan.separates(LANGUAGE):
        yield Row("norm", (NORM,), 18)
    yield Row(positions, (POSITIONS,), 18)
    if plan.separates(SPECIALS):
        yield Row("[CLS] [SEP] [MASK]", (SPECIALS,), 18, 10)
    yield Row("tokens", (TOKENS,), 20)


def _boxes(row: Row, plan: SharingPlan, y: int) -> Iterator[str]:
    own = plan.separates(row.parts[0])
    baseline = y + row.height / 2 + row.size * 0.36
    places = ((MARGIN, HALF), (RIGHT, HALF)) if own else ((MARGIN, FULL),)
    fill, ink = (ORANGE, BLACK) if own else (BLUE, WHITE)
    label = row.label.removesuffix(" (token embeddings)") if own else row.label
    for x, width in places:
        yield (
            f'<rect x="{x}" y="{y}" width="{width}" height="{row.height}" rx="3" fill="{fill}" '
            f'data-parts="{", ".join(row.parts)}"/>'
        )
        yield _text(x + width / 2, baseline, label, row.size, ink)


def _own_pair(label: str, y: int) -> Iterator[str]:
    """Draw what each language has of its own though it is no part of the encoder."""
    for x in (MARGIN, RIGHT):
        yield (
            f'<rect x="{x}" y="{y}" width="{HALF}" height="18" rx="3" fill="{ORANGE}" '
            f'data-switch="{label}"/>'
        )
        yield _text(x + HALF / 2, y + 13, label, 11, BLACK)


def _vocabulary(kind: str, derive: str | None, y: int) -> Iterator[str]:
    colour = BLUE if kind == "joint" else ORANGE
    middle, centre = WIDTH / 2, y + 29
    for side in (-1, 1):
        yield (
            f'<ellipse cx="{middle + side * APART[kind]}" cy="{centre}" rx="48" ry="29" '
            f'fill="{colour}" fill-opacity="0.25" stroke="{colour}" stroke-width="1.5" '
            f'data-vocabulary="{kind}"/>'
        )
    far = {"joint": 54, "union": 58}.get(kind, 51)
    yield from _stack(middle - far, centre, _own_words("en", kind))
    yield from _stack(middle + far, centre, _own_words("en" if derive else "fr", kind, derive))
    yield from _stack(middle, centre, COMMON[kind])
    yield _text(middle, y + 71, VOCABULARIES[kind], 10.5, INK)


def _own_words(language: str, kind: str, derive: str | None = None) -> tuple[str, ...]:
    words = ("the", "cat") if language == "en" else ("le", "chat")
    if COMMON[kind]:
        return words
    mark = {"same": "en2", "inverted": "en2", None: language}[derive]
    return (words[0], f"{mark}:Paris") if kind == "disjoint" else (*words, "Paris")


def _stack(x: float, centre: float, words: tuple[str, ...]) -> Iterator[str]:
    for index, word in enumerate(words):
        yield _text(x, centre + 3.5 + 13 * (index - (len(words) - 1) / 2), word, 10, INK)


def _training_text(changes: Mapping[str, Any], y: int) -> Iterator[str]:
    pretraining = changes.get("pretraining", {})
    unknown = set(pretraining) - {"steps", "code_switching", "tlm", *SWITCHES, *WAYS}
    if unknown:
        raise ValueError(f"no picture shows pretraining.{', '.join(sorted(unknown))}")
    if "steps" in pretraining:
        yield from _note(MARGIN, FULL, y, f"{pretraining['steps']} steps: untrained", True)
        return
    if "base_first" in pretraining:
        half = round(100 * pretraining["base_first"])
        yield from _note(MARGIN, HALF, y, f"en, first {half} %", True)
        yield from _note(RIGHT, HALF, y, "then fr, frozen", True)
        if every := pretraining.get("forget_every"):
            yield from _note(MARGIN, FULL, y + 26, f"tokens anew every {every} steps", True)
        return
    if "mixed" in pretraining:
        yield from _note(MARGIN, FULL, y, "en and fr wiki in every step", True)
        return
    if "base_share" in pretraining:
        share = round(100 * pretraining["base_share"])
        yield from _note(MARGIN, HALF, y, f"{share} % en wiki", True)
        yield from _note(RIGHT, HALF, y, f"{100 - share} % fr wiki", True)
        return
    if "tlm" in pretraining:
        share = round(100 * pretraining["tlm"]["share"])
        yield from _note(MARGIN, FULL, y, f"wiki; {share} % of steps: translations", True)
        return
    derive, switched = changes.get("derive"), "code_switching" in pretraining
    left = "en, some fr" if switched else "en wiki"
    right = {"same": "en, a copy", "inverted": "en, reversed", None: "fr wiki"}[derive]
    if changes.get("domain") == "other":
        right = "fr web"
    if switched:
        right = "fr, some en"
    yield from _note(MARGIN, HALF, y, left, switched)
    yield from _note(RIGHT, HALF, y, right, right != "fr wiki")


def _note(x: int, width: int, y: int, label: str, changed: bool) -> Iterator[str]:
    colour = f'fill="{ORANGE}"' if changed else f'fill="none" stroke="{INK}"'
    yield f'<rect x="{x}" y="{y}" width="{width}" height="22" rx="11" {colour} data-text="yes"/>'
    yield _text(x + width / 2, y + 15, label, 11, BLACK if changed else INK)


def _text(x: float, y: float, words: str, size: float, colour: str, weight: str = "normal") -> str:
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size:g}" font-weight="{weight}" '
        f'fill="{colour}">{escape(words)}</text>'
    )


def _title(name: str, plan: SharingPlan, kind: str) -> str:
    own = [row.label.split(" (")[0] for row in rows(plan) if plan.separates(row.parts[0])]
    return f"{name}: {', '.join(own) or 'nothing'} of each language's own; vocabulary {kind}"


def main() -> None:
    """Write the picture of every preset."""
    FOLDER.mkdir(exist_ok=True)
    for name, changes in presets().items():
        (FOLDER / f"{name}.svg").write_text(draw(name, changes), encoding="utf-8")


if __name__ == "__main__":
    main()
