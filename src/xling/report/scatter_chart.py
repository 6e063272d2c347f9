"""One score against another, a point a layer."""

from typing import TYPE_CHECKING, Any

from xling.report.charts import finished, swatch

if TYPE_CHECKING:
    import pandas as pd


def scatter_spec(
    points: "pd.DataFrame", variants: tuple[str, ...], title: str, interactive: bool
) -> dict[str, Any]:
    """Draw retrieval after alignment against CKA.

    Args:
        points: From ``geometry.correlated_points``, of one data set.
        variants: All variants of the study, which decides their colours.
        title: Printed above the chart in files.
        interactive: True for a page (parameter ``hidden``), False for a file.
    """
    import altair as alt

    there = [variant for variant in variants if points["variant"].eq(variant).any()]
    colours, shapes = ([swatch(variants, name)[part] for name in there] for part in (0, 1))
    legend = None if interactive else alt.Legend(title="variant")
    chart = (
        alt.Chart()
        .mark_point(filled=True, size=55, opacity=0.85)
        .encode(
            x=alt.X("cka:Q", title="linear CKA", scale=alt.Scale(zero=False, nice=True)),
            y=alt.Y("retrieval:Q", title="precision@1 after alignment", scale=alt.Scale(zero=True)),
            color=alt.Color(
                "variant:N", scale=alt.Scale(domain=there, range=colours), legend=legend
            ),
            shape=alt.Shape(
                "variant:N", scale=alt.Scale(domain=there, range=shapes), legend=legend
            ),
            tooltip=[
                alt.Tooltip("variant:N"),
                alt.Tooltip("pair:N"),
                alt.Tooltip("seed:Q", format="d"),
                alt.Tooltip("layer:Q", format="d"),
                alt.Tooltip("cka:Q", format=".3f"),
                alt.Tooltip("retrieval:Q", format=".3f"),
            ],
        )
    )
    data = points[["variant", "pair", "seed", "layer", "cka", "retrieval"]]
    return finished([chart], data, title, interactive)
