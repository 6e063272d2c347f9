"""Write a model as its audit advises: the layer for one index, with language taken out of it.

The folder is sentence-transformers' own: standard modules only, no code of ours. One projection
serves all languages, so nobody has to say which language a text is in.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from xling import __version__
from xling.alignment.card import UNKNOWN, Origin
from xling.alignment.pair import write_modules
from xling.audit.advice import Gain, gain_of, percent
from xling.audit.config import AuditSettings
from xling.audit.result import Audit
from xling.audit.stage import lines_of
from xling.audit.subjects import Subject, fetched, open_subject
from xling.data.layout import DataFolder
from xling.device import choose_device
from xling.encoders.representations import pooled_vectors
from xling.encoders.sentences import View
from xling.errors import XlingError
from xling.files import atomic_file, atomic_folder, read_json, write_json
from xling.measures import Normalizer, language_subspace, pooled_hits, remove_subspace
from xling.measures.arrays import Matrix

_MOST = 32  # dimensions of the subspace that tells languages apart


def export_model(
    found: Audit, model: str, data: Path, settings: AuditSettings, out: Path, device: str = "auto"
) -> str:
    """Write a model that does what its audit says, and say what that gains.

    The common mean and the directions that tell languages apart are learnt from every second line;
    whether to use them is decided there too, and the gain is measured on the other lines.

    Args:
        found: The audit of this one model.
        model: The model.
        data: The data folder that it was audited on.
        settings: Of the audit.
        out: The folder to write; new or empty.
        device: Where the model runs.

    Returns:
        A sentence with the gain.

    Raises:
        XlingError: the folder holds something, or the model's own output is best as it is.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise XlingError(f"{out}: is there already; name another folder to export to")
    (facts,) = found.facts["models"]
    if facts["best layer for one index"] in (None, "output"):
        raise XlingError(
            f"{model}: its own output is its best layer for one index; use the model as it is"
        )
    layer = facts["layers"].index(facts["best layer for one index"])
    languages = tuple(facts["languages"])
    _, lines = lines_of(DataFolder(data), settings)
    folder = fetched(model)
    subject = open_subject(facts["name"], folder, languages, settings.prefix, choose_device(device))
    if len(subject.distinct) > 1:
        raise XlingError(
            f"{model}: a family with an encoder of its own for each language; expected one model "
            "for all (use `xling align export` for two encoders)"
        )
    vectors = [_at_layer(subject, code, lines[code], layer) for code in languages]
    learn, test = [side[::2] for side in vectors], [side[1::2] for side in vectors]
    last = [_at_layer(subject, code, lines[code], -1) for code in languages]
    mean = np.mean([side.mean(axis=0, dtype=np.float64) for side in learn], axis=0)
    rank = min(len(languages) - 1, _MOST, vectors[0].shape[1] // 4)
    basis = language_subspace(learn, rank)
    choices = {
        "": (learn, test),
        "projected": tuple(
            [remove_subspace(side - mean.astype(np.float32), basis) for side in sides]
            for sides in (learn, test)
        ),
    }
    scores = {name: pooled_hits(sides[0]).mean() for name, sides in choices.items()}
    chosen = max(choices, key=lambda name: (scores[name], name == ""))
    hits = pooled_hits(choices[chosen][1]).mean(axis=0)
    gain = _gain(hits, pooled_hits([side[1::2] for side in last]).mean(axis=0))
    width = len(mean)
    normalizer = Normalizer("centre" if chosen else "none")
    normalizer.means_ = mean[None] if chosen else np.zeros((0, width))
    normalizer.spread_ = np.zeros(())
    matrix = np.eye(width) - basis @ basis.T if chosen else None
    sentence = (
        f"In one index of {len(languages)} languages, the exported model finds "
        f"{percent(float(hits.mean()))} of the {len(hits)} lines that nothing was learnt from, "
        f"{gain} more than the mean vectors of the last layer."
    )
    with atomic_folder(out) as temporary:
        _write(temporary, subject, layer, normalizer, matrix)
        with atomic_file(temporary / "README.md") as file:
            file.write(_card(found, folder, facts, sentence, chosen, rank))
    return f"{out}: {sentence}"


def _gain(new: Any, old: Any) -> Gain:
    """Return the gain on all of the lines given, which are all held out."""
    twice = [np.repeat(one, 2)[None] for one in (new, old)]
    return gain_of(twice[0], twice[1])


def _at_layer(subject: Subject, code: str, lines: Sequence[str], layer: int) -> Matrix:
    sentences = subject.tokens(code, lines)
    return pooled_vectors(subject.encoders[code], sentences, {"": View()})[""][layer]


def _write(
    folder: Path, subject: Subject, layer: int, normalizer: Normalizer, matrix: Matrix | None
) -> None:
    (encoder,) = subject.distinct
    encoder.save(folder)
    write_modules(folder, encoder, layer, normalizer, matrix)
    if subject.prefix:
        path = folder / "config_sentence_transformers.json"
        prompts = {"prompts": {"default": subject.prefix}, "default_prompt_name": "default"}
        write_json(path, {**read_json(path), **prompts})


def _card(found: Audit, folder: Path, facts: Any, sentence: str, chosen: str, rank: int) -> str:
    origin = Origin.of_folder(folder)
    license_of = origin.license if origin.license != UNKNOWN else "unknown"
    steps = "the mean of a text's token vectors, special tokens left out"
    if chosen:
        steps += (
            ", less the mean of all languages, projected onto what is orthogonal to the "
            f"{rank} directions that tell the languages apart (Xie et al. 2022)"
        )
    return f"""---
language: {json.dumps(facts["languages"], ensure_ascii=False)}
license: {json.dumps(license_of)}
base_model: {json.dumps(list(origin.base_models)) if origin.base_models else "unknown"}
library_name: sentence-transformers
pipeline_tag: sentence-similarity
tags: [xling, cross-lingual, sentence-transformers, sentence-similarity]
---
# {facts["name"]}, layer {facts["best layer for one index"]}, for one index of many languages

```python
from sentence_transformers import SentenceTransformer

model = SentenceTransformer("this folder")
model.encode(["..."])  # whatever the language
```

Vectors: layer {facts["best layer for one index"]} of {origin.name}: {steps}; length 1.
{f'Every text gets the prefix "{facts["prefix"]}".' if facts["prefix"] else ""}

{sentence} Measured on {found.facts["dataset"]}; its licence and the model's apply to what is
derived from them. Written by xling {__version__}.
"""
