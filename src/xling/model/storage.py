"""A family on disk: one standard Hugging Face folder per language, and the plan beside them.

::

    MODEL/
      family.json    languages in order, separate parts
      en/            config.json, model.safetensors, tokenizer.json, ...
      fr/            AutoModelForMaskedLM or AutoModelForCausalLM opens each of them
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xling.artefact import check_file
from xling.errors import XlingError
from xling.files import atomic_folder, read_json, write_json
from xling.model.folder import (
    FAMILY,
    member_names,
    model_files,
    one_line,
)
from xling.model.sharing import SPECIALS, SharingPlan
from xling.progress import quiet_transformers

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from xling.model.family import Family
    from xling.vocabulary.vocabulary import Vocabulary

INDEX = FAMILY


def save_family(family: "Family", vocabulary: "Vocabulary", folder: Path) -> None:
    """Write a family to ``folder``, whole or not at all.

    Args:
        family: What to save.
        vocabulary: Its tokenizer is saved with each member.
        folder: Replaced if it exists.
    """
    with atomic_folder(folder) as temporary:
        for language in family.languages:
            member = family.member(language)
            with quiet_transformers():
                member.save_pretrained(temporary / language)
            vocabulary.export(
                language,
                temporary / language,
                family.anatomy.max_length(member.config),
                family.plan.separates(SPECIALS),
            )
        write_json(
            temporary / INDEX,
            {"languages": family.languages, "separate": sorted(family.plan.separate)},
        )


def family_files(folder: Path, languages: Sequence[str]) -> dict[str, dict[str, Path]]:
    """Return, for some languages of a family, the files that its encoder's output depends on.

    Raises:
        XlingError: no family there, a language it lacks, or a member that is damaged or altered.
    """
    _, there = _read_index(folder)
    missing = [language for language in languages if language not in there]
    if missing:
        raise XlingError(
            f"{folder}: the model has no language {missing[0]!r}; it has {', '.join(there)}"
        )
    return {language: _member_files(folder / language) for language in languages}


def family_languages(folder: Path) -> list[str]:
    """Return the languages of a family, the base first.

    Raises:
        XlingError: no family there, or a damaged index.
    """
    return _read_index(folder)[1]


def load_family(folder: Path) -> "Family":
    """Open a family written by :func:`save_family`; what was shared is shared again.

    Raises:
        XlingError: no family there, a damaged or altered member, or members that differ in
            parameters that the index says they share.
    """
    from xling.model.architecture import set_positions
    from xling.model.family import Family

    plan, languages = _read_index(folder)
    members = {language: _load_member(folder / language) for language in languages}
    for member in members.values():
        set_positions(member)
    _verify_shared(members, plan, folder)
    return Family(members, plan)


def _read_index(folder: Path) -> tuple[SharingPlan, list[str]]:
    path = folder / INDEX
    if not path.is_file():
        raise XlingError(
            f"{folder}: no family there ({INDEX}: not found); expected the folder `model` of a run "
            f"of xling pretrain (with {INDEX} and one sub-folder per language). For an ordinary "
            "encoder use xling similarity"
        )
    check_file(path)
    index: Any = read_json(path)
    try:
        plan, languages = SharingPlan(frozenset(index["separate"])), list(member_names(index))
        if not languages:
            raise ValueError("no language")
    except (KeyError, TypeError, ValueError):
        raise XlingError(f"{path}: not the index of a family; copy it again") from None
    except XlingError as error:  # an invalid name of a language
        raise XlingError(f"{path}: {error}") from None
    return plan, languages


def _member_files(folder: Path) -> dict[str, Path]:
    try:
        return model_files(folder)
    except XlingError as error:
        raise XlingError(f"{folder}: not a readable model ({error})") from None


def _load_member(folder: Path) -> "PreTrainedModel":
    import torch
    from transformers import AutoConfig

    from xling.model.anatomy import anatomy_of

    for path in sorted(folder.glob("*")):  # first, since an altered file may look damaged
        check_file(path)
    _member_files(folder)
    found: dict[str, set[str]]
    member: PreTrainedModel
    try:
        with torch.random.fork_rng(devices=[]), quiet_transformers():
            config = AutoConfig.from_pretrained(folder, local_files_only=True)
            member, found = (
                anatomy_of(config)
                .opened_by()
                .from_pretrained(
                    folder,
                    use_safetensors=True,
                    local_files_only=True,
                    dtype=torch.float32,
                    output_loading_info=True,
                )
            )
    except Exception as error:  # libraries raise various errors for a bad configuration
        raise XlingError(
            f"{folder}: not a readable model ({one_line(error)}); train or copy it again"
        ) from None
    # Missing weights would be drawn at random
    if found["missing_keys"]:
        raise XlingError(
            f"{folder}: its weights lack {', '.join(sorted(found['missing_keys']))}; train or copy "
            "it again"
        )
    return member


def _verify_shared(
    members: Mapping[str, "PreTrainedModel"], plan: SharingPlan, folder: Path
) -> None:
    import torch

    from xling.model.anatomy import anatomy_of

    languages = list(members)
    base = dict(members[languages[0]].named_parameters())
    config = members[languages[0]].config
    shared = [
        path
        for part, paths in anatomy_of(config).paths(config.num_hidden_layers).items()
        if not plan.separates(part)
        for path in paths
    ]
    for language in languages[1:]:
        for name, parameter in members[language].named_parameters():
            if any(name == path or name.startswith(path + ".") for path in shared) and not (
                torch.equal(parameter, base[name])
            ):
                raise XlingError(
                    f"{folder / language}: {name} differs from that of {languages[0]}, though "
                    f"{folder / INDEX} says they share it; one of the two was changed by hand"
                )
