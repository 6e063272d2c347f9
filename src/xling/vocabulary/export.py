"""A language's tokenizer as a folder that Hugging Face opens."""

from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from xling.files import write_json
from xling.vocabulary.special import CLS, MASK, PAD, SEP, SPECIAL_TOKENS, UNK

TOKENIZER = "tokenizer.json"
CONFIG = "tokenizer_config.json"


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
    config: dict[str, Any] = {
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
