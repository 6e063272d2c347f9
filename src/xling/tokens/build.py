"""The stage ``tokens``: text to memory-mapped streams of ids, and a report of what they hold."""

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import groupby, permutations
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from xling import artefact
from xling.data.layout import DataFolder
from xling.data.lines import counted, lone_returns, read_blocks
from xling.data.selection import (
    LanguageText,
    TextPart,
    TextSelection,
    count_lines,
    read_part,
    select,
)
from xling.errors import XlingError
from xling.files import plain_or_gzipped
from xling.names import Language
from xling.progress import bar
from xling.tokens.counts import LanguageCounts, save_counts, write_report
from xling.tokens.streams import ShardWriter, Stream, TokenIndex
from xling.tokens.tokenise import SPLITS, Chunk, ChunkTokeniser, Tokens, id_dtype
from xling.vocabulary.anchors import breaks
from xling.vocabulary.vocabulary import Vocabulary
from xling.workers import ordered_map


class TokensConfig(BaseModel):
    """How text becomes token streams."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dev_share: float = Field(
        0.01,
        gt=0.0,
        lt=1.0,
        description="Share of each language's lines held out for dev perplexity. A hash of a "
        "line's content decides its side, so identical lines never straddle the "
        "split.",
    )
    dev_lines: int = Field(
        5000,
        ge=1,
        description="Maximum held-out lines per language, in expectation: in longer text "
        "dev_share shrinks accordingly.",
    )
    shard_tokens: int = Field(
        1 << 27, ge=1, description="Maximum tokens in one file (256 MB at two bytes per token)."
    )


class TokensSettings(BaseModel):
    """Which text becomes token streams, and how."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: dict[Language, LanguageText] = Field(
        ..., description="domains or parts of domains per language, e.g. {en: [wiki]}"
    )
    tokens: TokensConfig = Field(default_factory=TokensConfig)


# A stream with a larger share of unknowns was encoded with a vocabulary of other text.
_MOST_UNKNOWN = 0.5


class _Source(NamedTuple):
    """One part of a language's text, and how many lines its file has."""

    language: str
    part: TextPart
    path: Path
    lines: int
    dev_share: float

    @property
    def chosen_lines(self) -> int:
        """How many of the file's lines are in the part, blank ones included."""
        lines = self.lines if self.part.part == "all" else self.lines // 2
        return min(lines, self.part.lines or lines)


def build_tokens(
    data: DataFolder,
    text: TextSelection,
    vocabulary: Vocabulary,
    out: Path,
    config: TokensConfig,
    workers: int,
) -> None:
    """Tokenise text and write it to ``out``; do nothing if ``out`` is current.

    ``out`` gets ``index.json``; shards ``LANG/PART.{train,dev}-00000.bin``, every line followed
    by [SEP]; ``LANG/counts.npy``, how often each id occurs in the train streams, int64 ``[V]``;
    and ``report.json`` and ``report.md``, the vocabulary's fit and anchors on this text. The
    result does not depend on the number of workers.

    Args:
        data: The data folder.
        text: For each language the domains (or halves of domains) to tokenise.
        vocabulary: A vocabulary of these languages.
        out: The folder to write.
        config: Held-out share and shard size.
        workers: Processes that tokenise.

    Raises:
        XlingError: Text is missing, empty or of another kind than the vocabulary's, or a
            language has no held-out line.
    """
    artefact.check_output(out, "tokens", data.root, vocabulary.path)
    selected = select(data, text)
    description = _describe(data, selected, vocabulary, config)
    if artefact.is_current(out, description):
        return
    for language in selected:
        vocabulary.tokenizer(language)
    sources = list(_sources(selected, config))
    with artefact.building(out, description) as folder:
        streams, counts = _write_streams(sources, vocabulary, folder, config, workers)
        _refuse_no_dev(streams, sources, config)
        index = TokenIndex(
            vocabulary_size=vocabulary.size,
            dtype=id_dtype(vocabulary.size).str,
            streams=tuple(streams),
        )
        index.save(folder)
        for language, counted in counts.items():
            save_counts(folder, language, counted.ids)
        write_report(folder, vocabulary, counts, data)


def _describe(
    data: DataFolder,
    selected: Mapping[str, Mapping[TextPart, Path]],
    vocabulary: Vocabulary,
    config: TokensConfig,
) -> dict[str, object]:
    text = {language: [str(part) for part in parts] for language, parts in selected.items()}
    inputs = {
        f"text/{part.domain}/{language}": path
        for language, parts in selected.items()
        for part, path in parts.items()
    }
    # The report classifies anchors by the dictionaries.
    dictionaries = {
        f"dictionaries/{one}-{other}.{split}": plain_or_gzipped(
            data.root / "dictionaries" / f"{one}-{other}.{split}.tsv"
        )
        for one, other in permutations(selected, 2)
        for split in ("train", "test")
    }
    inputs |= {name: path for name, path in dictionaries.items() if path}
    return artefact.describe(
        "tokens", {**config.model_dump(), "text": text}, {**inputs, **vocabulary.files}
    )


def _sources(
    selected: Mapping[str, Mapping[TextPart, Path]], config: TokensConfig
) -> Iterator[_Source]:
    """Count lines, which halves and the limit on held-out lines need, and list the parts."""
    for language, parts in selected.items():
        lines = {part: count_lines(path) for part, path in parts.items()}
        listed = [_Source(language, part, path, lines[part], 0.0) for part, path in parts.items()]
        total = sum(source.chosen_lines for source in listed)
        dev_share = min(config.dev_share, config.dev_lines / max(1, total))
        yield from (source._replace(dev_share=dev_share) for source in listed)


def _write_streams(
    sources: list[_Source],
    vocabulary: Vocabulary,
    folder: Path,
    config: TokensConfig,
    workers: int,
) -> tuple[list[Stream], dict[str, LanguageCounts]]:
    """Tokenise every source and write its streams, in order."""
    counts = {source.language: _no_counts(vocabulary, source.language) for source in sources}
    streams: list[Stream] = []
    make = partial(ChunkTokeniser, vocabulary.path)
    results = ordered_map(make, _chunks(sources), workers)
    with bar("Tokenising", sum(source.chosen_lines for source in sources), "lines") as advance:
        for number, chunks in groupby(results, key=lambda chunk: chunk.source):
            source = sources[number]
            writers = {split: _StreamWriter(source, split, folder, config) for split in SPLITS}
            for chunk in chunks:
                for split, tokens in chunk.splits.items():
                    writers[split].append(tokens, vocabulary.special_ids.unk)
                counts[source.language].add(chunk.splits["train"])
                advance(sum(tokens.lines for tokens in chunk.splits.values()))
            written = [writer.close() for writer in writers.values()]
            _refuse_unfit(source, written)
            streams += written
    return streams, counts


def _no_counts(vocabulary: Vocabulary, language: str) -> LanguageCounts:
    return LanguageCounts(
        vocabulary.word_starts(language),
        breaks(vocabulary.tokens(language)),
        vocabulary.special_ids.sep,
    )


def _chunks(sources: list[_Source]) -> Iterator[Chunk]:
    for number, source in enumerate(sources):
        for lines in read_part(source.path, source.part, source.lines):
            yield Chunk(number, source.language, "\n".join(lines), source.dev_share)


class _StreamWriter:
    """Writes one stream and adds up its figures for the index."""

    def __init__(self, source: _Source, split: str, folder: Path, config: TokensConfig) -> None:
        self._key = {"language": source.language, "part": str(source.part), "split": split}
        name = f"{source.language}/{source.part.name}.{split}"
        self._shards = ShardWriter(folder, name, config.shard_tokens)
        self._sums = Counter(lines=0, characters=0, words=0, tokens=0, unknowns=0)

    def append(self, tokens: Tokens, unknown: int) -> None:
        self._shards.append(tokens.ids)
        self._sums["lines"] += tokens.lines
        self._sums["characters"] += tokens.characters
        self._sums["words"] += tokens.words.total
        self._sums["tokens"] += len(tokens.ids)
        self._sums["unknowns"] += int(np.count_nonzero(tokens.ids == unknown))

    def close(self) -> Stream:
        return Stream.model_validate({**self._key, **self._sums, "shards": self._shards.close()})


def _refuse_unfit(source: _Source, written: list[Stream]) -> None:
    """Refuse text that leaves nothing to train on, or that the vocabulary does not know."""
    train = written[SPLITS.index("train")]
    if not train.tokens:
        _refuse_lone_returns(source)
        raise XlingError(
            f"{source.path}: no token to train on: all {sum(part.lines for part in written)} "
            "lines were held out for dev; give more text or lower dev_share"
        )
    content = train.tokens - train.lines
    if train.unknowns > _MOST_UNKNOWN * content:
        raise XlingError(
            f"{source.path}: {train.unknowns} of {content} tokens are unknown to the vocabulary; "
            f"is this text of {source.language}? Learn the vocabulary from this text, or correct "
            "the file"
        )


def _refuse_no_dev(streams: list[Stream], sources: list[_Source], config: TokensConfig) -> None:
    """Refuse a language without held-out lines."""
    for language in dict.fromkeys(stream.language for stream in streams):
        own = [stream for stream in streams if stream.language == language]
        if not any(stream.tokens for stream in own if stream.split == "dev"):
            lines = sum(stream.lines for stream in own)
            for source in sources:
                if source.language == language:
                    _refuse_lone_returns(source)
            raise XlingError(
                f"{language}: none of {lines} lines was held out for dev at dev_share "
                f"{config.dev_share:g}; raise it to {min(0.5, 10 / lines):.2g} or more, "
                "or give more text"
            )


def _refuse_lone_returns(source: _Source) -> None:
    """Refuse text with too few lines because its line ends are not line feeds."""
    returns = lone_returns(sum(block.text.count("\r") for block in read_blocks(source.path)))
    if returns:
        raise XlingError(f"{source.path}: found {counted(source.lines, 'line')} and {returns}")
