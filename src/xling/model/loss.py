"""Cross-entropy over a large vocabulary at many positions, without all the logits at once."""

from typing import Any

import torch
from torch import Tensor

from xling.model.anatomy import LOGITS_AT_ONCE

_FEWEST_ROWS = 256  # below, products are slow


def logits_at_once(device: torch.device) -> int:
    """Return how many logits are held at once: on a CPU, about as many as its caches hold."""
    return 1 << 21 if device.type == "cpu" else LOGITS_AT_ONCE


def chunked_cross_entropy(
    hidden_PD: Tensor, weight_VD: Tensor, labels_P: Tensor, others_V: Tensor | None = None
) -> Tensor:
    """Return the summed cross-entropy of ``hidden @ weight.T``, some positions at a time.

    The forward pass also computes the gradients, which are simple for a sum: the probabilities,
    minus 1 at the label. So logits are computed once and dropped immediately. Under autocast,
    matrix products use its precision; the softmax uses single precision.

    Args:
        hidden_PD: Input of the output layer.
        weight_VD: The output layer's weight.
        labels_P: True ids.
        others_V: Ids that may not be predicted, bool; None excludes none.

    Returns:
        float32 scalar.
    """
    rows = max(_FEWEST_ROWS, logits_at_once(weight_VD.device) // len(weight_VD))
    learns = torch.is_grad_enabled()
    total: Tensor = _ChunkedCrossEntropy.apply(
        hidden_PD, weight_VD, labels_P, others_V, rows, learns
    )
    return total


class _ChunkedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden_PD: Tensor,
        weight_VD: Tensor,
        labels_P: Tensor,
        others_V: Tensor | None,
        rows: int,
        learns: bool,
    ) -> Tensor:
        total = hidden_PD.new_zeros((), dtype=torch.float32)
        autocast = torch.is_autocast_enabled(hidden_PD.device.type)
        to_hidden_PD = torch.empty_like(hidden_PD) if learns else None
        to_weight_VD = torch.zeros_like(weight_VD) if learns else None
        for start in range(0, len(labels_P), rows):
            part_RD, label_R = hidden_PD[start : start + rows], labels_P[start : start + rows]
            logits_RV = (part_RD @ weight_VD.mT).float()
            if others_V is not None:
                logits_RV.masked_fill_(others_V, float("-inf"))
            true_R1 = logits_RV.gather(1, label_R[:, None])
            largest_R1 = logits_RV.amax(-1, keepdim=True)
            # In place, and one exponential for both the loss and its gradient
            powers_RV = logits_RV.sub_(largest_R1).exp_()
            sum_R1 = powers_RV.sum(-1, keepdim=True)
            total += (sum_R1.log() + largest_R1 - true_R1).sum()
            if to_hidden_PD is None or to_weight_VD is None:
                continue
            error_RV = powers_RV.div_(sum_R1)
            error_RV.scatter_add_(1, label_R[:, None], -torch.ones_like(sum_R1))
            to_hidden_PD[start : start + rows] = error_RV @ weight_VD
            if autocast:
                to_weight_VD += error_RV.mT @ part_RD
            else:
                to_weight_VD.addmm_(error_RV.mT, part_RD)
        ctx.gradients = to_hidden_PD, to_weight_VD
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None, None, None]:
        (scale,) = gradients
        to_hidden_PD, to_weight_VD = ctx.gradients
        del ctx.gradients  # the weight's gradient is as large as the weight
        return to_hidden_PD.mul_(scale), to_weight_VD.mul_(scale), None, None, None, None
