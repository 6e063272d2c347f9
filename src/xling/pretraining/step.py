"""The gradient of one step."""

from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from xling.pretraining.batches import Batch
from xling.pretraining.config import PretrainingConfig
from xling.pretraining.distributed import World
from xling.randomness import derive_seed


def forward_backward(
    model: nn.Module, batch: Batch, config: PretrainingConfig, here: World, step: int
) -> Tensor:
    """Accumulate the gradient of the batch's mean loss a predicted token; return that loss.

    The loss is divided by the number of predicted tokens of the *whole* batch, so that the
    result does not depend on how rows fall on processes or accumulation steps. The returned
    loss is this process's share of the mean; their sum over processes is the mean.
    """
    # Dropout draws from the global generator: make it a function of seed, step and process.
    torch.manual_seed(derive_seed(config.seed, "dropout", step, here.rank) % 2**63)
    loss = torch.zeros((), device=here.device)
    micros = list(batch.micro_batches(here.rank, here.size, config.accumulation, here.device))
    for number, micro in enumerate(micros):
        last = number == len(micros) - 1
        wait = isinstance(model, DistributedDataParallel) and not last
        with model.no_sync() if wait else nullcontext():  # type: ignore[operator]
            summed = model(
                batch.language, micro.ids_BT, micro.positions_P, micro.labels_P, micro.places_BT
            )
            share = summed / max(1, batch.predicted)
            # DDP and FSDP average gradients over processes; ours are shares of a sum
            (share * here.size).backward()
        loss += share.detach()
    return loss
