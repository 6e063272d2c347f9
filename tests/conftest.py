"""Fixtures shared by the whole suite; two made-up languages, their tokenizer and tiny encoders."""

import gc
import importlib
import logging
import os
import socket
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
import pytest

from xling.report import html

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from xling.encoders.encoder import Encoder

TESTS = Path(__file__).resolve().parent
REAL_DATA = TESTS.parents[1] / "shared" / "data" / "real"
# What takes longest, first: a worker that began one of them last would leave the others idle.
LONGEST = (
    *("study/test_run.py", "audit/test_models.py", "encoders/test_model_kinds.py"),
    *("report/test_page.py", "cli/test_cli.py", "model/test_storage.py", "audit/test_stage.py"),
    *("conlang/test_generate.py", "transfer/test_transfer.py", "study/test_presets.py"),
    *("report/test_bars.py", "model/test_family.py", "data/preparing/test_prepare.py"),
    *("transfer/test_diverged.py", "report/claims/test_evaluate.py"),
    *("measures/test_word_aligner.py", "transfer/test_architectures.py"),
)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The real-text data folder beside the checkout, if there is one."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"no real data at {REAL_DATA}: this check needs real text")
    return REAL_DATA


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {TESTS / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


def pytest_collection_finish() -> None:
    """Have the garbage collector pass over all that was imported, and look at the rest less."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


@pytest.fixture(autouse=True, scope="session")
def no_wait_for_the_disk():
    """What tests write need not outlive the machine; who waits for the disk waits most of all."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture(autouse=True, scope="session")
def short_pages():
    """Pages without the drawing library, which takes a second to bundle; one has it: `rendered`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(html, "_bundled", lambda: "window.vegaEmbed=0;")
        yield


Ended = subprocess.CompletedProcess[str]


def work_in_child(work: Callable[[], object]) -> Ended:
    """Do work in a child as a process of its own would do it, but for the imports, made already."""
    import transformers  # noqa: F401

    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if not child:
            os._exit(_status(work, out, err))
        _, status = os.waitpid(child, 0)
        said = []
        for file in (out, err):
            file.seek(0)
            said.append(file.read().decode())
    return Ended(["child"], os.waitstatus_to_exitcode(status), *said)


def work_in_two(work: Callable[[], object]) -> Ended:
    """Do work in two children that find each other as torchrun would have them do."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def both() -> None:
        child = os.fork()
        rank = "0" if child else "1"
        os.environ |= {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": "2"}
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        work()
        if child and os.waitpid(child, 0)[1]:
            raise SystemExit("the second process has failed")

    return work_in_child(both)


def _status(work: Callable[[], object], out: IO[bytes], err: IO[bytes]) -> int:
    """Work with standard streams, warnings and logs as they are without pytest."""
    for number, file in enumerate((out, err), 1):
        os.dup2(file.fileno(), number)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))
    importlib.reload(warnings).resetwarnings()
    for ignored in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
        warnings.simplefilter("ignore", ignored)
    logging.root.handlers.clear()
    for logger in map(logging.getLogger, logging.root.manager.loggerDict):
        for handler in logger.handlers:
            if isinstance(handler, logging.StreamHandler):
                handler.setStream(sys.stderr)
    try:
        work()
        return 0
    except SystemExit as stop:
        if isinstance(stop.code, str):
            print(stop.code, file=sys.stderr)
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


@pytest.fixture(scope="session")
def in_child() -> Callable[[Callable[[], object]], Ended]:
    """Return :func:`work_in_child`."""
    return work_in_child


def run_xling(*words: object, processes: int = 1) -> Ended:
    """Run the command line in a child, or in two: what it says, and its status."""

    def work() -> None:
        from xling.cli import main

        os.environ["NO_COLOR"] = "1"
        sys.argv = ["xling", *map(str, words)]
        main()

    return work_in_child(work) if processes == 1 else work_in_two(work)


@pytest.fixture(scope="session")
def xling_in_child() -> Callable[..., Ended]:
    """Return :func:`run_xling`."""
    return run_xling


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


def make_tokenizer(lines: list[str], size: int = 300) -> "PreTrainedTokenizerFast":
    """A new tokenizer; what it learns of lines is learnt once."""
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(_learn(tuple(lines), size)),
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )


@cache
def _learn(lines: tuple[str, ...], size: int) -> str:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=SPECIAL, show_progress=False)
    tokenizer.train_from_iterator(lines, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return tokenizer.to_str()


@pytest.fixture(scope="session")
def parallel() -> dict[str, list[str]]:
    return {"aa": make_lines(60, "abcdef", 1), "bb": make_lines(60, "uvwxyz", 2)}


@pytest.fixture(scope="session")
def tokenizer(parallel) -> "PreTrainedTokenizerFast":
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
    import torch
    import transformers
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM

    common = {**SMALL, "vocab_size": vocabulary, "intermediate_size": 32}
    common["max_position_embeddings"] = positions
    ids = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        if kind == "bert":
            model = transformers.BertModel(transformers.BertConfig(**common))
        elif kind == "bert-mlm":
            model = transformers.BertForMaskedLM(transformers.BertConfig(**common))
        elif kind == "xlm-r":
            model = transformers.XLMRobertaModel(transformers.XLMRobertaConfig(**common, **ids))
        elif kind == "modernbert":
            special = {"cls_token_id": 2, "sep_token_id": 3, "global_attn_every_n_layers": 2}
            config = transformers.ModernBertConfig(**common, **ids, **special, local_attention=8)
            model = transformers.ModernBertModel(config)
        elif kind == "distilbert":
            model = transformers.DistilBertModel(
                transformers.DistilBertConfig(
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
def encoder(request, tokenizer) -> "Encoder":
    from xling.encoders.encoder import Encoder

    return Encoder("aa", make_model(request.param, len(tokenizer)), tokenizer)


@pytest.fixture
def bert(tokenizer) -> "Encoder":
    from xling.encoders.encoder import Encoder

    return Encoder("aa", make_model("bert", len(tokenizer)), tokenizer)
