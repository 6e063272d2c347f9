"""Hardware for a study: devices with their makers' published peaks, or this machine."""

import os
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from xling.errors import XlingError
from xling.files import read_yaml
from xling.settings import load_settings

THIS = "this"
_WRITTEN = re.compile(r"(?:(?P<count>[1-9]\d*)x)?(?P<name>[a-z0-9-]+)")


class Hardware(BaseModel):
    """Equal devices that share a study's work."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(..., description="name of the hardware")
    devices: int = Field(1, ge=1, description="number of devices")
    precision: str = Field("fp32", description="precision of the peak: fp32, fp16 or bf16")
    peak: float = Field(..., gt=0, description="peak of one device for matrix products, FLOP/s")
    memory: float = Field(..., gt=0, description="memory of one device, bytes")
    source: str = Field("", description="source of the peak")
    utilisation: float = Field(
        ..., gt=0, le=1, description="share of the peak that training reaches"
    )
    utilisation_source: str = Field("", description="source of the utilisation")

    shares_a_run: bool = Field(
        True,
        description="true: the devices share the rows of one run; false: each device trains "
        "separate runs",
    )

    @property
    def speed(self) -> float:
        """Return the FLOP/s of all devices together that training reaches."""
        return self.devices * self.peak * self.utilisation

    def seconds(self, flops: float) -> float:
        """Return how long this many FLOPs take on all devices."""
        return flops / self.speed


@cache
def known_hardware() -> Mapping[str, Hardware]:
    """Return the devices that have a name here."""
    with as_file(files("xling.study") / "hardware.yaml") as path:
        return {name: Hardware.model_validate(written) for name, written in read_yaml(path).items()}


def find_hardware(written: str, threads: int, utilisation: float | None = None) -> Hardware:
    """Return the hardware of ``8xv100``, ``a100``, ``this`` or ``mine.yaml``.

    Args:
        written: A name with or without a count, or a file with the settings of `Hardware`.
        threads: Cores of one run, on this machine.
        utilisation: Replaces the hardware's own.

    Raises:
        XlingError: a name that is not known, or a fault in the file.
    """
    if written == THIS:
        found = this_machine(threads)
    elif written.endswith((".yaml", ".yml")):
        found = load_settings(Path(written), Hardware)
    else:
        found = _named(written)
    if utilisation is None:
        return found
    return found.model_copy(update={"utilisation": utilisation, "utilisation_source": "as given"})


def _named(written: str) -> Hardware:
    match = _WRITTEN.fullmatch(written.lower())
    known = known_hardware()
    if not match or match["name"] not in known:
        raise XlingError(
            f"--on {written}: no such hardware; expected {THIS}, one of {', '.join(known)} with or "
            "without a count (8xv100), or a YAML file with name, devices, peak, memory and "
            "utilisation"
        )
    return known[match["name"]].model_copy(update={"devices": int(match["count"] or 1)})


def this_machine(threads: int) -> Hardware:
    """Measure this machine: its GPUs, or as many runs side by side as it has cores for."""
    import psutil
    import torch

    from xling.device import training_precision
    from xling.pretraining.preflight import matmul_peak

    if torch.cuda.is_available():
        device, devices = torch.device("cuda"), torch.cuda.device_count()
        name = torch.cuda.get_device_name(device)
        memory = float(torch.cuda.get_device_properties(device).total_memory)
    else:
        device, devices = torch.device("cpu"), max(1, (os.cpu_count() or 1) // threads)
        name = f"share of this machine with {threads} of its {os.cpu_count()} cores"
        memory = psutil.virtual_memory().total / devices
        torch.set_num_threads(threads)
    precision = training_precision("auto", device).name
    return Hardware(
        name=name,
        devices=devices,
        shares_a_run=device.type == "cuda",
        precision=precision,
        peak=matmul_peak(device, precision),
        memory=memory,
        source="measured now, with a product of two matrices",
        utilisation=0.4,
        utilisation_source="a guess; the logs of your runs say what they reach (MFU)",
    )
