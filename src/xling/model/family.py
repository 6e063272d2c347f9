"""A family of ordinary models: one per language, sharing what the plan shares.

A bilingual model with some parameters separate *is* one ordinary model of transformers per
language; where the sharing plan says "shared", the members hold the same module
objects. Saving, fine-tuning and freezing then work as for ordinary models.
"""

from collections.abc import Iterable, Iterator, Mapping

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from xling.device import seed_draws
from xling.errors import XlingError
from xling.model.anatomy import anatomy_of
from xling.model.architecture import ModelShape, set_positions
from xling.model.dropout import make_quick
from xling.model.sharing import POSITIONS, TOKENS, SharingPlan
from xling.randomness import derive_seed


class Family(nn.Module):
    """One language model per language, tied to each other by a sharing plan.

    Args:
        members: Language to model; all of one architecture and shape. Shared parts are replaced
            by those of the first language, the *base* language.
        plan: What is separate per language.

    Raises:
        XlingError: shared token embeddings with vocabularies of different sizes.
    """

    def __init__(self, members: Mapping[str, PreTrainedModel], plan: SharingPlan) -> None:
        super().__init__()
        self.plan = plan
        self.languages = tuple(members)
        # A list, since a dict of modules refuses names such as "to" (Tongan)
        self.members = nn.ModuleList(members.values())
        config = members[self.languages[0]].config
        self.layers: int = config.num_hidden_layers
        self.anatomy = anatomy_of(config)
        # The paths of every part that the architecture has
        self.parts = self.anatomy.paths(self.layers)
        # Ids that a language may not predict, bool [V]; a language without an entry may predict all
        self.others: dict[str, Tensor] = {}
        self._refuse_shared_tokens_of_unequal_size()
        for member in members.values():
            make_quick(member)
        self._share()

    @classmethod
    def build(
        cls,
        shape: ModelShape,
        vocabulary_sizes: Mapping[str, int],
        plan: SharingPlan,
        seed: int,
    ) -> "Family":
        """Return an untrained family whose weights are a pure function of the arguments.

        Args:
            shape: Shape of every member.
            vocabulary_sizes: Language to number of token ids; the first is the base language.
            plan: What is separate per language.
            seed: Determines the weights; private parts are drawn separately per language.
        """
        members: dict[str, PreTrainedModel] = {}
        for language, size in vocabulary_sizes.items():
            with torch.random.fork_rng(devices=[]):
                # Weights are drawn on the CPU; the generators of GPUs are left as they are.
                seed_draws(torch.device("cpu"), derive_seed(seed, "weights", len(members)))
                members[language] = shape.anatomy.opened_by()(shape.config(size))
            set_positions(members[language])
        if shape.first_positions == "same":
            (path,) = shape.anatomy.embeddings[POSITIONS]
            first, *others = (model.get_submodule(path) for model in members.values())
            for table in others:
                table.load_state_dict(first.state_dict())
        return cls(members, plan)

    def member(self, language: str) -> PreTrainedModel:
        """Return the ordinary model of one language."""
        if language not in self.languages:
            raise XlingError(
                f"the model has no language {language!r}; it has {', '.join(self.languages)}"
            )
        model = self.members[self.languages.index(language)]
        assert isinstance(model, PreTrainedModel)
        return model

    def forward(
        self,
        language: str,
        ids_BT: Tensor,
        positions_P: Tensor,
        labels_P: Tensor,
        position_ids_BT: Tensor | None = None,
    ) -> Tensor:
        """Return the *summed* cross-entropy of the predicted positions of one language's rows.

        The head of an encoder, and the last layer's feed-forward before it, are applied to the
        predicted positions only. Nothing depends on the other positions there, and with the paper's
        80k vocabulary, logits at every position would be about half of all the work.

        Args:
            language: The language whose model to run.
            ids_BT: Token ids as the model sees them, every row full (no padding).
            positions_P: Predicted positions as indices into the flattened ``B*T``.
            labels_P: The true ids at those positions.
            position_ids_BT: The position of each token, below ``max_length``; its column if None.
        """
        model = self.member(language)
        predicted_PD = self.anatomy.predicted(model, ids_BT, positions_P, position_ids_BT)
        return self.anatomy.loss(model, predicted_PD, labels_P, self.others.get(language))

    def shared_parameters(self) -> dict[str, nn.Parameter]:
        """Return the parameters that all languages share, by name in the base language's model."""
        return dict(self._parameters_of(self.languages[0], separate=False))

    def private_parameters(self, language: str) -> dict[str, nn.Parameter]:
        """Return the parameters of one language alone, by name in that language's model.

        Fine-tuning on one language freezes them (Conneau et al. 2020, section 4).
        """
        return dict(self._parameters_of(language, separate=True))

    def _parameters_of(self, language: str, separate: bool) -> Iterator[tuple[str, nn.Parameter]]:
        if separate and len(self.languages) == 1:
            return
        paths = {path: part for part, found in self.parts.items() for path in found}
        for name, parameter in self.member(language).named_parameters():
            part = next(paths[path] for path in _above(name) if path in paths)
            if separate == (self.plan.separates(part) and len(self.languages) > 1):
                yield name, parameter

    def _share(self) -> None:
        base = self.member(self.languages[0])
        for language in self.languages[1:]:
            for part, paths in self.parts.items():
                if not self.plan.separates(part):
                    for path in paths:
                        _replace(self.member(language), base, path)

    def _refuse_shared_tokens_of_unequal_size(self) -> None:
        configs = {language: self.member(language).config for language in self.languages}
        for part, field in ((TOKENS, "vocab_size"), (POSITIONS, "max_position_embeddings")):
            sizes = {language: getattr(config, field) for language, config in configs.items()}
            if not self.plan.separates(part) and len(set(sizes.values())) > 1:
                raise XlingError(
                    f"sharing plan: {part} are shared, but their number differs: {sizes}; make "
                    "them separate or use one vocabulary for all languages"
                )


def _above(name: str) -> Iterator[str]:
    """Yield the paths that a parameter lies under, its own included."""
    while name:
        yield name
        name = name.rpartition(".")[0]


def _replace(model: nn.Module, source: nn.Module, path: str) -> None:
    """Let ``model`` hold the same module or parameter that ``source`` holds at ``path``."""
    parent, _, leaf = path.rpartition(".")
    setattr(model.get_submodule(parent), leaf, getattr(source.get_submodule(parent), leaf))


def sublayers(family: Family) -> list[list[nn.Module]]:
    """Return the modules of every distinct sublayer of the members, shared ones once.

    The unit is not a whole layer: where languages share only its attention, their
    layers are different modules that hold the same parameters.
    """
    parts = [part for part in family.parts.items() if part[0].startswith("layer ")]
    found: dict[int, list[nn.Module]] = {}
    for language in family.languages:
        for _, paths in parts:
            modules = [family.member(language).get_submodule(path) for path in paths]
            found.setdefault(id(modules[0]), modules)
    return list(found.values())


def parameter_counts(family: Family) -> dict[str, int | dict[str, int]]:
    """Count distinct trainable parameters: in all, shared, and private to each language."""
    private = {
        language: _size(family.private_parameters(language).values())
        for language in family.languages
    }
    shared = _size(family.shared_parameters().values())
    return {"total": shared + sum(private.values()), "shared": shared, "private": private}


def _size(parameters: Iterable[nn.Parameter]) -> int:
    return sum(parameter.numel() for parameter in parameters if parameter.requires_grad)
