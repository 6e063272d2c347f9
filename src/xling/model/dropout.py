"""Dropout and attention that are fast on a CPU; they compute what those of transformers do.

On a CPU with fast matrix products, drawing a random number for every activation, with the
arithmetic around it, takes a third of a training step, and the backward pass of torch's fused
attention is slow in bf16. So masks come from random bytes, and attention stays in single precision
under autocast. Without dropout and autocast, and on other devices, every number is torch's own.
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from xling.model.anatomy import fused_attention

ATTENTION = "xling"  # name of the function below in transformers
_LEVELS = 256  # values of a byte


class ByteDropout(nn.Dropout):
    """Dropout whose mask is drawn as bytes, so the rate is a multiple of 1/256.

    0.1 becomes 26/256 = 0.1016. Kept activations are divided by the exact share that is kept, so
    the expected value is that of the input. On a GPU its own fast dropout is used.

    Args:
        p: Probability of dropping an activation.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` with some entries zero in training, and ``x`` itself in evaluation."""
        return byte_dropout(x, self.p) if self.training else x


def byte_dropout(x: Tensor, p: float) -> Tensor:
    """Drop entries with a probability of ``round(256 * p) / 256``, drawn from the global generator.

    Args:
        x: Any shape, floating point.
        p: In [0, 1].
    """
    dropped = round(_LEVELS * p)
    if x.device.type != "cpu" or dropped == _LEVELS:  # nothing would be kept to scale up
        return nn.functional.dropout(x, p)
    if not dropped:
        return x
    kept: Tensor = _ByteDropout.apply(x, dropped)
    return kept


class _ByteDropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, dropped: int) -> Tensor:
        count = x.numel()
        words = torch.empty(-(-count // 8), dtype=torch.int64)
        words.random_(-(2**63), None)  # all 64 bits; without bounds the sign would stay 0
        ctx.keep = words.view(torch.uint8)[:count].view(x.shape) >= dropped
        ctx.scale = _LEVELS / (_LEVELS - dropped)
        scaled: Tensor = (x * ctx.keep).mul_(ctx.scale)
        return scaled

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (gradient,) = gradients
        return (gradient * ctx.keep).mul_(ctx.scale), None


def attention(
    module: nn.Module,
    query_BHTD: Tensor,
    key_BHTD: Tensor,
    value_BHTD: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **rest: Any,
) -> tuple[Tensor, None]:
    """Attend as ``sdpa_attention_forward`` does, in single precision and with cheap dropout.

    Returns:
        [B, T, H, D], in the precision of the values; and no weights.
    """
    drops = dropout > 0 and module.training
    inputs = (query_BHTD, key_BHTD, value_BHTD)
    single = query_BHTD.dtype == key_BHTD.dtype == value_BHTD.dtype == torch.float32
    if query_BHTD.device.type != "cpu" or (single and not drops):
        return sdpa_attention_forward(
            module, *inputs, attention_mask, dropout=dropout, scaling=scaling, **rest
        )
    with torch.autocast("cpu", enabled=False):
        q, k, v = (one.float() for one in inputs)
        if not drops:
            if attention_mask is not None and attention_mask.dtype != torch.bool:
                attention_mask = attention_mask.float()
            found, _ = sdpa_attention_forward(
                module, q, k, v, attention_mask, dropout=0.0, scaling=scaling, **rest
            )
            return found.to(value_BHTD.dtype), None
        groups = getattr(module, "num_key_value_groups", 1)
        k, v = repeat_kv(k, groups), repeat_kv(v, groups)
        if attention_mask is None and getattr(module, "is_causal", False):
            length = q.shape[2]
            attention_mask = torch.ones(length, length, dtype=torch.bool).tril()
        scale = q.shape[-1] ** -0.5 if scaling is None else scaling
        scores_BHTT = (q * scale) @ k.transpose(2, 3)
        if attention_mask is not None:
            shut = attention_mask.dtype == torch.bool
            scores_BHTT = (
                scores_BHTT.masked_fill(~attention_mask, torch.finfo(torch.float32).min)
                if shut
                else scores_BHTT + attention_mask
            )
        weights_BHTT = byte_dropout(scores_BHTT.softmax(-1), dropout)
        return (weights_BHTT @ v).transpose(1, 2).contiguous().to(value_BHTD.dtype), None


AttentionInterface.register(ATTENTION, attention)
AttentionMaskInterface.register(ATTENTION, sdpa_mask)


def make_quick(model: PreTrainedModel) -> None:
    """Let a model train with cheap dropout, and with attention in single precision on a CPU.

    Its weights, its configuration on disk and what it computes without dropout stay as they are.
    Models whose attention is not torch's fused one keep theirs.

    Args:
        model: Changed in place.
    """
    for module in list(model.modules()):
        for name, child in module.named_children():
            if type(child) is nn.Dropout:
                setattr(module, name, ByteDropout(child.p).train(child.training))
    if fused_attention(model):
        model.set_attn_implementation(ATTENTION)
