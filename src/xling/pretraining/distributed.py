"""One model on many devices: DDP or FSDP2 under torchrun."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

from xling.device import AUTO, ChosenPrecision, choose_device, training_precision
from xling.model.family import Family, sublayers


@dataclass(frozen=True)
class World:
    """The processes of a run.

    Attributes:
        rank: This process.
        size: How many there are.
        device: Where this process computes.
    """

    rank: int
    size: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.rank == 0

    def total(self, value: Tensor) -> Tensor:
        """Return the sum over all processes."""
        if self.size > 1:
            dist.all_reduce(value)
        return value

    def barrier(self) -> None:
        """Wait for all processes."""
        if self.size > 1:
            dist.barrier()


@contextmanager
def world(device_name: str = AUTO) -> Iterator[World]:
    """Join the other processes if torchrun started this one, and leave them at the end.

    Args:
        device_name: As :func:`xling.device.choose_device` takes it.

    Raises:
        XlingError: this machine has no such device.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    device = choose_device(device_name, int(os.environ.get("LOCAL_RANK", "0")), size)
    cuda = device.type == "cuda"
    if size == 1:
        yield World(0, 1, device)
        return
    if cuda:
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if cuda else "gloo")
    try:
        yield World(dist.get_rank(), size, device)
    finally:
        dist.destroy_process_group()


def common_precision(setting: Literal["auto", "fp32", "bf16"], process: World) -> ChosenPrecision:
    """Choose the precision of all processes: ``auto`` is bf16 only if each would choose that.

    Every process must call this: the nodes of a cluster may have different processors.
    """
    chosen = training_precision(setting, process.device)
    votes = process.total(torch.tensor(int(chosen.name == "bf16"), device=process.device))
    if chosen.name == "bf16" and int(votes) < process.size:
        return ChosenPrecision("fp32", "bf16 is not faster for every process")
    return chosen


def parallelise(family: Family, process: World, how: Literal["ddp", "fsdp"]) -> nn.Module:
    """Return what to call for the forward pass: the family, wrapped for several devices."""
    if process.size == 1:
        return family
    if how == "ddp":
        # Where a batch holds one language, the parameters private to another get no gradient.
        return DistributedDataParallel(family, find_unused_parameters=bool(family.plan.separate))
    from torch.distributed.fsdp import fully_shard

    for modules in sublayers(family):
        fully_shard(modules)
    fully_shard(family)
    return family


def whole(tensor: Tensor) -> Tensor:
    """Return a tensor, gathered if it is sharded (every process must call this)."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def like(value: Tensor, parameter: Tensor) -> Tensor:
    """Return ``value`` on the device of ``parameter``, and sharded as it is."""
    if isinstance(parameter, DTensor) and value.dim():
        return distribute_tensor(
            value.to(parameter.device), parameter.device_mesh, parameter.placements
        )
    return value.to(parameter.device)
