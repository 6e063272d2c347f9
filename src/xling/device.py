"""Where models compute, and in what precision; light to import (no torch)."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Literal, NamedTuple

from xling.errors import XlingError

if TYPE_CHECKING:
    import torch

BATCH_TOKENS = 2048  # most tokens, padding included, in one forward pass
AUTO = "auto"
Precision = Literal["fp32", "bf16", "fp16"]
_EXPECTED = "auto, cpu, cuda, cuda:N (a GPU by its number) or mps"
_NAME = re.compile(r"auto|cpu|mps|cuda(:[0-9]{1,4})?")


def check_device(name: str) -> str:
    """Return the name of a device, whether or not this machine has it.

    Raises:
        XlingError: it names none.
    """
    if not _NAME.fullmatch(name):
        raise XlingError(f"device {name!r}: no device has this name; expected {_EXPECTED}")
    return name


def choose_device(
    name: "str | torch.device" = AUTO, rank: int = 0, processes: int = 1
) -> "torch.device":
    """Return the device that a name stands for; the only place that says what ``auto`` is.

    Args:
        name: ``auto`` is a CUDA GPU if there is one, else the CPU. ``mps``, Apple's GPU, is
            used only on request: results there have not been compared with a CPU's. A
            torch device is returned as it is.
        rank: Number of this process among those of this machine: ``auto`` and ``cuda`` are the GPU
            of that number.
        processes: How many processes share the work.

    Raises:
        XlingError: no device has this name, this machine lacks it, or several processes would
            share it.
    """
    import torch

    if isinstance(name, torch.device):
        return name
    kind, _, number = check_device(name).partition(":")
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if kind == AUTO:
        kind = "cuda" if gpus else "cpu"
    if processes > 1 and (number or kind == "mps"):
        raise XlingError(
            f"device {name!r}: one device for {processes} processes; under torchrun expected auto, "
            "cpu or cuda, so that each process takes a GPU of its own"
        )
    if kind == "cuda":
        index = int(number) if number else rank
        if index >= gpus:
            found = f"has {gpus} (cuda:0 to cuda:{gpus - 1})" if gpus else "has none"
            wanted = f"GPU number {index} for this process" if not number and gpus else "a CUDA GPU"
            raise XlingError(
                f"device {name!r}: expected {wanted}, but this machine {found} that torch "
                f"{torch.__version__} can use; take one that is there, cpu, or auto"
            )
        return torch.device("cuda", index)
    if kind == "mps" and not torch.backends.mps.is_available():
        raise XlingError(
            f"device {name!r}: this machine has no Apple GPU that torch {torch.__version__} can "
            "use; take cpu, or auto"
        )
    return torch.device(kind)


def measuring_device(device: "torch.device") -> "torch.device | None":
    """Return where products of a model's vectors are computed: its GPU, or None for numpy.

    Numpy is used on a CPU and with Apple's GPU, which lacks the double precision to tell ties.
    """
    return device if device.type == "cuda" else None


def resolve_precision(
    setting: Literal["auto", "fp32", "bf16"], device: "torch.device"
) -> Literal["fp32", "bf16"]:
    """Return ``fp32`` or ``bf16`` for measurements: auto means bf16 on a CUDA GPU that has it.

    A CPU's features do not count, so that a score does not depend on which CPU it comes from.
    """
    if setting != "auto":
        return setting
    return "bf16" if device.type == "cuda" and bf16_features(device) else "fp32"


class ChosenPrecision(NamedTuple):
    """The precision that a model is trained in.

    Attributes:
        name: ``fp32`` or ``bf16``.
        why: Half a sentence for the user.
    """

    name: Literal["fp32", "bf16"]
    why: str


def training_precision(
    setting: Literal["auto", "fp32", "bf16"], device: "torch.device"
) -> ChosenPrecision:
    """Choose the precision of training: auto means bf16 if it is faster, see `bf16_features`."""
    if setting != "auto":
        return ChosenPrecision(setting, "as the settings say")
    found = bf16_features(device)
    if found:
        return ChosenPrecision("bf16", f"faster here: this {device.type} has {' and '.join(found)}")
    wanted = {"cpu": "neither AMX nor AVX512-BF16", "cuda": "no bf16"}
    return ChosenPrecision(
        "fp32", f"this {device.type} has {wanted.get(device.type, 'no fast bf16')}"
    )


def bf16_features(device: "torch.device") -> tuple[str, ...]:
    """Return what makes products in bf16 faster on a device than in fp32; nothing if they are not.

    On a CPU these are matrix tiles (AMX), with which a training step takes a third to two thirds of
    the time, and AVX512-BF16 without them: on an AMD Zen 4, 0.75 (width 64) to 0.53 (the paper's
    shape) of the time in fp32. Other CPUs, ARM among them, have not been measured and count as
    having none.
    """
    import torch

    if device.type == "cuda":
        return ("bf16",) if torch.cuda.is_bf16_supported(False) else ()
    if device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return ()
    tests = {"AMX": "_is_amx_tile_supported", "AVX512-BF16": "_is_avx512_bf16_supported"}
    return tuple(name for name, test in tests.items() if getattr(torch.cpu, test, lambda: False)())


def can_train_in_bf16(device: "torch.device") -> bool:
    """Tell whether training in bf16 is possible on a device, however slow."""
    import torch

    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return device.type == "cpu" or torch.amp.is_autocast_available(device.type)


def autocast(device: "torch.device", precision: str) -> AbstractContextManager[None]:
    """Return the context in which forward passes run."""
    import torch

    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16 if precision == "bf16" else torch.float16)


def seed_draws(device: "torch.device", seed: int) -> None:
    """Seed the global generator that initial weights and dropout on a device are drawn from.

    On a CPU it avoids ``torch.manual_seed``, which records the whole stack for every kind of GPU.
    """
    import torch

    (torch.default_generator if device.type == "cpu" else torch).manual_seed(seed % 2**63)


@contextmanager
def enough_memory(what: str) -> Iterator[None]:
    """Turn running out of device memory into an error that says what to do.

    Args:
        what: What has to fit, for the message.

    Raises:
        XlingError: it does not.
    """
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        reason = str(error).split(". ", 1)[0]
        raise XlingError(
            f"{what}: the device's memory is too small ({reason}); set batch_tokens lower, stop "
            "other programs on it, or take the device cpu"
        ) from error


def limit_threads(count: int | None) -> int | None:
    """Let torch, and the BLAS of numpy if it is not loaded yet, compute with so many CPU threads.

    Args:
        count: How many; None leaves it to them.
    """
    if count is not None:
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ[name] = str(count)
        if "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(count)
    return count
