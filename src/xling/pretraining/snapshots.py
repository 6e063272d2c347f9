"""Weights kept during training, so that *when* a run learns something can be measured later.

``snapshots/step-00000085.safetensors`` holds the family's weights by name in half precision
(float16), which is exact enough for the measurements. They stay until you delete them:
measuring again with other settings needs them.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from xling.artefact import check_file
from xling.errors import XlingError
from xling.pretraining.config import PretrainingConfig

if TYPE_CHECKING:
    from torch import nn

SNAPSHOTS = "snapshots"
BYTES_PER_WEIGHT = 2
_EARLIEST = 1 / 256  # of all steps: earlier, nothing is learnt
_NAME = re.compile(r"step-(\d{8})\.safetensors")


def snapshot_steps(config: PretrainingConfig) -> tuple[int, ...]:
    """Return after which steps weights are kept: evenly spaced on a logarithmic scale.

    The first is 1/256 of all steps, the last is the last; short runs have fewer than asked for.

    Example:
        >>> snapshot_steps(PretrainingConfig(steps=1000, snapshots=5))
        (4, 16, 62, 250, 1000)
    """
    if not config.snapshots or not config.steps:
        return ()
    first = max(1.0, config.steps * _EARLIEST)
    # From the last to the first, so that a single one is the last.
    spaced = np.geomspace(config.steps, first, config.snapshots)
    return tuple(sorted(set(np.rint(spaced).astype(int).tolist())))


class Snapshots:
    """The snapshots of one run.

    Args:
        folder: Where they lie; made when the first is saved.
        steps: After which steps to save.
    """

    def __init__(self, folder: Path, steps: tuple[int, ...]) -> None:
        self._folder = folder
        self._steps = frozenset(steps)

    def due(self, step: int) -> bool:
        """Tell whether weights are kept after ``step`` steps."""
        return step in self._steps

    def save(self, step: int, family: "nn.Module", is_main: bool) -> None:
        """Save the weights; every process must call this, and the main one writes."""
        from xling.pretraining.checkpoint import named_weights, save_tensors

        weights = named_weights(family)
        if is_main:
            half = {name: weight.half() for name, weight in weights.items()}
            save_tensors(self._folder / f"step-{step:08d}.safetensors", half, hashed=True)


def saved_snapshots(run: Path) -> dict[int, Path]:
    """Return the snapshots in the folder of a run by step, ascending; none if it kept none."""
    folder = run / SNAPSHOTS
    if not folder.is_dir():
        return {}
    found = ((_NAME.fullmatch(path.name), path) for path in sorted(folder.iterdir()))
    return {int(match[1]): path for match, path in found if match}


def load_snapshot(family: "nn.Module", path: Path) -> None:
    """Put the weights of a snapshot into a family of the same run.

    Raises:
        XlingError: It is damaged, or of another model.
    """
    from xling.pretraining.checkpoint import load_tensors, load_weights

    check_file(path)
    try:
        load_weights(family, load_tensors(path))
    except (XlingError, KeyError, RuntimeError) as error:
        raise XlingError(
            f"{path}: not a snapshot of the model beside it ({error}); delete it, or train again"
        ) from None
