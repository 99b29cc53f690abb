"""Fill in the templates of the report, and put files in their place in one step."""

import os
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import jinja2

_MARKDOWN = re.compile(r"([\\`*\[\]#|~$]|(?<!\w)_|_(?!\w))")


def fill_template(name: str, **values: object) -> str:
    """A template of this package filled in.

    Args:
        name: ending in ``.html.jinja``, where every value is escaped, or ``.md.jinja``, where the
            template marks text of the user with the filter ``md``.
        values: what the template names; it may name nothing else.
    """
    return _environment().get_template(name).render(values)


def escape_markdown(value: object) -> str:
    """Text of the user as one line that Markdown, and the HTML in it, leave alone."""
    text = " ".join(str(value).split())
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKDOWN.sub(r"\\\1", text)


def write_atomically(path: Path, text: str) -> None:
    """Write UTF-8 text to a temporary file in the same folder and put it in place of ``path``."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        fresh.write_text(text, encoding="utf-8", newline="\n")
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


@cache
def _environment() -> "jinja2.Environment":
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.PackageLoader("molweave.report"),
        autoescape=jinja2.select_autoescape(("html.jinja",), default=False),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["md"] = escape_markdown
    return made
