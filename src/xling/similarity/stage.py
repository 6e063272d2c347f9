"""The stage ``probe``: a model's languages and a data folder in, a table of scores out."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from xling import artefact
from xling.data.layout import DataFolder
from xling.files import plain_or_gzipped
from xling.influence import Floats, write_influence
from xling.model.family import Family
from xling.model.folder import WEIGHTS
from xling.model.storage import INDEX, family_files
from xling.names import Pair
from xling.pretraining.snapshots import load_snapshot, saved_snapshots
from xling.results import COLUMNS, EMERGENCE, SCORES, Key, write_scores
from xling.similarity.config import ProbeConfig
from xling.similarity.coverage import CoverageWarning
from xling.similarity.encoder import Encoder
from xling.similarity.probe import probe_pair

if TYPE_CHECKING:
    import pandas as pd

COVERAGE = "coverage"


class ProbeSettings(BaseModel):
    """What the stage measures."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    languages: Pair = Field(..., description="the pair, base first")
    probe: ProbeConfig = Field(default_factory=ProbeConfig)


def probe_family(model: Path, data: Path, out: Path, settings: ProbeSettings) -> None:
    """Probe a family and write ``OUT/scores.csv`` and influence values; nothing if current.

    If the family lies in the folder of a run that kept snapshots, ``OUT/emergence.csv`` has the
    probes of each of them, with a column ``step``.

    Args:
        model: Folder of a family, as pretraining writes it.
        data: Data folder with parallel sets of both languages.
        out: Where the scores go.
        settings: The pair and what to measure.
    """
    artefact.check_output(out, "probe", model, data)
    folder = DataFolder(data)
    members = family_files(model, settings.languages)
    inputs = {"model/family": model / INDEX}
    for language in settings.languages:
        inputs |= _weights(language, members[language])
        for name in folder.parallel_sets(*settings.languages):
            path = plain_or_gzipped(folder.root / "parallel" / name / f"{language}.txt")
            assert path is not None
            inputs[f"parallel/{name}/{language}"] = path
    snapshots = saved_snapshots(model.parent) if settings.probe.emergence_lines else {}
    inputs |= {f"snapshots/{step}": path for step, path in snapshots.items()}
    description = artefact.describe("probe", settings.model_dump(mode="json"), inputs)
    if artefact.is_current(out, description):
        return
    from xling.model.storage import load_family
    from xling.similarity.encoder import Encoder
    from xling.similarity.probe import probe_pair
    from xling.similarity.stage import probe_snapshots

    family = load_family(model)
    one, other = (Encoder.of_family(family, model, language) for language in settings.languages)
    influence: dict[Key, Floats] = {}
    scores = probe_pair(one, other, folder, settings.probe, influence)
    tables = {SCORES: scores}
    if snapshots:
        tables[EMERGENCE] = probe_snapshots(family, (one, other), snapshots, folder, settings.probe)
    with artefact.building(out, description) as temporary:
        write_influence(temporary, influence)
        for name, table in tables.items():
            write_scores(table, temporary / name)


def _weights(language: str, files: dict[str, Path]) -> dict[str, Path]:
    """Name the files of a member's weights; one that was split into several has several."""
    if WEIGHTS in files:
        return {f"model/{language}": files[WEIGHTS]}
    return {
        f"model/{language}/{name}": path
        for name, path in files.items()
        if name.endswith(".safetensors")
    }


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
        A column step and those of a table of scores: what `probe_pair` measures, coverage aside.

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
