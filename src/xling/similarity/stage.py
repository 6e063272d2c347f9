"""The stage ``probe``: a model's languages and a data folder in, a table of scores out."""

import warnings
from collections.abc import Mapping, Sequence
from itertools import combinations, product
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from xling import artefact
from xling.data.layout import DataFolder
from xling.device import AUTO, choose_device
from xling.encoders.coverage import CoverageWarning
from xling.encoders.encoder import Encoder
from xling.encoders.encoders import Encoders, is_family, model_files
from xling.errors import XlingError
from xling.files import plain_or_gzipped
from xling.influence import Floats, write_influence
from xling.model.family import Family
from xling.model.folder import WEIGHTS
from xling.model.storage import INDEX, family_files
from xling.names import Languages, pair_name
from xling.pretraining.checkpoint import load_snapshot, saved_snapshots
from xling.results import COLUMNS, EMERGENCE, SCORES, Key, write_scores
from xling.similarity.config import ProbeConfig
from xling.similarity.probe import probe_pair

if TYPE_CHECKING:
    import pandas as pd

COVERAGE = "coverage"


class ProbeSettings(BaseModel):
    """Settings of the stage."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    languages: Languages = Field(
        ..., min_length=2, description="two, base first; of more, every pair is probed"
    )
    probe: ProbeConfig = Field(default_factory=ProbeConfig)


def probe_model(
    model: str | Path, data: Path, out: Path, settings: ProbeSettings, device: str = AUTO
) -> None:
    """Probe a model and write ``OUT/scores.csv`` and influence values; nothing if current.

    If it is a family in the folder of a run that kept snapshots, ``OUT/emergence.csv`` has the
    probes of each snapshot, with a column ``step``.

    Args:
        model: Folder of a family, as pretraining writes it, or folder or hub name of any Hugging
            Face encoder, which is then used for every language.
        data: Data folder with parallel sets of the languages.
        out: Where the scores go.
        settings: The languages and what to measure.
        device: Where the model runs, see :func:`xling.device.choose_device`.

    Raises:
        XlingError: data or a language is missing, the model cannot be used, or the device does not
            exist.
    """
    artefact.check_output(out, "probe", Path(model), data)
    folder = DataFolder(data)
    config = settings.model_dump(mode="json")
    inputs = _model_inputs(model, settings.languages)
    if not inputs:
        config["model"] = str(model)  # its name on the hub
    pairs = _pairs(folder, settings)
    for pair in pairs:
        for language, name in product(pair, folder.parallel_sets(*pair)):
            path = plain_or_gzipped(folder.root / "parallel" / name / f"{language}.txt")
            assert path is not None
            inputs[f"parallel/{name}/{language}"] = path
    snapshots = _snapshots(model) if settings.probe.emergence_lines else {}
    inputs |= {f"snapshots/{step}": path for step, path in snapshots.items()}
    description = artefact.describe("probe", config, inputs)
    if artefact.is_current(out, description):
        return
    import pandas as pd

    place = choose_device(device)
    encoders = Encoders.load(model, settings.languages, place)
    influence: dict[Key, Floats] = {}
    tables: dict[str, list[pd.DataFrame]] = {SCORES: [], EMERGENCE: []}
    for (a, b), of_pair in pairs.items():
        both = encoders.of[a], encoders.of[b]
        tables[SCORES].append(probe_pair(*both, folder, of_pair, influence))
    if snapshots and encoders.family is not None:
        for (a, b), of_pair in pairs.items():
            both = encoders.of[a], encoders.of[b]
            probed = probe_snapshots(encoders.family, both, snapshots, folder, of_pair)
            tables[EMERGENCE].append(probed)
    with artefact.building(out, description, {"device": str(place)}) as temporary:
        write_influence(temporary, influence)
        for name, frames in tables.items():
            if frames:
                write_scores(pd.concat(frames, ignore_index=True), temporary / name)


def _model_inputs(model: str | Path, languages: Sequence[str]) -> dict[str, Path]:
    """Return the files that determine a model's output; none for a name on the hub."""
    if not is_family(model):
        return model_files(model, languages)
    inputs = {"model/family": Path(model) / INDEX}
    for language, files in family_files(Path(model), languages).items():
        inputs |= _weights(language, files)
    return inputs


def _snapshots(model: str | Path) -> dict[int, Path]:
    return saved_snapshots(Path(model).parent) if is_family(model) else {}


def _pairs(folder: DataFolder, settings: ProbeSettings) -> dict[tuple[str, str], ProbeConfig]:
    """Return the pairs of languages to probe, and the settings of each.

    Raises:
        XlingError: of more than two languages, no pair has a set, or no pair has a requested one.
    """
    languages, wanted = settings.languages, settings.probe.datasets
    pairs = list(combinations(languages, 2))
    if len(pairs) == 1:
        return {pairs[0]: settings.probe}
    sets = {pair: folder.parallel_sets(*pair) for pair in pairs}
    if wanted is not None:
        sets = {pair: tuple(name for name in wanted if name in of) for pair, of in sets.items()}
    there = {name for of in sets.values() for name in of}
    missing = [name for name in wanted or () if name not in there]
    if missing or not there:
        raise XlingError(
            f"{folder.root / 'parallel'}: no set {', '.join(missing) or 'at all'} with two of "
            f"{', '.join(languages)}; probes need parallel/NAME/LANG.txt in both languages of a "
            "pair"
        )
    without = [pair_name(pair) for pair, of in sets.items() if not of]
    if without:
        warnings.warn(f"no parallel set for {', '.join(without)}: not probed", stacklevel=2)
    config = settings.probe
    return {
        pair: config if wanted is None else config.model_copy(update={"datasets": of})
        for pair, of in sets.items()
        if of
    }


def _weights(language: str, files: dict[str, Path]) -> dict[str, Path]:
    """Name the files of a member's weights; there are several if they were split."""
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
        A column step and those of a table of scores: what `probe_pair` measures, except coverage.

    Raises:
        XlingError: a snapshot is damaged or belongs to another model.
    """
    import pandas as pd

    quick = config.model_copy(
        update={"maximum_lines": config.emergence_lines, "random_seeds": (), "resamples": 0}
    )
    frames = []
    for step, path in snapshots.items():
        load_snapshot(family, path)
        with warnings.catch_warnings():  # the probe of the final weights warns of the same text
            warnings.simplefilter("ignore", CoverageWarning)
            frame = probe_pair(*pair, data, quick)
        frame = frame[frame["probe"] != COVERAGE]
        frame.insert(0, "step", step)
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)[["step", *COLUMNS]]
