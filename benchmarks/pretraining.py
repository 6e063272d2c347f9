"""Train the same model with xling's training step and with transformers' Trainer, side by side.

Run: ``python benchmarks/pretraining.py [--shape small|paper|both] [--architecture bert]
[--threads N] [--rounds N]``; needs no data (token ids are drawn from a Zipf distribution) and no
network.

Both sides get the same shape, rows a step, windows of tokens, dropout, fused AdamW (same betas,
rate and clipping), precision (fp32) and threads, in one process. Segments alternate (xling,
Trainer, matrix-multiply peak, xling, ...), so that a machine shared with other work slows all
of them alike; each segment begins with steps that are not counted, and medians are shown.

The Trainer runs as users run it, at its best on a CPU: the stock collator for masked language
modelling (for a decoder, for next tokens) on examples tokenised beforehand (with their mask of
special tokens, as in transformers' run_mlm example), data loader in the process (0 workers, no
copies), fused AdamW, no evaluation, no saving, no logging, no progress bar. Its steps are timed by
a callback inside the training, so its set-up is not counted.
"""

import argparse
import itertools
import statistics
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from figures import Figure, add_options, show
from tokenizers import Tokenizer, models
from transformers import (
    DataCollatorForLanguageModeling,
    PreTrainedTokenizerFast,
    PrinterCallback,
    TrainerCallback,
    TrainingArguments,
)
from transformers import Trainer as HuggingFaceTrainer

from xling.files import content_hash
from xling.model.anatomy import Architecture
from xling.model.architecture import ModelShape
from xling.model.family import Family
from xling.model.sharing import SharingPlan
from xling.pretraining.batches import BatchMaker, LanguageText
from xling.pretraining.config import OptimizerConfig, PretrainingConfig
from xling.pretraining.cost import predicted_share, training_flops_per_token
from xling.pretraining.distributed import World
from xling.pretraining.loop import forward_backward
from xling.pretraining.optimizer import FamilyOptimizer
from xling.pretraining.preflight import matmul_peak
from xling.tokens.streams import Shard, Stream, TokenIndex, TokenStream
from xling.vocabulary.bpe import CLS, MASK, PAD, SEP, SPECIAL_TOKENS, UNK
from xling.vocabulary.vocabulary import SpecialIds

LANGUAGE = "xx"
LINE = 25  # tokens from one [SEP] to the next
CPU = World(0, 1, torch.device("cpu"))


@dataclass(frozen=True)
class Setting:
    """One shape to compare at.

    Attributes:
        model: Shape of the encoder.
        vocabulary: Number of token ids.
        rows: Rows a step.
        warmup: Steps of a segment that are not counted.
        steps: Steps of a segment that are counted.
        target: Ratio to reach.
    """

    model: ModelShape
    vocabulary: int
    rows: int
    warmup: int
    steps: int
    target: float

    @property
    def tokens_a_step(self) -> int:
        """Return the tokens of one step, special ones included."""
        return self.rows * self.model.max_length


SETTINGS = {
    "small": Setting(
        ModelShape(layers=4, heads=4, hidden=128, feed_forward=512, dropout=0.0, max_length=128),
        vocabulary=8_000,
        rows=32,
        warmup=3,
        steps=15,
        target=2.5,
    ),
    "paper": Setting(ModelShape(), vocabulary=80_000, rows=8, warmup=1, steps=2, target=1.7),
}

TINY = Setting(
    ModelShape(layers=1, heads=2, hidden=16, feed_forward=32, dropout=0.0, max_length=16),
    vocabulary=100,
    rows=4,
    warmup=1,
    steps=2,
    target=0.0,
)


def main() -> None:
    """Measure, and print one table at the end."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", choices=[*SETTINGS, "both"], default="both")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=3, help="segments of each side")
    parser.add_argument("--architecture", choices=get_args(Architecture), default="bert")
    add_options(parser)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    chosen = SETTINGS if arguments.shape == "both" else {arguments.shape: SETTINGS[arguments.shape]}
    if arguments.small:
        chosen, arguments.rounds = {"small": TINY}, 1
    figures = []
    for shape, bert in chosen.items():
        setting = of_architecture(bert, arguments.architecture)
        if setting is not bert:
            shape = f"{shape} {arguments.architecture}"
        xling, trainer, peak = measure(shape, setting, arguments.rounds)
        reached = xling * flops_per_token(setting) / 1e9
        figures += [
            Figure(shape, xling, "tokens/s", "Trainer", trainer, least=setting.target),
            Figure(shape, reached, "GFLOP/s", "matrix products", peak / 1e9),
        ]
    show("pretraining", figures, arguments)


# What is asked of the other architectures: encoders compute logits where they are needed only.
TARGETS = {"xlm-roberta": 2.0, "modernbert": 2.0, "llama": 1.5}


def of_architecture(setting: Setting, architecture: Architecture) -> Setting:
    """Return the same sizes in another architecture."""
    if architecture == "bert":
        return setting
    model = {**setting.model.model_dump(), "architecture": architecture}
    target = TARGETS[architecture] if setting.target else 0.0
    return replace(setting, model=ModelShape.model_validate(model), target=target)


def measure(name: str, setting: Setting, rounds: int) -> tuple[float, float, float]:
    """Return tokens/s of xling and of the Trainer, and the peak in FLOP/s: medians."""
    with tempfile.TemporaryDirectory() as folder:
        steps = rounds * (setting.warmup + setting.steps)
        stream = make_stream(Path(folder), setting, steps)
        ours, theirs = Ours(stream, setting, steps), Theirs(stream, setting, Path(folder))
        rates: dict[str, list[float]] = {"xling": [], "Trainer": [], "peak": []}
        for number in range(rounds):
            rates["xling"] += [setting.tokens_a_step / s for s in ours.segment()]
            rates["Trainer"] += [setting.tokens_a_step / s for s in theirs.segment()]
            rates["peak"].append(matmul_peak(CPU.device, "fp32", seconds=1.0))
            so_far = ", ".join(f"{k} {statistics.median(v):,.0f}" for k, v in rates.items())
            print(f"{name}, round {number + 1} of {rounds}: medians so far {so_far}", flush=True)
    xling, trainer, peak = (statistics.median(values) for values in rates.values())
    return xling, trainer, peak


def flops_per_token(setting: Setting) -> float:
    """Return the model FLOPs of a training step a token, as the pre-flight counts them."""
    length = setting.model.max_length
    share = predicted_share(setting.model, PretrainingConfig(steps=1, length=length))
    return training_flops_per_token(setting.model, setting.vocabulary, length, share)


def make_stream(folder: Path, setting: Setting, steps: int) -> TokenStream:
    """Write Zipf-distributed ids, a [SEP] every 25 tokens, as a token stream."""
    count = (setting.rows * steps + 2) * setting.model.max_length
    ordinary = np.arange(len(SPECIAL_TOKENS), setting.vocabulary)
    weights = 1.0 / np.arange(1, len(ordinary) + 1)
    draws = np.random.default_rng(0).choice(ordinary, count, p=weights / weights.sum())
    draws[LINE - 1 :: LINE] = SEP
    dtype = "<u2" if setting.vocabulary < 1 << 16 else "<u4"
    path = folder / "train.bin"
    draws.astype(dtype).tofile(path)
    index = TokenIndex(
        vocabulary_size=setting.vocabulary,
        dtype=dtype,
        streams=(
            Stream(
                language=LANGUAGE,
                part="made",
                split="train",
                lines=count // LINE,
                characters=count,
                words=count,
                tokens=count,
                unknowns=0,
                shards=(Shard(file=path.name, tokens=count, blake2b=content_hash(path)),),
            ),
        ),
    )
    index.save(folder)
    return TokenStream.open(folder, LANGUAGE, "train")


OPTIMIZER = OptimizerConfig(name="adamw", schedule="linear", warmup_steps=0, learning_rate=1e-4)


class Ours:
    """xling's batches, step and optimizer, as its training loop uses them."""

    def __init__(self, stream: TokenStream, setting: Setting, steps: int) -> None:
        self.setting = setting
        self.config = PretrainingConfig(
            steps=steps,
            rows=setting.rows,
            length=setting.model.max_length,
            optimizer=OPTIMIZER,
        )
        ordinary = np.arange(len(SPECIAL_TOKENS), setting.vocabulary)
        self.maker = BatchMaker(
            {LANGUAGE: LanguageText(stream, ordinary, objective=setting.model.objective)},
            self.config,
            SpecialIds(),
        )
        self.family = Family.build(
            setting.model, {LANGUAGE: setting.vocabulary}, SharingPlan(), seed=1
        ).train()
        self.optimizer = FamilyOptimizer(self.family, OPTIMIZER, steps)
        self.done = 0

    def segment(self) -> list[float]:
        """Train one segment; return the seconds of each counted step."""
        first, last = self.done, self.done + self.setting.warmup + self.setting.steps
        self.done = last
        seconds = []
        start = time.perf_counter()
        for step, batch in enumerate(self.maker.batches(first, last)):
            forward_backward(self.family, batch, self.config, CPU, first + step)
            self.optimizer.step(first + step)
            seconds.append(time.perf_counter() - start)
            start = time.perf_counter()
        return seconds[self.setting.warmup :]


class Theirs:
    """transformers' Trainer with its stock collator on the same windows of tokens."""

    def __init__(self, stream: TokenStream, setting: Setting, folder: Path) -> None:
        self.setting = setting
        self.folder = folder
        body = setting.model.max_length - 1
        rows = stream.rows(np.arange(stream.windows(body)), body)
        rows = np.concatenate([np.full((len(rows), 1), CLS), rows], axis=1)
        special = np.isin(rows, (PAD, UNK, CLS, SEP, MASK)).astype(np.int64)
        # Lists of integers, as a tokenised dataset hands them to the collator
        self.examples = [
            {"input_ids": ids, "attention_mask": [1] * len(ids), "special_tokens_mask": mask}
            for ids, mask in zip(rows.tolist(), special.tolist(), strict=True)
        ]
        torch.manual_seed(1)
        opened = setting.model.anatomy.opened_by()
        self.model = opened(setting.model.config(setting.vocabulary))
        self.collator = DataCollatorForLanguageModeling(
            tokenizer_of_size(setting.vocabulary), mlm=setting.model.objective == "mlm"
        )

    def segment(self) -> list[float]:
        """Train one segment; return the seconds of each counted step."""
        clock = _Clock()
        trainer = HuggingFaceTrainer(
            model=self.model,
            args=TrainingArguments(
                output_dir=str(self.folder / "trainer"),
                max_steps=self.setting.warmup + self.setting.steps,
                per_device_train_batch_size=self.setting.rows,
                learning_rate=OPTIMIZER.learning_rate,
                adam_beta1=OPTIMIZER.betas[0],
                adam_beta2=OPTIMIZER.betas[1],
                weight_decay=OPTIMIZER.weight_decay,
                max_grad_norm=OPTIMIZER.clip,
                lr_scheduler_type="linear",
                optim="adamw_torch_fused",
                use_cpu=True,
                dataloader_num_workers=0,
                dataloader_pin_memory=False,
                eval_strategy="no",
                save_strategy="no",
                logging_strategy="no",
                report_to="none",
                disable_tqdm=True,
            ),
            data_collator=self.collator,
            train_dataset=self.examples,
            callbacks=[clock],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        ends = clock.ends
        seconds = [after - before for before, after in itertools.pairwise(ends)]
        return seconds[self.setting.warmup - 1 :]


class _Clock(TrainerCallback):
    """Notes when each step ended; a step's time includes the making of its batch."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.ends.append(time.perf_counter())


def tokenizer_of_size(vocabulary: int) -> PreTrainedTokenizerFast:
    """Return a tokenizer with that many entries, which the collator asks for special ids."""
    entries = {token: number for number, token in enumerate(SPECIAL_TOKENS)}
    entries |= {f"w{number}": number for number in range(len(entries), vocabulary)}
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel(entries, unk_token=SPECIAL_TOKENS[UNK])),
        pad_token=SPECIAL_TOKENS[PAD],
        unk_token=SPECIAL_TOKENS[UNK],
        cls_token=SPECIAL_TOKENS[CLS],
        sep_token=SPECIAL_TOKENS[SEP],
        mask_token=SPECIAL_TOKENS[MASK],
    )


if __name__ == "__main__":
    main()
