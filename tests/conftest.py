"""Fixtures shared by the whole suite; two made-up languages, their tokenizer and tiny encoders."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    BertConfig,
    BertForMaskedLM,
    BertModel,
    DistilBertConfig,
    DistilBertModel,
    ModernBertConfig,
    ModernBertModel,
    PreTrainedTokenizerFast,
    XLMRobertaConfig,
    XLMRobertaModel,
)

from xling.encoders.encoder import Encoder

REAL_DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "real"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The real-text data folder beside the checkout, if there is one."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"no real data at {REAL_DATA}: this check needs real text")
    return REAL_DATA


SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def make_lines(count: int, letters: str, seed: int) -> list[str]:
    """Lines of 1 to 12 words over ``letters``; digits (in a quarter of the words) are shared."""
    random = np.random.default_rng(seed)
    lines = []
    for _ in range(count):
        words = []
        for _ in range(random.integers(1, 13)):
            alphabet = "0123456789" if random.random() < 0.25 else letters
            words.append("".join(random.choice(list(alphabet), size=random.integers(2, 6))))
        lines.append(" ".join(words))
    return lines


def make_tokenizer(lines: list[str], size: int = 300) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=SPECIAL, show_progress=False)
    tokenizer.train_from_iterator(lines, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )


@pytest.fixture(scope="session")
def parallel() -> dict[str, list[str]]:
    return {"aa": make_lines(60, "abcdef", 1), "bb": make_lines(60, "uvwxyz", 2)}


@pytest.fixture(scope="session")
def tokenizer(parallel) -> PreTrainedTokenizerFast:
    return make_tokenizer(parallel["aa"] + parallel["bb"])


SMALL = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2}
_DECODER = {**SMALL, "intermediate_size": 32, "num_key_value_heads": 1, "head_dim": 8}
_GEMMA = {**_DECODER, "sliding_window": 8, "query_pre_attn_scalar": 8}
_T5 = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 3, "num_heads": 2}
_BART = {
    "d_model": 16,
    **{f"{side}_layers": layers for side, layers in (("encoder", 3), ("decoder", 1))},
    **{f"{side}_attention_heads": 2 for side in ("encoder", "decoder")},
    **{f"{side}_ffn_dim": 32 for side in ("encoder", "decoder")},
}
# Models that generate text, with their heads.
ENCODER_DECODERS = {"t5": _T5, "mt5": _T5, "bart": _BART, "mbart": _BART, "m2m_100": _BART}
DECODERS = {
    "llama": _DECODER,
    "qwen2": _DECODER,
    "qwen3": _DECODER,
    "gemma2": _GEMMA,
    "gemma3_text": _GEMMA,
    "gpt2": {"n_embd": 16, "n_layer": 3, "n_head": 2},
    "gpt_neox": {**SMALL, "intermediate_size": 32},
    "bloom": {"hidden_size": 16, "n_layer": 3, "n_head": 2},
}


def make_model(kind: str, vocabulary: int, seed: int = 0, positions: int = 64):
    """A tiny model whose weights are large enough that every layer matters."""
    common = {**SMALL, "vocab_size": vocabulary, "intermediate_size": 32}
    common["max_position_embeddings"] = positions
    ids = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if kind == "bert":
            model = BertModel(BertConfig(**common))
        elif kind == "bert-mlm":
            model = BertForMaskedLM(BertConfig(**common))
        elif kind == "xlm-r":
            model = XLMRobertaModel(XLMRobertaConfig(**common, **ids))
        elif kind == "modernbert":
            special = {"cls_token_id": 2, "sep_token_id": 3, "global_attn_every_n_layers": 2}
            model = ModernBertModel(ModernBertConfig(**common, **ids, **special, local_attention=8))
        elif kind == "distilbert":
            model = DistilBertModel(
                DistilBertConfig(
                    vocab_size=vocabulary,
                    dim=16,
                    n_layers=3,
                    n_heads=2,
                    hidden_dim=32,
                    max_position_embeddings=positions,
                )
            )
        elif kind in ENCODER_DECODERS:
            shape = ENCODER_DECODERS[kind]
            if "d_kv" not in shape:  # T5 has no positions
                shape = {"max_position_embeddings": positions, **shape}
            config = AutoConfig.for_model(kind, vocab_size=vocabulary, **ids, **shape)
            model = AutoModelForSeq2SeqLM.from_config(config)
        else:
            shape = DECODERS[kind]
            if kind != "bloom":  # nor has BLOOM
                shape = {"max_position_embeddings": positions, **shape}
            config = AutoConfig.for_model(kind, vocab_size=vocabulary, **ids, **shape)
            model = AutoModelForCausalLM.from_config(config)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim == 2:
                    parameter.normal_(std=0.3)
    return model.eval()


@pytest.fixture(scope="session")
def build():
    """The function that makes a tiny model of a kind: (kind, vocabulary size, seed, positions)."""
    return make_model


@pytest.fixture(scope="session")
def learn_tokenizer():
    """The function that learns a tokenizer: (lines, size)."""
    return make_tokenizer


@pytest.fixture(params=["bert", "bert-mlm", "xlm-r", "modernbert", "distilbert"])
def encoder(request, tokenizer) -> Encoder:
    return Encoder("aa", make_model(request.param, len(tokenizer)), tokenizer)


@pytest.fixture
def bert(tokenizer) -> Encoder:
    return Encoder("aa", make_model("bert", len(tokenizer)), tokenizer)
