"""YAML read strictly: one document, no key twice, and no more content than a person would write.

PyYAML keeps the last of two equal keys, and takes a few hundred bytes of nested aliases for a
structure of billions of nodes, which no program can walk to the end.
"""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode

from xling.errors import XlingError

MOST_BYTES = 8 << 20
_DEEPEST = 100
# Nodes and characters, counting what aliases repeat every time. A file without aliases may
# have any number.
_MOST_REPEATED = 1_000_000
_MOST_BITS = 64
_MERGE = "tag:yaml.org,2002:merge"


def parse_yaml(content: bytes, path: Path) -> Any:
    """Return what a YAML file says.

    Args:
        content: Its bytes.
        path: Its name, for errors.

    Raises:
        XlingError: by file and line: no UTF-8, no YAML, several documents, a key that stands twice,
            nesting without end, or aliases that repeat too much.
    """
    if len(content) > MOST_BYTES:
        raise XlingError(f"{path}: more than {MOST_BYTES >> 20} MB; expected settings in YAML")
    try:
        # Some editors write a byte order mark, which is not part of the text.
        loader = _Loader(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise XlingError(
            f"{path}: not valid YAML: line {line}: not UTF-8; save it as UTF-8"
        ) from None
    except yaml.YAMLError as error:
        raise XlingError(_fault(path, error)) from None
    try:
        value = loader.get_single_data()
    except yaml.YAMLError as error:
        raise XlingError(_fault(path, error)) from None
    except RecursionError:
        raise XlingError(f"{path}: not valid YAML: nested too deeply") from None
    except (ValueError, OverflowError) as error:
        # Of what looks like a number or a date and is none, such as 2024-13-01.
        place, advice = f"line {loader.constructed_line}", "put what looks like a number or a date"
        raise XlingError(
            f"{path}: not valid YAML: {place}: {error}; {advice} in quotes if it is text"
        ) from None
    finally:
        loader.dispose()
    if loader.twice:
        raise XlingError(
            "; ".join(f"{path}:{line}: {found}" for line, found in sorted(loader.twice))
        )
    return value


def _fault(path: Path, error: yaml.YAMLError) -> str:
    """Say in one line what is wrong, and where."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    parts = [getattr(error, "context", None), getattr(error, "problem", None)]
    said = ", ".join(part for part in parts if part) or " ".join(str(error).split())
    if "'\\t'" in said:
        said += "; indent with blanks"
    if "single document" in said:
        said += " (a line of --- begins another); give each a file of its own"
    return f"{path}: not valid YAML: {place}{said}"


class _Loader(yaml.SafeLoader):
    """Composes as PyYAML does, and checks every node.

    Attributes:
        twice: Line and description of each key that stands twice in its mapping.
        constructed_line: Line of the last scalar that became a value.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.twice: list[tuple[int, str]] = []
        self.constructed_line = 1
        self._depth = 0
        # For each complete node, by its id: how much it holds, and in how many levels.
        self._whole: dict[int, tuple[int, int]] = {}
        self._repeated = 0
        self._kept: list[Node] = []  # so that no other node gets the same id

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        alias = self.check_event(yaml.AliasEvent)
        mark = self.peek_event().start_mark
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _too_deep(mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        if node is None:
            return None
        if not alias:
            self._whole[id(node)] = size, levels = self._measure(node)
            self._kept.append(node)
        elif id(node) not in self._whole:
            raise yaml.composer.ComposerError(None, None, "an anchor that holds itself", mark)
        else:
            size, levels = self._whole[id(node)]
            self._repeated += size
        if self._depth + levels > _DEEPEST:
            raise _too_deep(mark)
        # If an alias lies within something that is repeated itself, what it repeats counts again.
        if max(self._repeated, size if self._repeated else 0) > _MOST_REPEATED:
            raise yaml.composer.ComposerError(
                None,
                None,
                f"aliases repeat more than {_MOST_REPEATED:,} entries and characters; write out "
                "what is needed",
                mark,
            )
        return node

    def compose_mapping_node(self, anchor: dict[Hashable, Node]) -> MappingNode:
        node = super().compose_mapping_node(anchor)
        first: dict[Hashable, Node] = {}
        for key, _ in node.value:
            if not isinstance(key, ScalarNode) or key.tag == _MERGE:
                continue
            name = self.construct_object(key, deep=True)
            if isinstance(name, Hashable) and first.setdefault(name, key) is not key:
                lines = [found.start_mark.line + 1 for found in (first[name], key)]
                self.twice.append(
                    (
                        lines[1],
                        f"the key {key.value} stands twice, in line {lines[0]} and in line "
                        f"{lines[1]}; take one of them out",
                    )
                )
        return node

    def construct_object(self, node: Node, deep: bool = False) -> object:
        if isinstance(node, ScalarNode):
            self.constructed_line = node.start_mark.line + 1
        value = super().construct_object(node, deep)
        if isinstance(value, int) and value.bit_length() > _MOST_BITS:
            raise ValueError("too large a number")
        return value

    def _measure(self, node: Node) -> tuple[int, int]:
        """Return how much a node holds, and in how many levels."""
        if isinstance(node, ScalarNode):
            return 1 + len(node.value), 0
        children = node.value
        if isinstance(node, MappingNode):
            children = [child for pair in node.value for child in pair]
        found = [self._whole[id(child)] for child in children]
        return 1 + sum(size for size, _ in found), 1 + max((deep for _, deep in found), default=0)


def _too_deep(mark: yaml.Mark) -> yaml.composer.ComposerError:
    return yaml.composer.ComposerError(None, None, f"nested in more than {_DEEPEST} levels", mark)
