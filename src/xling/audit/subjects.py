"""What is audited: any model with its tokenizer, one for all languages or one for each."""

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xling.device import measuring_device
from xling.encoders.encoder import Encoder
from xling.encoders.encoders import Encoders
from xling.encoders.kept_vectors import encoder_hash
from xling.encoders.opening import needs_code
from xling.encoders.random_encoder import untrained_twins
from xling.encoders.sentences import Sentences, tokenise
from xling.errors import XlingError
from xling.files import read_json
from xling.model.folder import one_line
from xling.names import as_name
from xling.progress import quiet_transformers

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

MODULES = "modules.json"
WANTED = ["*.json", "*.safetensors", "*.model", "*.txt"]
_TRANSFORMER = "Transformer"
_FAMILY = "model"  # name that pretraining gives to the folder of a family
_RUN = re.compile(r"seed-(\d+)-[0-9a-f]{8}")  # the folder of a job of a study


@dataclass(frozen=True, eq=False)
class OwnOutput:
    """How a sentence-transformers model makes its own vectors from the transformer's last layer.

    Attributes:
        modules: The modules after the transformer, in order.
        lower: Whether text is lower-cased first.
        prompt: The prompt that the model puts before every text by default.
        prompt_tokens: Number of tokens of the prompt if pooling must leave them out; else 0.
    """

    modules: tuple[Any, ...]
    lower: bool = False
    prompt: str = ""
    prompt_tokens: int = 0

    @property
    def learnt(self) -> bool:
        """Whether any module has weights."""
        return any(list(module.parameters()) for module in self.modules)

    def vectors(
        self, hidden: "tuple[torch.Tensor, ...]", ids_BL: "torch.Tensor", mask_BL: "torch.Tensor"
    ) -> NDArray[np.float32]:
        """Return the sentence vectors of a batch, float32 [B, e].

        Args:
            hidden: The transformer's L + 1 hidden states [B, T, d].
            ids_BL: Token ids, padded.
            mask_BL: 1 for tokens, 0 for padding.
        """
        import torch

        features: dict[str, Any] = {
            "token_embeddings": hidden[-1],
            "all_layer_embeddings": hidden,
            "attention_mask": mask_BL,
            "input_ids": ids_BL,
        }
        if self.prompt_tokens:
            features["prompt_length"] = self.prompt_tokens
        with torch.inference_mode():
            for module in self.modules:
                features = module(features)
        found: NDArray[np.float32] = features["sentence_embedding"].float().cpu().numpy()
        return found


@dataclass(frozen=True, eq=False)
class Subject:
    """One model under audit.

    Attributes:
        name: Its name, unique in an audit.
        encoders: For each language the encoder; one object for all, or a family's members.
        content: Hash of what determines its vectors.
        prefix: Text before every line.
        own: How it makes its own sentence vectors, if it does.
        folder: Its folder on this machine; None for objects in memory.
    """

    name: str
    encoders: Mapping[str, Encoder]
    content: str
    prefix: str = ""
    own: OwnOutput | None = None
    folder: Path | None = None

    @property
    def distinct(self) -> list[Encoder]:
        """The encoders of different models, each once."""
        return list({id(side.model): side for side in self.encoders.values()}.values())

    @property
    def measures_on(self) -> "torch.device | None":
        """The device on which products of its vectors are computed; None is numpy."""
        return measuring_device(next(iter(self.encoders.values())).device)

    @property
    def parameters(self) -> int:
        """Number of parameters of all its models together; shared ones count once."""
        bodies = [side.body for side in self.distinct]
        found = {id(p): p.numel() for body in bodies for p in body.parameters()}
        return sum(found.values())

    def tokens(self, language: str, lines: Sequence[str]) -> Sentences:
        """Tokenise a language's lines, with the prefix before each."""
        texts, prefix = [line.strip() for line in lines], self.prefix
        if self.own is not None and self.own.lower:
            texts, prefix = [text.lower() for text in texts], prefix.lower()
        return tokenise(self.encoders[language], texts, prefix)

    def untrained(self, seeds: Sequence[int]) -> "Iterator[Subject]":
        """Yield for each seed a model of the same shape that never saw data."""
        own = self.own if self.own is not None and not self.own.learnt else None
        twins = untrained_twins(list(self.encoders.values()), seeds)
        for seed, encoders in zip(seeds, twins, strict=False):
            fresh = {side.language: side for side in encoders}
            yield replace(self, encoders=fresh, content=f"{self.content} {seed}", own=own)

    @classmethod
    def of_encoders(
        cls, name: str, encoders: Mapping[str, Encoder], prefix: str | None = None, **more: Any
    ) -> "Subject":
        """Return a subject from opened encoders.

        Raises:
            XlingError: NaN or infinity among their weights.
        """
        checked = Encoders(dict(encoders)).of
        distinct = {id(side.model): side for side in reversed(list(checked.values()))}
        content = " ".join([*map(encoder_hash, distinct.values()), prefix or ""])
        return cls(name, checked, content, prefix or "", **more)


def open_subject(
    name: str,
    place: str | Path,
    languages: Sequence[str],
    prefix: str | None,
    device: "torch.device",
    trust_remote_code: bool = False,
) -> Subject:
    """Open a model for all languages.

    Args:
        name: Its name.
        place: A family, the folder of a Hugging Face model or of a sentence-transformers model, or
            a name on the hub.
        languages: The languages to audit.
        prefix: Text before every line; None takes the model's own prompt, if it names one.
        device: Where it runs.
        trust_remote_code: Whether Python code shipped with it is run.

    Raises:
        XlingError: it cannot be opened, has diverged, or lacks a language.
    """
    folder = Path(place)
    if not (folder / MODULES).is_file():
        encoders = Encoders.load(place, languages, device, trust_remote_code).of
        return Subject.of_encoders(
            name, encoders, prefix, folder=folder if folder.exists() else None
        )
    library = _sentence_transformer(folder, trust_remote_code)
    own, inside, limit = _own_output(folder, library)
    one = Encoder.load(inside, languages[0], device, trust_remote_code)
    one.tokenizer.model_max_length = min(one.maximum_length, limit)
    for module in own.modules:
        module.to(device).eval()
    prefix = own.prompt if prefix is None else prefix
    encoders = {code: Encoder(code, one.model, one.tokenizer, one.stored) for code in languages}
    return Subject.of_encoders(name, encoders, prefix, own=own, folder=folder)


def _sentence_transformer(folder: Path, trust_remote_code: bool) -> Any:
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError:
        raise XlingError(
            f"{folder}: a sentence-transformers folder ({MODULES}), which needs that library: pip "
            "install sentence-transformers; or name the folder of its transformer alone"
        ) from None
    try:
        with quiet_transformers():
            return SentenceTransformer(
                str(folder),
                device="cpu",
                local_files_only=True,
                trust_remote_code=trust_remote_code,
            )
    except Exception as error:  # the library may raise anything for a bad folder
        if "trust_remote_code" in str(error):
            raise needs_code(folder) from None
        raise XlingError(
            f"{folder}: cannot be opened by sentence-transformers ({one_line(error)})"
        ) from None


def _own_output(folder: Path, library: Any) -> tuple[OwnOutput, Path, int]:
    """Return the modules after the transformer, the transformer's folder and its limit."""
    first, *modules = list(library)
    listed = read_json(folder / MODULES)
    if type(first).__name__ != _TRANSFORMER or not modules:
        raise XlingError(
            f"{folder / MODULES}: begins with {type(first).__name__}; expected a Transformer "
            "followed by how its tokens are pooled"
        )
    prompts = getattr(library, "prompts", None) or {}
    prompt = prompts.get(getattr(library, "default_prompt_name", None) or "") or ""
    left_out = any(getattr(module, "include_prompt", True) is False for module in modules)
    tokens = len(library.tokenizer(prompt)["input_ids"]) - 1 if prompt and left_out else 0
    own = OwnOutput(
        tuple(modules), bool(getattr(first, "do_lower_case", False)), prompt, max(0, tokens)
    )
    return own, folder / str(listed[0].get("path", "")), int(library.max_seq_length or 1 << 30)


def fetched(model: str, revision: str | None = None, trust_remote_code: bool = False) -> Path:
    """Return the folder of a model: itself, one of its checkpoints, or a copy from the hub.

    Args:
        model: A folder, or a name on the hub.
        revision: The name of a folder within, or a revision on the hub.
        trust_remote_code: Whether to fetch the Python code that comes with it.

    Raises:
        XlingError: there is no such folder, and the hub has no such model or is out of reach.
    """
    folder = Path(model)
    if folder.exists() or folder.is_absolute() or model.startswith("."):
        found = folder / revision if revision else folder
        if not found.exists():
            raise XlingError(
                f"{found}: not found; expected a model's folder, or a name on the hub (OWNER/NAME)"
            )
        return found
    from huggingface_hub import snapshot_download

    try:
        with quiet_transformers():
            return Path(
                snapshot_download(
                    model,
                    revision=revision,
                    allow_patterns=[*WANTED, "*.py"] if trust_remote_code else WANTED,
                    ignore_patterns=["onnx/*", "openvino/*"],
                )
            )
    except Exception as error:  # no network, no such name, no permission
        at = f" at revision {revision}" if revision else ""
        raise XlingError(
            f"{model}{at}: not found; expected a model's folder, or a name on the hub (OWNER/NAME) "
            f"({one_line(error)})"
        ) from None


def names_of(models: Sequence[str], revisions: Sequence[str] = ()) -> dict[str, tuple[str, Any]]:
    """Give models their usual names, longer ones where two would be the same.

    That is a name on the hub, or the last part of a path. A run of a study is named by its variant
    and seed, and a family that pretraining wrote into ``RUN/model`` by its run.

    Returns:
        For each name the model and its revision, if it has one.

    Raises:
        XlingError: a model is named twice.

    Example:
        >>> list(names_of(["runs/demo/pretrain/en-sw/default/seed-1-87f602ba/model", "/xlm-r"]))
        ['default, seed 1', 'xlm-r']
    """
    asked: list[tuple[str, str | None]] = [
        (model, revision) for model in models for revision in (revisions or (None,))
    ]
    if len(set(asked)) < len(asked):
        twice = next(model for model, _ in asked if [one for one, _ in asked].count(model) > 1)
        raise XlingError(f"{twice}: named twice; name every model once")
    told = {model: _told(model) for model in models}

    def name(model: str, revision: str | None, parts: int) -> str:
        short = "/".join(told[model][-parts:])
        return f"{short}@{revision}" if revision else short

    found = {}
    for one in asked:
        others = [other for other in asked if other != one]
        names = (name(*one, parts) for parts in range(1, len(told[one[0]]) + 1))
        apart = (
            found_name
            for parts, found_name in enumerate(names, 1)
            # folders are named as_name(name)
            if as_name(found_name) not in {as_name(name(*other, parts)) for other in others}
        )
        found[next(apart, f"{one[0]}@{one[1] or ''}")] = one
    return dict(found)


def _told(model: str) -> tuple[str, ...]:
    """Return the parts of a model's path that can name it; the last part is used first."""
    if not (Path(model).exists() or Path(model).is_absolute() or Path(model).parts[2:]):
        return (model,)  # a name on the hub
    parts = Path(model).resolve().parts
    if len(parts) > 3 and parts[-2] == "snapshots" and parts[-3].startswith("models--"):
        return (*parts[:-3], parts[-3].removeprefix("models--").replace("--", "/"))
    member = parts[-1:] if len(parts) > 2 and parts[-2] == _FAMILY else ()
    parts = parts[: -len(member)] if member else parts
    parts = parts[:-1] if len(parts) > 2 and parts[-1] == _FAMILY else parts
    if len(parts) > 4 and parts[-4] == "pretrain" and (seed := _RUN.fullmatch(parts[-1])):
        parts = (*parts[:-4], parts[-3], f"{parts[-2]}, seed {seed[1]}")
    return (*parts[:-1], " ".join((parts[-1], *member)))
