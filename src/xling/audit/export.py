"""Write a model as its audit advises: layer, pooling, prefix, language removed, rotations.

The folder is an ordinary sentence-transformers folder: standard modules only, no code from xling::

    transformer → layer → pooling → Dense → Router → Normalize

Dense removes language for all languages at once, so the language of a text need not be given. The
router is there only if a rotation pays for some language. It leaves a text as it is if no language
is named.
"""

import json
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xling import __version__, formatting
from xling.alignment.card import UNKNOWN, Origin
from xling.alignment.pair import (
    Module,
    append_language_router,
    append_modules,
    dense,
    length_1,
    write_modules,
)
from xling.audit.advice import NOTICEABLE, Gain, percent
from xling.audit.config import AuditSettings
from xling.audit.result import Audit
from xling.audit.space_scores import subspace_rank
from xling.audit.stage import lines_of
from xling.audit.subjects import WANTED, Subject, fetched, open_subject
from xling.audit.vectors import OUTPUT, Vectors, write_vectors
from xling.data.layout import DataFolder
from xling.device import choose_device
from xling.encoders.config import Pooling
from xling.encoders.sentences import View
from xling.errors import XlingError
from xling.files import atomic_file, atomic_folder, read_json, write_json
from xling.measures import (
    language_subspace,
    pooled_hits,
    precision_at_1,
    remove_subspace,
)
from xling.measures.arrays import Matrix, unit_rows
from xling.measures.rotation import learnt_rotation
from xling.names import pair_name

_LEAST = 8  # minimum number of lines to learn a rotation from
_CONFIG = "config_sentence_transformers.json"
_POOLINGS: dict[Pooling, str] = {
    "mean": "the mean of a text's token vectors, special tokens left out",
    "first": "the vector of a text's first token",
    "last": "the vector of a text's last token",
    "weighted": "the mean of a text's token vectors, each with the weight of its position",
}
Sides = list[Matrix]  # the vectors of each language, the pivot's first


@dataclass
class _Plan:
    """What the exported model does with the vectors of one layer.

    Attributes:
        pooling: How they are made from tokens' vectors.
        mean: The mean of all languages, float64 [d], if it is subtracted.
        basis: The directions that are removed after that, float64 [d, r].
        rotations: For some languages the rotation [d, d] into the pivot's space, and the mean that
            is subtracted before it.
    """

    pooling: Pooling
    mean: NDArray[np.float64] | None = None
    basis: NDArray[np.float64] | None = None
    rotations: dict[str, tuple[Matrix, Matrix]] = field(default_factory=dict)

    def without_language(self, sides: Sides) -> Sides:
        """Return the vectors with language removed, if the plan says so."""
        if self.mean is None or self.basis is None:
            return sides
        return [remove_subspace(side - self.mean, self.basis) for side in sides]

    def modules(self, width: int) -> list[Module]:
        """Return the module that removes language, if there is one."""
        if self.mean is None or self.basis is None:
            return []
        return [dense(np.eye(width) - self.basis @ self.basis.T, self.mean)]


def export_model(
    found: Audit, model: str, data: Path, settings: AuditSettings, out: Path, device: str = "auto"
) -> str:
    """Write a model that does what its audit says, and say what that gains.

    Every step is learnt and chosen on every second line. The gain is measured on the other lines.

    Args:
        found: The audit of this one model.
        model: The model.
        data: The data folder that it was audited on.
        settings: Settings of the audit.
        out: The folder to write; new or empty.
        device: Where the model runs.

    Returns:
        A sentence with the gain.

    Raises:
        XlingError: the folder is not empty, or there is a model for each language, or the model
            needs code that comes with it.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise XlingError(f"{out}: is there already; name another folder to export to")
    (facts,) = found.facts["models"]
    layer = facts["layers"].index(facts["best layer for one index"] or facts["best layer"])
    languages = tuple(facts["languages"])
    _, lines = lines_of(DataFolder(data), settings)
    subject = open_subject(
        facts["name"],
        fetched(model, None, settings.trust_remote_code),
        languages,
        settings.prefix,
        choose_device(device),
        settings.trust_remote_code,
    )
    _check(subject, model)
    poolings = _poolings(found, settings, facts["layers"][layer])
    with tempfile.TemporaryDirectory(prefix="xling-") as kept:
        by_pooling, last = _vectors(subject, lines, settings, layer, poolings, Path(kept))
    learn = {name: [side[::2] for side in sides] for name, sides in by_pooling.items()}
    plan = _planned(learn, _tried(found, facts), languages)
    sides = learn[plan.pooling]
    tested = plan.without_language([side[1::2] for side in by_pooling[plan.pooling]])
    gains = _Gains(languages, tested, [side[1::2] for side in last], plan)
    sentence = (
        f"In one index of {len(languages)} languages, the exported model finds "
        f"{percent(float(gains.new.mean()))} of the {gains.new.shape[1]} lines that nothing was "
        f"learnt from, {gains.all} more than {gains.than(facts)}."
    )
    with atomic_folder(out) as temporary:
        steps = [*plan.modules(tested[0].shape[1])]
        _write(temporary, subject, facts["layers"][layer], plan, steps)
        with atomic_file(temporary / "README.md") as file:
            file.write(_card(found, subject, facts, plan, gains, sentence, len(sides[0])))
    return f"{out}: {sentence}"


def _check(subject: Subject, model: str) -> None:
    """Refuse models that one sentence-transformers folder cannot hold."""
    if len(subject.distinct) > 1:
        raise XlingError(
            f"{model}: a family with an encoder of its own for each language; expected one model "
            "for all (use `xling align export` for two encoders)"
        )
    kind = type(subject.distinct[0].body)
    if kind.__module__.startswith("transformers_modules"):
        raise XlingError(
            f"{model}: {kind.__name__} is code that comes with the model, which an export does not "
            "take along; expected a model of a kind that transformers itself knows"
        )


def _poolings(found: Audit, settings: AuditSettings, layer: str) -> tuple[Pooling, ...]:
    """Return the pooling of the audit, and those that its advice names instead."""
    if layer == OUTPUT:
        return (settings.pooling,)
    advised = {one.kind.removeprefix("pooling-") for one in found.advice}
    others: tuple[Pooling, ...] = ("weighted", "last")
    return (settings.pooling, *(one for one in others if one in advised))


def _vectors(
    subject: Subject,
    lines: Mapping[str, Sequence[str]],
    settings: AuditSettings,
    layer: int,
    poolings: Sequence[Pooling],
    folder: Path,
) -> tuple[dict[Pooling, Sides], Sides]:
    """Return the vectors of a layer by pooling, and those of the model as it is."""
    first, *others = poolings
    names = {first: "main", **{one: one for one in others}}
    views = {name: View(pooling) for pooling, name in names.items()}
    sides = []
    for code, texts in lines.items():
        write_vectors(
            folder / code,
            subject,
            code,
            subject.tokens(code, texts),
            views,
            settings.batch_tokens,
            settings.precision,
        )
        sides.append(Vectors(folder / code))
    by_pooling = {
        pooling: [side.at(layer, name) for side in sides] for pooling, name in names.items()
    }
    return by_pooling, [side.at(side.count - 1) for side in sides]


def _tried(found: Audit, facts: Mapping[str, Any]) -> list[str]:
    """Return the languages that gain from some number of pairs in the table of rotations."""
    rows = found.rotation[found.rotation["model"].eq(facts["name"])]
    rows = rows[rows["layer"].eq(facts["layers"].index(facts["best layer"]))]
    pivot, *others = facts["languages"]
    by_pair = rows.pivot_table(index="language", columns="pairs", values="value")
    gains = by_pair.max(axis=1) - by_pair[0] if len(by_pair) else by_pair
    return [code for code in others if gains.get(pair_name((pivot, code)), 0) >= NOTICEABLE]


def _planned(
    learn: Mapping[Pooling, Sides], tried: Sequence[str], languages: Sequence[str]
) -> _Plan:
    """Learn on one half of the lines, choose on the other; then learn the choice from all."""
    best, plan = -1.0, _Plan("mean")
    for pooling, sides in learn.items():
        half, judged = [side[::2] for side in sides], [side[1::2] for side in sides]
        for candidate in (_Plan(pooling), _fitted(pooling, half)):
            score = float(pooled_hits(candidate.without_language(judged)).mean())
            if score > best:
                best, plan = score, candidate
    sides = learn[plan.pooling]
    if plan.mean is not None:
        plan = _fitted(plan.pooling, sides)
    sides = plan.without_language(sides)
    half = [side[::2] for side in sides]
    for code in tried:
        place = languages.index(code)
        judged = [side[1::2] for side in (sides[0], sides[place])]
        if len(half[0]) < _LEAST:
            continue
        turned = _turned(judged[1], *_rotation(half[place], half[0]))
        if _of_pairs(judged[0], turned, judged[1]).pays:
            plan.rotations[code] = _rotation(sides[place], sides[0])
    return plan


def _fitted(pooling: Pooling, sides: Sides) -> _Plan:
    mean = np.mean([side.mean(axis=0, dtype=np.float64) for side in sides], axis=0)
    return _Plan(pooling, mean, language_subspace(sides, subspace_rank(sides)))


def _rotation(X: Matrix, Y: Matrix) -> tuple[Matrix, Matrix]:
    """Learn a rotation R and a mean m such that (x - m) R is close to the translation y."""
    means = [side.mean(axis=0, dtype=np.float64) for side in (X, Y)]
    x, y = (
        np.asarray(unit_rows(side - mean, "vectors", zero_rows=True), dtype=np.float64)
        for side, mean in zip((X, Y), means, strict=True)
    )
    matrix = learnt_rotation(x, y)
    return matrix, means[0] - means[1] @ matrix.T


def _turned(X: Matrix, matrix: Matrix, mean: Matrix) -> Matrix:
    turned: Matrix = (X - mean) @ matrix
    return turned


def _of_pairs(pivot: Matrix, new: Matrix, old: Matrix) -> Gain:
    """Return the gain in p@1 with the pivot from new vectors of a language."""
    return Gain.of(precision_at_1(pivot, new).hits - precision_at_1(pivot, old).hits)


class _Gains:
    """Retrieval with the exported model on lines that nothing was learnt from.

    Attributes:
        languages: The pivot first.
        new: Hits in one index, [languages, N].
        old: Those of the model as it is.
        all: The mean gain over all languages.
        rotated: For each language with a rotation, its gain in retrieval with the pivot.
    """

    def __init__(self, languages: Sequence[str], new: Sides, old: Sides, plan: _Plan) -> None:
        self.languages = languages
        self.new, self.old = pooled_hits(new), pooled_hits(old)
        self.all = Gain.of((self.new - self.old).mean(axis=0))
        self.rotated = {}
        for code, learnt in plan.rotations.items():
            side = new[languages.index(code)]
            self.rotated[code] = _of_pairs(new[0], _turned(side, *learnt), side)

    def than(self, facts: Mapping[str, Any]) -> str:
        """Say what it is compared with."""
        own = facts["layers"][-1] == OUTPUT
        return "the model's own output" if own else "the pooled vectors of the last layer"

    def table(self) -> str:
        """Return a table in Markdown."""
        rows = ["| language | model as it is | exported | gain |", "| --- | --- | --- | --- |"]
        for code, new, old in zip(self.languages, self.new, self.old, strict=True):
            shown = percent(float(old.mean())), percent(float(new.mean()))
            rows.append(f"| {code} | {shown[0]} | {shown[1]} | {Gain.of(new - old)} |")
        return "\n".join(rows)


def _write(
    folder: Path, subject: Subject, layer: str, plan: _Plan, steps: Sequence[Module]
) -> None:
    (encoder,) = subject.distinct
    if layer == OUTPUT and subject.folder is not None:
        _copy(subject.folder, folder)
    else:
        encoder.save(folder)
        write_modules(folder, encoder, int(layer), (), plan.pooling)
    append_modules(folder, steps)
    if plan.rotations:
        turns = {code: dense(*learnt) for code, learnt in plan.rotations.items()}
        width = len(next(iter(plan.rotations.values()))[0])
        append_language_router(folder, list(subject.encoders), turns, width)
    append_modules(folder, [length_1()])
    path = folder / _CONFIG
    config = read_json(path) if path.is_file() else {}
    if subject.prefix and layer != OUTPUT:
        config |= {"prompts": {"default": subject.prefix}, "default_prompt_name": "default"}
    write_json(path, {**config, "similarity_fn_name": "cosine"})


def _copy(source: Path, target: Path) -> None:
    """Copy a sentence-transformers folder without exports for other libraries (ONNX, OpenVINO)."""
    for path in sorted(source.rglob("*")):
        inside = path.relative_to(source)
        known = any(path.match(pattern) for pattern in (*WANTED, "*.bin"))
        known &= inside.parts[0] not in ("onnx", "openvino")
        known &= path.suffix != ".bin" or not path.with_name("model.safetensors").is_file()
        if known and path.is_file():
            (target / inside).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target / inside)


def _card(
    found: Audit,
    subject: Subject,
    facts: Mapping[str, Any],
    plan: _Plan,
    gains: _Gains,
    sentence: str,
    lines: int,
) -> str:
    """Write the model card: what was done, for which languages, and what it gains."""
    origin = Origin.of_folder(subject.folder) if subject.folder else Origin(facts["name"])
    license_of = origin.license if origin.license != UNKNOWN else "unknown"
    languages = formatting.listing(facts["languages"])
    steps = "\n".join(f"- {step}" for step in _steps(facts, plan, origin, lines))
    rotated = "".join(
        f"\n\nWith its rotation, {code} gains {gain} in p@1 with {facts['languages'][0]}, on the "
        "same lines."
        for code, gain in gains.rotated.items()
    )
    task = "".join(
        f'\nmodel.encode(["..."], task="{code}")  # if you know that a text is {code}'
        for code in plan.rotations
    )
    return f"""---
language: {json.dumps(facts["languages"], ensure_ascii=False)}
license: {json.dumps(license_of)}
base_model: {json.dumps(list(origin.base_models)) if origin.base_models else "unknown"}
library_name: sentence-transformers
pipeline_tag: sentence-similarity
tags: [xling, cross-lingual, sentence-transformers, sentence-similarity]
---
# {_plain(facts["name"])}, for one index of many languages

```python
from sentence_transformers import SentenceTransformer

model = SentenceTransformer("this folder")
model.encode(["..."])  # whatever the language{task}
```

## What was done

{steps}

It was learnt from {languages}; what it does to other languages was not tested.

## What it gains

{sentence} p@1 in one index, by language of the query:

{gains.table()}{rotated}

Measured on {found.facts["dataset"]}.

## Licence

That of {_plain(origin.name)} ({license_of}) and that of {found.facts["dataset"]}, from which
means and rotations were learnt, apply to what is derived from them; check both before you publish
this folder. Written by xling {__version__}.
"""


def _steps(facts: Mapping[str, Any], plan: _Plan, origin: Origin, lines: int) -> Iterator[str]:
    at = facts["best layer for one index"] or facts["best layer"]
    if at == OUTPUT:
        yield f"Vectors: those that {_plain(origin.name)} gives by its own modules."
    else:
        yield (
            f"Vectors: layer {at} of {_plain(origin.name)}, {_POOLINGS[plan.pooling]}; length 1."
        )
    if facts["prefix"]:
        prefix = facts["prefix"].replace("`", "'")
        yield f"Every text gets the prefix `{prefix}`, by default."
    if plan.basis is None:
        yield "Language: nothing is taken out, since that gained nothing on lines held out."
    else:
        yield (
            "Language: the mean of all languages is subtracted, and the "
            f"{plan.basis.shape[1]} directions in which the languages' means differ are removed "
            f"(Xie et al. 2022), learnt from {lines} lines of each language. Afterwards all of "
            "them have the same mean, as if each had been centred, and no language must be named."
        )
    if plan.rotations:
        yield (
            f"Rotation: for {formatting.listing(list(plan.rotations))} a rotation into the space "
            f"of {facts['languages'][0]}, learnt from {lines} pairs of lines. It is used only for "
            "texts whose language is named (`task=`)."
        )
    else:
        yield (
            "Rotation: none, since for no language a rotation gained anything sure on lines held "
            "out, beyond the above."
        )


def _plain(text: str) -> str:
    """Return a name escaped for Markdown."""
    return re.sub(r"([\\`*_{}\[\]<>#|!])", r"\\\1", " ".join(text.split()))
