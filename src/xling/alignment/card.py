"""The model card of an aligned pair: data, method, scores, and how to use it."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from xling import __version__
from xling.alignment.config import ExportSettings
from xling.alignment.layers import meeting_of_widths
from xling.alignment.pair import AlignedPair
from xling.errors import XlingError
from xling.results import Score
from xling.yaml_reader import parse_yaml

_SHOWN = ("p@1", "p@5", "p@10", "mrr", "p@1-csls", "p@1-margin", "hubness")
UNKNOWN = "unknown"
_CACHED = re.compile(r"models--([\w.-]+?)--([\w.-]+)")  # a folder of the hub's cache
_PLAIN = re.compile(r"[a-z][\w.-]*", re.ASCII)
_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")


@dataclass(frozen=True)
class Origin:
    """What is known of where an encoder comes from.

    Attributes:
        name: Its name on the hub, or that of its folder.
        license: Licence on its card; ``"unknown"`` if there is none.
        base_models: Names on the hub: its own, or those of the base models on its card.
    """

    name: str
    license: str = UNKNOWN
    base_models: tuple[str, ...] = ()

    @classmethod
    def of_folder(cls, folder: Path) -> "Origin":
        """Read the card of a model's folder, if it has one."""
        card = _front_matter(folder / "README.md")
        cached = (_CACHED.fullmatch(part) for part in folder.resolve().parts)
        hub = next((f"{found[1]}/{found[2]}" for found in cached if found), None)
        licences = _names(card.get("license"))
        if licences == ["other"]:
            licences = _names(card.get("license_name")) or licences
        bases = [hub] if hub else _names(card.get("base_model"))
        return cls(
            hub or folder.resolve().name,
            " and ".join(licences) or UNKNOWN,
            tuple(name for name in bases if _NAME.fullmatch(name)),
        )


def _front_matter(path: Path) -> dict[str, object]:
    """Return the YAML between the dashes at the beginning of a card; empty if there is none."""
    try:
        text = path.read_text(encoding="utf-8")
        start, matter, _ = re.split(r"^---[ \t]*$", text, maxsplit=2, flags=re.MULTILINE)
        content = {} if start.strip() else parse_yaml(matter.encode(), path)
    except (OSError, ValueError, XlingError):
        return {}
    return content if isinstance(content, dict) else {}


def _names(value: object) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [" ".join(name.split()) for name in values if isinstance(name, str) and name.strip()]


def model_card(
    pair: AlignedPair,
    settings: ExportSettings,
    origins: tuple[Origin, Origin],
    lines: int,
    rows: Sequence[Score],
    data: str,
) -> str:
    """Write the card.

    Args:
        pair: The pair that is saved.
        settings: How it was learnt.
        origins: Origins of both encoders.
        lines: Number of parallel lines it was learnt from.
        rows: Its scores.
        data: Name of the data folder.
    """
    a, b = pair.languages
    width, other_width = pair.map.matrix_.shape
    note = ""
    if width != other_width:
        note = f" The widths differ: {meeting_of_widths(width, other_width, settings.map)}."
    return f"""{_start(pair, _rights(settings, origins))}
Sentence vectors of two encoders that were trained apart, brought into the space of the {b} encoder
by a linear map.

{_usage(pair)}

With sentence-transformers 5 or later, and without xling (a text that is empty gets a vector all the
same):

```python
from sentence_transformers import SentenceTransformer

pair = SentenceTransformer("this folder")
x = pair.encode(["..."], task="{a}")
y = pair.encode(["..."], task="{b}")
```

Each language is also a folder of its own, for older versions too: `SentenceTransformer("this
folder/{a}")`. transformers opens the encoders there, without map and pooling.

## Method

- Vectors: means of token vectors without special tokens, at layer {pair.layers[0]} of {a} (width
  {width}) and layer {pair.layers[1]} of {b} (width {other_width}).
- Normalisation of each side: {settings.normalization}, with the means of the training lines.
- Map: {type(pair.map).__name__}, learnt from {lines} parallel lines.{note}
- Layer: {_layer(settings)}.

## Data

Data folder `{data}`: the map was learnt from `parallel/{settings.train}` and scored on lines it had
not seen.

| encoder | made from | licence |
| --- | --- | --- |
| {a} | {origins[0].name} | {origins[0].license} |
| {b} | {origins[1].name} | {origins[1].license} |

The licences of that data and of both encoders apply to what is derived from them.

## Scores

Retrieval of a line's translation among all lines of the set, by cosine unless the name says
otherwise; ties in expectation; hubness is the skewness of 10-occurrence.

{_table(rows)}

Written by xling {__version__}; `artefact.json` records the settings and the hashes of all inputs.
"""


def short_card(pair: AlignedPair) -> str:
    """Write the card of a pair that was aligned in Python, when no more is known."""
    a, b = pair.languages
    return f"""{_start(pair)}
Sentence vectors of two encoders, layer {pair.layers[0]} of {a} and layer {pair.layers[1]} of {b},
brought into the space of the {b} encoder by a linear map ({type(pair.map).__name__}).

{_usage(pair)}

The licences of both encoders apply to what is derived from them. Written by xling {__version__}.
"""


def _start(pair: AlignedPair, rights: str = "") -> str:
    """Return the front matter, with lines on licence and base models if given, and the title."""
    a, b = pair.languages
    return f"""---
language: {json.dumps([a, b], ensure_ascii=False)}
{rights + chr(10) if rights else ""}library_name: sentence-transformers
pipeline_tag: sentence-similarity
tags: [xling, cross-lingual, sentence-transformers, sentence-similarity, alignment]
---
# {a} and {b} in one space
"""


def _usage(pair: AlignedPair) -> str:
    a, b = pair.languages
    return f"""```python
import xling

pair = xling.load_aligned("this folder")
x = pair.encode(["..."], "{a}")  # float32 [sentences, {pair.width}], rows of length 1
y = pair.encode(["..."], "{b}")
similarity = x @ y.T
```"""


def _rights(settings: ExportSettings, origins: Sequence[Origin]) -> str:
    """Return licence and base models for the card's front matter, or ``unknown``."""
    found = list(dict.fromkeys(origin.license for origin in origins))
    if settings.license:
        lines = [f"license: {_scalar(settings.license)}"]
    elif len(found) == 1 or UNKNOWN in found:
        lines = [f"license: {_scalar(found[0]) if len(found) == 1 else UNKNOWN}"]
    else:
        lines = ["license: other", f"license_name: {_scalar(' and '.join(found))}"]
    bases = list(dict.fromkeys(name for origin in origins for name in origin.base_models))
    return "\n".join([*lines, f"base_model: {json.dumps(bases) if bases else UNKNOWN}"])


def _scalar(text: str) -> str:
    """Write a text as YAML, in quotes unless it is a plain name."""
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def _layer(settings: ExportSettings) -> str:
    if settings.layer is not None:
        return "as asked for"
    return "the best on every tenth training line, with the others as training lines"


def _table(rows: Sequence[Score]) -> str:
    found: dict[tuple[str, str], dict[str, float]] = {}
    for row in rows:
        scores = found.setdefault((row.dataset, row.direction or row.language), {})
        scores[row.metric] = row.value
    lines = [f"| set | direction | {' | '.join(_SHOWN)} |", "| --- " * (2 + len(_SHOWN)) + "|"]
    for (dataset, direction), scores in found.items():
        cells = [f"{scores[name]:.3f}" if name in scores else "" for name in _SHOWN]
        lines.append(f"| {dataset} | {direction} | {' | '.join(cells)} |")
    return "\n".join(lines)
