"""When a layer's score has risen."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from xling.report.emergence import half_way
from xling.report.load import load_study
from xling.report.page import render_report
from xling.results import EMERGENCE_COLUMNS


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 0.1, 0.5, 1.0], 4),
        ([0.0, 0.9, 0.1, 1.0], 8),  # fell back below half: what stays counts
        ([0.5, 0.5, 0.5, 0.51], None),
        ([0.6, 0.5, 0.4, 0.3], None),
    ],
)
def test_half_of_the_rise(values: list[float], expected: int | None) -> None:
    curve = pd.DataFrame({"step": [1, 2, 4, 8], "value": values})
    assert half_way(curve.sample(frac=1, random_state=0)) == expected


def test_the_page_draws_emergence_and_says_when(make_study: Callable[..., Path]) -> None:
    folder = make_study(variants=("default", "<b>own</b>"))
    rows = [
        f"demo,{variant},en-fr,1,{step},cka,pud,en-fr,,{layer},trained,,cka,"
        f"{step / 100 * (layer + 1)},,,"
        for variant in ("default", "<b>own</b>")
        for step in (1, 10, 30)
        for layer in (0, 1)
    ]
    (folder / "emergence.csv").write_text("\n".join([",".join(EMERGENCE_COLUMNS), *rows]) + "\n")
    assert len(load_study(folder).emergence) == 12
    html = render_report(folder).read_text()
    assert 'id="emergence-en-fr-1"' in html
    assert "half by step 30" in html
    assert 'data-variant="&lt;b&gt;own&lt;/b&gt;"' in html
    assert "<b>own" not in html[: html.index('<script type="application/json"')]
