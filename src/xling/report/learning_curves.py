"""Learning curves: thinned from the training logs, and drawn by step."""

import math
from collections.abc import Sequence
from functools import partial
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from xling.report.charts import Figure, Panel, colour, finished, marks, opacity
from xling.report.load import Run

if TYPE_CHECKING:
    import pandas as pd

_MOST_POINTS = 150
TRAINING_LOSS, DEV_PERPLEXITY = "training loss", "dev perplexity"
GRADIENTS = "cosine of gradients"
_KINDS = {
    "train": (TRAINING_LOSS, "loss"),
    "dev": (DEV_PERPLEXITY, "perplexity"),
    "gradients": (GRADIENTS, "cosine"),
}
_CAPTION = (
    "Loss on training batches and perplexity on held-out lines, one line per variant and seed. "
    "Perplexity is per token: compare it only between variants that split text into the same "
    "tokens. Its axis is logarithmic."
)
_GRADIENTS = (
    " Cosine of gradients: how alike two languages pull the parameters of the layers that they "
    "share, on held-out rows; for one language, between two halves of its rows, which noise keeps "
    "below 1. Languages that pull the same way come near the cosine of the halves."
)
COLUMNS = ["kind", "language", "variant", "seed", "series", "step", "value"]


def learning_curves(runs: Sequence[Run], pair: str) -> "pd.DataFrame":
    """Gather the curves of a pair's runs.

    Returns:
        One row per point: kind (``training loss``, ``dev perplexity`` or ``cosine of
        gradients``), language (or, of gradients, a pair), variant, seed, series (unique for each
        line), step, value. A line of more than 150 records is averaged over stretches of equally
        many records.
    """
    import pandas as pd

    parts = []
    for run in runs:
        if run.pair != pair:
            continue
        for record_kind, (kind, column) in _KINDS.items():
            rows = run.log[run.log["kind"].eq(record_kind) & run.log[column].notna()]
            for language, curve in rows.groupby("language", sort=False):
                thin = _thinned(curve[["step", column]].to_numpy())
                parts.append(
                    pd.DataFrame({"step": thin[:, 0], "value": thin[:, 1]}).assign(
                        kind=kind,
                        language=language,
                        variant=run.variant,
                        seed=run.seed,
                        series=f"{run.variant}\n{run.seed}",
                    )
                )
    if not parts:
        return pd.DataFrame(columns=COLUMNS)
    return pd.concat(parts, ignore_index=True)[COLUMNS]


def _thinned(curve: np.ndarray) -> np.ndarray:
    """Average an (N, 2) array of steps and values to at most ``_MOST_POINTS`` rows."""
    curve = curve[np.argsort(curve[:, 0], kind="stable")]
    if len(curve) <= _MOST_POINTS:
        return curve
    stretches = np.array_split(curve, _MOST_POINTS)
    return np.stack([[stretch[-1, 0], stretch[:, 1].mean()] for stretch in stretches])


def curve_spec(
    curves: "pd.DataFrame",
    variants: tuple[str, ...],
    title: str,
    quantity: str,
    interactive: bool,
) -> dict[str, object]:
    """Draw a learning curve by step, one line per variant and seed.

    Args:
        curves: Rows of one language and kind, from `learning_curves`.
        variants: All variants of the study, which decides their colours.
        title: Printed above the chart in files.
        quantity: The axis title; a perplexity gets a logarithmic axis.
        interactive: True for a page (parameter ``hidden``), False for a file.
    """
    import altair as alt

    perplexity = "perplexity" in quantity
    base = alt.Chart().encode(
        x=alt.X("step:Q", title="step", axis=alt.Axis(format="~s", grid=False, tickCount=5)),
        y=alt.Y(
            "value:Q",
            title=None if interactive else quantity,
            scale=alt.Scale(type="log", nice=False)
            if perplexity
            else alt.Scale(zero=False, nice=True),
            axis=alt.Axis(format="~s", values=_round_values(curves)) if perplexity else alt.Axis(),
        ),
        color=colour(variants, interactive),
        tooltip=[
            alt.Tooltip("variant:N"),
            alt.Tooltip("seed:Q", format="d"),
            alt.Tooltip("step:Q", format=",d"),
            alt.Tooltip("value:Q", format=",.1f" if perplexity else ".3f", title=quantity),
        ],
    )
    line = base.mark_line(strokeWidth=1.8).encode(detail=alt.Detail("series:N"))
    line = line.encode(opacity=opacity(1, 1, interactive))
    points = marks(base, variants, interactive, visible=perplexity)
    data = curves[["variant", "seed", "series", "step", "value"]]
    return finished([line, *points], data, title, interactive)


def _round_values(curves: "pd.DataFrame") -> list[float]:
    """Return the 1, 2 and 5 of every power of ten within the data, for a logarithmic axis."""
    least, greatest = curves["value"].min(), curves["value"].max()
    powers = range(math.floor(math.log10(least)), math.ceil(math.log10(greatest)) + 1)
    values = [digit * 10.0**power for power in powers for digit in (1, 2, 5)]
    return [value for value in values if least <= value <= greatest]


def learning_curve_figure(
    curves: "pd.DataFrame", variants: tuple[str, ...], pair: str, name: str
) -> Figure:
    """Draw the learning curves of one model's languages: losses above, perplexities below."""
    of_gradients = curves["kind"].eq(GRADIENTS)
    languages = list(dict.fromkeys(curves.loc[~of_gradients, "language"]))
    every = list(dict.fromkeys([*languages, *curves.loc[of_gradients, "language"]]))
    panels = []
    for kind, language in product((TRAINING_LOSS, DEV_PERPLEXITY, GRADIENTS), every):
        chosen = curves[curves["kind"].eq(kind) & curves["language"].eq(language)]
        if not chosen.empty:
            panels.append(_curve_panel(chosen, variants, language, kind))
    return Figure(
        name=name,
        pair=pair,
        title=f"Learning curves: {pair}",
        caption=_CAPTION + (_GRADIENTS if of_gradients.any() else ""),
        columns=len(languages),
        panels=tuple(panels),
    )


def _curve_panel(
    curves: "pd.DataFrame", variants: tuple[str, ...], language: str, kind: str
) -> Panel:
    title = f"{language}, {kind}"
    sentences = [f"{title} by step."]
    for (variant, seed), curve in curves.groupby(["variant", "seed"], sort=False):
        (start, first), (end, last) = curve[["step", "value"]].iloc[[0, -1]].to_numpy()
        sentences.append(
            f"{variant}, seed {seed}: {first:.2f} at step {start:.0f}, "
            f"{last:.2f} at step {end:.0f}."
        )
    description = " ".join(sentences)
    return Panel.of(title, description, partial(curve_spec, curves, variants, title, kind))
