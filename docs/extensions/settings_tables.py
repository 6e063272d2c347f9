"""Document settings by what their fields say of themselves: type, default and description."""

from types import NoneType
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from sphinx.application import Sphinx
from sphinx.util.typing import stringify_annotation


def add_fields(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Append a list of the fields to a settings class' docstring."""
    if not _is_settings(obj):
        return
    lines += ["", ".. rubric:: Settings", ""]
    for field, info in obj.model_fields.items():
        description = " ".join((info.description or "").split())
        lines.append(f"* **{field}** ({_kind(info)}) -- {description}")
    lines.append("")


def hide_signature(
    app: Sphinx, what: str, name: str, obj: Any, *rest: Any
) -> tuple[str, None] | None:
    """Leave out the signature, which would say the same without the descriptions."""
    return ("", None) if _is_settings(obj) else None


def skip(app: Sphinx, what: str, name: str, obj: Any, skipped: bool, options: Any) -> bool | None:
    """Leave out what pydantic and named tuples add to a class of themselves."""
    generated = (getattr(obj, "__doc__", None) or "").startswith("Alias for field number")
    return True if generated or name == "model_config" else None


def _is_settings(obj: Any) -> bool:
    return isinstance(obj, type) and issubclass(obj, BaseModel)


def _kind(info: FieldInfo) -> str:
    kind = stringify_annotation(info.annotation or NoneType, mode="smart").replace("~", "")
    if info.is_required():
        return f"``{kind}``"
    default = info.get_default(call_default_factory=True)
    if isinstance(default, BaseModel):
        return f"``{kind}``"
    return f"``{kind}``, default ``{default!r}``"


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the hooks of autodoc."""
    app.connect("autodoc-process-docstring", add_fields)
    app.connect("autodoc-process-signature", hide_signature)
    app.connect("autodoc-skip-member", skip)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
