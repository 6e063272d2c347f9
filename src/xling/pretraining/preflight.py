"""The cost of a run, and what looks wrong, before any work is done."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import psutil
import torch
from torch import nn

from xling.device import ChosenPrecision, autocast, bf16_features
from xling.model.architecture import ModelShape
from xling.model.family import Family, parameter_counts
from xling.pretraining.batches import Batch, BatchMaker
from xling.pretraining.config import PretrainingConfig
from xling.pretraining.cost import training_cost
from xling.pretraining.distributed import World
from xling.pretraining.loop import forward_backward

_BURST = 2
_RARE, _RARE_SHARE = 10, 0.2
_UNKNOWN_SHARE = 0.01
_BATCH_SHARE = 0.01


@dataclass(frozen=True)
class TextFacts:
    """What the token streams say about one language.

    Attributes:
        train_tokens: Tokens to train on.
        unknown_share: Share of them that are unknown.
        rare_share: Share of the language's vocabulary seen fewer than ten times.
    """

    train_tokens: int
    unknown_share: float
    rare_share: float


def rare_share(counts: np.ndarray) -> float:
    """Return the share of a vocabulary seen fewer than ten times, from its counts."""
    return float((counts < _RARE).mean())


def matmul_peak(
    device: torch.device,
    precision: str,
    seconds: float = 0.3,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Measure the matrix-multiply peak in FLOP/s (sum and product counted as two)."""
    n = 4096 if device.type == "cuda" else 1024
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    a, b = (torch.randn(n, n, device=device, dtype=dtype) for _ in range(2))
    torch.mm(a, b)
    best, end = float("inf"), clock() + seconds
    # At least once, however busy the machine is: no measurement would mean a peak of zero.
    while best == float("inf") or clock() < end:
        start = clock()
        for _ in range(4):
            torch.mm(a, b)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = min(best, (clock() - start) / 4)
    return 2.0 * n**3 / best


def preflight(
    family: Family,
    model: nn.Module,
    maker: BatchMaker,
    shape: ModelShape,
    config: PretrainingConfig,
    facts: dict[str, TextFacts],
    process: World,
    precision: ChosenPrecision,
) -> dict[str, Any]:
    """Return costs and warnings; times a short burst of forward and backward passes.

    The burst changes nothing: no update is made and gradients are dropped.
    """
    vocabulary = max(family.member(k).config.vocab_size for k in family.languages)
    parameters = parameter_counts(family)
    assert isinstance(parameters["total"], int)
    cost = training_cost(
        shape, vocabulary, parameters["total"], config, process.size, precision.name
    )
    seconds = _burst_seconds(model, maker, config, process, precision.name)
    return {
        "parameters": parameters,
        "tokens_total": cost.tokens,
        "flops_total": cost.flops,
        "flops_per_token": cost.flops_per_token,
        "memory_bytes": cost.memory.total,
        "estimated_seconds": seconds * config.steps,
        "snapshot_bytes": cost.snapshot_bytes,
        "peak_flops": matmul_peak(process.device, precision.name),
        "device": str(process.device),
        "processes": process.size,
        "threads": torch.get_num_threads(),
        "precision": precision.name,
        "precision_why": precision.why,
        "bf16_features": bf16_features(process.device),
        "languages": {
            language: {
                "share_of_batches": maker.shares[language],
                "train_tokens": facts[language].train_tokens,
                "passes": maker.shares[language]
                * cost.tokens
                / max(1, facts[language].train_tokens),
            }
            for language in maker.languages
        },
        "warnings": _warnings(maker.shares, facts, cost.memory.total, process)
        + _slow(precision.name, process),
    }


def _burst_seconds(
    model: nn.Module, maker: BatchMaker, config: PretrainingConfig, process: World, precision: str
) -> float:
    batches: list[Batch] = [maker.batch(k) for k in range(min(_BURST, config.steps))]
    elapsed = []
    for batch in batches:
        start = time.perf_counter()
        with autocast(process.device, precision):
            forward_backward(model, batch, config, process, step=0)
        if process.device.type == "cuda":
            torch.cuda.synchronize(process.device)
        elapsed.append(time.perf_counter() - start)
        model.zero_grad(set_to_none=True)
    return min(elapsed, default=0.0)


def _warnings(
    shares: dict[str, float], facts: dict[str, TextFacts], memory: int, process: World
) -> list[str]:
    warnings = []
    for language, share in shares.items():
        fact = facts[language]
        if fact.unknown_share > _UNKNOWN_SHARE:
            warnings.append(
                f"{language}: {fact.unknown_share:.1%} of the tokens are unknown; the "
                "vocabulary was learned from other text or lacks this script"
            )
        if fact.rare_share > _RARE_SHARE:
            warnings.append(
                f"{language}: {fact.rare_share:.0%} of its vocabulary occurs fewer than {_RARE} "
                "times in the training text; a smaller vocabulary would be learned better"
            )
        if share < _BATCH_SHARE:
            warnings.append(
                f"{language}: only {share:.2%} of the batches; give it more text or a lower "
                "exponent"
            )
    available = _available_bytes(process.device)
    if memory > available:
        warnings.append(
            f"a step needs about {memory / 1e9:.1f} GB and {available / 1e9:.1f} GB are free; "
            "raise accumulation or lower rows"
        )
    return warnings


def _slow(precision: str, process: World) -> list[str]:
    if precision == "bf16" and not bf16_features(process.device):
        return [f"bf16 is not faster than fp32 on this {process.device.type}, maybe much slower"]
    return []


def _available_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return psutil.virtual_memory().available


def preflight_text(facts: dict[str, Any]) -> str:
    """Return a pre-flight as the lines shown before training starts."""
    parameters = facts["parameters"]
    private = ", ".join(f"{k} {v:,}" for k, v in parameters["private"].items() if v)
    lines = [
        f"parameters  {parameters['total']:,} ({parameters['shared']:,} shared"
        + (f"; private: {private})" if private else ")"),
        f"tokens      {facts['tokens_total']:,} ("
        + ", ".join(f"{k} {v['passes']:.1f} passes" for k, v in facts["languages"].items())
        + ")",
        f"work        {facts['flops_total']:.2e} FLOPs; measured matrix-multiply peak "
        f"{facts['peak_flops'] / 1e9:,.0f} GFLOP/s",
        f"memory      about {facts['memory_bytes'] / 1e9:.1f} GB per device",
        *([f"snapshots   {size / 1e6:,.1f} MB"] if (size := facts["snapshot_bytes"]) else []),
        f"time        about {facts['estimated_seconds'] / 60:,.0f} minutes on {facts['processes']} "
        f"x {facts['device']}",
        f"precision   {facts['precision']}, {facts['precision_why']}",
    ]
    return "\n".join(lines + [f"warning: {warning}" for warning in facts["warnings"]])
