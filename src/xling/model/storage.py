"""A family on disk: one standard Hugging Face folder a language, and the plan beside them.

::

    MODEL/
      family.json    languages in order, separate parts
      en/            config.json, model.safetensors, tokenizer.json, ...
      fr/            AutoModelForMaskedLM.from_pretrained opens each of them
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from transformers import BertForMaskedLM

from xling.artefact import check_file
from xling.errors import XlingError
from xling.files import atomic_folder, read_json, write_json
from xling.model.anatomy import bert_anatomy
from xling.model.family import Family
from xling.model.sharing import SharingPlan, all_parts
from xling.names import check_language
from xling.progress import quiet_transformers
from xling.vocabulary.vocabulary import Vocabulary

INDEX = "family.json"


def save_family(family: Family, vocabulary: Vocabulary, folder: Path) -> None:
    """Write a family to ``folder``, whole or not at all.

    Args:
        family: What to save.
        vocabulary: Whose tokenizer goes beside each member.
        folder: Replaced if it exists.
    """
    with atomic_folder(folder) as temporary:
        for language in family.languages:
            member = family.member(language)
            with quiet_transformers():
                member.save_pretrained(temporary / language)
            vocabulary.export(language, temporary / language, member.config.max_position_embeddings)
        write_json(
            temporary / INDEX,
            {"languages": family.languages, "separate": sorted(family.plan.separate)},
        )


def load_family(folder: Path) -> Family:
    """Open a family written by :func:`save_family`; what was shared is shared again.

    Raises:
        XlingError: no family there, a damaged member, or members that disagree about
            what they are said to share.
    """
    check_file(folder / INDEX)
    index = read_json(folder / INDEX)
    try:
        plan = SharingPlan(frozenset(index["separate"]))
        languages = [check_language(language) for language in index["languages"]]
    except (KeyError, TypeError):
        raise XlingError(f"{folder / INDEX}: not the index of a family; copy it again") from None
    members = {language: _load_member(folder / language) for language in languages}
    _verify_shared(members, plan, folder)
    return Family(members, plan)


def _load_member(folder: Path) -> BertForMaskedLM:
    from safetensors import SafetensorError

    for path in sorted(folder.glob("*")):
        check_file(path)
    found: dict[str, set[str]]
    member: BertForMaskedLM
    try:
        member, found = BertForMaskedLM.from_pretrained(  # type: ignore[misc]
            folder,
            use_safetensors=True,
            local_files_only=True,
            dtype=torch.float32,
            output_loading_info=True,
        )
    except (OSError, SafetensorError, ValueError) as error:
        raise XlingError(
            f"{folder}: not a readable model ({error}); train or copy it again"
        ) from None
    # What is missing would be drawn at random
    if found["missing_keys"]:
        raise XlingError(
            f"{folder}: its weights lack {', '.join(sorted(found['missing_keys']))}; train or copy "
            "it again"
        )
    return member


def _verify_shared(members: Mapping[str, BertForMaskedLM], plan: SharingPlan, folder: Path) -> None:
    languages = list(members)
    base = dict(members[languages[0]].named_parameters())
    layers = members[languages[0]].config.num_hidden_layers
    shared = [
        path
        for part, paths in bert_anatomy(layers).items()
        if part in all_parts(layers) and not plan.separates(part)
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
