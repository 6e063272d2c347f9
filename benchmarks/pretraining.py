"""Train the same model with xling's training step and with transformers' Trainer, side by side.

Run: ``python benchmarks/pretraining.py [--shape small|paper|both] [--architecture bert]
[--threads N] [--rounds N]``; needs no data (token ids are drawn from a Zipf distribution) and no
network. ``--memory 2000`` trains so many steps of the small shape instead, and shows how much
memory they take on the way, with freed blocks kept in the process and without.

All sides get the same shape, rows a step, windows of tokens, dropout, fused AdamW (same betas,
rate and clipping) and threads, in fp32 and in bf16. The Trainer is shown as it comes (fp32, glibc's
own allocation, in a process of its own) and at its best (freed blocks kept as xling keeps them, the
better of both precisions). Segments alternate (xling, Trainer, matrix-multiply peak, xling, ...),
so that a machine shared with other work slows all of them alike; each segment begins with steps
that are not counted, and medians are shown. ``--cpu-time`` counts the processor's seconds instead
of the clock's, for a machine that others use too; take it with one thread.

The Trainer runs as users run it, at its best on a CPU: the stock collator for masked language
modelling (for a decoder, for next tokens) on examples tokenised beforehand (with their mask of
special tokens, as in transformers' run_mlm example), data loader in the process (0 workers, no
copies), fused AdamW, no evaluation, no saving, no logging, no progress bar. Its steps are timed by
a callback inside the training, so its set-up is not counted.
"""

import argparse
import itertools
import multiprocessing
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, get_args

import numpy as np
import psutil
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

from xling.allocator import keep_freed_memory
from xling.device import autocast, bf16_features
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
PRECISIONS = ("fp32", "bf16")
SPAWN = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Setting:
    """One shape to compare at.

    Attributes:
        model: Shape of the encoder.
        vocabulary: Number of token ids.
        rows: Rows a step.
        warmup: Steps of a segment that are not counted.
        steps: Steps of a segment that are counted.
        as_it_comes: Ratio to the Trainer as it comes to reach on a CPU with AMX, in bf16.
        at_its_best: The same to the Trainer at its best.
        elsewhere: Ratio to the Trainer as it comes to reach on other CPUs, in fp32.
    """

    model: ModelShape
    vocabulary: int
    rows: int
    warmup: int
    steps: int
    as_it_comes: float = 0.0
    at_its_best: float = 0.0
    elsewhere: float = 0.0

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
        as_it_comes=4.5,
        at_its_best=3.3,
        elsewhere=2.6,
    ),
    "paper": Setting(
        ModelShape(),
        vocabulary=80_000,
        rows=8,
        warmup=1,
        steps=2,
        as_it_comes=9.0,
        at_its_best=3.3,
        elsewhere=2.4,
    ),
}

TINY = Setting(
    ModelShape(layers=1, heads=2, hidden=16, feed_forward=32, dropout=0.0, max_length=16),
    vocabulary=100,
    rows=4,
    warmup=1,
    steps=2,
)


def main() -> None:
    """Measure, and print one table at the end."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", choices=[*SETTINGS, "both"], default="both")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=3, help="segments of each side")
    parser.add_argument("--cpu-time", action="store_true", help="count the processor's seconds")
    parser.add_argument(
        "--memory", type=int, metavar="STEPS", help="show memory over so many steps"
    )
    parser.add_argument("--architecture", choices=get_args(Architecture), default="bert")
    add_options(parser)
    arguments = parser.parse_args()
    if arguments.memory:
        setting = TINY if arguments.small else SETTINGS["small"]
        show("pretraining", memory(setting, arguments.memory, arguments.threads), arguments)
        return
    torch.set_num_threads(arguments.threads)
    keep_freed_memory()
    chosen = SETTINGS if arguments.shape == "both" else {arguments.shape: SETTINGS[arguments.shape]}
    if arguments.small:
        chosen, arguments.rounds = {"small": TINY}, 1
    clock = time.process_time if arguments.cpu_time else time.perf_counter
    figures = []
    for shape, bert in chosen.items():
        setting = of_architecture(bert, arguments.architecture)
        if setting is not bert:
            shape = f"{shape} {arguments.architecture}"
        figures += compared(shape, setting, measure(shape, setting, arguments.rounds, clock))
    show("pretraining", figures, arguments)


# What is asked of the other architectures: encoders compute logits where they are needed only.
TARGETS = {"xlm-roberta": 2.0, "modernbert": 2.0, "llama": 1.5}


def of_architecture(setting: Setting, architecture: Architecture) -> Setting:
    """Return the same sizes in another architecture."""
    if architecture == "bert":
        return setting
    model = {**setting.model.model_dump(), "architecture": architecture}
    target = TARGETS[architecture] if setting.elsewhere else 0.0
    return replace(
        setting,
        model=ModelShape.model_validate(model),
        as_it_comes=target,
        at_its_best=0.0,
        elsewhere=target,
    )


def compared(shape: str, setting: Setting, rates: dict[str, float]) -> Iterator[Figure]:
    """Yield xling's figures in both precisions beside the Trainer's and the processor's."""
    best = max(PRECISIONS, key=lambda precision: rates[f"Trainer {precision}"])
    amx = "AMX" in bf16_features(CPU.device)
    for precision in PRECISIONS:
        ours = rates[f"xling {precision}"]
        goals: tuple[float | None, float | None] = (None, None)
        if precision == "bf16" and amx:
            goals = setting.as_it_comes or None, setting.at_its_best or None
        elif precision == "fp32" and not amx:
            goals = setting.elsewhere or None, None
        work, unit = f"{shape}, {precision}", "tokens/s"
        comes = rates["Trainer as it comes"]
        yield Figure(work, ours, unit, "Trainer as it comes", comes, least=goals[0])
        at_best = f"Trainer at its best ({best})"
        yield Figure(work, ours, unit, at_best, rates[f"Trainer {best}"], least=goals[1])
        reached = ours * flops_per_token(setting) / 1e9
        peak = rates[f"peak {precision}"] / 1e9
        yield Figure(work, reached, "GFLOP/s", f"matrix products in {precision}", peak)


def measure(
    name: str, setting: Setting, rounds: int, clock: Callable[[], float]
) -> dict[str, float]:
    """Return medians: tokens/s of every side and precision, and the peaks in FLOP/s."""
    rates: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder, as_it_comes(setting, clock) as stock:
        steps = rounds * (setting.warmup + setting.steps)
        stream = make_stream(Path(folder), setting, 2 * steps)
        ours = Ours(stream, setting, 2 * steps, clock)
        theirs = Theirs(stream, setting, Path(folder), clock)
        for number in range(rounds):
            segments = {"Trainer as it comes": stock()}
            for precision in PRECISIONS:
                segments[f"xling {precision}"] = ours.segment(precision)
                segments[f"Trainer {precision}"] = theirs.segment(precision)
            for side, seconds in segments.items():
                rates.setdefault(side, []).extend(setting.tokens_a_step / s for s in seconds)
            for precision in PRECISIONS:
                peak = matmul_peak(CPU.device, precision, 1.0, clock)
                rates.setdefault(f"peak {precision}", []).append(peak)
            so_far = ", ".join(f"{k} {statistics.median(v):,.0f}" for k, v in rates.items())
            print(f"{name}, round {number + 1} of {rounds}: medians so far {so_far}", flush=True)
    return {side: statistics.median(values) for side, values in rates.items()}


@contextmanager
def as_it_comes(
    setting: Setting, clock: Callable[[], float]
) -> Iterator[Callable[[], list[float]]]:
    """Yield what trains a segment of the Trainer in a process whose allocation is glibc's own."""
    here, there = SPAWN.Pipe()
    arguments = (there, setting, torch.get_num_threads(), clock)
    process = SPAWN.Process(target=_stock, args=arguments, daemon=True)
    process.start()
    there.close()

    def segment() -> list[float]:
        here.send(True)
        seconds: list[float] = here.recv()
        return seconds

    try:
        yield segment
    finally:
        here.close()
        process.join()


def _stock(there: Connection, setting: Setting, threads: int, clock: Callable[[], float]) -> None:
    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as folder:
        stream = make_stream(Path(folder), setting, setting.warmup + setting.steps)
        trainer = Theirs(stream, setting, Path(folder), clock)
        try:
            while there.recv():
                there.send(trainer.segment("fp32"))
        except EOFError:  # the other end is done
            return


def memory(setting: Setting, steps: int, threads: int) -> Iterator[Figure]:
    """Yield the memory of xling's training after a tenth, half and all of some steps.

    In processes of their own: as it was with glibc's own allocation, and with freed blocks kept.
    """
    marks = sorted({max(1, steps // 10), max(1, steps // 2), steps})
    with SPAWN.Pool(1, maxtasksperchild=1) as pool:
        for precision in PRECISIONS:
            tasks = [(setting, marks, threads, precision, kept) for kept in (False, True)]
            freed, kept = pool.starmap(_memory, tasks, chunksize=1)
            for mark, before, now in zip(marks, freed, kept, strict=True):
                after = f"after {mark:,} steps, {precision}, freed blocks kept"
                yield Figure(f"resident {after}", now[0], "MB", "given back", before[0])
                yield Figure(f"peak {after}", now[1], "MB", "given back", before[1], most=1.1)


def _memory(
    setting: Setting, marks: list[int], threads: int, precision: str, kept: bool
) -> list[tuple[float, float]]:
    torch.set_num_threads(threads)
    if kept:
        keep_freed_memory()
    found = []
    with tempfile.TemporaryDirectory() as folder:
        ours = Ours(make_stream(Path(folder), setting, marks[-1]), setting, marks[-1])
        for mark in marks:
            ours.train(precision, mark - ours.done)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            found.append((psutil.Process().memory_info().rss / 1e6, peak / 1e6))
    return found


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

    def __init__(
        self,
        stream: TokenStream,
        setting: Setting,
        steps: int,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.setting = setting
        self.clock = clock
        self.config = PretrainingConfig(
            steps=steps,
            rows=setting.rows,
            length=setting.model.max_length,
            optimizer=OPTIMIZER,
        )
        ordinary = np.arange(len(SPECIAL_TOKENS), setting.vocabulary)
        text = LanguageText(stream, ordinary, objective=setting.model.objective)
        self.maker = BatchMaker({LANGUAGE: text}, self.config, SpecialIds())
        self.family = Family.build(
            setting.model, {LANGUAGE: setting.vocabulary}, SharingPlan(), seed=1
        ).train()
        self.optimizer = FamilyOptimizer(self.family, OPTIMIZER, steps)
        self.done = 0

    def segment(self, precision: str) -> list[float]:
        """Train one segment; return the seconds of each counted step."""
        seconds = self.train(precision, self.setting.warmup + self.setting.steps)
        return seconds[self.setting.warmup :]

    def train(self, precision: str, steps: int) -> list[float]:
        """Train on from where it stopped; return the seconds of each step."""
        first, self.done = self.done, self.done + steps
        seconds = []
        start = self.clock()
        for step, batch in enumerate(self.maker.batches(first, self.done)):
            with autocast(CPU.device, precision):
                forward_backward(self.family, batch, self.config, CPU, first + step)
            self.optimizer.step(first + step)
            seconds.append(self.clock() - start)
            start = self.clock()
        return seconds


class Theirs:
    """transformers' Trainer with its stock collator on the same windows of tokens."""

    def __init__(
        self, stream: TokenStream, setting: Setting, folder: Path, clock: Callable[[], float]
    ) -> None:
        self.setting = setting
        self.clock = clock
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

    def segment(self, precision: str) -> list[float]:
        """Train one segment; return the seconds of each counted step."""
        clock = _Clock(self.clock)
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
                bf16=precision == "bf16",
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

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.ends: list[float] = []

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.ends.append(self.clock())


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
