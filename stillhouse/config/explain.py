"""Turns what is wrong with a project file into file, line, field and remedy."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from stillhouse.config.base import ConfigError, FieldError

Location = tuple[str | int, ...]


def read_yaml(file: Path) -> tuple[dict[str, Any], dict[Location, int]]:
    """The mapping in `file`, and the line of each of its fields; raises `ConfigError`."""
    text = file.read_text(encoding="utf-8")
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{file}:{mark.line + 1}" if mark else str(file)
        raise ConfigError(
            f"{where}: this is not YAML: {getattr(error, 'problem', None) or error}",
            remedy="look at the indentation and the brackets on that line and the one before.",
        ) from None
    if not isinstance(values, dict):
        raise ConfigError(
            f"{file}: the file holds no fields",
            remedy="start from the commented file that `stillhouse init DIR` writes.",
        )
    lines: dict[Location, int] = {}
    if node is not None:
        _collect_lines(node, (), lines)
    return values, lines


def _collect_lines(node: yaml.Node, path: Location, lines: dict[Location, int]) -> None:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            lines[(*path, key.value)] = key.start_mark.line + 1
            _collect_lines(value, (*path, key.value), lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _collect_lines(value, (*path, index), lines)


def explain(
    error: ValidationError, file: Path, lines: dict[Location, int], model: type[BaseModel]
) -> ConfigError:
    """One `ConfigError` for all that pydantic found in a file of the fields of `model`."""
    problems, remedies = [], []
    for item in error.errors():
        location = tuple(item["loc"])
        if isinstance(cause := item.get("ctx", {}).get("error"), FieldError):
            location += cause.location
        line = _line_of(location, lines)
        problem, remedy = _problem_and_remedy(item, model)
        field = _field_name(location)
        problems.append(f"{file}:{line}: {field}{': ' if field else ''}{problem}")
        if remedy not in remedies:
            remedies.append(remedy)
    return ConfigError("\n".join(problems), remedy="; ".join(remedies) + ".")


def _line_of(location: Location, lines: dict[Location, int]) -> int:
    while location and location not in lines:
        location = location[:-1]
    return lines.get(location, 1)


def _field_name(location: Location) -> str:
    name = ""
    for part in location:
        name += f"[{part}]" if isinstance(part, int) else f".{part}" if name else str(part)
    return name


def _problem_and_remedy(item: Any, root: type[BaseModel]) -> tuple[str, str]:
    kind, context = item["type"], item.get("ctx", {})
    if kind == "extra_forbidden":
        known = _fields_at(item["loc"][:-1], root)
        close = difflib.get_close_matches(str(item["loc"][-1]), known, n=1)
        hint = f"did you mean `{close[0]}`?" if close else f"known here: {', '.join(known)}"
        return f"there is no such field; {hint}", "correct or remove the field"
    if kind == "missing":
        return "this field is required", "add the field"
    if kind == "literal_error":
        return f"{item['input']!r} is not one of {context['expected']}", "use one of these"
    if kind == "string_pattern_mismatch":
        return (
            f"{item['input']!r} is not a plain name",
            "use lower-case letters, digits, - and _ (asset names: no -), starting with a letter",
        )
    message = str(context.get("error", item["msg"]))
    return f"{message} (got {item['input']!r})" if "error" not in context else message, (
        "correct the value"
    )


def _fields_at(location: Location, root: type[BaseModel]) -> list[str]:
    """Names of the fields that may stand at `location` of a project file."""
    model: Any = root
    for part in location:
        if isinstance(part, int):
            continue
        annotation = model.model_fields[part].annotation
        model = next((a for a in _models_in(annotation)), None)
        if model is None:
            return []
    names = [f.alias or name for name, f in model.model_fields.items()]
    return [n for n in names if n != "file"]


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    found: list[type[BaseModel]] = []
    for inner in getattr(annotation, "__args__", ()):
        found.extend(_models_in(inner))
    return found
