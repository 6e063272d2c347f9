"""The verb ``audit``: audit, then export, compare or check the result against limits."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from xling.audit.result import INDEX, PAGE, Audit
from xling.errors import XlingError
from xling.settings import load_settings


def run(
    models: Sequence[str],
    data: Path | None,
    out: Path,
    config: Path | None,
    options: Mapping[str, Any],
    revisions: Sequence[str] = (),
    limits: Sequence[str] = (),
    export: Path | None = None,
    compare: tuple[Path, Path] | None = None,
    device: str = "auto",
) -> tuple[list[str], bool]:
    """Do what the options of the command line ask for.

    Args:
        models: Models to audit.
        data: Data folder.
        out: Folder for the result.
        config: Settings file.
        options: Settings that override it; None for those not given.
        revisions: Checkpoints of each model.
        limits: Scores below which the audit fails; see :func:`xling.audit.stage.failing`.
        export: Folder for a sentence-transformers model that does what the advice says.
        compare: Two audits to compare instead.
        device: Where models run.

    Returns:
        Lines to print, and whether a score is below its limit.

    Raises:
        XlingError: something cannot be done, and why.
    """
    if compare is not None:
        from xling.audit.compare import compare_audits

        if models or data:
            raise XlingError("--compare takes two audits; name no model and no --data beside it")
        return compare_audits(*compare), False
    if data is None:
        raise XlingError("--data is missing: a data folder with parallel/NAME/LANG.txt")
    from xling.audit.config import AuditSettings
    from xling.audit.stage import audit_models, check_limits, failing

    check_limits(limits)
    settings = load_settings(config, AuditSettings, **options)
    audit_models(models, data, out, settings, revisions, device)
    found = Audit.load(out)
    said = [f"{one.model}: {one.sentence}" for one in found.advice]
    said.append(str(out / (PAGE if (out / PAGE).is_file() else INDEX)))
    if export is not None:
        from xling.audit.export import export_model

        if len(models) != 1 or revisions or settings.mapped:
            raise XlingError("--export takes one model; audit it alone")
        said.append(export_model(found, models[0], data, settings, export, device))
    broken = failing(found, limits)
    return [*said, *broken], bool(broken)
