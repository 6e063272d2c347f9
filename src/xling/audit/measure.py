"""Measure one model: encode every language once, score each pair, then all languages together.

Vectors and the scores of a pair are kept in one folder for each condition and language, so that an
interrupted audit continues with the next language.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xling import artefact
from xling.alignment.layers import matched_layers
from xling.audit.config import AuditSettings
from xling.audit.pair_scores import ceiling, ceiling_recut, gain_of_rotation, score_pair
from xling.audit.scores import FREE, PLAIN, RETRIEVAL, ROTATED, Floats, Found, threads_for
from xling.audit.space_scores import matrix, score_languages
from xling.audit.subjects import Subject
from xling.audit.tokenizer import CUT, prefix_tokens, recut, score_tokenizer
from xling.audit.vectors import LAST, MAIN, WEIGHTED, Vectors, write_vectors
from xling.encoders.coverage import coverage_of_tokens, warn_of_lost_text
from xling.encoders.sentences import Sentences, View, shared_ids
from xling.errors import XlingError
from xling.names import as_name
from xling.results import (
    SCORES,
    TRAINED,
    UNTRAINED,
    Key,
    Score,
    as_scores,
    as_table,
    over_draws,
    read_scores,
    write_scores,
)
from xling.workers import in_threads

MANY = 30  # with more languages, anchor-free forms and other poolings are not measured
_HITS = "hits.npz"
_RECUT, _LEAST_RECUT = 100, 10  # maximum and minimum of the pivot's lines to tokenise differently
Lines = Mapping[str, Sequence[str]]


@dataclass
class Measured:
    """The measurements of one model.

    Attributes:
        subject: The model.
        languages: The pivot first.
        lines: For each language its lines.
        layers: Names of the layers: the number, or ``output`` for the model's own vectors.
        width: Width of its vectors.
        found: Scores and hits of the model as it is.
        others: Scores of its untrained twins, their mean, ceilings and its tokenizer.
        rotation: For each number of pairs the score after a rotation learnt from them.
        rotation_hits: For each layer and language, the hits and the numbers of pairs.
        matrices: For each layer and metric p@1 of every language against every other.
        vectors: Vectors of every language.
        best: The best layer for pairs, chosen on every second line.
        best_pooled: The same for one index of all languages; None for two mapped models.
        speed: Lines encoded per second; None if all vectors were kept from before.
        comparable: Whether all languages are in one space without a map.
        empty: Lines without a token, for each language.
    """

    subject: Subject
    languages: tuple[str, ...]
    lines: Lines
    layers: tuple[str, ...]
    width: int
    found: Found
    others: list[Score]
    vectors: dict[str, Vectors]
    best: int
    best_pooled: int | None
    speed: float | None
    comparable: bool
    empty: dict[str, NDArray[np.bool_]]
    rotation: list[tuple[int, Score]] = field(default_factory=list)
    rotation_hits: dict[tuple[int, str], tuple[Floats, tuple[int, ...]]] = field(
        default_factory=dict
    )
    matrices: list[tuple[int, str, Floats]] = field(default_factory=list)

    @property
    def pivot(self) -> str:
        """The language that all others are paired with."""
        return self.languages[0]

    @property
    def metric(self) -> str:
        """The metric of retrieval by which layers are compared."""
        return PLAIN if self.comparable else ROTATED

    def hits(self, metric: str, probe: str = RETRIEVAL) -> Floats:
        """Return hits [languages except the pivot, layers, N]; NaN at layers without the metric."""
        return np.stack([self.found.hits[probe, metric, code] for code in self.languages[1:]])


def measure(
    subject: Subject,
    lines: Lines,
    dataset: str,
    settings: AuditSettings,
    kept: Path,
    advance: Callable[[int], object] = lambda lines: None,
) -> Measured:
    """Measure a model on parallel lines.

    Args:
        subject: The model.
        lines: For each language its lines, the pivot first; line i means the same in all.
        dataset: Name of the set of lines.
        settings: Settings of the audit.
        kept: Folder for vectors and scores of single languages, reused if they are of the same
            model, lines and settings.
        advance: Called with the number of lines encoded, or found in ``kept``.

    Raises:
        XlingError: the model gives NaN, or no hidden states, or no line has a token.
    """
    sentences = {code: subject.tokens(code, texts) for code, texts in lines.items()}
    warn_of_lost_text(
        f"{subject.name}, {dataset}",
        [coverage_of_tokens(subject.encoders[code], of) for code, of in sentences.items()],
    )
    key = Key(dataset=dataset)
    others = list(score_tokenizer(key, subject, lines, sentences))
    work = _Work(lines, sentences, settings, advance)
    place = kept / as_name(subject.name)
    found, vectors = work.condition(subject, key, place / TRAINED)
    speed = work.encoded / work.seconds if work.encoded else None
    pivot, comparable = next(iter(lines)), not settings.mapped
    others += ceiling(key, pivot, vectors[pivot], work.empty[pivot])
    others += work.second_tokenisation(subject, key, place / TRAINED, vectors[pivot])
    draws: list[Score] = []
    for seed, twin in zip(
        settings.untrained_seeds, subject.untrained(settings.untrained_seeds), strict=False
    ):
        of_twin = place / f"{UNTRAINED}-{seed}"
        drawn, _ = work.condition(twin, key._replace(condition=UNTRAINED, draw=seed), of_twin)
        draws += drawn.scores
        shutil.rmtree(of_twin)
    first = vectors[pivot]
    measured = Measured(
        subject,
        tuple(lines),
        lines,
        first.names,
        first.at(0).shape[1],
        found,
        [*others, *over_draws(draws), *draws],
        vectors,
        best=0,
        best_pooled=None,
        speed=speed,
        comparable=comparable,
        empty=work.empty,
    )
    measured.best = best_layer(measured.hits(measured.metric))
    if comparable:
        pooled = found.hits.get(("retrieval-pooled", PLAIN, ""))
        measured.best_pooled = None if pooled is None else best_layer(pooled[None])
        measured.matrices = list(matrix(vectors, len(lines[pivot])))
    _rotations(measured, key, settings)
    return measured


def best_layer(hits: Floats) -> int:
    """Return the layer with the most hits on every second line; the others are for evaluation.

    Args:
        hits: Array [languages, layers, N].
    """
    means = np.nanmean(hits[:, :, ::2], axis=2).mean(axis=0)
    return int(np.nanargmax(np.round(means, 9)))


def _rotations(measured: Measured, key: Key, settings: AuditSettings) -> None:
    pivot, device = measured.pivot, measured.subject.measures_on

    def gain(of: tuple[int, str]) -> tuple[list[tuple[int, Score]], Floats, tuple[int, ...]]:
        layer, code = of
        whole = ~(measured.empty[pivot] | measured.empty[code])
        X, Y = (measured.vectors[one].at(layer)[whole] for one in (pivot, code))
        of_layer = key._replace(layer=layer)
        return gain_of_rotation(of_layer, (pivot, code), X, Y, settings.resamples, device)

    layers = sorted({measured.best, len(measured.layers) - 1})
    tasks = [(layer, code) for layer in layers for code in measured.languages[1:]]
    for of, (rows, hits, sizes) in zip(
        tasks, in_threads(gain, tasks, threads_for(device)), strict=True
    ):
        measured.rotation += rows
        if sizes:
            measured.rotation_hits[of] = hits, sizes


class _Work:
    """The lines of an audit; encodes and scores them for one condition at a time."""

    def __init__(
        self,
        lines: Lines,
        sentences: Mapping[str, Sentences],
        settings: AuditSettings,
        advance: Callable[[int], object],
    ) -> None:
        self.lines, self.sentences = lines, sentences
        self.settings, self.advance = settings, advance
        self.seconds, self.encoded = 0.0, 0
        self.pivot = next(iter(lines))
        none = np.array([], dtype=np.int64)
        self.empty = {code: of.empty(none) for code, of in sentences.items()}
        for code, empty in self.empty.items():
            if empty.all():
                raise XlingError(f"{code}: no line has a token that the model's tokenizer knows")
        self.free: dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]] = {}
        if len(lines) <= MANY and not settings.mapped:
            for code in list(lines)[1:]:
                self.free[code] = shared_ids(sentences[self.pivot], sentences[code])

    def condition(
        self, subject: Subject, key: Key, folder: Path
    ) -> tuple[Found, dict[str, Vectors]]:
        """Encode and score all languages of a model as it is, or of an untrained one."""
        found = Found()
        self._unit(subject, key, folder, self.pivot)
        for code in list(self.lines)[1:]:
            self._unit(subject, key, folder, code)
            found.add(_read(folder / code))
        vectors = {code: Vectors(folder / code) for code in self.lines}
        if self.settings.mapped:
            a, b = self.lines
            first, second = self._sides(folder, b)
            vectors = {a: first, b: second}
        else:
            found.add(
                score_languages(
                    key, vectors, self.empty, self.settings.resamples, subject.measures_on
                )
            )
        return found, vectors

    def second_tokenisation(
        self, subject: Subject, key: Key, folder: Path, whole: Vectors
    ) -> list[Score]:
        """Score the pivot against itself under a second tokenisation, on a few of its lines.

        It costs one pass of these lines, whatever the number of languages.
        """
        pivot, count = self.pivot, len(self.lines[self.pivot])
        chosen = np.linspace(0, count - 1, min(count, _RECUT)).astype(int)
        texts = [self.lines[pivot][i] for i in chosen]
        cut, rows = recut(
            subject.encoders[pivot],
            subject.tokens(pivot, texts),
            prefix_tokens(subject, pivot),
        )
        if len(rows) < _LEAST_RECUT or self.settings.mapped:
            return []
        config = {
            "model": subject.content,
            "lines": _hash(texts),
            "encoding": [self.settings.pooling, self.settings.precision],
            "cut": CUT,
        }
        description = artefact.describe("audit of a second tokenisation", config, {})
        place = folder / f"{pivot}.recut"  # no language name contains a dot
        if not artefact.is_current(place, description):
            with artefact.building(place, description) as written:
                views = {MAIN: View(self.settings.pooling)}
                write_vectors(
                    written,
                    subject,
                    pivot,
                    cut,
                    views,
                    self.settings.batch_tokens,
                    self.settings.precision,
                )
        sides = Vectors(place), whole
        empty = self.empty[pivot]
        return ceiling_recut(key, pivot, sides, chosen[rows], empty, self.settings.resamples)

    def _unit(self, subject: Subject, key: Key, folder: Path, code: str) -> None:
        """Encode one language and score it against the pivot, unless that was done before."""
        views = self._views(code, key.condition)
        config = {
            "model": subject.content,
            "key": list(key),
            "lines": _hash(self.lines[code]),
            "forms": sorted(views),
            "encoding": [self.settings.pooling, self.settings.precision],
            "pivot": [self.pivot, _hash(self.lines[self.pivot])],
            "resamples": self.settings.resamples,
            "mapped": self.settings.mapped,
        }
        description = artefact.describe("audit of a language", config, {})
        if artefact.is_current(folder / code, description):
            self.advance(len(self.lines[code]))
            return
        with artefact.building(folder / code, description) as written:
            started = time.perf_counter()
            write_vectors(
                written,
                subject,
                code,
                self.sentences[code],
                views,
                self.settings.batch_tokens,
                self.settings.precision,
                self.advance,
            )
            self.seconds += time.perf_counter() - started
            self.encoded += len(self.lines[code])
            if code != self.pivot:
                self._score(key, folder, code, written, subject.measures_on)

    def _views(self, code: str, condition: str) -> dict[str, View]:
        """Return the ways to make a language's vectors, by name."""
        main = self.settings.pooling
        views = {MAIN: View(main)}
        if condition == TRAINED and len(self.lines) <= MANY and not self.settings.mapped:
            views |= {WEIGHTED: View("weighted"), LAST: View("last")}
        for other, (of_pivot, of_other) in self.free.items():
            if code == self.pivot:
                views[f"{FREE}{other}"] = View(main, of_pivot)
            elif code == other:
                views[f"{FREE}{self.pivot}"] = View(main, of_other)
        return views

    def _sides(self, folder: Path, code: str, other: Path | None = None) -> tuple[Vectors, Vectors]:
        """Return the vectors of the pivot and of a language, with matching layers."""
        places = folder / self.pivot, other or folder / code
        sides = Vectors(places[0]), Vectors(places[1])
        if not self.settings.mapped:
            return sides
        matched = matched_layers(sides[0].count, sides[1].count)
        width = max(side.at(0).shape[1] for side in sides)
        layers = [list(of_side) for of_side in zip(*matched, strict=True)]
        return Vectors(places[0], layers[0], width), Vectors(places[1], layers[1], width)

    def _score(self, key: Key, folder: Path, code: str, written: Path, device: Any) -> None:
        empty = self.empty[self.pivot] | self.empty[code]
        empty_free = empty
        if code in self.free:
            excluded = self.free[code]
            empty_free = self.sentences[self.pivot].empty(excluded[0])
            empty_free = empty_free | self.sentences[code].empty(excluded[1])
        found = score_pair(
            key,
            (self.pivot, code),
            self._sides(folder, code, written),
            empty,
            empty_free,
            self.settings.resamples,
            comparable=not self.settings.mapped,
            device=device,
        )
        write_scores(as_table(found.scores), written / SCORES)
        hits: dict[str, Any] = {json.dumps(name): array for name, array in found.hits.items()}
        with open(written / _HITS, "wb") as file:
            np.savez(file, **hits)


def _read(folder: Path) -> Found:
    """Return the scores and hits of a language."""
    scores = as_scores(read_scores(folder / SCORES))
    with np.load(folder / _HITS) as arrays:
        hits = {tuple(json.loads(name)): arrays[name] for name in arrays.files}
    return Found(scores, hits)


def _hash(lines: Sequence[str]) -> str:
    return hashlib.blake2b(json.dumps(list(lines)).encode(), digest_size=16).hexdigest()
