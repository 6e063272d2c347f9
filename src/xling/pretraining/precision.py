"""The precision that matrix products are computed in."""

from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch


def resolve_precision(setting: Literal["auto", "fp32", "bf16"], device: torch.device) -> str:
    """Return ``fp32`` or ``bf16``: auto means bf16 on a GPU that has it."""
    if setting != "auto":
        return setting
    return "bf16" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "fp32"


def autocast(device: torch.device, precision: str) -> AbstractContextManager[None]:
    """Return the context in which forward passes run."""
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16)
