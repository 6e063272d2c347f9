"""Untrained encoders: the lower bound that every probe is compared with."""

import copy
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from xling.errors import XlingError
from xling.model.architecture import set_positions
from xling.model.folder import one_line
from xling.randomness import derive_seed

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from xling.encoders.encoder import Encoder


def untrained_twins(
    encoders: Sequence["Encoder"], seeds: Sequence[int]
) -> Iterator[tuple["Encoder", ...]]:
    """Yield for each seed encoders of the same shapes that never saw data.

    They share what the given ones share; see :func:`randomly_initialised_together`. For an
    architecture that cannot be made anew there are none, and one warning says so.
    """
    for seed in seeds:
        try:
            models = randomly_initialised_together([encoder.body for encoder in encoders], seed)
        except XlingError as error:
            warnings.warn(f"no untrained encoder to compare with: {error}", stacklevel=2)
            return
        yield tuple(
            type(encoder)(encoder.language, model, encoder.tokenizer)
            for encoder, model in zip(encoders, models, strict=True)
        )


def randomly_initialised_together(
    models: Sequence["PreTrainedModel"], seed: int
) -> list["PreTrainedModel"]:
    """Untrained models of the same shapes that share what the given ones share.

    Each is made from its configuration with its architecture's own initialisation. Wherever two of
    the given models hold the same parameter, the new ones do too. An untrained family with a joint
    vocabulary must have one embedding table; otherwise its names and digits would not match across
    languages, and the bound would be too low. "The same" means one object, or the same name and the
    same values, as when one folder is opened once for each language.

    Args:
        models: For example the two languages' encoders; passing one model twice is allowed.
        seed: The weights depend only on it, on the shapes and on what is shared. The global random
            state is not changed.

    Returns:
        New models in evaluation mode, with the device and precision of the given ones.

    Raises:
        XlingError: if a model cannot be made from its configuration, or its parameters do not have
            the shapes of its configuration.
    """
    made: dict[int, PreTrainedModel] = {}
    shared = _Replacements()
    for number, model in enumerate(models):
        if id(model) not in made:
            made[id(model)] = _from_config(model, derive_seed(seed, "random encoder", number))
            _share(model, made[id(model)], shared)
    return [made[id(model)] for model in models]


def randomly_initialised(model: "PreTrainedModel", seed: int) -> "PreTrainedModel":
    """One untrained model of the same shape; see :func:`randomly_initialised_together`."""
    return randomly_initialised_together([model], seed)[0]


def _from_config(model: "PreTrainedModel", seed: int) -> "PreTrainedModel":
    import torch

    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        # Not torch.manual_seed, which would also reset the generators of every GPU.
        torch.default_generator.manual_seed(seed & (2**63 - 1))
        try:
            fresh = type(model)(copy.deepcopy(model.config))
        except Exception as error:  # a model's own code may raise anything
            raise XlingError(
                f"{type(model).__name__}: cannot be made from its configuration "
                f"({one_line(error)}), so no untrained copy can be made"
            ) from None
    set_positions(fresh)
    torch.nn.Module.to(fresh, device=model.device, dtype=model.dtype)
    fresh.eval()
    return fresh


class _Replacements:
    """Which new parameter replaces which original."""

    def __init__(self) -> None:
        self._by_identity: dict[int, torch.nn.Parameter] = {}
        self._by_name: dict[str, list[tuple[torch.nn.Parameter, torch.nn.Parameter]]] = {}

    def find(
        self, name: str, original: "torch.nn.Parameter", own: "torch.nn.Parameter"
    ) -> "torch.nn.Parameter":
        """Return what already replaces ``original``; if nothing does, let ``own`` replace it."""
        import torch

        if id(original) not in self._by_identity:
            known = self._by_name.setdefault(name, [])
            same = (new for old, new in known if torch.equal(old, original.to(old.device)))
            self._by_identity[id(original)] = next(same, own)
            known.append((original, self._by_identity[id(original)]))
        return self._by_identity[id(original)]


def _share(model: "PreTrainedModel", fresh: "PreTrainedModel", shared: _Replacements) -> None:
    """Put the replacement of each of the model's parameters into its places in ``fresh``."""
    for name, original in model.named_parameters(remove_duplicate=False):
        folder, _, leaf = name.rpartition(".")
        try:
            module = fresh.get_submodule(folder)
            own = module._parameters[leaf]
        except (AttributeError, KeyError):
            own = None
        if own is None or own.shape != original.shape:
            raise XlingError(
                f"{type(model).__name__}: parameter {name} {tuple(original.shape)} does not "
                "follow from the model's configuration, so no untrained copy can be made"
            )
        module._parameters[leaf] = shared.find(name, original, own)
