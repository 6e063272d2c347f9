"""The stage ``vocabulary``: learn the BPEs and write one tokenizer folder per language."""

from collections.abc import Collection, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from xling import artefact
from xling.data.layout import DataFolder
from xling.data.selection import TextPart, TextSelection, select
from xling.errors import XlingError
from xling.files import write_json
from xling.progress import track
from xling.vocabulary.bpe import (
    BPE,
    SPECIAL_TOKENS,
    WORD_MARK,
    assemble,
    keep_apart,
    learn,
    separate,
    unite,
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
_COMBINE = {"joint": unite, "union": unite, "disjoint": keep_apart, "separate": separate}


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
    learn_all = _learn_joint if config.kind == "joint" else _learn_each
    learnt = learn_all(selected, censuses, alphabets, config)
    ids = _COMBINE[config.kind](learnt)
    with artefact.building(out, description) as folder:
        for language, bpe in learnt.items():
            write_tokenizer_folder(assemble(ids[language], bpe.merges), folder / language)
        write_json(folder / RECORD, _record(config, ids, censuses, alphabets))


def _learn_joint(
    selected: Mapping[str, Parts],
    censuses: Mapping[str, Census],
    alphabets: Mapping[str, Alphabet],
    config: VocabularyConfig,
) -> dict[str, BPE]:
    """Learn one BPE from all languages, sampled with the language exponent."""
    rates = sampling_rates(censuses, config.exponent, config.sample_bytes)
    batches = chain.from_iterable(
        draw(parts, rates[language]) for language, parts in selected.items()
    )
    kept = {character for alphabet in alphabets.values() for character in alphabet.kept}
    return dict.fromkeys(selected, _learn(", ".join(selected), batches, config.size, kept))


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
        learnt[language] = _learn(language, draw(parts, rate), size, kept)
    return learnt


def _learn(
    languages: str, batches: Iterator[list[str]], size: int, characters: Collection[str]
) -> BPE:
    """Learn one BPE of exactly ``size`` entries."""
    alphabet = sorted({*characters, WORD_MARK})
    least = len(SPECIAL_TOKENS) + len(alphabet)
    if size < least:
        raise XlingError(
            f"vocabulary of {languages}: size {size} cannot hold the {len(alphabet)} characters "
            f"of the text and {len(SPECIAL_TOKENS)} special tokens; "
            f"ask for more than {least} entries, or lower coverage"
        )
    bpe = learn(track(batches, f"Learning the BPE of {languages}", unit="batches"), size, alphabet)
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
