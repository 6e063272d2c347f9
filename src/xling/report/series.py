"""Learning curves from the training logs, thin enough to draw."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from xling.report.load import Run

if TYPE_CHECKING:
    import pandas as pd

_MOST_POINTS = 150
TRAINING_LOSS, DEV_PERPLEXITY = "training loss", "dev perplexity"
_KINDS = {"train": (TRAINING_LOSS, "loss"), "dev": (DEV_PERPLEXITY, "perplexity")}
COLUMNS = ["kind", "language", "variant", "seed", "series", "step", "value"]


def learning_curves(runs: Sequence[Run], pair: str) -> "pd.DataFrame":
    """Gather the curves of a pair's runs.

    Returns:
        One row a point: kind (``training loss`` or ``dev perplexity``), language, variant,
        seed, series (unique a line), step, value. A line of more than 150 records is
        averaged over stretches of equally many records.
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
