"""Fine-tuning of one setting: epochs, early stopping on the source's dev, resuming after a stop."""

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from xling.device import autocast, resolve_precision, seed_draws
from xling.encoders.batches import Ints, packed
from xling.encoders.representations import evaluating
from xling.errors import XlingError
from xling.pretraining.distributed import World
from xling.pretraining.optimizer import load_state_tensors, state_tensors
from xling.randomness import derive_seed
from xling.transfer.batching import Batch, collate, training_batches
from xling.transfer.config import TransferConfig
from xling.transfer.heads import Predictions
from xling.transfer.states import FineTuningProgress, FineTuningState
from xling.transfer.task import AnyTask, Split

logger = logging.getLogger(__name__)


class DivergedError(XlingError):
    """Weights, states or scores with NaN or infinity, from which no score may be reported."""


@dataclass(frozen=True, order=True)
class Setting:
    """One point of the grid."""

    batch_size: int
    encoder_rate: float
    head_rate: float

    def __str__(self) -> str:
        return f"batch {self.batch_size}, rates {self.encoder_rate:g} and {self.head_rate:g}"


@dataclass(frozen=True, eq=False)
class Learner:
    """A task's network with weights of its own to train.

    Attributes:
        encode: (split, batch) to hidden states [B, L, d].
        body: The part of the encoder that is trained (its other parameters need no gradient).
        head: The task's head.
        modules: All modules that are run, of any language, to switch dropout on and off.
    """

    encode: Callable[[Split, Batch], Tensor]
    body: dict[str, nn.Parameter]
    head: nn.Module
    modules: tuple[nn.Module, ...]

    def parameters(self) -> dict[str, nn.Parameter]:
        """Return all that is trained, by name."""
        head = {f"head.{name}": p for name, p in self.head.named_parameters()}
        return {**{f"body.{name}": p for name, p in self.body.items()}, **head}

    def forward(self, split: Split, batch: Batch) -> object:
        """Return the head's scores."""
        return self.head(self.encode(split, batch), batch)

    def is_finite(self) -> bool:
        """Tell whether no weight is NaN or infinite."""
        return all(bool(p.detach().isfinite().all()) for p in self.parameters().values())

    @torch.no_grad()
    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Take over weights by name."""
        for name, parameter in self.parameters().items():
            parameter.copy_(weights[name])


@dataclass(frozen=True, eq=False)
class FineTuner:
    """Fine-tunes settings of one task on one pair of train and dev.

    Attributes:
        task: The task, its labels learnt.
        config: Settings.
        train: Sentences to train on.
        dev: The source's dev, for early stopping and selection.
        process: This process among all.
    """

    task: AnyTask
    config: TransferConfig
    train: Split
    dev: Split
    process: World

    def fit(
        self,
        learner: Learner,
        setting: Setting,
        seed: int,
        state: FineTuningState,
        advance: Callable[[int], object] = lambda steps: None,
    ) -> FineTuningProgress:
        """Fine-tune, from the last epoch in ``state``, where the best weights are kept too.

        The result is a pure function of the configuration and does not depend on where it
        was stopped.
        """
        steps_an_epoch = self.steps_an_epoch(setting)
        optimizer = Optimizer(learner, setting, self.config, steps_an_epoch * self.config.epochs)
        progress = state.resume(learner, optimizer)
        advance(progress.epoch * steps_an_epoch)
        while not progress.finished:
            loss = self._epoch(learner, optimizer, setting, seed, progress.epoch, advance)
            progress.epoch += 1
            score = self._score_on_dev(learner, loss)
            progress.diverged = math.isnan(score)
            if progress.diverged:
                logger.warning(
                    "%s, seed %d: diverged in epoch %d (loss %g); this setting is left out",
                    setting,
                    seed,
                    progress.epoch,
                    loss,
                )
            else:
                progress.history.append(score)
            if score > progress.best:
                progress.best, progress.best_epoch = score, progress.epoch
                state.save_best(learner)
            progress.finished = (
                progress.diverged
                or progress.epoch == self.config.epochs
                or progress.epoch - progress.best_epoch >= self.config.patience
            )
            state.save(progress, learner, optimizer)
        return progress

    def steps_an_epoch(self, setting: Setting) -> int:
        """Return the number of batches of an epoch; the last may have fewer sentences."""
        return math.ceil(len(self.train.windows) / setting.batch_size)

    def _score_on_dev(self, learner: Learner, loss: float) -> float:
        """Return the score on dev; NaN if loss, weights or predictions hold NaN or infinity."""
        if not (math.isfinite(loss) and learner.is_finite()):
            return math.nan
        try:
            return self.score(learner, self.dev)
        except DivergedError:
            return math.nan

    def _epoch(
        self,
        learner: Learner,
        optimizer: "Optimizer",
        setting: Setting,
        seed: int,
        epoch: int,
        advance: Callable[[int], object],
    ) -> float:
        """Train one epoch; return the sum of the steps' mean losses."""
        lengths = self.train.windows.sentence_lengths
        batches = training_batches(lengths, setting.batch_size, seed, epoch)
        total = torch.zeros((), device=self.process.device)
        for module in learner.modules:
            module.train()
        for number, sentences in enumerate(batches, epoch * len(batches)):
            # Dropout draws from the global generator: make it a function of seed and step.
            dropout_seed = derive_seed(seed, "transfer dropout", number, self.process.rank)
            seed_draws(self.process.device, dropout_seed)
            total += self.gradient(learner, sentences)
            optimizer.step(number, self.process)
            advance(1)
        for module in learner.modules:
            module.eval()
        return float(self.process.total(total))

    def gradient(self, learner: Learner, sentences: Ints) -> Tensor:
        """Accumulate the gradient of the mean loss per unit; return this process's share of it."""
        units = max(1, self.train.units(self.task, sentences))
        loss = torch.zeros((), device=self.process.device)
        for batch in self._parts(self.train, sentences):
            with self._autocast():
                scores = learner.forward(self.train, batch)
            gold = {
                name: torch.from_numpy(
                    numbers[batch.units if self.task.of_words else batch.sentences]
                )
                for name, numbers in self.train.gold.items()
            }
            gold = {name: numbers.to(self.process.device) for name, numbers in gold.items()}
            share = learner.head.loss(scores, gold, batch) / units  # type: ignore[operator]
            share.backward()
            loss += share.detach()
        return loss

    def predict(self, learner: Learner, split: Split) -> Predictions:
        """Return the predictions for every unit of a split, by name.

        Without dropout, whatever mode the learner is in (new layers and heads are made in
        training mode); its mode is the same afterwards.

        Raises:
            DivergedError: NaN or infinity among the scores.
        """
        parts: list[tuple[Batch, Predictions]] = []
        broken = 0
        with evaluating(nn.ModuleList(learner.modules)), torch.inference_mode():
            for batch in self._parts(split, np.arange(len(split.windows))):
                with self._autocast():
                    scores = learner.forward(split, batch)
                bad = int(learner.head.broken(scores, batch))  # type: ignore[operator]
                broken += bad
                if not bad:
                    found = learner.head.predict(scores, batch)  # type: ignore[operator]
                    parts.append((batch, found))
        self._refuse_broken(broken, split)
        return self._joined(parts, split)

    def _refuse_broken(self, count: int, split: Split) -> None:
        """Raise, in every process, if any process found scores that are no numbers."""
        broken = int(self.process.total(torch.tensor(count, device=self.process.device)))
        if broken:
            units = len(next(iter(split.gold.values())))
            raise DivergedError(
                f"{split.language} {split.name}: the scores of {broken} of {units} "
                f"{'words' if self.task.of_words else 'sentences'} hold NaN or infinity: the model "
                "has diverged; take an earlier checkpoint of it, or smaller learning rates"
            )

    def _joined(self, parts: Sequence[tuple[Batch, Predictions]], split: Split) -> Predictions:
        found: Predictions = {}
        for name in split.gold:
            whole = np.zeros(len(split.gold[name]), dtype=np.int64)
            for batch, predictions in parts:
                where = batch.units if self.task.of_words else batch.sentences
                whole[where] = predictions[name]
            # Each process predicted its own sentences and has zeros for the others'.
            total = self.process.total(torch.from_numpy(whole).to(self.process.device))
            found[name] = total.cpu().numpy()
        return found

    def score(self, learner: Learner, split: Split) -> float:
        """Return the task's main metric on a split."""
        counts = self.task.counts(split.items, self.predict(learner, split))
        return float(self.task.scores(counts.sum(axis=0))[self.task.metric])

    def _parts(self, split: Split, sentences: Ints) -> Iterator[Batch]:
        mine = sentences[self.process.rank :: self.process.size]
        lengths = split.windows.sentence_lengths
        for part in packed(lengths, mine, self.config.batch_tokens):
            yield collate(split.windows, part, self.process.device)

    def _autocast(self) -> AbstractContextManager[None]:
        device = self.process.device
        return autocast(device, resolve_precision(self.config.precision, device))


class Optimizer:
    """Adam (AdamW with decay) with one rate for the encoder and one for the head.

    Args:
        learner: The learner whose parameters to train.
        setting: Peak rates.
        config: Schedule, decay, clipping.
        steps: Number of steps of the whole run.
    """

    def __init__(
        self, learner: Learner, setting: Setting, config: TransferConfig, steps: int
    ) -> None:
        self._config = config
        self._steps = steps
        self.parameters = learner.parameters()
        self._names: dict[Tensor, str] = {p: name for name, p in self.parameters.items()}
        groups = []
        for part, rate in (("body.", setting.encoder_rate), ("head.", setting.head_rate)):
            named = [p for name, p in self.parameters.items() if name.startswith(part)]
            for matrices in (True, False):
                chosen = [p for p in named if (p.dim() > 1) == matrices]
                decay = config.weight_decay if matrices else 0.0
                if chosen:
                    groups.append({"params": chosen, "lr": rate, "weight_decay": decay})
        self._optimizer = torch.optim.AdamW(groups, fused=True)
        self._peaks = [group["lr"] for group in self._optimizer.param_groups]

    def step(self, step: int, process: World) -> None:
        """Sum the gradients over processes, clip, update and drop them."""
        if process.size > 1:
            self._sum_gradients(process)
        trained = [p for p in self.parameters.values() if p.grad is not None]
        torch.nn.utils.clip_grad_norm_(trained, self._config.clip)
        factor = learning_rate_factor(self._config, step, self._steps)
        for group, peak in zip(self._optimizer.param_groups, self._peaks, strict=True):
            group["lr"] = peak * factor
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)

    def _sum_gradients(self, process: World) -> None:
        for parameter in self.parameters.values():
            if parameter.grad is None:  # this process had no sentence of the batch
                parameter.grad = torch.zeros_like(parameter)
        gradients = [p.grad for p in self.parameters.values() if p.grad is not None]
        flat = process.total(torch.cat([gradient.flatten() for gradient in gradients]))
        for gradient, whole in zip(
            gradients, flat.split([g.numel() for g in gradients]), strict=True
        ):
            gradient.copy_(whole.view_as(gradient))

    def state_tensors(self) -> dict[str, Tensor]:
        """Return all state by ``parameter name/state name``."""
        return state_tensors([self._optimizer], self._names)

    def load_state_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over the state returned by :meth:`state_tensors`."""
        load_state_tensors([self._optimizer], self._names, tensors)


def learning_rate_factor(config: TransferConfig, step: int, steps: int) -> float:
    """Return the factor in (0, 1] for step ``step`` (from 0) of ``steps``."""
    warmup = round(config.warmup_share * steps)
    if step < warmup:
        return (step + 1) / warmup
    if config.schedule == "constant":
        return 1.0
    return 1.0 - (step - warmup) / max(1, steps - warmup)
