"""Word averages of a model over text files, kept in a folder and made once.

::

    OUT/
      words.txt             one word a line, the frequent ones first
      vectors.safetensors   "vectors" float32 [L + 1, V, d], "counts" int64 [V]
      artefact.json         what it was made from
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from xling import artefact
from xling.data.lines import read_lines
from xling.errors import XlingError
from xling.files import atomic_file, read_json, write_json
from xling.model.folder import model_files
from xling.similarity.config import BATCH_TOKENS
from xling.similarity.encoder import Encoder
from xling.similarity.word_vectors import WordTypeMeans, word_type_means
from xling.similarity.words import split_words

_WORDS, _VECTORS, _REPORT = "words.txt", "vectors.safetensors", "report.json"


def frequent_words(
    lines: Iterable[Sequence[str]], maximum: int, minimum_count: int = 1
) -> list[str]:
    """Return the most frequent words, equally frequent ones in alphabetical order.

    Memory is that of the distinct words.

    Args:
        lines: The words of each line.
        maximum: How many words to return at most.
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
) -> WordTypeMeans:
    """Average words over text files with a saved encoder, or read what was averaged before.

    The result is kept in ``out`` under the content of everything that decides it: the model's
    files, the texts, the words and the limits. While these are the same, nothing is encoded again.

    Args:
        model: Folder of a Hugging Face encoder.
        language: Language code, for messages.
        texts: Plain or gzipped text files, read in this order.
        out: Folder to keep the averages in; replaced if it holds others.
        words: Distinct words to average; the most frequent ones of the texts if not given.
        maximum_words: How many of the most frequent.
        minimum_count: Words that occur less often are left out (unless ``words`` is given).
        maximum_lines: Lines to read (PAPER section 5.1 takes 500k sentences).
        batch_tokens: Most tokens, padding included, in one forward pass.

    Raises:
        XlingError: as :func:`xling.similarity.word_vectors.word_type_means`.
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
        means = word_type_means(
            Encoder.load(model, language),
            text_words(texts, maximum_lines),
            words,
            batch_tokens,
            total=sum(1 for _ in text_words(texts, maximum_lines)),
        )
        with artefact.building(out, description) as folder:
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
