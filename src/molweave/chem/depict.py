"""Draw a molecule: an SVG for people, a PNG for a network."""

from typing import Any

from rdkit import Chem, rdBase
from rdkit.Chem import rdDepictor
from rdkit.Chem.Draw import rdMolDraw2D

MOST_ATOMS = 150
"""A drawing of more heavy atoms than this cannot be read."""

_BOND_LENGTH = 24.0
_DARKER = {9: (0.1, 0.5, 0.3), 16: (0.55, 0.45, 0.0), 17: (0.0, 0.5, 0.0)}
"""RDKit's colours of fluorine, sulfur and chlorine are too pale on white."""

IMAGE_SIZE = 224
"""Height and width of the image that `draw_image` makes, in pixels."""

_IMAGE_OPTIONS: dict[str, object] = {
    "addStereoAnnotation": False,
    "additionalAtomLabelPadding": 0.06,
    "addAtomIndices": False,
    "addBondIndices": False,
    "atomLabelDeuteriumTritium": False,
    "bondLineWidth": 2.0,
    "centreMoleculesBeforeDrawing": False,
    "clearBackground": True,
    "comicMode": False,
    "dummiesAreAttachments": False,
    "dummyIsotopeLabels": True,
    "explicitMethyl": False,
    "fixedBondLength": 16.0,  # pixels per unit of RDKit's coordinates: a bond of 1.5 has 24
    "fixedFontSize": 13,
    "fontFile": "BuiltinRobotoRegular",
    "includeAtomTags": False,
    "includeMetadata": False,
    "includeRadicals": True,
    "isotopeLabels": True,
    "multipleBondOffset": 0.18,
    "noAtomLabels": False,
    "padding": 0.05,
    "prepareMolsBeforeDrawing": False,
    "rotate": 0.0,
    "scaleBondWidth": False,
    "singleColourWedgeBonds": False,
    "splitBonds": False,
    "unspecifiedStereoIsUnknown": False,
    "useMolBlockWedging": False,
}
_BLACK, _WHITE = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
_IMAGE_PALETTE = {
    -1: _BLACK,
    0: (0.4, 0.4, 0.4),
    7: (0.1, 0.1, 1.0),
    8: (1.0, 0.0, 0.0),
    9: (0.1, 0.6, 0.4),
    15: (0.9, 0.45, 0.0),
    16: (0.65, 0.55, 0.0),
    17: (0.0, 0.65, 0.0),
    35: (0.5, 0.3, 0.1),
    53: (0.5, 0.0, 0.6),
}
"""Colours by atomic number; 0 is a dummy atom, -1 any other element."""


def draw_image(mol: Chem.Mol) -> bytes:
    """A skeletal drawing on white as a PNG of `IMAGE_SIZE`; the same molecule, the same bytes.

    Every option that decides a pixel is spelled out here, nothing is left to RDKit's defaults or to
    its global settings. Bonds and letters have one size in every image; bonds are shorter only
    where the molecule would not fit. The molecule is not changed.

    Args:
        mol: any molecule, its atoms in canonical order; its own coordinates are ignored.

    Raises:
        ValueError: more than `MOST_ATOMS` heavy atoms.
    """
    _check_size(mol)
    drawer = rdMolDraw2D.MolDraw2DCairo(IMAGE_SIZE, IMAGE_SIZE, -1, -1, False)
    options: Any = drawer.drawOptions()
    for name, value in _IMAGE_OPTIONS.items():
        setattr(options, name, value)
    options.setAtomPalette(_IMAGE_PALETTE)
    options.setBackgroundColour(_WHITE)
    options.setSymbolColour(_BLACK)
    options.setQueryColour(_BLACK)
    drawer.DrawMolecule(_prepare(mol))
    drawer.FinishDrawing()
    return bytes(drawer.GetDrawingText())


def draw_molecule(mol: Chem.Mol, *, width: int = 240, height: int = 170) -> str:
    """A skeletal drawing as a complete SVG document; the same molecule gives the same text.

    Bonds have one length in every drawing, shorter only where the molecule would not fit; the
    background is transparent. The molecule is not changed.

    Args:
        mol: any molecule; its own coordinates are ignored.
        width: in pixels.
        height: in pixels.

    Raises:
        ValueError: more than `MOST_ATOMS` heavy atoms.
    """
    _check_size(mol)
    drawer = rdMolDraw2D.MolDraw2DSVG(width, height, -1, -1, True)
    options: Any = drawer.drawOptions()
    options.clearBackground = False
    options.fixedBondLength = _BOND_LENGTH
    options.bondLineWidth = 1.4
    options.scaleBondWidth = False
    options.minFontSize = 9
    options.maxFontSize = 13
    options.padding = 0.04
    options.prepareMolsBeforeDrawing = False
    options.updateAtomPalette(_DARKER)
    drawer.DrawMolecule(_prepare(mol))
    drawer.FinishDrawing()
    return str(drawer.GetDrawingText())


def _check_size(mol: Chem.Mol) -> None:
    if mol.GetNumHeavyAtoms() > MOST_ATOMS:
        raise ValueError(f"{mol.GetNumHeavyAtoms()} heavy atoms are too many to draw")


def _prepare(mol: Chem.Mol) -> Chem.Mol:
    """A copy with fresh 2D coordinates, Kekulé bonds where there are any, and wedges."""
    plain = Chem.Mol(mol)
    plain.RemoveAllConformers()
    with rdBase.BlockLogs():
        try:
            ready = _add_chiral_hydrogens(plain, kekulize=True)
        except Chem.KekulizeException:
            ready = _add_chiral_hydrogens(plain, kekulize=False)
        rdDepictor.Compute2DCoords(ready, canonOrient=True, forceRDKit=True, useRingTemplates=False)
        return rdMolDraw2D.PrepareMolForDrawing(
            ready, kekulize=False, addChiralHs=False, wedgeBonds=True, wavyBonds=False
        )


def _add_chiral_hydrogens(mol: Chem.Mol, *, kekulize: bool) -> Chem.Mol:
    return rdMolDraw2D.PrepareMolForDrawing(
        mol, kekulize=kekulize, addChiralHs=True, wedgeBonds=False
    )
