"""The top of the page: one picture and three sentences on whether the languages share a space."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple
from xml.sax.saxutils import escape

from xling import formatting
from xling.names import pair_languages
from xling.report.charts import COLOURS
from xling.report.load import Run, Study
from xling.report.retrieval import NOT_SHARED, PARTLY, SHARED, UNTOLD, Finding, best_layer
from xling.report.scores import ALL_TOKENS, ANCHOR_FREE, CENTRED, PLAIN, RETRIEVAL

if TYPE_CHECKING:
    import pandas as pd

_BLUE = COLOURS[0]
_MOST = 12  # rows of the picture if it shows both forms of each variant
# Narrow enough that a phone does not make its words too small.
_WIDTH, _LEFT, _RIGHT, _TOP, _STEP = 470, 20, 410, 98, 52
_VERDICTS = {
    SHARED: "share a space",
    PARTLY: "share a space in part",
    NOT_SHARED: "do not measurably share a space",
    UNTOLD: "cannot be judged without an untrained encoder",
}
_NOTICEABLE = 0.01  # a share of tokens or lines that is worth mentioning


class Dots(NamedTuple):
    """A row of the picture: shares of sentences whose nearest neighbour is their translation.

    Attributes:
        label: What was measured.
        trained: Share after training.
        untrained: Share before it; None if it was not measured.
        low: Lower end of the 95 % interval of ``trained``; None if it has none.
        high: Upper end.
    """

    label: str
    trained: float
    untrained: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Headline:
    """The top of the page.

    Attributes:
        picture: SVG that takes ink and size from the page.
        description: The picture in words, for those who cannot see it.
        sentences: What was found, what shared tokens add, and what both rest on.
    """

    picture: str
    description: str
    sentences: tuple[str, ...]


def headline(
    study: Study, comparison: "pd.DataFrame", findings: Sequence[Finding]
) -> Headline | None:
    """Draw and say in short what a study found; None if it measured no retrieval.

    The picture shows centred retrieval on the first parallel set at the best layer of the trained
    encoder (see ``retrieval.best_layer``), averaged over pairs. The sentences are about the variant
    with the fewest shared tokens.

    Args:
        study: The study.
        comparison: Its scores against untrained encoders and chance, from ``scores.compare``.
        findings: The verdicts on its variants and pairs, from ``retrieval.find_shared_spaces``.
    """
    retrieval = comparison[comparison["family"].eq(RETRIEVAL)]
    if retrieval.empty:
        return None
    measure = CENTRED if retrieval["measure"].eq(CENTRED).any() else PLAIN
    dataset = retrieval["dataset"].iloc[0]
    rows = retrieval[retrieval["measure"].eq(measure) & retrieval["dataset"].eq(dataset)]
    best = _best(rows)
    anchors = _anchor_shares(study)
    dots = list(_dots(study.variants, best, anchors))
    chance = rows["chance"].mean()
    sentences = (
        *_found(study, best, anchors, dataset, chance, findings),
        _rests_on(study, dataset, best["pair"].nunique()),
    )
    described = [
        f"{one.label}: {_percent(one.trained)}"
        + ("" if one.untrained is None else f" (before training {_percent(one.untrained)})")
        for one in dots
    ]
    return Headline(
        draw_dots(dots, None if chance != chance else chance), "; ".join(described), sentences
    )


def _best(rows: "pd.DataFrame") -> "pd.DataFrame":
    """Keep the best layer of each variant, pair and form."""
    import pandas as pd

    series = rows.groupby(["pair", "variant", "tokens"], sort=False)
    return pd.DataFrame([best_layer(of_series) for _, of_series in series])


def _anchor_shares(study: Study) -> dict[str, float]:
    """Return for each variant what share of the running tokens its languages have in common."""
    found: dict[str, list[float]] = {}
    for run in study.runs:
        found.setdefault(run.variant, []).extend(_shares(run))
    return {variant: sum(shares) / len(shares) for variant, shares in found.items() if shares}


def _shares(run: Run) -> list[float]:
    """Return the shares of one run by language; none if the report of its vocabulary lacks them."""
    kind = (run.vocabulary or {}).get("vocabulary")
    if isinstance(kind, dict) and kind.get("kind") == "separate":
        return [0.0]
    shares = (record.get("share of running tokens") for record in run.anchors)
    of_languages = [one for found in shares if isinstance(found, dict) for one in found.values()]
    return [float(share) for share in of_languages if isinstance(share, int | float)]


def _dots(
    variants: Sequence[str], best: "pd.DataFrame", anchors: dict[str, float]
) -> Iterator[Dots]:
    both_forms = 2 * best["variant"].nunique() <= _MOST
    for variant in variants:
        forms = [(ALL_TOKENS, variant)]
        if both_forms and anchors.get(variant, 0) >= _NOTICEABLE:
            forms.append((ANCHOR_FREE, f"{variant}, measured without the shared tokens"))
        for tokens, label in forms:
            rows = best[best["variant"].eq(variant) & best["tokens"].eq(tokens)]
            if rows.empty:
                continue
            ends = [
                _number(rows[end].mean()) if len(rows) == 1 else None for end in ("low", "high")
            ]
            yield Dots(label, float(rows["value"].mean()), _number(rows["random"].mean()), *ends)


def _found(
    study: Study,
    best: "pd.DataFrame",
    anchors: dict[str, float],
    dataset: str,
    chance: float,
    findings: Sequence[Finding],
) -> Iterator[str]:
    measured = [variant for variant in study.variants if best["variant"].eq(variant).any()]
    fewest = min(measured, key=lambda variant: anchors.get(variant, 1))
    rows = best[best["variant"].eq(fewest) & best["tokens"].eq(ALL_TOKENS)]
    if rows.empty:
        return
    verdicts = [
        one.verdict for one in findings if one.variant == fewest and one.pair in {*rows["pair"]}
    ]
    if len(rows) == 1:
        who = formatting.listing(pair_languages(rows["pair"].iloc[0]))
        verdict = f"{who} {_VERDICTS[verdicts[0]]}"
    else:
        verdict = f"{verdicts.count(SHARED)} of {len(rows)} pairs share a space"
    numbers = _numbers(rows)
    layer = f" at {formatting.layers([int(rows['layer'].iloc[0])])}" if len(rows) == 1 else ""
    mean = "" if len(rows) == 1 else ", on average over the pairs"
    beside = _beside(rows, chance)
    yield (
        f"{_with(fewest, anchors)}, {verdict}: for {numbers} of the sentences of {dataset} the "
        f"nearest neighbour is the translation{layer}{mean}{beside}."
    )
    reference = study.variants[0]
    if reference == fewest or reference not in measured or reference not in anchors:
        return
    of_reference = best[best["variant"].eq(reference)]
    free = of_reference[of_reference["tokens"].eq(ANCHOR_FREE)]
    without = f"; without those tokens {_numbers(free)}" if len(free) else ""
    whole = of_reference[of_reference["tokens"].eq(ALL_TOKENS)]
    yield (
        f"{_with(reference, anchors)}, it is {_numbers(whole)}"
        f"{_beside(whole, float('nan'))}{without}."
    )


def _with(variant: str, anchors: dict[str, float]) -> str:
    """Name a variant by the tokens its languages have in common, if that is known."""
    share = anchors.get(variant)
    if share is None:
        return f"In {variant}"
    if not share:
        return f"Without a common token ({variant})"
    return f"With {_percent(share)} of the running tokens in common ({variant})"


def _numbers(rows: "pd.DataFrame") -> str:
    value = _percent(rows["value"].mean())
    low, high = (_number(rows[end].mean()) for end in ("low", "high"))
    if len(rows) > 1 or low is None or high is None:
        return value
    return f"{value} ({100 * low:.1f} to {100 * high:.1f})"


def _beside(rows: "pd.DataFrame", chance: float) -> str:
    untrained = rows["random"].mean()
    parts = [] if untrained != untrained else [f"{_percent(untrained)} before training"]
    parts += [] if chance != chance else [f"{_percent(chance)} by chance"]
    return f" ({formatting.listing(parts)})" if parts else ""


def _rests_on(study: Study, dataset: str, pairs: int) -> str:
    """Say what limits the picture: seeds, lines that were cut, tasks that were not measured."""
    results = study.results
    seeds = results.groupby(["variant", "pair"])["seed"].nunique()
    least, most = (int(seeds.min()), int(seeds.max())) if len(seeds) else (0, 0)
    several = "s" if most > 1 else ""
    parts = [f"{least} seed{several}" if least == most else f"{least} to {most} seeds"]
    parts[0] += " per variant and pair" if pairs > 1 else " per variant"
    rows = results[results["probe"].eq("coverage") & results["dataset"].eq(dataset)]
    lines = rows.loc[rows["metric"].eq("sentences"), "value"].max()
    cut = rows.loc[rows["metric"].eq("truncated"), "value"] / lines
    if len(cut) and cut.max() >= _NOTICEABLE:
        ends = dict.fromkeys(f"{100 * share:.0f}" for share in (cut.min(), cut.max()))
        parts.append(f"{' to '.join(ends)} % of the lines are cut at the model's last position")
    said = "; ".join(parts)
    if not results["probe"].str.startswith(("transfer-", "context-")).any():
        said += "; no task was measured, so nothing here shows transfer"
    return f"This rests on {said}."


def draw_dots(
    rows: Sequence[Dots], chance: float | None, ink: str = "currentColor", style: str = ""
) -> str:
    """Return the picture: an open dot before training, a full one after it.

    Args:
        rows: The rows from top to bottom.
        chance: Share by guessing, which is marked; None marks none.
        ink: Colour of everything but dots and intervals.
        style: Its own CSS.
    """
    height = _TOP + _STEP * len(rows) + 34
    title = "Sentences whose nearest neighbour is their translation"
    lines = [_text(ink, _LEFT, 18, title, 14, "bold"), *_legend(ink, 41, chance)]
    axis = _TOP + _STEP * len(rows) - 6
    for number, row in enumerate(rows):
        y = _TOP + _STEP * number
        if chance is not None:
            lines.append(
                f'<path d="M{_x(chance):g} {y + 7}v18" stroke="{ink}" stroke-dasharray="2 2"/>'
            )
        lines += _row(ink, y, row)
    lines.append(f'<path d="M{_LEFT} {axis}H{_RIGHT}" stroke="{ink}" stroke-width="1"/>')
    for share in (0, 0.25, 0.5, 0.75, 1):
        lines.append(_text(ink, _x(share), axis + 17, f"{100 * share:g} %", 12, anchor="middle"))
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" '
            f'viewBox="0 0 {_WIDTH} {height}" role="img" font-family="system-ui, sans-serif">',
            "<title>Retrieval before and after training</title>",
            *([f"<style>{style}</style>"] if style else []),
            *lines,
            "</svg>\n",
        ]
    )


def _legend(ink: str, y: int, chance: float | None) -> list[str]:
    guessing = (
        []
        if chance is None
        else [_text(ink, _LEFT, y + 22, f"dotted: by chance, {_percent(chance)}", 13)]
    )
    return [
        _before(ink, _LEFT + 6, y - 5),
        _text(ink, _LEFT + 18, y, "before training", 13),
        _after(_LEFT + 137, y - 5),
        _text(ink, _LEFT + 150, y, "after training, at the best layer", 13),
        *guessing,
    ]


def _row(ink: str, y: int, row: Dots) -> list[str]:
    after, found = _x(row.trained), [_text(ink, _LEFT, y, row.label, 13)]
    if row.untrained is not None:
        before = _x(row.untrained)
        if abs(after - before) > 6:
            toward = 6 if after > before else -6
            found.append(
                f'<path d="M{before + toward:g} {y + 16}H{after:g}" stroke="{_BLUE}" '
                'stroke-width="3"/>'
            )
        found.append(_before(ink, before, y + 16))
    if row.low is not None and row.high is not None:
        low, high = _x(row.low), _x(row.high)
        found.append(
            f'<path d="M{low:g} {y + 9}v14m0 -7H{high:g}m0 -7v14" stroke="{_BLUE}" fill="none"/>'
        )
    right = max(after, _x(row.untrained or 0), _x(row.high or 0))
    value = _text(ink, right + 12, y + 20.5, _percent(row.trained), 12)
    return [*found, _after(after, y + 16), value]


def _before(ink: str, x: float, y: float) -> str:
    return f'<circle cx="{x:g}" cy="{y:g}" r="6" fill="none" stroke="{ink}" stroke-width="2"/>'


def _after(x: float, y: float) -> str:
    return f'<circle cx="{x:g}" cy="{y:g}" r="7" fill="{_BLUE}"/>'


def _x(share: float) -> float:
    return round(_LEFT + share * (_RIGHT - _LEFT), 1)


def _text(
    ink: str,
    x: float,
    y: float,
    words: str,
    size: int,
    weight: str = "normal",
    anchor: str = "start",
) -> str:
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size}" font-weight="{weight}" '
        f'text-anchor="{anchor}" fill="{ink}">{escape(words)}</text>'
    )


def _number(value: float) -> float | None:
    return None if value != value else float(value)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
