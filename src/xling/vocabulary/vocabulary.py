"""A vocabulary as its users see it: tokenizers, ids and what they stand for."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tokenizers import Tokenizer

from xling.artefact import check_file
from xling.errors import XlingError
from xling.files import read_json, write_json
from xling.names import check_language
from xling.vocabulary.bpe import (
    BPE,
    CLS,
    MASK,
    PAD,
    SEP,
    SPECIAL_TOKENS,
    UNK,
    assemble,
    read_bpe,
    starts_word,
)

RECORD = "vocabulary.json"
TOKENIZER = "tokenizer.json"
CONFIG = "tokenizer_config.json"


class SpecialIds(NamedTuple):
    """Ids of the special tokens, the same in every vocabulary."""

    pad: int = PAD
    unk: int = UNK
    cls: int = CLS
    sep: int = SEP
    mask: int = MASK


class Vocabulary:
    """The tokenizers of some languages and the ids they yield.

    The languages share one space of ids 0 .. size - 1. In a vocabulary of kind ``separate``, each
    has its own, and only the special ids mean the same in all.

    Attributes:
        path: The folder it was opened from.
        languages: The languages, in the order they were learnt.
        sizes: Language to its number of ids, V; its tokenizer defines all of them. Equal numbers
            where there is one space.
        kind: ``"joint"``, ``"parity"``, ``"union"``, ``"disjoint"`` or ``"separate"``; see
            `VocabularyConfig`.
        special_ids: Ids of [PAD], [UNK], [CLS], [SEP] and [MASK].
    """

    special_ids = SpecialIds()

    def __init__(self, folder: Path, sizes: Mapping[str, int], kind: str) -> None:
        self.path = folder
        self.languages = tuple(sizes)
        self.sizes = dict(sizes)
        self.kind = kind
        self._tokenizers: dict[str, Tokenizer] = {}
        self._tokens: dict[str, list[str]] = {}

    @classmethod
    def load(cls, folder: Path) -> "Vocabulary":
        """Open the folder that `build_vocabulary` wrote.

        Raises:
            XlingError: It is not there, or is not a vocabulary.
        """
        path = folder / RECORD
        if not path.is_file():
            raise XlingError(
                f"{folder}: no vocabulary ({RECORD}: not found); expected what `xling vocabulary` "
                "wrote"
            )
        check_file(path)
        record = read_json(path)
        try:
            sizes = {
                check_language(key): int(value["size"])
                for key, value in record["languages"].items()
            }
            return cls(folder, sizes, record["kind"])
        except (AttributeError, KeyError, TypeError, ValueError):
            raise XlingError(
                f"{path}: not a vocabulary of xling; name a folder that `xling vocabulary` "
                f"wrote, or delete {folder} and run that again"
            ) from None

    @property
    def size(self) -> int:
        """Every id of every language is below it."""
        return max(self.sizes.values())

    @property
    def entries(self) -> int:
        """How many different entries there are over all languages, special ones included."""
        if self.has_one_space:
            return self.size
        special = len(SPECIAL_TOKENS)
        return special + sum(size - special for size in self.sizes.values())

    @property
    def has_one_space(self) -> bool:
        """Whether an id means the same token whatever language it comes from."""
        return self.kind != "separate"

    def folder(self, language: str) -> Path:
        """Return the folder that ``AutoTokenizer.from_pretrained`` opens.

        Raises:
            XlingError: The vocabulary was not learnt for this language.
        """
        if language not in self.languages:
            raise XlingError(
                f"{self.path}: has no vocabulary of {language}, only of "
                f"{', '.join(self.languages)}; learn it for all languages of the text"
            )
        return self.path / language

    @property
    def files(self) -> Mapping[str, Path]:
        """The files that decide how text becomes ids, by names that do not depend on the folder."""
        return {
            f"vocabulary/{language}": self.folder(language) / TOKENIZER
            for language in self.languages
        }

    def tokenizer(self, language: str) -> Tokenizer:
        """Return a language's tokenizer, which treats the names of special tokens as text.

        Its ids are those of ``AutoTokenizer`` on ``folder(language)``, except that a corpus line
        that says "[MASK]" does not yield the special token.

        Raises:
            XlingError: No such language, or a damaged file.
        """
        if language not in self._tokenizers:
            path = self.folder(language) / TOKENIZER
            check_file(path)
            try:
                tokenizer = Tokenizer.from_file(str(path))
            except Exception as error:  # tokenizers raises no narrower class
                raise XlingError(
                    f"{path}: not a tokenizer ({error}); delete {self.path} and run `xling "
                    "vocabulary` again"
                ) from None
            if tokenizer.get_vocab_size() != self.sizes[language]:
                raise XlingError(
                    f"{path}: has {tokenizer.get_vocab_size()} entries where {RECORD} says "
                    f"{self.sizes[language]}; delete {self.path} and run `xling vocabulary` again"
                )
            tokenizer.encode_special_tokens = True
            self._tokenizers[language] = tokenizer
        return self._tokenizers[language]

    def special_ids_of(self, language: str) -> SpecialIds:
        """Return the ids of a language's special tokens in a model that separates them.

        The first language keeps the usual ids; those of the others come after all other ids.
        """
        place = self.languages.index(language)
        first = self.size + len(SPECIAL_TOKENS) * (place - 1)
        return SpecialIds(*range(first, first + len(SPECIAL_TOKENS))) if place else SpecialIds()

    def sizes_with(self, own_specials: bool) -> dict[str, int]:
        """Return each language's number of ids in a model, which may separate special tokens."""
        more = len(SPECIAL_TOKENS) * (len(self.languages) - 1) if own_specials else 0
        return {language: size + more for language, size in self.sizes.items()}

    def export(
        self,
        language: str,
        folder: Path,
        max_length: int | None = None,
        own_specials: bool = False,
    ) -> None:
        """Write a language's tokenizer files into a model's folder.

        Args:
            language: The language.
            folder: Where to write; made if absent.
            max_length: Tokens the model has positions for, special ones included.
            own_specials: Whether each language has special tokens of its own.
        """
        tokenizer = self.tokenizer(language)
        if own_specials:
            # The other languages' special tokens have names that no text can yield.
            ids = tokenizer.get_vocab()
            for other in self.languages:
                mark = "" if other == language else f"{other}:"
                for token, number in zip(SPECIAL_TOKENS, self.special_ids_of(other), strict=True):
                    ids[f"{mark}{token}"] = number
            tokenizer = assemble(ids, self._bpe(language).merges)
        write_tokenizer_folder(tokenizer, folder, max_length)

    def own_ids(self, language: str) -> np.ndarray:
        """Return the sorted ids a language's tokenizer can emit, special tokens excluded.

        In a disjoint vocabulary they are a contiguous range of the language's own; in a
        separate one, all but the special ids.
        """
        return np.array(sorted(self._own_tokens(language)), dtype=np.int64)

    def tokens(self, language: str) -> list[str]:
        """Return every id's token as it occurs in text, without a language in front.

        In a disjoint vocabulary several ids may have the same token.
        """
        return self._tokens_of(language if not self.has_one_space else self.languages[0])

    def word_starts(self, language: str) -> np.ndarray:
        """Return which ids begin a word, bool ``[V]``; special tokens do not.

        A word is a piece of text between white space and punctuation, or a punctuation mark; in
        scripts without spaces every token counts as a word.
        """
        return np.array([starts_word(token) for token in self.tokens(language)], dtype=bool)

    def _tokens_of(self, space: str) -> list[str]:
        if space not in self._tokens:
            tokens = dict(enumerate(SPECIAL_TOKENS))
            for language in self.languages if self.has_one_space else (space,):
                tokens.update(self._own_tokens(language))
            self._tokens[space] = [tokens[number] for number in range(self.sizes[space])]
        return self._tokens[space]

    def _own_tokens(self, language: str) -> dict[int, str]:
        """Return the tokens that text can yield: single characters and results of merges."""
        bpe = self._bpe(language)
        ids = {token: number for number, token in enumerate(bpe.tokens)}
        reachable = [token for token in bpe.tokens if len(token) == 1]
        reachable += [left + right for left, right in bpe.merges]
        return {ids[token]: token for token in reachable}

    def _bpe(self, language: str) -> BPE:
        return read_bpe(self.tokenizer(language))


def write_tokenizer_folder(
    tokenizer: Tokenizer, folder: Path, max_length: int | None = None
) -> None:
    """Write what ``AutoTokenizer.from_pretrained(folder)`` needs.

    The class named is the generic one, which transformers 4 and 5 both know; it reads
    ``tokenizer.json`` as it stands, also beside a BERT ``config.json``.

    Args:
        tokenizer: The language's tokenizer.
        folder: Where to write; made if absent.
        max_length: Tokens the model has positions for, special ones included; no limit if None.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / TOKENIZER))
    config: dict[str, object] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_input_names": ["input_ids", "attention_mask"],
        "pad_token": SPECIAL_TOKENS[PAD],
        "unk_token": SPECIAL_TOKENS[UNK],
        "cls_token": SPECIAL_TOKENS[CLS],
        "sep_token": SPECIAL_TOKENS[SEP],
        "mask_token": SPECIAL_TOKENS[MASK],
    }
    if max_length is not None:
        config["model_max_length"] = max_length
    write_json(folder / CONFIG, config)
