"""The functions for notebooks, on plain lists; torch is imported by the first call.

They are ``xling.audit``, ``xling.probe``, ``xling.align``, ``xling.load_aligned`` and
``xling.transfer``. In all of them, a *model* is

- the folder of a model (Hugging Face), or its name on the hub: an encoder, an encoder-decoder, of
  which the encoder is used, or a decoder-only model;
- a pair ``(model, tokenizer)`` of objects of transformers;
- an :class:`xling.encoders.encoder.Encoder`.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

from xling.device import AUTO
from xling.errors import XlingError

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from xling.alignment.pair import AlignedPair
    from xling.audit.result import Audit
    from xling.device import Precision
    from xling.encoders.config import Pooling
    from xling.encoders.encoder import Encoder

_LINES = "lines"  # what a set of lines without a name is called
_HELD_OUT = 10  # every tenth training example, to select by


def probe(
    model: object,
    lines: Mapping[str, Iterable[str]],
    *,
    random_seeds: Sequence[int] = (1, 2, 3),
    resamples: int = 1000,
    pooling: "Pooling" = "mean",
    prefix: str = "",
    precision: "Precision" = "fp32",
    batch_tokens: int = 2048,
    device: str = AUTO,
) -> "pd.DataFrame":
    """Measure layer by layer how far languages share a space in a model.

    Similarity (CKA) and retrieval of translations on parallel lines, for every pair of languages,
    each with the score of an untrained model of the same shape. See docs/probes.md.

    Args:
        model: A model; the folder of a family; or a mapping of languages to models.
        lines: For each of two or more languages the same lines: line i means the same in all.
        random_seeds: One untrained model is probed for each; none saves three quarters of the work.
        resamples: Bootstrap resamples for the intervals; 0 for none.
        pooling: How a line's tokens become one vector: ``mean``, ``first``, ``last``, or
            ``weighted`` by position, as suits decoder-only models.
        prefix: Put before every line, such as ``"query: "`` for the E5 models.
        precision: Precision of the forward pass: ``fp32``, ``bf16`` or ``fp16``.
        batch_tokens: Most tokens, padding included, in one forward pass; larger suits a GPU.
        device: Where the model runs: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.

    Returns:
        A table with a row per score: probe, dataset, language (pair), direction, layer, condition
        (``trained``, ``untrained``, ``chance``), draw (seed of an untrained model; none for the
        mean), metric, value, low and high (95 % interval), n.

    Raises:
        XlingError: lines that are not parallel, an unusable model, a device that is not there.

    Example::

        scores = xling.probe("FacebookAI/xlm-roberta-base", {"en": english, "fr": french})
        scores.query("probe == 'retrieval' and condition == 'trained' and metric == 'p@1'")
    """
    from itertools import combinations

    import pandas as pd

    from xling.device import choose_device
    from xling.encoders.sentences import parallel_lines
    from xling.settings import checked
    from xling.similarity.config import ProbeConfig
    from xling.similarity.probe import probe_lines

    languages = _languages(lines)
    texts = {_LINES: parallel_lines(lines, languages)}
    given = {
        "random_seeds": random_seeds,
        "resamples": resamples,
        "pooling": pooling,
        "prefix": prefix,
        "precision": precision,
        "batch_tokens": batch_tokens,
    }
    config = checked(given, ProbeConfig, "probe")
    encoders = _encoders(model, languages, choose_device(device))
    tables = [
        probe_lines(encoders[a], encoders[b], texts, config) for a, b in combinations(languages, 2)
    ]
    return pd.concat(tables, ignore_index=True)


def audit(
    model: object,
    parallel: Mapping[str, Iterable[str]],
    *,
    prefix: str | None = None,
    untrained_seeds: Sequence[int] = (1,),
    resamples: int = 1000,
    batch_tokens: int = 2048,
    device: str = AUTO,
    trust_remote_code: bool = False,
) -> "Audit":
    """Say how cross-lingual a model is: where, for which languages, and what to do about it.

    docs/audit.md says how to read it.

    Args:
        model: A model; the folder of a family or of a sentence-transformers model; a mapping of
            languages to models; or a list of folders, to compare them.
        parallel: For each language the same lines: line i means the same in all. The first
            language is the one that all others are compared with.
        prefix: Text before every line, such as ``"query: "``; by default the prompt that a
            sentence-transformers folder names.
        untrained_seeds: One untrained model is measured for each; none saves half the time.
        resamples: Bootstrap resamples for the intervals.
        batch_tokens: Most tokens, padding included, in one forward pass; larger suits a GPU.
        device: Where the model runs: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        trust_remote_code: Run the Python code that comes with a model, with all your rights.

    Returns:
        ``.scores`` (a data frame), ``.advice``, ``.figures``, ``.save(folder)``; a notebook shows
        the first picture and the advice.

    Raises:
        XlingError: lines that are not parallel, an unusable model, a device that is not there.

    Example::

        card = xling.audit("intfloat/multilingual-e5-small", {"en": english, "fr": french})
        card.save("audit")
    """
    from xling.audit.config import AuditSettings
    from xling.audit.stage import audit_lines
    from xling.audit.subjects import Subject, fetched, names_of, open_subject
    from xling.device import choose_device
    from xling.encoders.sentences import parallel_lines
    from xling.settings import checked

    languages = _languages(parallel)
    lines = parallel_lines(parallel, languages)
    given = {
        "languages": languages,
        "prefix": prefix,
        "untrained_seeds": untrained_seeds,
        "resamples": resamples,
        "batch_tokens": batch_tokens,
        "maximum_lines": 0,
        "trust_remote_code": trust_remote_code,
    }
    settings = checked(given, AuditSettings, "audit")
    place = choose_device(device)
    openers: dict[str, Callable[[], Subject]] = {}
    folders: list[Any] = model if isinstance(model, list) else [model]
    if all(isinstance(one, str | os.PathLike) for one in folders):
        named = names_of([os.fspath(one) for one in folders])
        for name, (where, revision) in named.items():
            folder = fetched(where, revision, trust_remote_code)
            openers[name] = partial(
                open_subject, name, folder, languages, prefix, place, trust_remote_code
            )
    else:
        encoders = _encoders(model, languages, place)
        opened = next(iter(encoders.values())).model
        place_of = getattr(opened.config, "_name_or_path", "")
        name = next(iter(names_of([place_of]))) if place_of else type(opened).__name__
        openers[name] = partial(Subject.of_encoders, name, encoders, prefix)
    with TemporaryDirectory(prefix="xling-") as kept:
        return audit_lines(openers, lines, _LINES, settings, Path(kept))


def align(
    source: object,
    target: object,
    lines: Mapping[str, Iterable[str]],
    *,
    layer: int | None = None,
    map: Literal["procrustes", "least-squares", "ridge"] = "procrustes",
    normalization: Literal["none", "centre", "unit", "iterative"] = "iterative",
    batch_tokens: int = 2048,
    device: str = AUTO,
) -> "AlignedPair":
    """Bring two models that were trained apart into one space.

    A linear map is learnt from parallel lines. docs/alignment.md says what it needs: at least as
    many lines as the narrower model has dimensions, better several times as many.

    Args:
        source: The model whose vectors are mapped.
        target: The model into whose space they are mapped; the wider one, if widths differ.
        lines: Two languages, the source's first, and their lines: line i means the same in both.
        layer: Which layer of the source; the best on every tenth line if not given.
        map: Which kind of map.
        normalization: How each side is normalised before the map is learnt.
        batch_tokens: Most tokens, padding included, in one forward pass.
        device: Where the models run.

    Returns:
        Both models with the map between them: ``pair.encode(sentences, language)`` gives vectors in
        one space, ``pair.evaluate(other_lines)`` scores it, ``pair.save(folder)`` keeps it.

    Raises:
        XlingError: lines that are not parallel or too few, an unusable model, a device that is not
            there.

    Example::

        pair = xling.align("models/en", "models/fr", {"en": english, "fr": french})
        pair.encode(["The cat sleeps."], "en") @ pair.encode(["Le chat dort."], "fr").T
    """
    from xling.alignment.config import ExportSettings
    from xling.alignment.sentence_stage import learn_pair
    from xling.alignment.two_models import say_how_they_meet
    from xling.device import choose_device
    from xling.encoders.coverage import coverage_of, warn_of_lost_text
    from xling.encoders.representations import sentence_vectors
    from xling.encoders.sentences import parallel_lines
    from xling.settings import checked

    languages = _languages(lines)
    if len(languages) != 2:
        raise XlingError(f"lines: {len(languages)} languages; expected the source and the target")
    texts = parallel_lines(lines, languages)
    given = {
        "languages": languages,
        "train": _LINES,
        "layer": layer,
        "map": map,
        "normalization": normalization,
        "batch_tokens": batch_tokens,
    }
    settings = checked(given, ExportSettings, "align")
    place = choose_device(device)
    one = _encoder(source, languages[0], place)
    other = _encoder(target, languages[1], place)
    for encoder in (one, other):
        encoder.check_weights()
    say_how_they_meet(one, other, settings.map)
    seen = [coverage_of(encoder, texts[encoder.language]) for encoder in (one, other)]
    warn_of_lost_text(_LINES, seen)
    vectors = [
        sentence_vectors(encoder, texts[encoder.language], batch_tokens=batch_tokens)
        for encoder in (one, other)
    ]
    return learn_pair((one, other), vectors, settings)


def load_aligned(path: str | os.PathLike[str], device: str = AUTO) -> "AlignedPair":
    """Open two aligned models, as ``xling align export`` or ``pair.save`` wrote them.

    Args:
        path: The folder.
        device: Where both models run: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.

    Raises:
        XlingError: there is no aligned pair, or it is damaged; a device that is not there.
    """
    from xling.alignment.pair import load_aligned

    return load_aligned(Path(path), device)


def transfer(
    model: object,
    task: Literal["nli", "ner", "parsing", "topics"],
    train: Mapping[str, Iterable[object]],
    test: Mapping[str, Iterable[object]],
    *,
    dev: Mapping[str, Iterable[object]] | None = None,
    out: str | os.PathLike[str] | None = None,
    device: str = AUTO,
    **settings: object,
) -> "pd.DataFrame":
    """Fine-tune a model on a task in one language, and test it on others.

    An example is a tuple, or a mapping with the names of its parts:

    - ``nli``: (premise, hypothesis, label), label being entailment, neutral or contradiction;
    - ``ner``: (tokens, tags), tags in IOB2 such as ``B-PER``;
    - ``parsing``: (words, heads, relations), heads being numbers of words from 1, and 0 the root;
    - ``topics``: (text, label).

    Args:
        model: A model, or the folder of a family.
        task: Which task.
        train: The source language and its examples.
        test: Examples of each language to test on; the source may be among them.
        dev: The source's examples to select by; every tenth of ``train`` if not given.
        out: A folder for scores, predictions and all settings tried, from which the same call
            resumes; if not given, nothing is kept.
        device: Where the model runs: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        settings: As docs/transfer.md has them, such as ``epochs=3``, ``seeds=(1, 2)``,
            ``random=True`` (also an untrained model).

    Returns:
        A table with a row per score; see :func:`probe`.

    Raises:
        XlingError: examples that do not fit the task, an unusable model, an unknown setting, a
            device that is not there.

    Example::

        train = {"en": [("The match ended in a draw.", "sport"), ...]}
        test = {"fr": [("Le vote a lieu demain.", "politics"), ...]}
        scores = xling.transfer("FacebookAI/xlm-roberta-base", "topics", train, test)
    """
    from xling.results import SCORES, read_scores
    from xling.settings import checked
    from xling.transfer.config import TASKS, TransferConfig
    from xling.transfer.examples import write_examples
    from xling.transfer.stage import transfer as run

    if task not in TASKS:
        raise XlingError(f"task {task!r}: expected one of {', '.join(TASKS)}")
    if len(train) != 1:
        raise XlingError(f"train: {len(train)} languages; expected one, the source's")
    (source,) = train
    known = {source: list(train[source])}
    if dev is None:
        dev = {source: known[source][_HELD_OUT - 1 :: _HELD_OUT]}
        del known[source][_HELD_OUT - 1 :: _HELD_OUT]
        if not dev[source]:
            raise XlingError(f"train: {len(known[source])} examples; expected 10, or dev as well")
    if list(dev) != [source]:
        raise XlingError(f"dev: languages {', '.join(dev)}; expected the source's, {source}")
    targets = [language for language in test if language != source]
    given = {**settings, "task": task, "source": source, "targets": targets}
    config = checked(given, TransferConfig, "transfer")
    with ExitStack() as stack:
        work = Path(stack.enter_context(TemporaryDirectory(prefix="xling-")))
        data = work / "data"
        for split, examples in (("train", known), ("dev", dev), ("test", test)):
            write_examples(data, task, split, examples)
        place = Path(out) if out is not None else work / "out"
        name = _saved(model, source, work / "model")
        try:
            run(name, data, place, config, device)
        except XlingError as error:
            raise XlingError(str(error).replace(f"{data}{os.sep}", "")) from error
        return read_scores(place / SCORES)


def _languages(lines: Mapping[str, object]) -> tuple[str, ...]:
    """Return the languages of a mapping.

    Raises:
        XlingError: it is no mapping, or there are fewer than two languages.
    """
    from xling.names import check_language

    if not isinstance(lines, Mapping):
        found = type(lines).__name__
        raise XlingError(f'lines: {found}; expected a mapping {{"en": [...], "fr": [...]}}')
    if len(lines) < 2:
        raise XlingError(f"lines: {len(lines)} languages; expected at least two")
    return tuple(check_language(language) for language in lines)


def _encoders(
    model: object, languages: Sequence[str], device: "torch.device"
) -> "Mapping[str, Encoder]":
    """Open a model, or a mapping of languages to models, for several languages."""
    from xling.encoders.encoder import Encoder
    from xling.encoders.encoders import Encoders

    if isinstance(model, Mapping):
        missing = [language for language in languages if language not in model]
        if missing:
            raise XlingError(f"model: none for language {missing[0]!r}")
        return Encoders({code: _encoder(model[code], code, device) for code in languages}).of
    if isinstance(model, str | os.PathLike):
        return Encoders.load(_place(model), languages, device).of
    one = _encoder(model, languages[0], device)
    of = {code: Encoder(code, one.model, one.tokenizer, one.stored) for code in languages}
    return Encoders(of).of


def _encoder(model: object, language: str, device: "torch.device") -> "Encoder":
    """Open one model for one language."""
    from xling.encoders.encoder import Encoder

    if isinstance(model, str | os.PathLike):
        return Encoder.load(_place(model), language, device)
    if isinstance(model, Encoder):
        found = Encoder(language, model.model, model.tokenizer, model.stored)
    elif isinstance(model, tuple) and len(model) == 2:
        found = Encoder.of_objects(*model, language)
    else:
        raise XlingError(
            f"model: {type(model).__name__}; expected a folder, a name on the hub, or a pair "
            "(model, tokenizer) of transformers"
        )
    return found.moved_to(device)


def _place(model: str | os.PathLike[str]) -> str | Path:
    """Return a folder, or a name on the hub, which must be text."""
    return model if isinstance(model, str) else Path(model)


def _saved(model: object, language: str, folder: Path) -> str:
    """Return a folder or name of a model; one that is in memory is saved first."""
    import torch

    if isinstance(model, str | os.PathLike):
        return os.fspath(model)
    encoder = _encoder(model, language, torch.device("cpu"))
    encoder.save(folder)
    return str(folder)
