"""The stage ``pretrain``: tokens and a vocabulary in, a family of encoders out.

The run's folder::

    run.json         what the run is; a folder of another run is refused
    preflight.json   costs and warnings, before any work
    log.jsonl        losses, dev perplexities, rates; tensorboard/ has the same, with that extra
    checkpoints/     the last two states, and the best weights so far
    snapshots/       weights at log-spaced steps, if asked for
    model/           the best weights as Hugging Face folders, one per language
    artefact.json    written last: the run is complete
"""

import json
import logging
import shutil
from pathlib import Path
from typing import Any

from torch import nn

from xling import artefact
from xling.data.layout import DataFolder
from xling.device import AUTO, resolve_precision
from xling.errors import XlingError
from xling.files import read_json, write_json
from xling.model.family import Family
from xling.model.storage import save_family
from xling.pretraining.batches import BatchMaker, LanguageText
from xling.pretraining.checkpoint import (
    BEST,
    Checkpoints,
    Progress,
    load_tensors,
    load_weights,
)
from xling.pretraining.config import PretrainingConfig, RunConfig
from xling.pretraining.distributed import World, parallelise, world
from xling.pretraining.inputs import (
    batch_maker,
    data_files,
    dev_set,
    language_texts,
    needed_data,
    text_facts,
    verify_text,
)
from xling.pretraining.logs import LOG, RunLog
from xling.pretraining.loop import Trainer, train
from xling.pretraining.optimizer import FamilyOptimizer
from xling.pretraining.preflight import TextFacts, preflight, preflight_text
from xling.pretraining.snapshots import SNAPSHOTS, Snapshots, saved_snapshots, snapshot_steps
from xling.tokens.streams import INDEX, TokenIndex
from xling.vocabulary.vocabulary import Vocabulary

logger = logging.getLogger(__name__)

RUN = "run.json"
PREFLIGHT = "preflight.json"
MODEL = "model"


def pretrain(
    tokens: Path,
    vocabulary: Path,
    out: Path,
    config: RunConfig,
    data: Path | None = None,
    device: str = AUTO,
) -> None:
    """Train a family, from the newest checkpoint if there is one; nothing if it is complete.

    Under torchrun, every process calls this.

    Args:
        tokens: Folder of the stage ``tokens``.
        vocabulary: Folder of the stage ``vocabulary``, the one the tokens were made with.
        out: The run's folder.
        config: What to train.
        data: Data folder, for settings that need more than text: code-switching reads its
            training dictionaries, translation language modelling its parallel sets.
        device: Where to train, see :func:`xling.device.choose_device`.

    Raises:
        XlingError: unfit inputs, a data folder that is needed and not given, a folder of another
            run, damaged checkpoints, a loss that is not a number, a device that is not there.
    """
    read = (tokens, vocabulary, *([data] if data else []))
    artefact.check_output(out, "pretrain", *read, in_place=True)
    words = Vocabulary.load(vocabulary)
    TokenIndex.load(tokens)
    folder = needed_data(data, config)
    description = artefact.describe(
        "pretrain",
        config.model_dump(mode="json"),
        {"tokens": tokens / INDEX, **words.files, **data_files(folder, config)},
    )
    if artefact.is_current(out, description, in_place=True):
        return
    with world(device) as process:
        if not (out / RUN).exists():
            _refuse_foreign(out)
        texts = language_texts(tokens, words, config, folder)
        facts = text_facts(tokens, words, texts)
        if process.is_main:
            verify_text(tokens, texts)
        _claim(out, description, process)
        if process.is_main:
            _drop_altered_snapshots(out)
        process.barrier()
        _run(tokens, words, texts, facts, out, config, process, folder)
        if process.is_main:
            files = (path for path in (out / MODEL).rglob("*") if path.is_file())
            snapshots = saved_snapshots(out).values()
            notes = {"device": str(process.device)}
            artefact.write_record(out, description, files, snapshots, notes)
        process.barrier()


def _claim(out: Path, description: dict[str, Any], process: World) -> None:
    """Record which run the folder holds, or refuse a folder of another run."""
    path = out / RUN
    # One process alone looks whether the record is there: the others might look after it
    # was written, take another branch and wait at another barrier.
    if process.is_main and not path.exists():
        write_json(path, description)
    process.barrier()
    try:
        found = read_json(path)
    except XlingError:
        raise XlingError(
            f"{path}: is damaged, so the run in {out} is unknown; delete {out} to "
            "train from the start, or name another folder"
        ) from None
    if found != json.loads(json.dumps(description)):
        differing = ", ".join(_differences(found, description)) or "its stage"
        raise XlingError(
            f"{out}: holds another run, which differs in {differing}; choose another folder, "
            "or delete this one if you do not need it"
        )


def _refuse_foreign(out: Path) -> None:
    """Refuse a folder that is not a run but has files where a run would write."""
    for name in (MODEL, "checkpoints", SNAPSHOTS, PREFLIGHT, LOG):
        if (out / name).exists():
            raise XlingError(
                f"{out / name}: is there already, in a folder that is no run of xling (it has no "
                f"{RUN}), and would be replaced; name another folder"
            )


def _drop_altered_snapshots(out: Path) -> None:
    """Train again from the start if a snapshot was altered: it cannot be made otherwise."""
    altered = [path for path in artefact.altered_files(out) if path.parent.name == SNAPSHOTS]
    if altered:
        logger.warning("%s: training restarts from the beginning to make it again", altered[0])
        shutil.rmtree(out / "checkpoints", ignore_errors=True)
    for path in altered:
        path.unlink()


def _differences(found: Any, wanted: Any, path: str = "") -> list[str]:
    if isinstance(found, dict) and isinstance(wanted, dict):
        keys = sorted(found.keys() | wanted.keys())
        return [
            difference
            for key in keys
            for difference in _differences(
                found.get(key), wanted.get(key), f"{path}.{key}" if path else key
            )
        ]
    return [] if found == wanted else [f"{path} ({found!r}, now {wanted!r})"]


def _run(
    tokens: Path,
    words: Vocabulary,
    texts: dict[str, LanguageText],
    facts: dict[str, TextFacts],
    out: Path,
    config: RunConfig,
    process: World,
    data: DataFolder | None,
) -> None:
    training = config.pretraining
    _check_split(training, process)
    maker = batch_maker(texts, words, config, data)
    family = _family(words, config).to(process.device)
    precision = resolve_precision(training.precision, process.device)
    model = _callable(family, config, process)
    optimizer = FamilyOptimizer(family, training.optimizer, training.steps)
    costs = _preflight(out, family, model, maker, config, facts, process, precision)
    checkpoints = Checkpoints(out / "checkpoints")
    progress, damaged = checkpoints.resume(family, optimizer)
    for warning in damaged:
        logger.warning("%s; resuming from an older checkpoint", warning)
    if process.is_main and not damaged:
        # One that was killed while it dropped them may have taken its last step.
        checkpoints.drop_old()
    checkpoints.check_best(progress)
    log = RunLog(out, progress.step) if process.is_main else None
    run = Trainer(
        config=training,
        model=model,
        family=family,
        optimizer=optimizer,
        maker=maker,
        dev=dev_set(tokens, words, texts, training),
        checkpoints=checkpoints,
        snapshots=Snapshots(out / SNAPSHOTS, snapshot_steps(training)),
        log=log,
        process=process,
        precision=precision,
        flops_per_token=costs["flops_per_token"],
        peak_flops=costs["peak_flops"],
    )
    progress = train(run, progress)
    if log:
        log.close()
    _save_best(family, words, checkpoints, out, config, process, progress)


def _family(words: Vocabulary, config: RunConfig) -> Family:
    sizes = {language: words.sizes[language] for language in config.languages}
    return Family.build(config.model, sizes, config.plan, config.pretraining.seed)


def _check_split(training: PretrainingConfig, process: World) -> None:
    parts = process.size * training.accumulation
    if training.rows % parts:
        raise XlingError(
            f"pretraining.rows ({training.rows}) must be a multiple of processes x accumulation "
            f"({process.size} x {training.accumulation})"
        )


def _callable(family: Family, config: RunConfig, process: World) -> nn.Module:
    if config.pretraining.compile:
        # Not what follows the predicted positions, whose number changes with the batch
        for language in family.languages:
            *layers, last = family.member(language).bert.encoder.layer
            for module in (*layers, last.attention):
                module.compile(dynamic=False)
    return parallelise(family, process, config.pretraining.parallel)


def _preflight(
    out: Path,
    family: Family,
    model: nn.Module,
    maker: BatchMaker,
    config: RunConfig,
    facts: dict[str, TextFacts],
    process: World,
    precision: str,
) -> dict[str, Any]:
    costs = preflight(
        family, model, maker, config.model, config.pretraining, facts, process, precision
    )
    if process.is_main:
        write_json(out / PREFLIGHT, costs)
        for line in preflight_text(costs).splitlines():
            logger.info(line)
    return costs


def _save_best(
    family: Family,
    words: Vocabulary,
    checkpoints: Checkpoints,
    out: Path,
    config: RunConfig,
    process: World,
    progress: Progress,
) -> None:
    """Write the weights with the lowest dev loss of the base language as the run's model."""
    if not process.is_main:
        return
    logger.info(
        "best dev loss of %s: %.4f at step %d",
        config.languages[0],
        progress.best_loss,
        progress.best_step,
    )
    best = _family(words, config)
    load_weights(best, load_tensors(checkpoints.folder / BEST))
    save_family(best, words, out / MODEL)
