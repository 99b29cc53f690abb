"""Make SVG documents of matplotlib and RDKit fit to stand inside a page."""

import re

from markupsafe import Markup, escape

from molweave.chem.depict import MOST_ATOMS, draw_molecule
from molweave.chem.smiles import parse_smiles

_OPENING = re.compile(r"<svg\b[^>]*>")
_VIEW_BOX = re.compile(r"viewBox=['\"]([^'\"]+)['\"]")
_REFERENCE = re.compile(r"(href=\"|url\()#([\w.-]+)")
_ID = re.compile(r"\sid=\"([\w.-]+)\"")
_DROPPED = (
    re.compile(r"<!--.*?-->", re.DOTALL),
    re.compile(r"<metadata>.*?</metadata>", re.DOTALL),
    re.compile(r"<style\b.*?</style>", re.DOTALL),
    re.compile(r"<defs>\s*</defs>"),
    re.compile(r"\sclass='[^']*'"),
    re.compile(r"font-family:[^;\"]*;?\s?"),
    re.compile(
        r"(?<![-\w])(?:fill-rule:evenodd|stroke-linecap:butt|stroke-linejoin:miter|opacity:1\.0"
        r"|(?:fill|stroke)-opacity:1|font-(?:style|weight):normal)(?:;|(?='))"
    ),
    re.compile(r" transform=\"rotate\(-0 [^)]*\)\""),
)


def inline_svg(document: str, *, key: str, label: str) -> Markup:
    """The drawing without what a page does not need or what would leak into it.

    Prolog, namespaces, metadata, style sheets, default styles and unused ids go; the ids that are
    used get ``key`` in front.

    Args:
        document: an SVG document of matplotlib or RDKit, which escape the text in it.
        key: a word that no other drawing of the page has.
        label: what it shows, for those who cannot see it.
    """
    opening = _OPENING.search(document)
    view_box = _VIEW_BOX.search(opening.group()) if opening else None
    if opening is None or view_box is None:
        raise ValueError("not an SVG document with a viewBox")
    body = document[opening.end() :]
    for pattern in _DROPPED:
        body = pattern.sub("", body)
    used = {match.group(2) for match in _REFERENCE.finditer(body)}
    body = _ID.sub(lambda m: f' id="{key}-{m.group(1)}"' if m.group(1) in used else "", body)
    body = _REFERENCE.sub(rf"\1#{key}-\2", body)
    body = re.sub(r"\s*\n\s*", "\n", body)
    head = f'<svg role="img" aria-label="{escape(label)}" viewBox="{view_box.group(1)}">'
    return Markup(head + body.strip())  # noqa: S704 - made by two libraries that escape text


def draw_smiles(smiles: str, *, key: str) -> Markup | None:
    """A drawing of the molecule for a page; None where it cannot be read or is too large.

    Args:
        smiles: the molecule.
        key: see `inline_svg`.
    """
    mol = parse_smiles(smiles)
    if mol is None or not 0 < mol.GetNumHeavyAtoms() <= MOST_ATOMS:
        return None
    return inline_svg(draw_molecule(mol), key=key, label=smiles)
