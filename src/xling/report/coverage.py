"""What the measurements read: the share of test lines that was cut, and other omissions."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from xling import formatting
from xling.names import pair_languages
from xling.report.tables import ABSENT, NAMES, Cell, Table, figure, merge_seeds, share

if TYPE_CHECKING:
    import pandas as pd

COVERAGE = "coverage"
_CUT, _LINES = "truncated", "sentences"
# From probes, variant, model, data set and (unless all count) language to the least and greatest.
Cut = Callable[..., tuple[float, float] | None]


def cut_lines(results: "pd.DataFrame") -> Cut:
    """Return a function that gives the share of test lines cut at a model's last position.

    Args:
        results: A study's table of scores.
    """
    key = ["probe", "variant", "pair", "seed", "dataset"]
    counted = results[results["metric"].isin([_CUT, _LINES])]
    lines: dict[object, float] = {}
    for *of, language, value in _rows(counted[counted["metric"].eq(_LINES)], key):
        # Of a parallel set the lines are counted once, for the pair.
        lines[*of, language] = lines[*of, ""] = value
    shares: dict[object, list[tuple[str, float]]] = {}
    for *of, language, value in _rows(counted[counted["metric"].eq(_CUT)], key):
        number = lines.get((*of, language), lines.get((*of, ""), 1.0))  # 1: it is a share already
        probe, variant, pair, _, dataset = of
        shares.setdefault((probe, variant, pair, dataset), []).append((language, value / number))

    def cut(
        probes: Sequence[str], variant: str, pair: str, dataset: str, only: Sequence[str] = ()
    ) -> tuple[float, float] | None:
        for probe in probes:
            found = [
                value
                for language, value in shares.get((probe, variant, pair, dataset), ())
                if not only or language in only
            ]
            if found:
                return min(found), max(found)
        return None

    return cut


def _rows(frame: "pd.DataFrame", key: list[str]) -> Any:
    return frame[[*key, "language", "value"]].itertuples(index=False, name=None)


def cut_cell(found: tuple[float, float] | None) -> Cell:
    """Write the share of lines that is cut, from the least to the greatest of both languages."""
    if found is None:
        return Cell(ABSENT, "number")
    *least, most = dict.fromkeys(map(share, found))
    return Cell("".join(f"{end.split()[0]} to " for end in least) + most, "number")


def compared(comparison: str) -> tuple[str, tuple[str, ...]]:
    """Return the model's languages as one name, and the languages that a comparison is of.

    Example:
        >>> compared("en-fr of en-fr-ru"), compared("en-fr")
        (('en-fr-ru', ('en', 'fr')), ('en-fr', ('en', 'fr')))
    """
    two, _, model = comparison.partition(" of ")
    return model or two, pair_languages(two)


def coverage_table(results: "pd.DataFrame") -> Table | None:
    """What the probes read: lines, lines cut or without tokens, share of anchors left out."""
    rows = results[results["probe"].eq(COVERAGE)]
    if rows.empty:
        return None
    metrics = list(dict.fromkeys(rows["metric"]))
    index = [*NAMES, "dataset", "language"]
    wide = rows.pivot_table("value", index, "metric", aggfunc="last", sort=False)
    entries: Any = wide.iterrows()
    cells = [
        (
            *(Cell(str(part)) for part in key),
            *(
                figure(row.get(name), "{:.1%}" if name == "anchor-tokens" else formatting.count)
                for name in metrics
            ),
        )
        for key, row in entries
    ]
    columns = (*NAMES, "data set", "language", *(name.replace("-", " ") for name in metrics))
    return Table("Lines that were read", columns, 5, merge_seeds(cells))
