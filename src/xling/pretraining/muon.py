"""Muon: momentum whose matrix updates are made orthogonal (Jordan et al., 2024).

``torch.optim.Muon`` iterates in bf16, which a CPU without bf16 instructions runs hundreds
of times slower than fp32. This one iterates in fp32 on CPUs and does all matrices of one
shape in a batched product.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

# Quintic coefficients of the reference description: they do not converge to exactly 1 but
# lift all singular values into about [0.7, 1.2] in five steps.
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5


def orthogonalised(matrices_NRC: Tensor) -> Tensor:
    """Return matrices with about the same singular vectors and singular values near 1.

    Newton-Schulz iteration, batched over the first dimension.
    """
    a, b, c = _COEFFICIENTS
    x = matrices_NRC.to(torch.bfloat16 if matrices_NRC.is_cuda else torch.float32)
    tall = x.shape[-2] > x.shape[-1]
    if tall:
        x = x.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.mT if tall else x).to(matrices_NRC.dtype)


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalised; for matrices of hidden layers only.

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
