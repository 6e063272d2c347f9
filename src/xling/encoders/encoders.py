"""The encoders of several languages: members of a family, or one model for all of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from xling.device import choose_device
from xling.encoders.encoder import Encoder
from xling.encoders.random_encoder import randomly_initialised_together
from xling.errors import XlingError
from xling.model.folder import model_files as folder_files
from xling.model.storage import INDEX, family_files, load_family

if TYPE_CHECKING:
    import torch

    from xling.model.family import Family


@dataclass(frozen=True, eq=False)
class Encoders:
    """One encoder per language.

    Attributes:
        of: Language to encoder. What languages share is one module object, so what is trained
            in one of them is trained in all.
        private: Names, in each language's model, of the parameters that it does not share.
        family: The family they are members of, if any.
    """

    of: dict[str, Encoder]
    private: frozenset[str] = frozenset()
    family: "Family | None" = None

    def __post_init__(self) -> None:
        """Refuse models that have diverged: what is learnt on them would still get scores."""
        for encoder in {id(side.model): side for side in self.of.values()}.values():
            encoder.check_weights()

    @classmethod
    def load(
        cls,
        name: str | Path,
        languages: Sequence[str],
        device: "str | torch.device" = "cpu",
        trust_remote_code: bool = False,
    ) -> Self:
        """Open a family's members, or any Hugging Face encoder (folder or name) for all.

        Args:
            name: Folder, or name on the hub.
            languages: The languages the model is used for.
            device: Where it will run, see :func:`xling.device.choose_device`.
            trust_remote_code: Whether Python code shipped with a model is run.

        Raises:
            XlingError: it cannot be opened, or the family lacks a language.
        """
        folder, place = Path(name), choose_device(device)
        if not is_family(name):
            one = Encoder.load(name, languages[0], place, trust_remote_code)
            return cls({code: Encoder(code, one.model, one.tokenizer) for code in languages})
        family = load_family(folder)
        members = {
            language: Encoder.of_family(family, folder, language).moved_to(place)
            for language in languages
        }
        return cls(members, frozenset(family.private_parameters(languages[0])), family)

    def untrained(self, seed: int) -> "Encoders":
        """Return encoders that never saw data, with the same shapes and the same sharing."""
        models = randomly_initialised_together([side.model for side in self.of.values()], seed)
        fresh = {
            language: Encoder(language, model, side.tokenizer)
            for (language, side), model in zip(self.of.items(), models, strict=True)
        }
        return Encoders(fresh, self.private)


def is_family(name: str | Path) -> bool:
    """Tell whether a folder holds a family of encoders.

    Raises:
        XlingError: it is the folder of a run, which contains the family.
    """
    folder = Path(name)
    inside = folder / "model"
    if not (folder / INDEX).is_file() and (inside / INDEX).is_file():
        raise XlingError(
            f"{folder}: no {INDEX} there, but a run of xling pretrain; its family is {inside}"
        )
    return (folder / INDEX).is_file()


def model_files(name: str | Path, languages: Sequence[str]) -> dict[str, Path]:
    """Return the files that determine what a model computes, by names independent of the folder.

    Raises:
        XlingError: a folder that lacks a part of a model, or holds a damaged one.
    """
    folder = Path(name)
    if is_family(folder):
        files = {"model/family": folder / INDEX}
        found = family_files(folder, languages)
    elif folder.exists() or isinstance(name, Path):
        files, found = {}, {"": folder_files(folder)}
    else:
        return {}  # a name on the hub: recorded in the settings
    for language, of_one in found.items():
        files |= {f"model/{language}/{file}": path for file, path in of_one.items()}
    return files
