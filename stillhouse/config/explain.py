"""Turns what is wrong with a project file into file, line, field and remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from stillhouse.config.base import ConfigError, FieldError

Location = tuple[str | int, ...]


# No project file comes near to that; a few lines of aliases to aliases come to any number.
MAX_DEPTH, MAX_FIELDS = 50, 100_000
# What PyYAML raises for a scalar that isn't what its tag or its form says: a thirteenth month.
SCALAR_ERRORS = (ValueError, KeyError, AttributeError, TypeError, OverflowError)


def read_yaml(file: Path) -> tuple[dict[str, Any], dict[Location, int]]:
    """The mapping in `file`, and the line of each of its fields; raises `ConfigError`."""
    node: yaml.Node | None = None
    lines: dict[Location, int] = {}
    try:
        text = file.read_text(encoding="utf-8-sig")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if node is not None:
            _collect_lines(node, (), lines, file)
        values = yaml.safe_load(text)
    except OSError as error:
        raise ConfigError(
            f"{file}: it can't be read: {error.strerror}", remedy="let this user read it."
        ) from None
    except UnicodeDecodeError:
        raise ConfigError(
            f"{file}: this is no text in UTF-8", remedy="save it in that encoding."
        ) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{file}:{mark.line + 1}" if mark else str(file)
        raise ConfigError(
            f"{where}: this is not YAML: {getattr(error, 'problem', None) or error}",
            remedy="look at the indentation and the brackets on that line and the one before.",
        ) from None
    except RecursionError:
        raise _too_much(file, 1) from None
    except SCALAR_ERRORS:
        raise _no_such_value(node, lines, file) from None
    if not isinstance(values, dict):
        raise ConfigError(
            f"{file}: the file holds no fields",
            remedy="start from the commented file that `stillhouse init DIR` writes.",
        )
    return values, lines


def _collect_lines(node: yaml.Node, path: Location, lines: dict[Location, int], file: Path) -> None:
    lines.setdefault(path, node.start_mark.line + 1)
    if len(path) > MAX_DEPTH or len(lines) > MAX_FIELDS:
        raise _too_much(file, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            # A key that is no scalar is an error to whoever reads the values.
            name = key.value if isinstance(key, yaml.ScalarNode) else ""
            lines[(*path, name)] = key.start_mark.line + 1
            _collect_lines(value, (*path, name), lines, file)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _collect_lines(value, (*path, index), lines, file)


def _too_much(file: Path, line: int) -> ConfigError:
    return ConfigError(
        f"{file}:{line}: fields within fields, or aliases, without end",
        remedy="write out what it says, or take it out.",
    )


def _no_such_value(node: yaml.Node | None, lines: dict[Location, int], file: Path) -> ConfigError:
    """Which value it is, by reading each by itself."""
    found = _scalars(node, ()) if node is not None else []
    location = next((place for place, scalar in found if not _is_a_value(scalar)), ())
    field = _field_name(location)
    return ConfigError(
        f"{file}:{_line_of(location, lines)}: {field}{': ' if field else ''}there is no such value",
        remedy="correct it, or put it in quotes if it is a text.",
    )


def _is_a_value(scalar: yaml.Node) -> bool:
    try:
        yaml.constructor.SafeConstructor().construct_object(scalar, deep=True)
    except SCALAR_ERRORS:
        return False
    return True


def _scalars(node: yaml.Node, path: Location) -> Iterator[tuple[Location, yaml.Node]]:
    if isinstance(node, yaml.ScalarNode):
        yield path, node
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else ""
            yield from _scalars(key, (*path, name))
            yield from _scalars(value, (*path, name))
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _scalars(value, (*path, index))


def explain(
    error: ValidationError, file: Path, lines: dict[Location, int], model: type[BaseModel]
) -> ConfigError:
    """One `ConfigError` for all that pydantic found in a file of the fields of `model`."""
    problems, remedies = [], []
    for item in error.errors():
        location = _without_kinds(tuple(item["loc"]), model)
        if item["type"].startswith("union_tag"):
            location += (str(item["ctx"]["discriminator"]).strip("'"),)
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
    if kind == "union_tag_invalid":
        return f"{context['tag']!r} is not one of {context['expected_tags']}", "use one of these"
    if kind == "union_tag_not_found":
        return "this field is required", "add the field"
    if kind == "string_pattern_mismatch":
        return (
            f"{item['input']!r} is not a plain name",
            "use lower-case letters, digits, - and _ (asset names: no -), starting with a letter",
        )
    if kind.startswith("date_"):
        return f"{item['input']!r} is no date", "write it as 2026-03-31"
    message = str(context.get("error", item["msg"]))
    return f"{message} (got {item['input']!r})" if "error" not in context else message, (
        "correct the value"
    )


def _fields_at(location: Location, root: type[BaseModel]) -> list[str]:
    """Names of the fields that may stand at `location` of a project file."""
    model = _walk(location, root)[1]
    if model is None:
        return []
    names = [f.alias or name for name, f in model.model_fields.items()]
    return [n for n in names if n != "file"]


def _without_kinds(location: Location, root: type[BaseModel]) -> Location:
    """Where it stands in the file: pydantic names the kind of a section as if it were a field."""
    return _walk(location, root)[0]


def _walk(location: Location, root: type[BaseModel]) -> tuple[Location, type[BaseModel] | None]:
    """`location` without the kinds of sections in it, and the section that it leads to."""
    models, found = [root], []
    for part in location:
        by_kind = {kind: m for m in models for kind in _kinds_of(m)} if len(models) > 1 else {}
        if part in by_kind:
            models = [by_kind[str(part)]]
            continue
        found.append(part)
        if isinstance(part, str) and len(models) == 1:
            # The key of a mapping leads on to the section that is its value.
            field = _field(models[0], part)
            models = _models_in(field.annotation) if field else models
    return tuple(found), models[0] if len(models) == 1 else None


def _field(model: type[BaseModel], name: str) -> Any:
    by_name = {f.alias or n: f for n, f in model.model_fields.items()}
    return by_name.get(name)


def _kinds_of(model: type[BaseModel]) -> tuple[str, ...]:
    field = model.model_fields.get("kind")
    return getattr(field.annotation, "__args__", ()) if field else ()


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    found: list[type[BaseModel]] = []
    for inner in getattr(annotation, "__args__", ()):
        found.extend(_models_in(inner))
    return found
