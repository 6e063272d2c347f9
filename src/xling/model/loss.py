"""Cross-entropy over a large vocabulary at many positions, without all the logits at once."""

from typing import Any

import torch
from torch import Tensor

# Logits that are held at once. On a CPU a part of them should stay in its caches.
_CPU_LOGITS, _GPU_LOGITS = 1 << 21, 1 << 27
_FEWEST_ROWS = 128  # below, products are slow


def chunked_cross_entropy(hidden_PD: Tensor, weight_VD: Tensor, labels_P: Tensor) -> Tensor:
    """Return the summed cross-entropy of ``hidden @ weight.T``, some positions at a time.

    The gradients are computed on the way, since they are simple where the loss is a sum: the
    probabilities, less 1 at the label. So logits are made once and dropped at once. Under autocast
    products are in its precision; the softmax is in single precision.

    Args:
        hidden_PD: What the output layer is applied to.
        weight_VD: The output layer's weight.
        labels_P: True ids.

    Returns:
        float32 scalar.
    """
    limit = _GPU_LOGITS if hidden_PD.is_cuda else _CPU_LOGITS
    rows = max(_FEWEST_ROWS, limit // weight_VD.shape[0])
    learns = torch.is_grad_enabled()
    total: Tensor = _ChunkedCrossEntropy.apply(hidden_PD, weight_VD, labels_P, rows, learns)
    return total


class _ChunkedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden_PD: Tensor, weight_VD: Tensor, labels_P: Tensor, rows: int, learns: bool
    ) -> Tensor:
        total = hidden_PD.new_zeros((), dtype=torch.float32)
        autocast = torch.is_autocast_enabled(hidden_PD.device.type)
        to_hidden_PD = torch.empty_like(hidden_PD) if learns else None
        to_weight_VD = torch.zeros_like(weight_VD) if learns else None
        for start in range(0, len(labels_P), rows):
            part_RD, label_R = hidden_PD[start : start + rows], labels_P[start : start + rows]
            logits_RV = (part_RD @ weight_VD.mT).float()
            norm_R1 = logits_RV.logsumexp(-1, keepdim=True)
            total += (norm_R1 - logits_RV.gather(1, label_R[:, None])).sum()
            if to_hidden_PD is None or to_weight_VD is None:
                continue
            error_RV = logits_RV.sub_(norm_R1).exp_()
            error_RV.scatter_add_(1, label_R[:, None], error_RV.new_full((len(label_R), 1), -1.0))
            to_hidden_PD[start : start + rows] = error_RV @ weight_VD
            if autocast:
                to_weight_VD += error_RV.mT @ part_RD
            else:
                to_weight_VD.addmm_(error_RV.mT, part_RD)
        ctx.gradients = to_hidden_PD, to_weight_VD
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        (scale,) = gradients
        to_hidden_PD, to_weight_VD = ctx.gradients
        del ctx.gradients  # the weight's is as large as the weight
        return to_hidden_PD.mul_(scale), to_weight_VD.mul_(scale), None, None, None
