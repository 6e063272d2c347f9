"""The optimizer of a family: Adam, AdamW, or Muon for hidden matrices beside AdamW."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from xling.pretraining.config import OptimizerConfig
from xling.pretraining.distributed import like, whole
from xling.pretraining.muon import Muon
from xling.pretraining.schedule import learning_rate_factor


class FamilyOptimizer:
    """One or two torch optimizers over a family's parameters, with one schedule.

    A parameter that got no gradient (private to another language) is left untouched, and
    so is its optimizer state.

    Args:
        module: Whose parameters to train.
        config: What to use.
        steps: Length of the whole run, for the schedule.
    """

    def __init__(self, module: nn.Module, config: OptimizerConfig, steps: int) -> None:
        self.config = config
        self.steps = steps
        self.names: dict[Tensor, str] = {
            parameter: name for name, parameter in module.named_parameters()
        }
        self.optimizers = self._optimizers()
        self._peaks = [[g["lr"] for g in o.param_groups] for o in self.optimizers]

    def step(self, step: int) -> tuple[float, Tensor]:
        """Clip, update with the rate of step ``step`` and drop the gradients.

        Returns:
            The schedule's factor, and the norm of the whole gradient before clipping.
        """
        norm = torch.nn.utils.clip_grad_norm_(self._with_gradient(), self.config.clip)
        factor = learning_rate_factor(self.config, step, self.steps)
        for optimizer, peaks in zip(self.optimizers, self._peaks, strict=True):
            for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                group["lr"] = peak * factor
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        return factor, whole(norm)

    def state_tensors(self) -> dict[str, Tensor]:
        """Return all optimizer state by ``parameter name/state name``."""
        return {
            f"{self.names[parameter]}/{key}": whole(value)
            for optimizer in self.optimizers
            for parameter, state in optimizer.state.items()
            for key, value in state.items()
        }

    def load_state_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Take over the state returned by :meth:`state_tensors`."""
        states: dict[str, dict[str, Tensor]] = {}
        for path, value in tensors.items():
            name, _, key = path.rpartition("/")
            states.setdefault(name, {})[key] = value
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                for parameter in group["params"]:
                    state = states.get(self.names[parameter])
                    if state is not None:
                        # Copies, since tensors read from a file stay mapped to it
                        optimizer.state[parameter] = {
                            key: like(value, parameter).clone() for key, value in state.items()
                        }

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
        for parameter, name in self.names.items():
            if parameter.dim() == 2 and ".layer." in name:
                yield parameter
