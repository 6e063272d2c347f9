"""When languages come to share a space: the probes of a run's snapshots, step by step."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from xling.data.layout import DataFolder
from xling.model.family import Family
from xling.pretraining.snapshots import load_snapshot
from xling.similarity.config import ProbeConfig
from xling.similarity.coverage import CoverageWarning
from xling.similarity.encoder import Encoder
from xling.similarity.probe import COLUMNS, probe_pair

if TYPE_CHECKING:
    import pandas as pd

COVERAGE = "coverage"


def probe_snapshots(
    family: Family,
    pair: tuple[Encoder, Encoder],
    snapshots: Mapping[int, Path],
    data: DataFolder,
    config: ProbeConfig,
) -> "pd.DataFrame":
    """Probe every snapshot on ``config.emergence_lines`` lines of each parallel set.

    Args:
        family: A family of the run; it is left with the weights of the last snapshot.
        pair: The encoders of two of its languages, which hold its modules.
        snapshots: Step to snapshot.
        data: Data folder with parallel sets of both languages.
        config: What to probe; random encoders and intervals are left out.

    Returns:
        Tidy frame with the columns step, probe, dataset, language, layer, metric, value: what
        `probe_pair` measures, coverage aside.

    Raises:
        XlingError: a snapshot that is damaged or of another model.
    """
    import pandas as pd

    quick = config.model_copy(
        update={"maximum_lines": config.emergence_lines, "random_seeds": (), "resamples": 0}
    )
    frames = []
    for step, path in snapshots.items():
        load_snapshot(family, path)
        with warnings.catch_warnings():  # of the same text as the probe of the last weights
            warnings.simplefilter("ignore", CoverageWarning)
            frame = probe_pair(*pair, data, quick)
        frame = frame[frame["probe"] != COVERAGE]
        frame.insert(0, "step", step)
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)[["step", *COLUMNS]]
