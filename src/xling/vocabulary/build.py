"""The stage ``vocabulary``: learn the BPEs and write one tokenizer folder per language."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from xling import artefact
from xling.data.layout import DataFolder
from xling.data.lines import read_lines
from xling.data.selection import TextPart, TextSelection, select
from xling.errors import XlingError
from xling.files import plain_or_gzipped, write_json
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
from xling.vocabulary.config import VocabularyConfig
from xling.vocabulary.sample import (
    Alphabet,
    Census,
    choose_alphabet,
    draw,
    sampling_rates,
    take_census,
)
from xling.vocabulary.vocabulary import RECORD, write_tokenizer_folder

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
    ids = _COMBINE[config.kind](learnt)
    with artefact.building(out, description) as folder:
        for language, bpe in learnt.items():
            write_tokenizer_folder(assemble(ids[language], bpe.merges), folder / language)
        write_json(folder / RECORD, _record(config, ids, censuses, alphabets))


def parallel_files(data: DataFolder, languages: Sequence[str]) -> dict[str, dict[str, Path]]:
    """Return the files of the parallel sets that all of some languages have, by set and language.

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
    """Learn one BPE of exactly ``size`` entries; with lengths in translations, one at parity."""
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
) -> dict[str, Any]:
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
