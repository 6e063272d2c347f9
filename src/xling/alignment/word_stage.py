"""The stage ``align words``: lexicons induced from two models (Conneau et al. 2020, Fig. 4)."""

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from xling import artefact
from xling.alignment.config import WordSettings
from xling.alignment.layers import fit_vocabularies, matched_layers, retrieval_scores
from xling.alignment.lexicon import Entries, find_pairs, read_lexicon
from xling.alignment.sentence_stage import SCORES, Row, model_files, say_how_they_meet
from xling.alignment.static_vectors import ppmi_vectors
from xling.alignment.vector_files import read_vectors
from xling.csv_tables import write_table
from xling.data.layout import DataFolder
from xling.device import AUTO, choose_device
from xling.errors import XlingError
from xling.files import atomic_file
from xling.influence import Floats, Key, write_influence
from xling.similarity.arrays import Matrix

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from xling.similarity.encoder import Encoder
    from xling.similarity.word_vectors import WordTypeMeans

Vocabulary = tuple[Sequence[str], Matrix]


def align_words(
    source: Path,
    target: Path,
    data: Path,
    out: Path,
    settings: WordSettings,
    device: str = AUTO,
) -> None:
    """Align word types on a dictionary and write ``OUT/scores.csv``; nothing if current.

    Word averages are kept beside it, in ``OUT.words/LANG``, so that other settings of the alignment
    need not encode the text again.

    Args:
        source: Folder of the source language's encoder (Hugging Face).
        target: Folder of the target language's.
        data: Data folder with text of both languages and ``dictionaries/SRC-TGT.{train,test}.tsv``
            (in that format or MUSE's).
        out: Where the scores go: the columns of a probe's.
        settings: Languages, text, and how to align.
        device: Where the models run, see :func:`xling.device.choose_device`.
    """
    artefact.check_output(out, "align words", source, target, data)
    folder = DataFolder(data)
    texts = {
        language: [folder.text(domain, language) for domain in settings.text.get(language, ())]
        for language in settings.languages
    }
    for language, paths in texts.items():
        if not paths:
            raise XlingError(f"text: no domain of {language}; expected for example [wiki]")
    inputs = model_files({"source": source, "target": target})
    for language, paths in texts.items():
        inputs |= {f"text/{language}/{number}": path for number, path in enumerate(paths)}
    inputs |= {
        f"dictionary/{split}": folder.dictionary_file(*settings.languages, split)
        for split in _SPLITS
    }
    inputs |= {f"vectors/{language}": path for language, path in settings.vectors.items()}
    description = artefact.describe("align words", settings.model_dump(mode="json"), inputs)
    if artefact.is_current(out, description):
        return
    influence: dict[Key, Floats] = {}
    place = choose_device(device)
    scores = score_words((source, target), texts, folder, out, settings, influence, place)
    notes = {"device": str(place)}
    with (
        artefact.building(out, description, notes) as written,
        atomic_file(written / SCORES) as file,
    ):
        write_table(scores, file)
        write_influence(written, influence)


_SPLITS = ("train", "test")
# A precision on 100 words has an interval of about 0.1 to either side.
_FEW_WORDS = 100
_FEW_OF_DICTIONARY = 0.1


def score_words(
    models: tuple[Path, Path],
    texts: dict[str, list[Path]],
    data: DataFolder,
    out: Path,
    settings: WordSettings,
    influence: dict[Key, Floats],
    device: "torch.device",
) -> "pd.DataFrame":
    """Induce a lexicon from the embeddings, from every layer's word averages, and from a baseline.

    Influence values of p@1 over the test dictionary's words go into ``influence``. Text is encoded
    on ``device``.

    Returns:
        Tidy frame (probe, dataset, language, layer, metric, value):

        - probe ``lexicon-context``: word averages of each pair of layers (the same share of the
          depth; ``layer`` is the source's);
        - ``lexicon-embedding``: rows of the embedding matrix, words of a single subword only; with
          ``static:`` before the metric, static vectors restricted to these words;
        - ``lexicon-static``: static vectors;
        - for each the metrics of :func:`xling.alignment.layers.retrieval_scores`, and
          ``coverage`` (share of the test dictionary's source words that have a vector and a
          translation that has one), ``train-pairs`` and ``words`` (in each language);
        - ``truncated`` of ``lexicon-context``: share of a language's lines that the model's limit
          cut; words behind it do not count.
    """
    import pandas as pd

    from xling.similarity.coverage import Coverage, warn_of_lost_text
    from xling.similarity.encoder import Encoder
    from xling.similarity.word_vectors import cached_word_types, text_words

    paths = [data.dictionary_file(*settings.languages, split) for split in _SPLITS]
    lexicons = [(path, read_lexicon(path)) for path in paths]
    # Before anything is encoded, so that a file at fault costs no time.
    given = {language: read_vectors(path) for language, path in settings.vectors.items()}
    encoders = [
        Encoder.load(model, language)
        for model, language in zip(models, settings.languages, strict=True)
    ]
    say_how_they_meet(encoders[0], encoders[1], settings)
    means: list[WordTypeMeans] = []
    embedded: list[Vocabulary] = []
    static: list[Vocabulary] = []
    for model, encoder in zip(models, encoders, strict=True):
        language = encoder.language
        found = cached_word_types(
            model,
            language,
            texts[language],
            out.with_name(f"{out.name}.words") / language,
            maximum_words=settings.maximum_words,
            maximum_lines=settings.maximum_lines,
            minimum_count=settings.minimum_count,
            batch_tokens=settings.batch_tokens,
            device=device,
        )
        means.append(found)
        embedded.append(_embedded(encoder, found.words))
        if language in settings.vectors:
            static.append(given[language])
        else:
            lines = text_words(texts[language], settings.maximum_lines)
            width = min(settings.static_width, len(found.words) - 1)
            static.append(_without_zeros(found.words, ppmi_vectors(lines, found.words, width)))

    seen = [
        Coverage(language, found.lines, found.truncated, found.tokens, found.unknown)
        for language, found in zip(settings.languages, means, strict=True)
    ]
    warn_of_lost_text("text", seen)
    name = "-".join(settings.languages) + ".test"

    def rows(
        probe: str, layer: int | None, x: Vocabulary, y: Vocabulary, prefix: str = ""
    ) -> Iterator[Row]:
        moved: dict[tuple[str, str], Floats] = {}
        for direction, metric, value in _induced(x, y, lexicons, settings, moved):
            yield probe, name, direction, layer, f"{prefix}{metric}", value
        for (direction, metric), values in moved.items():
            influence[probe, name, direction, layer, f"{prefix}{metric}"] = values

    table: list[Row] = [
        ("lexicon-context", name, language, None, "truncated", found.truncated / found.lines)
        for language, found in zip(settings.languages, means, strict=True)
    ]
    for i, j in matched_layers(len(means[0].vectors), len(means[1].vectors)):
        x = _without_zeros(means[0].words, means[0].vectors[i])
        y = _without_zeros(means[1].words, means[1].vectors[j])
        table += rows("lexicon-context", i, x, y)
    baselines = {
        ("lexicon-embedding", ""): tuple(embedded),
        ("lexicon-static", ""): tuple(static),
        ("lexicon-embedding", "static:"): tuple(
            _restricted(vectors, words)
            for vectors, (words, _) in zip(static, embedded, strict=True)
        ),
    }
    for (probe, prefix), (x, y) in baselines.items():
        try:
            table += list(rows(probe, None, x, y, prefix))
        except XlingError as error:
            warnings.warn(f"no {prefix}{probe}: {error}", stacklevel=2)
    _warn_of_few_words(table, len({word for word, _ in lexicons[1][1]}), paths[1])
    columns = ["probe", "dataset", "language", "layer", "metric", "value"]
    return pd.DataFrame(table, columns=columns).astype({"layer": "Int64", "value": float})


def _induced(
    x: Vocabulary,
    y: Vocabulary,
    lexicons: Sequence[tuple[Path, Entries]],
    settings: WordSettings,
    influence: dict[tuple[str, str], Floats],
) -> Iterator[tuple[str, str, float]]:
    """Fit on the training dictionary, score on the test dictionary over whole vocabularies."""
    a, b = settings.languages
    seeds, gold = (find_pairs(entries, x[0], y[0], path) for path, entries in lexicons)
    fitted = fit_vocabularies(x[1], y[1], seeds.pairs, settings)
    mapped, others = fitted.bring_together(x[1], y[1])
    found = retrieval_scores(mapped, others, gold.pairs, (a, b), settings, influence=influence)
    yield from found
    yield f"{a}>{b}", "coverage", gold.coverage
    yield f"{a}>{b}", "train-pairs", float(len(seeds.pairs))
    yield a, "words", float(len(x[0]))
    yield b, "words", float(len(y[0]))


def _warn_of_few_words(table: Sequence[Row], words: int, path: Path) -> None:
    """Warn, in one line, of lexicons whose score is of few words of the dictionary."""
    coverage: dict[str, float] = {}
    for probe, _, _, _, metric, value in table:
        if metric.endswith("coverage"):
            lexicon = metric.removesuffix("coverage") + probe
            coverage[lexicon] = min(value, coverage.get(lexicon, value))
    scored = {lexicon: round(share * words) for lexicon, share in coverage.items()}
    few = {
        lexicon: count
        for lexicon, count in scored.items()
        if count < _FEW_WORDS or coverage[lexicon] < _FEW_OF_DICTIONARY
    }
    if few:
        counts = ", ".join(
            f"{count} in {lexicon} (coverage {coverage[lexicon]:.3f})"
            for lexicon, count in few.items()
        )
        error = 0.98 / max([1, *few.values()]) ** 0.5
        advice = "take a larger dictionary"
        if min(few.values()) < words / 2:
            advice = "take more text or a larger vocabulary, and write words as the dictionary does"
        warnings.warn(
            f"{path.name}: of {words:,} source words only these are scored: {counts}; precision is "
            f"uncertain by {error:.2f} and more, and may not hold for other words: {advice}",
            stacklevel=2,
        )


def _embedded(encoder: "Encoder", words: Sequence[str]) -> Vocabulary:
    """Return the words that are a single subword and their embeddings; perhaps there are none."""
    from xling.similarity.word_vectors import embedding_vectors

    try:
        which, vectors = embedding_vectors(encoder, words)
    except XlingError:
        return [], np.empty((0, encoder.model.config.hidden_size), dtype=np.float32)
    return _without_zeros([words[i] for i in which], vectors)


def _without_zeros(words: Sequence[str], vectors: Matrix) -> Vocabulary:
    there = np.flatnonzero(vectors.any(axis=1)).tolist()
    return [words[row] for row in there], vectors[there]


def _restricted(vectors: Vocabulary, words: Sequence[str]) -> Vocabulary:
    wanted = set(words)
    rows = [row for row, word in enumerate(vectors[0]) if word in wanted]
    if not rows:
        return [], vectors[1][:0]
    return [vectors[0][row] for row in rows], vectors[1][rows]
