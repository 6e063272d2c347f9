"""Learning curves are thinned without losing their level or their end."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from xling.report.learning_curves import learning_curves
from xling.report.load import load_study


def test_short_curves_are_kept_as_they_are(make_study: Callable[..., Path]) -> None:
    run = load_study(make_study()).runs[0]
    curves = learning_curves([run], "en-fr")
    dev = curves[curves["kind"].eq("dev perplexity") & curves["language"].eq("fr")]
    logged = run.log[run.log["kind"].eq("dev") & run.log["language"].eq("fr")]
    assert dev[["step", "value"]].to_numpy().tolist() == (
        logged[["step", "perplexity"]].to_numpy().tolist()
    )


def test_long_curves_keep_mean_and_last_step(make_study: Callable[..., Path]) -> None:
    folder = make_study()
    losses = np.random.default_rng(0).uniform(2, 8, 3000)
    lines = [
        f'{{"step": {step}, "kind": "train", "language": "en", "loss": {loss}}}\n'
        for step, loss in enumerate(losses, start=1)
    ]
    (folder / "runs/en-fr/default/seed-1/log.jsonl").write_text("".join(lines))
    curves = learning_curves(load_study(folder).runs[:1], "en-fr")
    assert len(curves) == 150
    assert curves["step"].iloc[-1] == 3000
    assert curves["value"].mean() == pytest.approx(losses.mean())


def test_no_logs_are_no_curves(make_study: Callable[..., Path]) -> None:
    curves = learning_curves(load_study(make_study()).runs, "en-de")
    assert isinstance(curves, pd.DataFrame)
    assert curves.empty
