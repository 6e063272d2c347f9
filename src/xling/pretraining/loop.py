"""The training loop: steps, losses on held-out text, the log, and when to save."""

import json
import logging
import math
import os
import socket
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from xling.device import autocast, seed_draws
from xling.errors import XlingError, has_extra
from xling.files import atomic_file, naming_errors
from xling.pretraining.batches import Batch, BatchMaker, LanguageText
from xling.pretraining.checkpoint import (
    BEST,
    Checkpoints,
    Progress,
    Snapshots,
    named_weights,
    save_tensors,
)
from xling.pretraining.config import PretrainingConfig
from xling.pretraining.distributed import World
from xling.pretraining.gradients import gradient_cosines
from xling.pretraining.optimizer import FamilyOptimizer
from xling.pretraining.ways import Ways
from xling.progress import bar
from xling.randomness import derive_seed, generator, permuted
from xling.tokens.streams import TokenStream
from xling.vocabulary.vocabulary import SpecialIds

LOG = "log.jsonl"
_ROWS_AT_ONCE = 32  # of held-out text
_LARGEST_LOGARITHM = 700.0  # exp() of more does not fit a float
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trainer:
    """What the loop needs; see :func:`train`.

    Attributes:
        config: Settings.
        model: What to call: the family, compiled or wrapped for several devices.
        family: The family inside, whose weights are saved.
        optimizer: The optimizer of the family's parameters.
        maker: Makes the batch of any step.
        dev: Held-out rows.
        checkpoints: Where the state is kept.
        snapshots: Where weights are kept for later measurements.
        log: Where figures go; None on all processes but the main one.
        process: This process among all.
        precision: ``fp32`` or ``bf16``.
        flops_per_token: Model FLOPs, for the utilisation.
        peak_flops: The device's matrix-multiply peak.
    """

    config: PretrainingConfig
    model: nn.Module
    family: nn.Module
    optimizer: FamilyOptimizer
    maker: BatchMaker
    dev: "DevSet"
    checkpoints: Checkpoints
    snapshots: Snapshots
    log: "RunLog | None"
    process: World
    precision: str
    flops_per_token: float
    peak_flops: float


def train(run: Trainer, progress: Progress) -> Progress:
    """Train from ``progress`` to the last step; the best weights end in ``best.safetensors``.

    Raises:
        XlingError: a loss or gradient that is not a number, with its step and language. The
            last checkpoint is from before it.
    """
    config = run.config
    window = _Window(run)
    run.model.train()
    ways = Ways(config, run.family, run.optimizer)
    with bar("Training", config.steps, "steps", done=progress.step) as advance:
        for step, batch in enumerate(
            run.maker.batches(progress.step, config.steps), start=progress.step + 1
        ):
            ways.before(step)
            with autocast(run.process.device, run.precision):
                loss = forward_backward(run.model, batch, config, run.process, step)
            ways.before_update(step)
            factor, norm = run.optimizer.step(*ways.place(step - 1))
            window.add(step, batch.name, loss, norm)
            last = step == config.steps
            progress = replace(progress, step=step)
            if last or any(
                step % every == 0
                for every in (config.log_every, config.evaluate_every, config.checkpoint_every)
            ):
                advance(0, window.close(factor))
            # Before the checkpoint: a run that resumes from there must find it.
            if run.snapshots.due(step):
                with window.paused():
                    run.snapshots.save(step, run.family, run.process.is_main)
                    _log_gradients(run, step)
            if last or step % config.evaluate_every == 0:
                with window.paused():
                    progress = _evaluate(run, progress)
            if last or step % config.checkpoint_every == 0:
                with window.paused():
                    run.checkpoints.save(progress, run.family, run.optimizer, run.process.is_main)
            advance(1)
    # An untrained model is a result too: what training is compared with.
    return progress if config.steps else _evaluate(run, progress)


def _evaluate(run: Trainer, progress: Progress) -> Progress:
    """Log dev losses; keep the weights if the base language's is the lowest so far.

    Conneau et al. 2020, section 3.1. Once only the other languages are trained, theirs decides.
    """
    with autocast(run.process.device, run.precision):
        losses = run.dev.losses(run.model, run.process.device)
    if run.log:
        for language, loss in losses.items():
            perplexity = math.exp(min(loss, _LARGEST_LOGARITHM))
            run.log.write("dev", progress.step, language, loss=loss, perplexity=perplexity)
    loss, least = next(iter(losses.values())), progress.best_loss
    frozen = run.config.frozen_from
    if frozen is not None and progress.step > frozen:
        # The base language is not trained any more: the others' mean loss counts.
        others = list(losses.values())[1:]
        loss = sum(others) / len(others)
        least = least if progress.best_step > frozen else math.inf
    if loss >= least:
        return progress
    weights = named_weights(run.family)
    if run.process.is_main:
        save_tensors(run.checkpoints.folder / BEST, weights, hashed=True)
    return replace(progress, best_step=progress.step, best_loss=loss)


def _log_gradients(run: Trainer, step: int) -> None:
    """Log how alike the languages' gradients are, in the process that writes the log."""
    if run.log is None:
        return
    with autocast(run.process.device, run.precision):
        found = gradient_cosines(run.family, run.dev.batches, run.process.device)
    for languages, cosine in found.items():
        run.log.write("gradients", step, languages, cosine=cosine)


def forward_backward(
    model: nn.Module, batch: Batch, config: PretrainingConfig, process: World, step: int
) -> Tensor:
    """Accumulate the gradient of the batch's mean loss per predicted token; return that loss.

    The loss is divided by the number of predicted tokens of the *whole* batch, so that the
    result does not depend on how rows are split over processes or accumulation steps. The returned
    loss is this process's share of the mean; their sum over processes is the mean.
    """
    # Dropout draws from the global generator: make it a function of seed, step and process.
    seed_draws(process.device, derive_seed(config.seed, "dropout", step, process.rank))
    loss = torch.zeros((), device=process.device)
    rank, size, device = process.rank, process.size, process.device
    for part in (batch, *batch.others):
        micros = list(part.micro_batches(rank, size, config.accumulation, device))
        for number, micro in enumerate(micros):
            # Synchronise after each language: the next gives its private parameters no gradient
            last = number == len(micros) - 1
            wait = isinstance(model, DistributedDataParallel) and not last
            with model.no_sync() if wait else nullcontext():  # type: ignore[operator]
                summed = model(
                    part.language,
                    micro.ids_BT,
                    micro.positions_P,
                    micro.labels_P,
                    micro.position_ids_BT,
                )
                share = summed / max(1, batch.predicted)
                # DDP and FSDP average gradients over processes; these are shares of a sum
                (share * process.size).backward()
            loss += share.detach()
    return loss


class _Window:
    """The steps since the last log line: their losses by language, and their time.

    Losses stay on the device until the window closes, so that a GPU is not made to wait
    after every step.
    """

    def __init__(self, run: Trainer) -> None:
        self._run = run
        self._losses: list[tuple[int, str, Tensor]] = []
        self._norms: list[Tensor] = []
        self._start = time.perf_counter()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave what happens inside (evaluation, saving) out of the rates."""
        if self._run.process.device.type == "cuda":
            torch.cuda.synchronize()  # work still running belongs to the steps
        begin = time.perf_counter()
        yield
        self._start += time.perf_counter() - begin

    def add(self, step: int, language: str, loss: Tensor, norm: Tensor) -> None:
        """Add one step: its language, this process's share of its loss, its gradient norm."""
        self._losses.append((step, language, loss))
        self._norms.append(norm)

    def close(self, factor: float) -> str:
        """Check and log the window; return a line for the progress bar."""
        run, config = self._run, self._run.config
        values = run.process.total(torch.stack([loss for _, _, loss in self._losses])).tolist()
        norms = torch.stack(self._norms).tolist()
        seconds = time.perf_counter() - self._start
        by_language = defaultdict(list)
        for (step, language, _), value, norm in zip(self._losses, values, norms, strict=True):
            # A finite loss may have a gradient that is not finite, which ruins the weights.
            for what, figure in (("loss", value), ("gradient norm", norm)):
                if not math.isfinite(figure):
                    raise XlingError(
                        f"step {step}: the {what} of {language} is {figure}; training stopped. "
                        f"The last checkpoint before it is kept in {run.checkpoints.folder}; "
                        "lower the learning rate or lengthen the warm-up"
                    )
            by_language[language].append((value, norm))
        rate = len(values) * config.rows * config.length / seconds
        use = rate * run.flops_per_token / run.process.size / run.peak_flops
        means = {
            language: [sum(column) / len(column) for column in zip(*found, strict=True)]
            for language, found in sorted(by_language.items())
        }
        if run.log:
            for language, (loss, norm) in means.items():
                run.log.write(
                    "train",
                    self._losses[-1][0],
                    language,
                    loss=loss,
                    gradient_norm=norm,
                    tokens_per_second=rate,
                    mfu=use,
                    learning_rate=config.optimizer.learning_rate * factor,
                    seconds=seconds,
                )
        self._losses.clear()
        self._norms.clear()
        self._start = time.perf_counter()
        losses = " ".join(f"{language} {loss:.2f}" for language, (loss, _) in means.items())
        return f"loss {losses}  {rate:,.0f} tokens/s  MFU {use:.0%}"


class DevSet:
    """Fixed held-out rows of every language, masked for models that predict masked tokens.

    Rows and masks do not depend on the run's seed or on the other languages, so perplexities
    can be compared across seeds, across pairs, and across variants with the same tokens.

    Args:
        streams: Language to its held-out tokens.
        texts: Language to its training text, which decides how rows are masked.
        length: Tokens per row.
        rows: Maximum rows per language.
        predicted_share: Share of the tokens to predict, as in training.
        special: Special ids.

    Raises:
        XlingError: held-out text of a language that does not fill one row.
    """

    def __init__(
        self,
        streams: Mapping[str, TokenStream],
        texts: Mapping[str, LanguageText],
        length: int,
        rows: int,
        predicted_share: float,
        special: SpecialIds,
    ) -> None:
        self.batches: dict[str, Batch] = {}
        for language, stream in streams.items():
            windows = stream.windows(length - 1)
            body = stream.head(length - 1)
            if body is None:
                raise XlingError(
                    f"{language}: {stream.tokens} held-out tokens do not fill one row of {length}; "
                    "give more text, a larger dev_share or a smaller length"
                )
            if windows:
                chosen = permuted(
                    np.arange(min(rows, windows)),
                    windows,
                    derive_seed(0, f"dev rows of {language}"),
                )
                body = stream.rows(np.sort(chosen), length - 1)
            draws = generator(0, f"dev mask of {language}")
            masked = texts[language].masked(body, draws, predicted_share, special)
            self.batches[language] = Batch(language, masked)

    @torch.no_grad()
    def losses(self, model: nn.Module, device: torch.device) -> dict[str, float]:
        """Return each language's mean loss per predicted token; perplexity is its exponential."""
        training = model.training
        model.eval()
        losses = {}
        for language, batch in self.batches.items():
            parts = -(-len(batch.masked.ids_BT) // _ROWS_AT_ONCE)
            total = sum(
                float(model(language, micro.ids_BT, micro.positions_P, micro.labels_P))
                for micro in batch.micro_batches(0, 1, parts, device)
            )
            losses[language] = total / batch.predicted
        model.train(training)
        return losses


class RunLog:
    """Appends entries to ``log.jsonl`` and, with the extra tensorboard, to an event file beside it.

    Args:
        folder: The run's folder.
        step: The step the run resumes from; later entries of an interrupted run are dropped,
            since they will be made again.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self._path = folder / LOG
        self._keep_until(step)
        with naming_errors(self._path):
            self._file = open(self._path, "a", encoding="utf-8")  # noqa: SIM115 - close() does it
        self._board = _Board(folder / "tensorboard", step) if has_extra("tensorboard") else None
        if self._board is None:
            _log.info(
                "curves for TensorBoard need the extra tensorboard: pip install "
                "'xling[tensorboard]'; %s has the same numbers",
                self._path,
            )

    def write(self, kind: str, step: int, language: str, **values: float) -> None:
        """Log values of one language at one step."""
        entry: dict[str, Any] = {"step": step, "kind": kind, "language": language, **values}
        with naming_errors(self._path):
            self._file.write(json.dumps(entry) + "\n")
            self._file.flush()
        if self._board is not None:
            named = {f"{kind}/{name}/{language}": value for name, value in values.items()}
            self._board.write(step, named)

    def close(self) -> None:
        """Flush and close what is written to."""
        self._file.close()
        if self._board is not None:
            self._board.close()

    def _keep_until(self, step: int) -> None:
        if not self._path.exists():
            return
        kept = []
        for line in self._path.read_text(encoding="utf-8").splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                break  # the line that was being written when the run was killed
            if entry["step"] <= step:
                kept.append(line + "\n")
        with atomic_file(self._path) as file:
            file.writelines(kept)


class _Board:
    """A TensorBoard event file that is written without delay.

    TensorBoard's own writers use a thread, in which errors are lost.
    """

    def __init__(self, folder: Path, step: int) -> None:
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog
        from tensorboard.summary.writer.record_writer import RecordWriter

        name = f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}.0"
        self._path = folder / name
        folder.mkdir(parents=True, exist_ok=True)
        with naming_errors(self._path):
            self._writer = RecordWriter(open(self._path, "wb"))  # noqa: SIM115 - close() does it
        self._add(Event(file_version="brain.Event:2"))
        # Later steps that an interrupted run wrote are not shown.
        self._add(Event(step=step + 1, session_log=SessionLog(status=SessionLog.START)))

    def write(self, step: int, values: dict[str, float]) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        found = [Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
        self._add(Event(step=step, summary=Summary(value=found)))

    def close(self) -> None:
        self._writer.close()

    def _add(self, event: Any) -> None:
        event.wall_time = time.time()
        with naming_errors(self._path):
            self._writer.write(event.SerializeToString())
            self._writer.flush()
