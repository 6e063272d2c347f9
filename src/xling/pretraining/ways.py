"""Other ways for languages to meet than learning everything together from the start.

*A frozen body* (Artetxe et al. 2020, arXiv 1910.11856): the model is trained on the base language
alone; then only the separate parts of the other languages, their token embeddings, are trained.
*Active forgetting* (Chen et al. 2023, arXiv 2307.01163): token embeddings are reset every so many
steps, so that the body does not come to rely on any of them. As in that paper, their optimizer
state is dropped too; the learning-rate schedule is not restarted.
"""

from typing import Any

import torch
from torch import nn

from xling.model.family import Family
from xling.pretraining.config import PretrainingConfig
from xling.pretraining.distributed import like
from xling.pretraining.optimizer import FamilyOptimizer
from xling.randomness import derive_seed


class Ways:
    """What the settings ``base_first`` and ``forget_every`` do in the training loop.

    Each of its actions is a function of the step, so a run that resumes repeats them.

    Args:
        config: Settings.
        family: The family that is trained.
        optimizer: The optimizer of its parameters.
    """

    def __init__(
        self, config: PretrainingConfig, family: nn.Module, optimizer: FamilyOptimizer
    ) -> None:
        self._config = config
        self._family = family
        self._optimizer = optimizer
        self._frozen: list[nn.Parameter] = []
        if config.base_first is not None:
            assert isinstance(family, Family)
            self._frozen = list(family.shared_parameters().values())

    def before(self, step: int) -> None:
        """Reset token embeddings if it is time, before the gradient of ``step``."""
        every, done = self._config.forget_every, step - 1
        if every and done and done % every == 0 and not self._is_frozen(done):
            self._forget(done)

    def before_update(self, step: int) -> None:
        """Drop the gradients of what is frozen: the optimizer leaves such parameters alone."""
        if self._is_frozen(step - 1):
            for parameter in self._frozen:
                parameter.grad = None

    def place(self, done: int) -> tuple[int, int]:
        """Return the place of step ``done`` (from 0) in its schedule, and that schedule's length.

        Example:
            >>> ways = Ways(PretrainingConfig(steps=10), nn.Identity(), None)
            >>> ways.place(7)
            (7, 10)
        """
        steps, frozen = self._config.steps, self._config.frozen_from
        if frozen is None:
            return done, steps
        return (done - frozen, steps - frozen) if done >= frozen else (done, frozen)

    def _is_frozen(self, done: int) -> bool:
        frozen = self._config.frozen_from
        return frozen is not None and done >= frozen

    @torch.no_grad()
    def _forget(self, done: int) -> None:
        assert isinstance(self._family, Family)
        seen: set[int] = set()
        for place, language in enumerate(self._family.languages):
            member = self._family.member(language)
            table: Any = member.get_input_embeddings().weight
            if id(table) in seen:
                continue
            seen.add(id(table))
            draws = torch.Generator()
            draws.manual_seed(derive_seed(self._config.seed, "forget", done, place) % 2**63)
            scale = member.config.initializer_range
            new = torch.randn(table.shape, generator=draws).mul_(scale)
            table.copy_(like(new, table))
            self._optimizer.forget(table)
