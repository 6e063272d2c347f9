"""The stage ``vocabulary``: learn the BPEs and write one tokenizer folder per language."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import numpy as np
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from xling import artefact
from xling.data.layout import DataFolder
from xling.data.lines import read_lines
from xling.data.selection import LanguageText, TextPart, TextSelection, read_part, select
from xling.errors import XlingError
from xling.files import plain_or_gzipped, write_json
from xling.names import Language
from xling.progress import bar, track
from xling.vocabulary.bpe import (
    BPE,
    SPECIAL_TOKENS,
    WORD_MARK,
    assemble,
    keep_apart,
    learn,
    learn_parity,
    separate,
    unite,
    units,
)
from xling.vocabulary.vocabulary import RECORD, write_tokenizer_folder


class VocabularyConfig(BaseModel):
    """How subword vocabularies are learnt and combined (Conneau et al. 2020, section 4)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["joint", "parity", "union", "disjoint", "separate"] = Field(
        "joint",
        description="joint: one BPE over all languages; every identical string is an anchor. "
        "parity: the same, but each merge helps the language that needs most tokens for the same "
        "content (Foroutan et al. 2025, arXiv 2508.04796), as measured on a parallel set of all "
        "languages. "
        "union: one BPE per language; tokens of identical spelling merge (the "
        "paper's default-anchors). disjoint: one BPE per language; every token "
        "carries its language, and only the special tokens are shared "
        "(no-anchors). separate: one BPE per language, each with its own ids from "
        "0, for languages that have separate token embeddings (sep-emb).",
    )
    size: int = Field(
        80_000,
        ge=6,
        le=10_000_000,  # memory for all of them is allocated at once
        description="Entries to learn over all languages, including the five special tokens: "
        "one BPE of this size or, with one BPE per language, each of this size "
        "divided by the number of languages (Conneau et al. 2020, section 4: 80k, "
        "or 40k + 40k).",
    )
    merged: float = Field(
        1.0,
        ge=0,
        le=1,
        description="union: share of the tokens of identical spelling that do merge, evenly "
        "spaced from the commonest to the rarest; with less than 1, a dose of anchors.",
    )
    exponent: float = Field(
        0.7,
        ge=0.0,
        le=1.0,
        description="A joint BPE is learnt from lines drawn with probability proportional to "
        "(a language's share of lines) ** exponent (Conneau et al. 2020, section "
        "3.1).",
    )
    coverage: float = Field(
        0.99999,
        gt=0.0,
        le=1.0,
        description="Share of each language's running characters that its alphabet covers; "
        "the rarest characters beyond it become [UNK].",
    )
    sample_bytes: int = Field(
        50_000_000,
        ge=1,
        description="Maximum bytes of UTF-8 that a BPE learns from, over all its languages; "
        "more text is thinned to evenly spaced lines, so memory does not grow "
        "with the corpus. Learning takes up to 5 bytes of memory for each byte, up to "
        "45 in scripts without spaces.",
    )

    @model_validator(mode="after")
    def _only_a_union_merges(self) -> Self:
        if self.merged != 1 and self.kind != "union":
            raise ValueError(f"merged ({self.merged:g}) needs kind: union (found {self.kind})")
        return self

    @model_serializer(mode="wrap")
    def _without_what_is_usual(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Jobs are named by their settings: results from before this setting existed stay current.
        return {key: value for key, value in handler(self).items() if (key, value) != ("merged", 1)}


class VocabularySettings(BaseModel):
    """Which text to learn from, and what kind of vocabulary to learn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: dict[Language, LanguageText] = Field(
        ..., description="domains or parts of domains per language, e.g. {en: [wiki]}"
    )
    vocabulary: VocabularyConfig = Field(default_factory=VocabularyConfig)


_CODE_POINTS = 0x110000
# The first code points that take two, three and four bytes in UTF-8.
_LONGER_FROM = np.array([0x80, 0x800, 0x10000])
_BATCH_LINES = 1000


@dataclass(frozen=True)
class Census:
    """How much text a language has.

    Attributes:
        lines: Lines that are not blank.
        characters: Occurrences of each code point, int64 ``[0x110000]``.
    """

    lines: int
    characters: np.ndarray

    @property
    def bytes(self) -> int:
        """Size of the text in UTF-8, without line ends."""
        points = np.flatnonzero(self.characters)
        lengths = 1 + np.searchsorted(_LONGER_FROM, points, side="right")
        return int(self.characters[points] @ lengths)


class Alphabet(NamedTuple):
    """A language's characters that are kept, and those left unknown, commonest first."""

    kept: list[str]
    left_out: list[str]


def take_census(parts: Mapping[TextPart, Path]) -> Census:
    """Count the lines and characters of a language's text in one pass over its files."""
    lines, characters = 0, np.zeros(_CODE_POINTS, dtype=np.int64)
    for batch in _read(parts):
        lines += len(batch)
        points = np.frombuffer("".join(batch).encode("utf-32-le"), dtype="<u4")
        counts = np.bincount(points)
        characters[: len(counts)] += counts
    return Census(lines, characters)


def choose_alphabet(characters: np.ndarray, coverage: float) -> Alphabet:
    """Keep the fewest characters, commonest first, that make up ``coverage`` of running text.

    Args:
        characters: Occurrences of each code point; white space does not count.
        coverage: Share of running characters to cover, in (0, 1].
    """
    points = np.flatnonzero(characters)
    points = points[[not chr(point).isspace() for point in points]]
    order = np.lexsort((points, -characters[points]))
    points = points[order]
    covered = np.cumsum(characters[points])
    # Integers compare exactly, where a share of a sum of floats could lose the last character.
    wanted = np.ceil(coverage * covered[-1])
    kept = int(np.searchsorted(covered, wanted)) + 1
    names = [chr(point) for point in points]
    return Alphabet(sorted(names[:kept]), names[kept:])


def sampling_rates(
    censuses: Mapping[str, Census], exponent: float, most_bytes: int
) -> dict[str, float]:
    """Return the share of each language's lines to learn from.

    Lines are drawn without repetition. So the language that the exponent favours most gives
    all of its lines, and the others give as many as make the drawn lines proportional to
    (share of lines) ** exponent (Conneau et al. 2020, section 3.1). Then all are thinned to at
    most ``most_bytes``.

    Returns:
        For each language a rate in (0, 1].
    """
    total = sum(census.lines for census in censuses.values())
    favour = {
        language: (census.lines / total) ** (exponent - 1) for language, census in censuses.items()
    }
    most = max(favour.values())
    rates = {language: weight / most for language, weight in favour.items()}
    expected = sum(rates[language] * census.bytes for language, census in censuses.items())
    thinning = min(1.0, most_bytes / expected)
    return {language: rate * thinning for language, rate in rates.items()}


def draw(parts: Mapping[TextPart, Path], rate: float) -> Iterator[list[str]]:
    """Yield batches of a share ``rate`` of a language's lines, evenly spaced over the text."""
    seen = 0
    for batch in _read(parts):
        # Line n is drawn where the running quota n * rate passes a whole number.
        quota = np.floor(np.arange(seen, seen + len(batch) + 1) * rate)
        seen += len(batch)
        drawn = [batch[index] for index in np.flatnonzero(np.diff(quota))]
        for start in range(0, len(drawn), _BATCH_LINES):
            yield drawn[start : start + _BATCH_LINES]


def _read(parts: Mapping[TextPart, Path]) -> Iterable[list[str]]:
    for part, path in parts.items():
        yield from read_part(path, part)


Parts = Mapping[TextPart, Path]

_SHOWN_CHARACTERS = 50
_COMBINE = {
    "joint": unite,
    "parity": unite,
    "union": unite,
    "disjoint": keep_apart,
    "separate": separate,
}


def build_vocabulary(
    data: DataFolder, text: TextSelection, config: VocabularyConfig, out: Path
) -> None:
    """Learn a vocabulary and write it to ``out``; do nothing if ``out`` is current.

    ``out`` gets ``vocabulary.json``, and for each language a folder that
    ``AutoTokenizer.from_pretrained`` opens.

    Args:
        data: The data folder.
        text: For each language the domains (or halves of domains) to learn from.
        config: Kind and size of the vocabulary.
        out: The folder to write.

    Raises:
        XlingError: Text is missing or empty, or cannot support a vocabulary of this size.
    """
    artefact.check_output(out, "vocabulary", data.root)
    selected = select(data, text)
    parallel = parallel_files(data, tuple(selected)) if config.kind == "parity" else {}
    description = artefact.describe(
        "vocabulary",
        {
            **config.model_dump(),
            "text": {
                language: [str(part) for part in parts] for language, parts in selected.items()
            },
        },
        {
            f"text/{part.domain}/{language}": path
            for language, parts in selected.items()
            for part, path in parts.items()
        }
        | {
            f"parallel/{name}/{language}": path
            for name, paths in parallel.items()
            for language, path in paths.items()
        },
    )
    if artefact.is_current(out, description):
        return
    censuses = {
        language: take_census(parts)
        for language, parts in track(selected.items(), "Counting characters", unit="languages")
    }
    alphabets = {
        language: choose_alphabet(census.characters, config.coverage)
        for language, census in censuses.items()
    }
    if config.kind in ("joint", "parity"):
        lengths = _lengths(parallel) if parallel else None
        learnt = _learn_joint(selected, censuses, alphabets, config, lengths)
    else:
        learnt = _learn_each(selected, censuses, alphabets, config)
    ids = _COMBINE[config.kind](learnt) if config.merged == 1 else unite(learnt, config.merged)
    with artefact.building(out, description) as folder:
        for language, bpe in learnt.items():
            write_tokenizer_folder(assemble(ids[language], bpe.merges), folder / language)
        write_json(folder / RECORD, _record(config, ids, censuses, alphabets))


def parallel_files(data: DataFolder, languages: Sequence[str]) -> dict[str, dict[str, Path]]:
    """Return the files of the parallel sets that have all these languages, by set and language.

    Raises:
        XlingError: there is no such set.
    """
    names = data.parallel_sets(*languages)
    if not names:
        raise XlingError(
            f"{data.root}: no parallel set has {', '.join(languages)}; vocabulary.kind: parity "
            "compares how long they are in translations: add parallel/NAME/LANG.txt, or use "
            "vocabulary.kind: joint"
        )
    found: dict[str, dict[str, Path]] = {}
    for name in names:
        for language in languages:
            path = plain_or_gzipped(data.root / "parallel" / name / f"{language}.txt")
            if path:
                found.setdefault(name, {})[language] = path
    return found


def _lengths(parallel: Mapping[str, Mapping[str, Path]]) -> dict[str, int]:
    """Count the units of each language's side of the parallel sets."""
    found: dict[str, int] = {}
    for paths in parallel.values():
        for language, path in paths.items():
            found[language] = found.get(language, 0) + units(read_lines(path))
    return found


def _learn_joint(
    selected: Mapping[str, Parts],
    censuses: Mapping[str, Census],
    alphabets: Mapping[str, Alphabet],
    config: VocabularyConfig,
    lengths: Mapping[str, int] | None,
) -> dict[str, BPE]:
    """Learn one BPE from all languages, sampled with the language exponent."""
    rates = sampling_rates(censuses, config.exponent, config.sample_bytes)
    texts = {language: draw(parts, rates[language]) for language, parts in selected.items()}
    kept = {character for alphabet in alphabets.values() for character in alphabet.kept}
    return dict.fromkeys(selected, _learn(texts, config.size, kept, lengths))


def _learn_each(
    selected: Mapping[str, Parts],
    censuses: Mapping[str, Census],
    alphabets: Mapping[str, Alphabet],
    config: VocabularyConfig,
) -> dict[str, BPE]:
    """Learn one BPE per language, each with an equal part of the size."""
    size = config.size // len(selected)
    learnt = {}
    for language, parts in selected.items():
        census = {language: censuses[language]}
        rate = sampling_rates(census, config.exponent, config.sample_bytes)[language]
        kept = alphabets[language].kept
        learnt[language] = _learn({language: draw(parts, rate)}, size, kept)
    return learnt


def _learn(
    texts: Mapping[str, Iterator[list[str]]],
    size: int,
    characters: Collection[str],
    lengths: Mapping[str, int] | None = None,
) -> BPE:
    """Learn one BPE of exactly ``size`` entries; with lengths in translations, a parity BPE."""
    languages = ", ".join(texts)
    alphabet = sorted({*characters, WORD_MARK})
    least = len(SPECIAL_TOKENS) + len(alphabet)
    if size < least:
        raise XlingError(
            f"vocabulary of {languages}: size {size} cannot hold the {len(alphabet)} characters "
            f"of the text and {len(SPECIAL_TOKENS)} special tokens; "
            f"ask for more than {least} entries, or lower coverage"
        )
    with bar(f"Learning the BPE of {languages}", None, "batches") as advance:

        def counted(batches: Iterator[list[str]]) -> Iterator[list[str]]:
            for batch in batches:
                yield batch
                advance(1)

        if lengths is None:
            bpe = learn(counted(chain.from_iterable(texts.values())), size, alphabet)
        else:
            each = [counted(batches) for batches in texts.values()]
            bpe = learn_parity(each, size, alphabet, [lengths[language] for language in texts])
    if len(bpe.tokens) < size:
        raise XlingError(
            f"vocabulary of {languages}: size {size} is larger than can be learned: the text "
            f"supports {len(bpe.tokens)} entries (after that no pair of tokens occurs twice); "
            f"ask for at most {len(bpe.tokens)}, or give more text"
        )
    return bpe


def _record(
    config: VocabularyConfig,
    ids: Mapping[str, Mapping[str, int]],
    censuses: Mapping[str, Census],
    alphabets: Mapping[str, Alphabet],
) -> dict[str, object]:
    """Describe the vocabulary for its readers."""
    return {
        "kind": config.kind,
        "languages": {
            language: {
                "size": len(ids[language]),
                "lines": censuses[language].lines,
                "characters": int(censuses[language].characters.sum()),
                "alphabet": len(alphabet.kept),
                "left out": len(alphabet.left_out),
                "commonest left out": "".join(alphabet.left_out[:_SHOWN_CHARACTERS]),
            }
            for language, alphabet in alphabets.items()
        },
    }
