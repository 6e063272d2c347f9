"""How alike two languages' gradients are: whether they pull shared parameters the same way.

Schäfer et al. 2024 (arXiv 2404.07982) follow the cosine of two languages' gradients through
training. A gradient from few rows is noisy, and noise lowers every cosine. So each language's rows
are halved: the cosine of its two halves is what two languages that pull the same way would reach.
"""

from collections.abc import Mapping
from itertools import product

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from xling.model.family import Family
from xling.names import pair_name
from xling.pretraining.batches import Batch

_ROWS_AT_ONCE = 32


def gradient_cosines(
    family: nn.Module, rows: Mapping[str, Batch], device: torch.device
) -> dict[str, float]:
    """Return the cosine of gradients of the shared parameters, without dropout.

    Token embeddings and output bias are left out: their rows belong to tokens, and which tokens
    two languages have in common is known. Training is not affected: gradients, weights and the
    state of random draws stay as they are.

    Args:
        family: The model.
        rows: Masked rows by language, the base first.
        device: Where it lies.

    Returns:
        For each language (``en``) the cosine of the gradients of its two halves; for the base and
        each other language (``en-fr``) the mean cosine of a half of one with a half of the other.
        Empty if nothing is shared, if a language has one row, or if parameters are sharded.
    """
    assert isinstance(family, Family)
    shared = _body(family)
    few = any(len(batch.masked.ids_BT) < 2 for batch in rows.values())
    if not shared or few or any(isinstance(one, DTensor) for one in shared):
        return {}
    training = family.training
    family.eval()
    base, *others = rows
    found: dict[str, float] = {}
    of_base = _halves(family, rows[base], shared, device)
    found[base] = _cosine(*of_base)
    for other in others:
        of_other = _halves(family, rows[other], shared, device)
        found[other] = _cosine(*of_other)
        crossed = [_cosine(one, two) for one, two in product(of_base, of_other)]
        found[pair_name((base, other))] = sum(crossed) / len(crossed)
    family.train(training)
    return found


def _body(family: Family) -> list[nn.Parameter]:
    """Return the shared parameters that learn and have no row or entry for each token."""
    tokens = family.member(family.languages[0]).config.vocab_size
    shared = family.shared_parameters().values()
    return [one for one in shared if one.requires_grad and one.shape[0] != tokens]


def _halves(
    family: Family, batch: Batch, shared: list[nn.Parameter], device: torch.device
) -> tuple[Tensor, Tensor]:
    parts = -(-len(batch.masked.ids_BT) // (2 * _ROWS_AT_ONCE))
    sums = [torch.zeros(sum(one.numel() for one in shared), device=device) for _ in range(2)]
    with torch.enable_grad():
        for number, micro in enumerate(batch.micro_batches(0, 1, 2 * parts, device)):
            loss = family(batch.language, micro.ids_BT, micro.positions_P, micro.labels_P)
            # Not backward(), which would add to the gradients of the step
            gradients = torch.autograd.grad(loss, shared, allow_unused=True)
            sums[number // parts] += torch.cat(
                [
                    (torch.zeros_like(one) if found is None else found).flatten()
                    for one, found in zip(shared, gradients, strict=True)
                ]
            )
    return sums[0], sums[1]


def _cosine(one: Tensor, two: Tensor) -> float:
    return float(torch.nn.functional.cosine_similarity(one, two, dim=0))
