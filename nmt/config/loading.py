"""Configurations as YAML files: read, overridden by `key.path=value`, written."""

from __future__ import annotations

import re
import warnings
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from nmt.config.model import Section
from nmt.config.tree import RunConfig, section_of
from nmt.errors import UserError

LARGEST_FILE = 100_000
"""Largest configuration file, in bytes."""
RENAMED = {"training.consistency": "training.r_drop", "training.guided_alignment": "alignment.links"}
"""Old keys that are still accepted, and their names now."""


class _Loader(yaml.SafeLoader):
    """YAML 1.2's numbers and booleans: PyYAML reads `2e-3` as text, `1:30` as 90 and Norwegian's `no` as false. No
    aliases, a few lines of which can grow beyond any memory, no tags, and no key twice, whose first is lost."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent) or getattr(event, "tag", None) is not None:
            line = event.start_mark.line + 1
            raise yaml.YAMLError(f"line {line}: aliases (*) and tags (!) are not taken; write the value out")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for number, (key, _) in enumerate(node.value):
            if keys[number] in keys[:number]:
                raise yaml.YAMLError(f"line {key.start_mark.line + 1}: {keys[number]} is there twice; leave one out")
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """The same, so that the text `2e-3` is written in quotes."""


_BOOLEAN, _INTEGER = (f"tag:yaml.org,2002:{kind}" for kind in ("bool", "int"))
_Loader.yaml_implicit_resolvers = {
    first: [one for one in known if one[0] not in (_BOOLEAN, _INTEGER)]
    for first, known in _Loader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_BOOLEAN, re.compile("(true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
_Loader.add_implicit_resolver(_INTEGER, re.compile("[-+]?[0-9]+$"), list("-+0123456789"))
_Loader.add_constructor(_INTEGER, lambda _, node: int(node.value))
for _side in (_Loader, _Dumper):
    _side.add_implicit_resolver(
        "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
    )


def load_config(path: str | Path, overrides: list[str] | None = None, warn: bool = True) -> RunConfig:
    """Read a YAML file and apply `key.path=value` overrides, whose values are YAML too.

    Old names of keys are accepted; `warn` says so. Raises UserError with the file, the key's path and the remedy.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(LARGEST_FILE + 1)
        if len(content) > LARGEST_FILE:
            raise UserError(f"{path} is no configuration: over {LARGEST_FILE:,} bytes; see configs/ for examples")
        tree = yaml.load(content.decode("utf-8"), _Loader)
    except OSError as error:
        raise UserError(f"cannot read the configuration {path}: {error.strerror}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: not UTF-8, a date that is none
        raise UserError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(tree, dict):
        raise UserError(f"{path} holds no keys; see configs/ for examples")
    rename_old_keys(tree, str(path), warn)
    for override in overrides or []:
        apply_override(tree, override)
    return parse_config(tree, str(path))


def parse_config(tree: dict[str, Any], origin: str) -> RunConfig:
    """Validate a tree of plain values; `origin` names it in errors. Raises UserError."""
    rename_old_keys(tree, origin)
    try:
        return RunConfig.model_validate(tree)
    except ValidationError as error:
        raise UserError(f"{origin}: {'; '.join(_explain(item) for item in error.errors())}") from error


def rename_old_keys(tree: dict[str, Any], origin: str, warn: bool = True) -> None:
    """Replace the old names of keys in a tree. Raises UserError if a key is there under both names."""
    for old, new in RENAMED.items():
        (old_section, old_key), (section, key) = old.rsplit(".", 1), new.rsplit(".", 1)
        values, target = tree.get(old_section), tree.get(section, {})
        if not isinstance(values, dict) or not isinstance(target, dict) or old_key not in values:
            continue
        if key in target:
            raise UserError(f"{origin}: {old} is the old name of {new}; leave it out")
        if warn and values[old_key] is not None:
            warnings.warn(f"{origin}: {old} is now {new}", FutureWarning, stacklevel=3)
        tree[section] = target
        target[key] = values.pop(old_key)


def dump_config(config: RunConfig) -> str:
    """The configuration as YAML with every key."""
    return yaml.dump(config.model_dump(), Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def apply_override(tree: dict[str, Any], override: str) -> None:
    """Set `key.path=value` in a tree of plain values. Raises UserError for other forms."""
    key, separator, text = override.partition("=")
    if key in RENAMED:
        warnings.warn(f"override {override!r}: {key} is now {RENAMED[key]}", FutureWarning, stacklevel=3)
        key = RENAMED[key]
    if not separator or not key:
        raise UserError(f"override {override!r} is not of the form key=value, such as training.seed=2")
    *sections, last = key.split(".")
    for section in sections:
        tree = tree.setdefault(section, {})
        if not isinstance(tree, dict):
            raise UserError(f"override {override!r}: {section} is a value, not a section")
    try:
        tree[last] = yaml.load(text, _Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"override {override!r}: the value is not YAML") from error


def _explain(item: Any) -> str:
    place = ".".join(str(part) for part in item["loc"]) or "the configuration"
    if item["type"] == "extra_forbidden":
        known = _keys_beside(item["loc"])
        nearest = get_close_matches(str(item["loc"][-1]), known, 1)
        question = f"did you mean {nearest[0]}? " if nearest else ""
        return f"{place}: unknown key; {question}known here: {', '.join(known)}"
    if item["type"] == "missing":
        return f"{place}: this key is required"
    message = item["msg"].removeprefix("Value error, ")
    given = "" if isinstance(item["input"], dict) else f" (it is {item['input']!r})"
    return f"{place}: {message}{given}"


def _keys_beside(location: tuple) -> list[str]:
    section: type[Section] = RunConfig
    for part in location[:-1]:
        section = section_of(section.model_fields[part].annotation) or section
    return list(section.model_fields)
