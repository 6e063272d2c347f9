"""Inputs of a run: token streams, and for rows of two languages dictionaries or parallel lines."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from xling.artefact import read_record
from xling.data.layout import DataFolder
from xling.errors import XlingError
from xling.files import content_hash
from xling.model.sharing import TOKENS
from xling.pretraining.batches import BatchMaker, LanguageText
from xling.pretraining.config import PretrainingConfig, RunConfig
from xling.pretraining.evaluation import DevSet
from xling.pretraining.preflight import TextFacts, rare_share
from xling.pretraining.switching import make_switchers
from xling.pretraining.tlm import load_parallel_text, parallel_files
from xling.tokens.counts import load_counts
from xling.tokens.streams import TokenIndex, TokenStream
from xling.vocabulary.code_switching import dictionary_files
from xling.vocabulary.vocabulary import Vocabulary


def needed_data(data: Path | None, config: RunConfig) -> DataFolder | None:
    """Return the data folder if the settings need more than token streams.

    Raises:
        XlingError: they do, and no folder is given.
    """
    needs = {"code_switching": "training dictionaries", "tlm": "parallel sets"}
    for name, what in needs.items():
        if getattr(config.pretraining, name) is not None:
            if data is None:
                raise XlingError(
                    f"pretraining.{name} reads the data's {what}; name the data folder with --data"
                )
            return DataFolder(data)
    return None


def data_files(data: DataFolder | None, config: RunConfig) -> dict[str, Path]:
    """Return the files of the data folder that decide the result, by name."""
    if data is None:
        return {}
    training = config.pretraining
    files: dict[str, Path] = {}
    if training.code_switching:
        found = dictionary_files(data, config.languages)
        files |= {f"dictionaries/{name}.train": path for name, path in found.items()}
    if training.tlm:
        files |= parallel_files(data, training.tlm.sets, config.languages)
    return files


def language_texts(
    tokens: Path, words: Vocabulary, config: RunConfig, data: DataFolder | None = None
) -> dict[str, LanguageText]:
    """Open each language's training text, and what its tokens are replaced by.

    Args:
        tokens: Folder of the stage ``tokens``.
        words: The vocabulary it was made with.
        config: Of the run.
        data: Where code-switching finds its dictionaries.

    Raises:
        XlingError: the tokens were made with another vocabulary, or the sharing plan needs
            another kind.
    """
    # Separate embeddings are those of a language's own tokens only
    # (Conneau et al. 2020, section 4).
    own = config.plan.separates(TOKENS)
    joint = np.arange(len(words.special_ids), words.size)
    if len(config.languages) > 1:
        config.plan.check_vocabulary(words.kind)
    _refuse_other_vocabulary(tokens, words)
    texts = {}
    for language in config.languages:
        stream = TokenStream.open(tokens, language, "train")
        texts[language] = LanguageText(stream, words.own_ids(language) if own else joint)
    switching = config.pretraining.code_switching
    if data is None or switching is None:
        return texts
    switchers = make_switchers(data, words, config.languages, switching)
    return {key: replace(text, switcher=switchers[key]) for key, text in texts.items()}


def _refuse_other_vocabulary(tokens: Path, words: Vocabulary) -> None:
    """Compare the tokenizers with those that the tokens' record says they were made with."""
    size = TokenIndex.load(tokens).vocabulary_size
    if size != words.size:
        raise XlingError(
            f"{tokens}: was made with a vocabulary of {size} entries, but {words.path} has "
            f"{words.size}; name the vocabulary that the tokens were made with"
        )
    recorded = read_record(tokens).get("inputs", {})
    for name, path in words.files.items():
        if recorded.get(name, "") not in ("", content_hash(path)):
            raise XlingError(
                f"{tokens}: was made with another vocabulary than {words.path}, of the same size "
                f"({path.relative_to(words.path)} differs); name the vocabulary that the tokens "
                "were made with, or run `xling tokens` with this one"
            )


def verify_text(tokens: Path, texts: Mapping[str, LanguageText]) -> None:
    """Read all tokens of some languages and compare them with the hashes in their index.

    Raises:
        XlingError: A file was altered.
    """
    for language, text in texts.items():
        text.stream.verify()
        TokenStream.open(tokens, language, "dev").verify()


def batch_maker(
    texts: Mapping[str, LanguageText],
    words: Vocabulary,
    config: RunConfig,
    data: DataFolder | None,
) -> BatchMaker:
    """Make batches of texts, and of parallel lines if the settings ask for them."""
    tlm = config.pretraining.tlm
    parallel = load_parallel_text(data, tlm.sets, words, config.languages) if data and tlm else None
    return BatchMaker(texts, config.pretraining, words.special_ids, parallel)


def text_facts(
    tokens: Path, words: Vocabulary, texts: Mapping[str, LanguageText]
) -> dict[str, TextFacts]:
    """Return the facts of each language's text for the pre-flight."""
    seen = {language: load_counts(tokens, language, words.sizes[language]) for language in texts}
    if words.has_one_space:
        seen = dict.fromkeys(texts, np.sum(list(seen.values()), axis=0))
    return {
        language: TextFacts(
            text.stream.tokens,
            text.stream.unknowns / text.stream.tokens,
            rare_share(seen[language][words.own_ids(language)]),
        )
        for language, text in texts.items()
    }


def dev_set(
    tokens: Path, words: Vocabulary, texts: dict[str, LanguageText], training: PretrainingConfig
) -> DevSet:
    """Open the dev rows, the same at every evaluation."""
    return DevSet(
        {language: TokenStream.open(tokens, language, "dev") for language in texts},
        texts,
        training.length,
        training.dev_rows,
        training.predicted_share,
        words.special_ids,
    )
