"""Pages from templates: whatever is filled in is text, in which nothing hides or turns the writing
direction, and what was not given is an error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stillhouse.wording import visible

if TYPE_CHECKING:
    from jinja2 import Environment


def environment(package: str, *, lstrip_blocks: bool = True) -> Environment:
    """The templates of a package's folder `templates`."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader(package, "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=lstrip_blocks,
    )


def _shown(value: Any) -> Any:
    """A value as it is filled in; what is HTML already was made by us."""
    return visible(value) if type(value) is str else value
