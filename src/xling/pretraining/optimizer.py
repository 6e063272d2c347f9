"""The optimizer of a family: Adam, AdamW, or Muon for hidden matrices with AdamW for the rest."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from xling.model.family import Family, sublayers
from xling.pretraining.config import OptimizerConfig
from xling.pretraining.distributed import like, whole

# Quintic coefficients of the reference description: they do not converge to exactly 1 but
# lift all singular values into about [0.7, 1.2] in five steps.
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5


class FamilyOptimizer:
    """One or two torch optimizers over a family's parameters, with one schedule.

    A parameter that got no gradient (private to another language) is left untouched, and
    so is its optimizer state.

    Args:
        family: The family whose parameters to train.
        config: What to use.
        steps: Length of the whole run, for the schedule.
    """

    def __init__(self, family: Family, config: OptimizerConfig, steps: int) -> None:
        self.config = config
        self.steps = steps
        self.names: dict[Tensor, str] = {
            parameter: name for name, parameter in family.named_parameters()
        }
        self._in_layers = {
            parameter
            for modules in sublayers(family)
            for module in modules
            for parameter in module.parameters()
        }
        self.optimizers = self._optimizers()
        self._peaks = [[g["lr"] for g in o.param_groups] for o in self.optimizers]

    def step(self, step: int, steps: int | None = None) -> tuple[float, Tensor]:
        """Clip, update with the rate of step ``step`` and drop the gradients.

        Args:
            step: The step, from 0.
            steps: Length of the schedule; by default that of the whole run.

        Returns:
            The schedule's factor, and the norm of the whole gradient before clipping.
        """
        norm = torch.nn.utils.clip_grad_norm_(self._with_gradient(), self.config.clip)
        factor = learning_rate_factor(self.config, step, self.steps if steps is None else steps)
        for optimizer, peaks in zip(self.optimizers, self._peaks, strict=True):
            for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                group["lr"] = peak * factor
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        return factor, whole(norm)

    def forget(self, parameter: Tensor) -> None:
        """Drop the state of a parameter that is reset."""
        for optimizer in self.optimizers:
            optimizer.state.pop(parameter, None)

    def state_tensors(self) -> dict[str, Tensor]:
        """Return all optimizer state by ``parameter name/state name``."""
        return state_tensors(self.optimizers, self.names)

    def load_state_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over the state returned by :meth:`state_tensors`."""
        load_state_tensors(self.optimizers, self.names, tensors)

    def _with_gradient(self) -> list[Tensor]:
        return [parameter for parameter in self.names if parameter.grad is not None]

    def _optimizers(self) -> list[torch.optim.Optimizer]:
        config = self.config
        if config.name == "adam":
            return [
                torch.optim.Adam(
                    list(self.names), lr=config.learning_rate, betas=config.betas, fused=True
                )
            ]
        hidden = list(self._hidden_matrices()) if config.name == "muon" else []
        in_hidden = set(hidden)
        rest = [parameter for parameter in self.names if parameter not in in_hidden]
        groups = [
            {"params": [p for p in rest if p.dim() > 1], "weight_decay": config.weight_decay},
            {"params": [p for p in rest if p.dim() <= 1], "weight_decay": 0.0},
        ]
        optimizers: list[torch.optim.Optimizer] = [
            torch.optim.AdamW(groups, lr=config.learning_rate, betas=config.betas, fused=True)
        ]
        if hidden:
            optimizers.append(
                Muon(hidden, lr=config.muon_learning_rate, weight_decay=config.weight_decay)
            )
        return optimizers

    def _hidden_matrices(self) -> Iterator[Tensor]:
        for parameter in self.names:
            if parameter.dim() == 2 and parameter in self._in_layers:
                yield parameter


def state_tensors(
    optimizers: Iterable[torch.optim.Optimizer], names: Mapping[Tensor, str]
) -> dict[str, Tensor]:
    """Return all state of some optimizers by ``parameter name/state name``."""
    return {
        f"{names[parameter]}/{key}": whole(value)
        for optimizer in optimizers
        for parameter, state in optimizer.state.items()
        for key, value in state.items()
    }


def load_state_tensors(
    optimizers: Iterable[torch.optim.Optimizer],
    names: Mapping[Tensor, str],
    tensors: Mapping[str, Tensor],
) -> None:
    """Give optimizers the state returned by :func:`state_tensors`."""
    states: dict[str, dict[str, Tensor]] = {}
    for path, value in tensors.items():
        name, _, key = path.rpartition("/")
        states.setdefault(name, {})[key] = value
    for optimizer in optimizers:
        for parameter in (p for group in optimizer.param_groups for p in group["params"]):
            # Copies, since tensors read from a file stay mapped to it
            for key, value in states.get(names[parameter], {}).items():
                optimizer.state[parameter][key] = like(value, parameter).clone()


def learning_rate_factor(config: OptimizerConfig, step: int, steps: int) -> float:
    """Return the factor in (0, 1] for optimizer step ``step`` (from 0) of ``steps``.

    Linear warm-up, then the inverse square root of the step (Conneau et al. 2020, section
    3.1), or a cosine or a line that would reach zero one step after the last.
    """
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    if config.schedule == "inverse-square-root":
        return math.sqrt(max(1, config.warmup_steps) / (step + 1))
    done = (step - config.warmup_steps) / max(1, steps - config.warmup_steps)
    if config.schedule == "linear":
        return 1.0 - done
    return 0.5 * (1.0 + math.cos(math.pi * done))


def orthogonalised(matrices_NRC: Tensor) -> Tensor:
    """Return matrices with about the same singular vectors and singular values near 1.

    Newton-Schulz iteration, batched over the first dimension.
    """
    a, b, c = _COEFFICIENTS
    x: Tensor = matrices_NRC.to(torch.bfloat16 if matrices_NRC.is_cuda else torch.float32)
    tall = x.shape[-2] > x.shape[-1]
    if tall:
        x = x.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.mT if tall else x).to(matrices_NRC.dtype)


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalised (Jordan et al. 2024); for matrices of hidden layers only.

    ``torch.optim.Muon`` iterates in bf16, which a CPU without bf16 instructions runs hundreds of
    times slower than fp32. This one iterates in fp32 on CPUs and does all matrices of one shape
    in a batched product.

    Args:
        parameters: Matrices. Those without a gradient are left alone, state included.
        lr: Step size; an update has spectral norm about ``lr * max(1, rows / columns)**0.5``.
        momentum: Decay of the momentum.
        weight_decay: Decoupled, scaled by the step size.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float = 0.02,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update every matrix that has a gradient."""
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[Tensor]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    by_shape[parameter.shape].append(parameter)
            for shape, parameters in by_shape.items():
                directions = torch.stack([self._direction(p, group) for p in parameters])
                scale = max(1.0, shape[0] / shape[1]) ** 0.5
                updates = orthogonalised(directions)
                for parameter, update in zip(parameters, updates, strict=True):
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    parameter.add_(update, alpha=-group["lr"] * scale)

    def _direction(self, parameter: Tensor, group: dict[str, Any]) -> Tensor:
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        assert parameter.grad is not None
        state["momentum"].lerp_(parameter.grad, 1 - group["momentum"])
        return parameter.grad.lerp(state["momentum"], group["momentum"])
