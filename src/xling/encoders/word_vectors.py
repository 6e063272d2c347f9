"""Word vectors of every layer: each occurrence, averages over a corpus, and the embedding matrix.

A word's vector is the mean of its subwords' (Conneau et al. 2020, section 5.1).
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from xling import artefact
from xling.data.lines import read_lines
from xling.device import BATCH_TOKENS
from xling.encoders.batches import Ints
from xling.encoders.coverage import coverage_of_tokens
from xling.encoders.encoder import Encoder
from xling.encoders.representations import check_finite, hidden_states
from xling.encoders.words import WordTokens, split_words, tokenise_words
from xling.errors import XlingError
from xling.files import atomic_file, read_json, write_json
from xling.model.folder import model_files
from xling.progress import bar

_CHUNK = 8192  # lines tokenised at a time
_WORDS, _VECTORS, _REPORT = "words.txt", "vectors.safetensors", "report.json"


@dataclass(frozen=True, eq=False)
class WordTypeMeans:
    """One vector per word and layer: the mean over all its occurrences.

    Attributes:
        words: V distinct words.
        vectors: float32 array [L + 1, V, d]; zeros for words that do not occur.
        counts: int64 array [V]: number of occurrences averaged.
        lines: Number of lines read.
        truncated: How many were cut at the model's limit; words past it do not count.
        tokens: Number of ordinary tokens read.
        unknown: How many of them are the unknown token.
    """

    words: tuple[str, ...]
    vectors: NDArray[np.float32]
    counts: Ints
    lines: int
    truncated: int
    tokens: int = 0
    unknown: int = 0


def word_vectors(
    encoder: Encoder,
    lines: Sequence[Sequence[str]],
    layers: Sequence[int] | None = None,
    batch_tokens: int = BATCH_TOKENS,
) -> tuple[NDArray[np.float32], Ints]:
    """Vectors of every running word in its context.

    Args:
        encoder: Any encoder; its device is used, and it is left in the mode it was in.
        lines: The words of each of N lines, W in all (:func:`xling.encoders.words.split_words`
            splits text).
        layers: Which to return, 0 (the embeddings' output) to L, negative ones from the last; all
            if not given. All layers of 10k sentences at width 768 take 5 GB: ask for those you use.
        batch_tokens: Maximum number of tokens, padding included, in one forward pass.

    Returns:
        float32 array [layers, W, d] and int64 array [N + 1], where each line's words begin. A word
        without a token (cut off at the model's limit) is a zero vector.

    Raises:
        XlingError: for lines that are not lists of words, or without any word, or a layer that the
            model does not have.
    """
    tokens = tokenise_words(encoder, lines)
    if not tokens.words:
        raise XlingError("nothing to encode: no line has a word")
    result: NDArray[np.float32] | None = None
    for found, words, means in _summed(encoder, tokens, tokens.word_of, batch_tokens):
        chosen = _chosen(layers, found)
        if result is None:
            shape = (len(chosen), len(tokens.words), means.shape[-1])
            result = np.zeros(shape, dtype=np.float32)
        result[:, words] = means[chosen]
    assert result is not None
    check_finite(encoder, result)
    return result, tokens.starts


def word_type_means(
    encoder: Encoder,
    lines: Iterable[Sequence[str]],
    words: Sequence[str],
    batch_tokens: int = BATCH_TOKENS,
    total: int | None = None,
) -> WordTypeMeans:
    """Average every occurrence of some words over a corpus of any size, all layers in one pass.

    Memory is that of the result (words × layers × d float32) and of a few thousand lines. Sums are
    kept in float32; each batch is summed separately first, so the error stays near rounding.

    Args:
        encoder: Any encoder; its device is used, and it is left in the mode it was in.
        lines: The words of each line; read once.
        words: The distinct words to average, as they are written in ``lines``.
        batch_tokens: Maximum number of tokens, padding included, in one forward pass.
        total: Number of lines, if known, for the progress bar.

    Raises:
        XlingError: if no line has a word, for repeated ``words``, if none of them occurs, or if the
            model gives NaN or infinity.
    """
    index = {word: row for row, word in enumerate(words)}
    if not words:
        raise XlingError(f"no word of {encoder.language} to average: has its text any?")
    if len(index) < len(words):
        raise XlingError(f"{len(words)} words, {len(index)} distinct: expected each word once")
    sums: NDArray[np.float32] | None = None
    counts = np.zeros(len(words), dtype=np.int64)
    read = truncated = ordinary = unknown = 0
    with bar(f"Words of {encoder.language}", total, "lines") as advance:
        for chunk in _chunks(lines):
            tokens = tokenise_words(encoder, chunk)
            seen = coverage_of_tokens(encoder, tokens.sentences)
            read, truncated = read + seen.lines, truncated + seen.truncated
            ordinary, unknown = ordinary + seen.tokens, unknown + seen.unknown
            types = np.fromiter((index.get(word, -1) for word in tokens.words), np.int64)
            there = types[(tokens.sizes > 0) & (types >= 0)]
            counts += np.bincount(there, minlength=len(words))
            type_of = np.where(tokens.word_of >= 0, np.append(types, -1)[tokens.word_of], -1)
            for found, rows, partial in _summed(encoder, tokens, type_of, batch_tokens):
                if sums is None:
                    sums = np.zeros((found, len(words), partial.shape[-1]), dtype=np.float32)
                sums[:, rows] += partial
            advance(len(chunk))
    if sums is None or not counts.any():
        raise XlingError(
            f"none of the {len(words)} words occurs in the {read} lines of {encoder.language}: are "
            "both written (and lower-cased) alike?"
        )
    sums /= np.maximum(counts, 1).astype(np.float32)[:, None]
    check_finite(encoder, sums)
    return WordTypeMeans(tuple(words), sums, counts, read, truncated, ordinary, unknown)


def embedding_vectors(encoder: Encoder, words: Sequence[str]) -> tuple[Ints, NDArray[np.float32]]:
    """Rows of the embedding matrix for those words that are a single subword.

    Conneau et al. 2020, Fig. 4a.

    Args:
        encoder: Any encoder.
        words: Candidates, e.g. the words of a dictionary, or the frequent words of a corpus.

    Returns:
        int64 array [s]: which words they are; float32 array [s, d]: their embeddings.

    Raises:
        XlingError: if none of them is a single subword that the vocabulary knows.
    """
    tokens = tokenise_words(encoder, [[word] for word in words])
    single = np.flatnonzero(tokens.sizes == 1)
    part = np.flatnonzero(tokens.word_of >= 0)
    ids = tokens.sentences.ids[part][np.isin(tokens.word_of[part], single)]
    known = ids != encoder.tokenizer.unk_token_id
    if not known.any():
        raise XlingError(
            f"none of the {len(words)} words is a single subword of {encoder.language}: use word "
            "averages over a corpus, or a larger vocabulary"
        )
    embeddings: torch.nn.Embedding = encoder.body.get_input_embeddings()  # type: ignore[assignment]
    matrix = embeddings.weight.detach()
    rows = matrix[torch.from_numpy(ids[known]).to(matrix.device)]
    return single[known], rows.float().cpu().numpy()


def _chunks(lines: Iterable[Sequence[str]]) -> Iterator[list[Sequence[str]]]:
    iterator = iter(lines)
    while chunk := list(islice(iterator, _CHUNK)):
        yield chunk


def _summed(
    encoder: Encoder, tokens: WordTokens, group_of: Ints, batch_tokens: int
) -> Iterator[tuple[int, Ints, NDArray[np.float32]]]:
    """Sum word vectors (means of subwords) by group, batch by batch.

    Yields:
        The number of layers; the groups of the batch [g]; their sums [L + 1, g, d].
    """
    share = np.zeros(len(tokens.word_of), dtype=np.float32)
    inside = group_of >= 0
    share[inside] = 1 / tokens.sizes[tokens.word_of[inside]]
    parts = tokens.sentences.batches(batch_tokens)
    for _, batch, hidden in hidden_states(encoder, tokens.sentences, parts):
        cells = np.flatnonzero(batch.real_BL & inside[batch.tokens_BL])
        at = batch.tokens_BL.ravel()[cells]
        groups, inverse = np.unique(group_of[at], return_inverse=True)
        device, width = hidden[0].device, hidden[0].shape[-1]
        picked, rows, weights = (
            torch.from_numpy(array).to(device) for array in (cells, inverse, share[at, None])
        )
        sums = torch.zeros((len(hidden), len(groups), width), device=device)
        for layer, states_BTD in zip(sums, hidden, strict=True):
            layer.index_add_(0, rows, states_BTD.reshape(-1, width)[picked].float() * weights)
        yield len(hidden), groups, sums.cpu().numpy()


def _chosen(layers: Sequence[int] | None, found: int) -> list[int]:
    if layers is None:
        return list(range(found))
    wrong = [layer for layer in layers if not -found <= layer < found]
    if wrong or not layers:
        raise XlingError(f"layers {list(layers)}: the model has layers 0 to {found - 1}")
    return [layer % found for layer in layers]


def frequent_words(
    lines: Iterable[Sequence[str]], maximum: int, minimum_count: int = 1
) -> list[str]:
    """Return the most frequent words, equally frequent ones in alphabetical order.

    Memory grows with the number of distinct words.

    Args:
        lines: The words of each line.
        maximum: Maximum number of words to return.
        minimum_count: Words that occur less often are left out.

    Example:
        >>> frequent_words([["b", "a"], ["c", "b"]], 2)
        ['b', 'a']
    """
    counts = Counter(chain.from_iterable(lines))
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [word for word, count in ranked[:maximum] if count >= minimum_count]


def cached_word_types(
    model: Path,
    language: str,
    texts: Sequence[Path],
    out: Path,
    words: Sequence[str] | None = None,
    maximum_words: int = 50_000,
    maximum_lines: int = 500_000,
    minimum_count: int = 1,
    batch_tokens: int = BATCH_TOKENS,
    device: "str | torch.device" = "cpu",
) -> WordTypeMeans:
    """Average words over text files with a saved encoder, or read the averages of a previous call.

    The result is kept in ``out`` together with the content of everything it depends on: the model's
    files, the texts, the words and the limits. While these are the same, nothing is encoded again.

    Args:
        model: Folder of a Hugging Face encoder.
        language: Language code, for messages.
        texts: Plain or gzipped text files, read in this order.
        out: Folder to keep the averages in; replaced if it holds others.
        words: Distinct words to average; the most frequent ones of the texts if not given.
        maximum_words: Number of most frequent words.
        minimum_count: Words that occur less often are left out (unless ``words`` is given).
        maximum_lines: Lines to read (Conneau et al. 2020, section 5.1 takes 500k sentences).
        batch_tokens: Maximum number of tokens, padding included, in one forward pass.
        device: Where the encoder runs, see :func:`xling.device.choose_device`.

    Raises:
        XlingError: as :func:`xling.encoders.word_vectors.word_type_means`.
    """
    inputs = {f"text/{number}": path for number, path in enumerate(texts)}
    inputs |= {f"model/{name}": path for name, path in model_files(Path(model)).items()}
    config = {
        "words": list(words) if words is not None else [maximum_words, minimum_count],
        "maximum_lines": maximum_lines,
    }
    description = artefact.describe("word types", config, inputs)
    if not artefact.is_current(out, description):
        if words is None:
            lines = text_words(texts, maximum_lines)
            words = frequent_words(lines, maximum_words, minimum_count)
        encoder = Encoder.load(model, language, device)
        means = word_type_means(
            encoder,
            text_words(texts, maximum_lines),
            words,
            batch_tokens,
            total=sum(1 for _ in text_words(texts, maximum_lines)),
        )
        notes = {"device": str(encoder.device)}
        with artefact.building(out, description, notes) as folder:
            _write(means, folder)
    return read_word_types(out)


def read_word_types(folder: Path) -> WordTypeMeans:
    """Read the averages that :func:`cached_word_types` keeps in ``folder``.

    Raises:
        XlingError: if there are none.
    """
    from safetensors.numpy import load_file

    report = read_json(folder / _REPORT)
    arrays = load_file(folder / _VECTORS)
    words = tuple(read_lines(folder / _WORDS))
    return WordTypeMeans(words, arrays["vectors"], arrays["counts"], **report)


def _write(means: WordTypeMeans, folder: Path) -> None:
    from safetensors.numpy import save

    with atomic_file(folder / _WORDS) as file:
        file.writelines(f"{word}\n" for word in means.words)
    with atomic_file(folder / _VECTORS, "wb") as file:
        file.write(save({"vectors": means.vectors, "counts": np.ascontiguousarray(means.counts)}))
    counts = ("lines", "truncated", "tokens", "unknown")
    write_json(folder / _REPORT, {name: getattr(means, name) for name in counts})


def text_words(texts: Sequence[Path], maximum: int) -> Iterator[list[str]]:
    """Yield the words of the first ``maximum`` lines of text files.

    Raises:
        XlingError: if there is no line.
    """
    number = 0
    for path in texts:
        for line in read_lines(path):
            if number >= maximum:
                return
            number += 1
            yield split_words(line)
    if not number:
        raise XlingError(f"{', '.join(map(str, texts)) or 'texts'}: no line of text")
