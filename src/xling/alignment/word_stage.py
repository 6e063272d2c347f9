"""The stage ``align words``: lexicons induced from two models (Conneau et al. 2020, Fig. 4)."""

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from xling import artefact
from xling.alignment.config import WordSettings
from xling.alignment.layers import fit_vocabularies, matched_layers, retrieval_scores
from xling.alignment.two_models import model_inputs, open_both, say_how_they_meet
from xling.alignment.vector_files import read_vectors
from xling.data.layout import DataFolder
from xling.data.tables import read_lexicon
from xling.device import AUTO, choose_device
from xling.errors import XlingError
from xling.influence import Floats, write_influence
from xling.measures.arrays import Matrix
from xling.measures.lexicon import Entries, find_pairs
from xling.measures.static_vectors import ppmi_vectors
from xling.names import pair_name
from xling.results import SCORES, STATIC, TRAINED, Key, Score, as_table, write_scores

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from xling.encoders.encoder import Encoder
    from xling.encoders.word_vectors import WordTypeMeans

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

    Word averages are kept next to it, in ``OUT.words/LANG``, so that runs with other alignment
    settings need not encode the text again.

    Args:
        source: Folder of the source language's encoder (Hugging Face).
        target: Folder of the target language's encoder.
        data: Data folder with text of both languages and ``dictionaries/SRC-TGT.{train,test}.tsv``
            (in that format or MUSE's).
        out: Where the scores go.
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
    inputs = model_inputs({"source": source, "target": target})
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
    chosen = choose_device(device)
    scores = score_words((source, target), texts, folder, out, settings, influence, chosen)
    with artefact.building(out, description, {"device": str(chosen)}) as written:
        write_scores(scores, written / SCORES)
        write_influence(written, influence)


_SPLITS = ("train", "test")
# The interval of a precision on 100 words is about 0.1 to either side.
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
        A table of scores:

        - probe ``lexicon-context``: word averages of each pair of layers at equal relative depth
          (``layer`` is the source's);
        - ``lexicon-embedding``: rows of the embedding matrix, only words of a single subword; under
          the condition ``static``, static vectors restricted to these words;
        - ``lexicon-static``: static vectors;
        - for each the metrics of :func:`xling.alignment.layers.retrieval_scores`, and
          ``coverage`` (share of the test dictionary's source words that have a vector and a
          translation that has one), ``train-pairs`` and ``words`` (in each language);
        - ``truncated`` of ``lexicon-context``: share of a language's lines that were cut at the
          model's limit; words after the cut do not count.
    """
    from xling.encoders.coverage import Coverage, warn_of_lost_text
    from xling.encoders.word_vectors import cached_word_types, text_words

    paths = [data.dictionary_file(*settings.languages, split) for split in _SPLITS]
    lexicons = [(path, read_lexicon(path)) for path in paths]
    # Before anything is encoded, so that a bad file costs no time.
    given = {language: read_vectors(path) for language, path in settings.vectors.items()}
    encoders = open_both(*models, settings.languages, "cpu")
    say_how_they_meet(*encoders, settings.map)
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

    def rows(of: Key, x: Vocabulary, y: Vocabulary) -> Iterator[Score]:
        given = {name: getattr(of, name) for name in ("probe", "dataset", "layer", "condition")}
        moved: dict[Key, Floats] = {}
        for score in _induced(x, y, lexicons, settings, moved):
            yield score._replace(**given)
        influence.update({key._replace(**given): values for key, values in moved.items()})

    cut = Score("lexicon-context", name, metric="truncated")
    table = [
        cut._replace(language=language, value=found.truncated / found.lines, n=found.lines)
        for language, found in zip(settings.languages, means, strict=True)
    ]
    for i, j in matched_layers(len(means[0].vectors), len(means[1].vectors)):
        x = _without_zeros(means[0].words, means[0].vectors[i])
        y = _without_zeros(means[1].words, means[1].vectors[j])
        table += rows(Key("lexicon-context", name, layer=i), x, y)
    baselines = {
        ("lexicon-embedding", TRAINED): tuple(embedded),
        ("lexicon-static", TRAINED): tuple(static),
        ("lexicon-embedding", STATIC): tuple(
            _restricted(vectors, words)
            for vectors, (words, _) in zip(static, embedded, strict=True)
        ),
    }
    for (probe, condition), (x, y) in baselines.items():
        of = Key(probe, name, condition=condition)
        try:
            table += list(rows(of, x, y))
        except XlingError as error:
            warnings.warn(f"no {_lexicon(of)}: {error}", stacklevel=2)
    _warn_of_few_words(table, len({word for word, _ in lexicons[1][1]}), paths[1])
    return as_table(table)


def _induced(
    x: Vocabulary,
    y: Vocabulary,
    lexicons: Sequence[tuple[Path, Entries]],
    settings: WordSettings,
    influence: dict[Key, Floats],
) -> Iterator[Score]:
    """Fit on the training dictionary, and score the test dictionary over whole vocabularies."""
    a, b = settings.languages
    seeds, gold = (find_pairs(entries, x[0], y[0], path) for path, entries in lexicons)
    fitted = fit_vocabularies(x[1], y[1], seeds.pairs, settings)
    mapped, others = fitted.bring_together(x[1], y[1])
    found = retrieval_scores(mapped, others, gold.pairs, (a, b), settings, influence=influence)
    yield from found
    one_way = Score(language=pair_name((a, b)), direction=f"{a}>{b}")
    yield one_way._replace(metric="coverage", value=gold.coverage)
    yield one_way._replace(metric="train-pairs", value=float(len(seeds.pairs)))
    for language, (words, _) in ((a, x), (b, y)):
        yield Score(language=language, metric="words", value=float(len(words)))


def _lexicon(key: Key | Score) -> str:
    return key.probe if key.condition == TRAINED else f"{key.probe} of {key.condition} vectors"


def _warn_of_few_words(table: Sequence[Score], words: int, path: Path) -> None:
    """Warn, in one line, about lexicons scored on few words of the dictionary."""
    coverage: dict[str, float] = {}
    for score in table:
        if score.metric == "coverage":
            lexicon = _lexicon(score)
            coverage[lexicon] = min(score.value, coverage.get(lexicon, score.value))
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
    """Return the words that are a single subword, if any, and their embeddings."""
    from xling.encoders.word_vectors import embedding_vectors

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
