"""The stage ``pretrain``: tokens and a vocabulary in, a family of models out.

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
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from torch import nn

from xling import artefact
from xling.artefact import read_record
from xling.data.layout import DataFolder
from xling.device import AUTO, ChosenPrecision, can_train_in_bf16, resolve_precision
from xling.errors import XlingError
from xling.files import content_hash, read_json, write_json
from xling.model.family import Family
from xling.model.sharing import SPECIALS, TOKENS
from xling.model.storage import save_family
from xling.pretraining.batches import BatchMaker, LanguageText, load_parallel_text, parallel_files
from xling.pretraining.checkpoint import (
    BEST,
    SNAPSHOTS,
    Checkpoints,
    Progress,
    Snapshots,
    load_tensors,
    load_weights,
    saved_snapshots,
)
from xling.pretraining.code_switching import dictionary_files, make_switchers
from xling.pretraining.config import PretrainingConfig, RunConfig, snapshot_steps
from xling.pretraining.distributed import World, common_precision, parallelise, world
from xling.pretraining.loop import LOG, DevSet, RunLog, Trainer, train
from xling.pretraining.optimizer import FamilyOptimizer
from xling.pretraining.preflight import TextFacts, preflight, preflight_text, rare_share
from xling.tokens.counts import load_counts
from xling.tokens.streams import INDEX, TokenIndex, TokenStream
from xling.vocabulary.vocabulary import Vocabulary

logger = logging.getLogger(__name__)

RUN = "run.json"
PREFLIGHT = "preflight.json"
MODEL = "model"
_SHOWN = 4  # differences of another run


def pretrain(
    tokens: Path,
    vocabulary: Path,
    out: Path,
    config: RunConfig,
    data: Path | None = None,
    device: str = AUTO,
) -> None:
    """Train a family, from the newest checkpoint if there is one; do nothing if it is complete.

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
        XlingError: unsuitable inputs, a data folder that is needed and not given, a folder of
            another run, damaged checkpoints, a loss that is not a number, a missing device.
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
        dev = {language: TokenStream.open(tokens, language, "dev") for language in texts}
        facts = text_facts(tokens, words, texts)
        if process.is_main:
            for language, text in texts.items():
                text.stream.verify()
                dev[language].verify()
        _claim(out, description, process)
        if process.is_main:
            _drop_altered_snapshots(out)
        process.barrier()
        precision = _run(out, config, words, texts, dev, facts, folder, process)
        if process.is_main:
            files = (path for path in (out / MODEL).rglob("*") if path.is_file())
            snapshots = saved_snapshots(out).values()
            notes = {"device": str(process.device), "precision": precision}
            artefact.write_record(out, description, files, snapshots, notes)
        process.barrier()


def _claim(out: Path, description: dict[str, Any], process: World) -> None:
    """Record which run the folder holds, or refuse a folder of another run."""
    path = out / RUN
    # Only one process checks whether the record is there: the others might check after it
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
        every = _differences(found, description)
        more = f" and {len(every) - _SHOWN} more settings" if len(every) > _SHOWN + 1 else ""
        shown = every[:_SHOWN] if more else every
        differing = (", ".join(shown) or "its stage") + more
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
    """Train again from the start if a snapshot was altered: nothing else can recreate it."""
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
    out: Path,
    config: RunConfig,
    words: Vocabulary,
    texts: dict[str, LanguageText],
    dev: dict[str, TokenStream],
    facts: dict[str, TextFacts],
    data: DataFolder | None,
    process: World,
) -> str:
    """Put together what the loop needs, train, and write the best weights as the run's model.

    Returns:
        The precision it was trained in.
    """
    training, tlm = config.pretraining, config.pretraining.tlm
    _check_split(training, process)
    parallel = load_parallel_text(data, tlm.sets, words, config.languages) if data and tlm else None
    maker = BatchMaker(texts, training, words.special_ids, parallel)
    _check_mixed(maker, process)
    family = _family(words, config, process.device)
    model = _callable(family, config, process)
    optimizer = FamilyOptimizer(family, training.optimizer, training.steps)
    checkpoints = Checkpoints(out / "checkpoints")
    progress, damaged = checkpoints.resume(family, optimizer)
    precision = _precision(out, training, progress, process)
    progress = replace(progress, precision=precision.name)
    costs = preflight(family, model, maker, config.model, training, facts, process, precision)
    if process.is_main:
        write_json(out / PREFLIGHT, costs)
        for line in preflight_text(costs).splitlines():
            logger.info(line)
    for warning in damaged:
        logger.warning("%s; resuming from an older checkpoint", warning)
    if process.is_main and not damaged:
        # A run killed while dropping old checkpoints may have finished its last step.
        checkpoints.drop_old()
    checkpoints.check_best(progress)
    log = RunLog(out, progress.step) if process.is_main else None
    run = Trainer(
        config=training,
        model=model,
        family=family,
        optimizer=optimizer,
        maker=maker,
        dev=DevSet(
            dev,
            texts,
            training.length,
            training.dev_rows,
            training.predicted_share,
            words.special_ids,
        ),
        checkpoints=checkpoints,
        snapshots=Snapshots(out / SNAPSHOTS, snapshot_steps(training)),
        log=log,
        process=process,
        precision=precision.name,
        flops_per_token=costs["flops_per_token"],
        peak_flops=costs["peak_flops"],
    )
    progress = train(run, progress)
    if log is None:
        return precision.name
    log.close()
    base, loss, step = config.languages[0], progress.best_loss, progress.best_step
    logger.info("best dev loss of %s: %.4f at step %d", base, loss, step)
    best = _family(words, config, torch.device("cpu"))
    load_weights(best, load_tensors(checkpoints.folder / BEST))
    save_family(best, words, out / MODEL)
    return precision.name


def _precision(
    out: Path, training: PretrainingConfig, progress: Progress, process: World
) -> ChosenPrecision:
    """Choose the precision of training; a run that has checkpoints keeps the one it began with.

    Every process must call this.

    Raises:
        XlingError: the run cannot continue in that precision here.
    """
    begun = _begun_in(out, training, progress, process)
    if begun not in (None, "fp32", "bf16"):
        raise XlingError(
            f"{out}: was begun in the precision {begun!r}, which this version of xling does not "
            f"know; go on with the version that began it, or delete {out / 'checkpoints'} to train "
            "from the start"
        )
    chosen = common_precision(begun or training.precision, process)
    if chosen.name == "bf16" and not can_train_in_bf16(process.device):
        begun_in = f"{out}: was begun in" if begun else "pretraining.precision:"
        raise XlingError(
            f"{begun_in} bf16, in which torch cannot train on {process.device} here; take a CPU or "
            "a GPU that has it, or train another run in fp32"
        )
    if begun and training.precision == AUTO:
        return chosen._replace(why=f"in which the run was begun (it is at step {progress.step})")
    return chosen


def _begun_in(
    out: Path, training: PretrainingConfig, progress: Progress, process: World
) -> Literal["fp32", "bf16"] | None:
    """Return the precision that the checkpoints were trained in; None if there are none."""
    if not progress.step:
        return None
    if progress.precision:
        return cast("Literal['fp32', 'bf16']", progress.precision)
    # From before checkpoints recorded it; at that time a CPU's features did not count.
    with suppress(XlingError, KeyError, TypeError):
        return cast("Literal['fp32', 'bf16']", read_json(out / PREFLIGHT)["precision"])
    return resolve_precision(training.precision, process.device)


def _family(words: Vocabulary, config: RunConfig, device: torch.device) -> Family:
    specials = config.plan.separates(SPECIALS)
    sizes = words.sizes_with(specials)
    sizes = {language: sizes[language] for language in config.languages}
    family = Family.build(config.model, sizes, config.plan, config.pretraining.seed)
    if config.pretraining.softmax == "own":
        for language, size in sizes.items():
            special = words.special_ids_of(language) if specials else words.special_ids
            others = np.ones(size, dtype=bool)
            others[np.append(words.own_ids(language), special)] = False
            family.others[language] = torch.from_numpy(others).to(device)
    return family.to(device)


def _check_split(training: PretrainingConfig, process: World) -> None:
    parts = process.size * training.accumulation
    if training.rows % parts:
        raise XlingError(
            f"pretraining.rows ({training.rows}) must be a multiple of processes x accumulation "
            f"({process.size} x {training.accumulation})"
        )


def _check_mixed(maker: BatchMaker, process: World) -> None:
    parts = process.size * maker.config.accumulation
    for language, rows in maker.mixed_rows.items():
        if rows < parts:
            raise XlingError(
                f"pretraining.mixed: {language} has {rows} rows in each step; processes x "
                f"accumulation ({process.size} x {maker.config.accumulation}) need one each; raise "
                "rows or its share"
            )


def _callable(family: Family, config: RunConfig, process: World) -> nn.Module:
    if config.pretraining.compile:
        # Not what runs on predicted positions, whose number changes with the batch
        for language in family.languages:
            for module in family.anatomy.on_whole_rows(family.member(language)):
                module.compile(dynamic=False)
    return parallelise(family, process, config.pretraining.parallel)


def needed_data(data: Path | None, config: RunConfig) -> DataFolder | None:
    """Return the data folder if the settings need more than token streams.

    Raises:
        XlingError: they do, and no folder is given.
    """
    needs = {"code_switching": "training dictionaries", "tlm": "parallel sets"}
    for name, what in needs.items():
        if getattr(config.pretraining, name) is not None:
            if data is None:
                raise XlingError(
                    f"pretraining.{name} reads the data's {what}; name the data folder with --data"
                )
            return DataFolder(data)
    return None


def data_files(data: DataFolder | None, config: RunConfig) -> dict[str, Path]:
    """Return the files of the data folder that the result depends on, by name."""
    if data is None:
        return {}
    training = config.pretraining
    files: dict[str, Path] = {}
    if training.code_switching:
        found = dictionary_files(data, config.languages)
        files |= {f"dictionaries/{name}.train": path for name, path in found.items()}
    if training.tlm:
        files |= parallel_files(data, training.tlm.sets, config.languages)
    return files


def language_texts(
    tokens: Path, words: Vocabulary, config: RunConfig, data: DataFolder | None = None
) -> dict[str, LanguageText]:
    """Open each language's training text, with what replaces its tokens.

    Args:
        tokens: Folder of the stage ``tokens``.
        words: The vocabulary it was made with.
        config: Settings of the run.
        data: Where code-switching finds its dictionaries.

    Raises:
        XlingError: the tokens were made with another vocabulary, or the sharing plan needs
            another kind.
    """
    # Separate embeddings are those of a language's own tokens only
    # (Conneau et al. 2020, section 4).
    own = config.plan.separates(TOKENS)
    joint = np.arange(len(words.special_ids), words.size)
    training, specials = config.pretraining, config.plan.separates(SPECIALS)
    if len(config.languages) > 1:
        config.plan.check_vocabulary(words.kind)
        training.check_plan(config.plan, words.kind)
    _refuse_other_vocabulary(tokens, words)
    texts = {}
    for language in config.languages:
        stream = TokenStream.open(tokens, language, "train")
        texts[language] = LanguageText(
            stream,
            words.own_ids(language) if own or training.replacements == "own" else joint,
            special=words.special_ids_of(language) if specials else None,
            objective=config.model.objective,
        )
    switching = training.code_switching
    if data is None or switching is None:
        return texts
    switchers = make_switchers(data, words, config.languages, switching)
    return {key: replace(text, switcher=switchers[key]) for key, text in texts.items()}


def _refuse_other_vocabulary(tokens: Path, words: Vocabulary) -> None:
    """Compare the tokenizers with those that the tokens' record says they were made with."""
    size = TokenIndex.load(tokens).vocabulary_size
    if size != words.size:
        raise XlingError(
            f"{tokens}: was made with a vocabulary of {size} entries, but {words.path} has "
            f"{words.size}; name the vocabulary that the tokens were made with"
        )
    recorded = read_record(tokens).get("inputs", {})
    for name, path in words.files.items():
        if recorded.get(name, "") not in ("", content_hash(path)):
            raise XlingError(
                f"{tokens}: was made with another vocabulary than {words.path}, of the same size "
                f"({path.relative_to(words.path)} differs); name the vocabulary that the tokens "
                "were made with, or run `xling tokens` with this one"
            )


def text_facts(
    tokens: Path, words: Vocabulary, texts: Mapping[str, LanguageText]
) -> dict[str, TextFacts]:
    """Return the facts of each language's text for the pre-flight."""
    seen = {language: load_counts(tokens, language, words.sizes[language]) for language in texts}
    if words.has_one_space:
        seen = dict.fromkeys(texts, np.sum(list(seen.values()), axis=0))
    return {
        language: TextFacts(
            text.stream.tokens,
            text.stream.unknowns / text.stream.tokens,
            rare_share(seen[language][words.own_ids(language)]),
        )
        for language, text in texts.items()
    }
