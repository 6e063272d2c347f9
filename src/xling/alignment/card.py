"""The model card of an aligned pair: data, method, scores, and how to use it."""

from collections.abc import Sequence

from xling import __version__
from xling.alignment.config import SentenceSettings
from xling.alignment.layers import meeting_of_widths
from xling.alignment.pair import AlignedPair

_SHOWN = ("p@1", "p@5", "p@10", "mrr", "p@1-csls", "p@1-margin", "hubness")


def model_card(
    pair: AlignedPair,
    settings: SentenceSettings,
    lines: int,
    rows: Sequence[tuple[str, str, str, int | None, str, float]],
    data: str,
) -> str:
    """Write the card.

    Args:
        pair: What is saved.
        settings: How it was learnt.
        lines: Parallel lines it was learnt from.
        rows: Its scores, as (probe, dataset, language, layer, metric, value).
        data: Name of the data folder.
    """
    a, b = pair.languages
    width, other_width = pair.map.matrix_.shape
    note = ""
    if width != other_width:
        note = f" The widths differ: {meeting_of_widths(width, other_width, settings.map)}."
    return f"""---
language: [{a}, {b}]
library_name: xling
tags: [cross-lingual, sentence-embeddings, alignment]
---
# {a} and {b} in one space

Sentence vectors of two encoders that were trained apart, brought into the space of the {b} encoder
by a linear map.

```python
import xling

pair = xling.load_aligned("this folder")
{a} = pair.encode(["..."], "{a}")  # float32 [sentences, {pair.width}], rows of length 1
{b} = pair.encode(["..."], "{b}")
similarity = {a} @ {b}.T
```

## Method

- Vectors: means of token vectors without special tokens, at layer {pair.layers[0]} of {a} (width
  {width}) and layer {pair.layers[1]} of {b} (width {other_width}).
- Normalisation of each side: {settings.normalization}, with the means of the training lines.
- Map: {type(pair.map).__name__}, learnt from {lines} parallel lines.{note}
- Layer: {_layer(settings)}.

## Data

Data folder `{data}`: the map was learnt from `parallel/{settings.train}` and scored on lines it had
not seen.
The licences of that data and of both encoders apply to what is derived from them.

## Scores

Retrieval of a line's translation among all lines of the set, by cosine unless the name says
otherwise; ties in expectation; hubness is the skewness of 10-occurrence.

{_table(rows)}

Written by xling {__version__}; `artefact.json` records the settings and the hashes of all inputs.
"""


def _layer(settings: SentenceSettings) -> str:
    if getattr(settings, "layer", None) is not None:
        return "as asked for"
    return "the best on every tenth training line, with the others as training lines"


def _table(rows: Sequence[tuple[str, str, str, int | None, str, float]]) -> str:
    found: dict[tuple[str, str], dict[str, float]] = {(row[1], row[2]): {} for row in rows}
    for _, dataset, direction, _, metric, value in rows:
        found[dataset, direction][metric] = value
    lines = [f"| set | direction | {' | '.join(_SHOWN)} |", "| --- " * (2 + len(_SHOWN)) + "|"]
    for (dataset, direction), scores in found.items():
        cells = [f"{scores[name]:.3f}" if name in scores else "" for name in _SHOWN]
        lines.append(f"| {dataset} | {direction} | {' | '.join(cells)} |")
    return "\n".join(lines)
