"""Write the page of ``explain-memory``: one file, nothing fetched, no scripts."""

from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from molweave.errors import UserError
from molweave.inference.explain_memory import Anchor, MemoryMap
from molweave.methods.pretrained import EncoderSpec
from molweave.report.svg import draw_smiles
from molweave.report.templating import fill_template, write_atomically


@dataclass(frozen=True)
class _Drawing:
    """A molecule near an anchor: its drawing (None where it cannot be drawn) and words."""

    svg: Markup | None
    smiles: str
    row: int
    similarity: str


@dataclass(frozen=True)
class _Section:
    """An anchor with its molecules; ``bar`` is its use in % of that of the most used anchor."""

    anchor: Anchor
    bar: float
    drawings: tuple[_Drawing, ...]


def write_memory(found: MemoryMap, spec: EncoderSpec, path: Path) -> None:
    """Write the page; a kill leaves the old file or the new one.

    Raises:
        UserError: it cannot be written; the disk is full, say.
    """
    try:
        write_atomically(path, render_memory(found, spec))
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror or error}") from error


def render_memory(found: MemoryMap, spec: EncoderSpec) -> str:
    """The page as HTML."""
    most = max(anchor.used for anchor in found.anchors)
    sections = tuple(
        _Section(anchor, 100 * anchor.used / most, _draw(anchor)) for anchor in found.anchors
    )
    return fill_template("memory.html.jinja", found=found, spec=spec, sections=sections)


def _draw(anchor: Anchor) -> tuple[_Drawing, ...]:
    return tuple(
        _Drawing(
            draw_smiles(near.smiles, key=f"a{anchor.number}-{place}"),
            near.smiles,
            near.row,
            f"{near.similarity:.3f}",
        )
        for place, near in enumerate(anchor.nearest)
    )
