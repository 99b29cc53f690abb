"""Draw a molecule."""

from typing import Any

from rdkit import Chem, rdBase
from rdkit.Chem.Draw import rdMolDraw2D

MOST_ATOMS = 150
"""A drawing of more heavy atoms than this cannot be read."""

_BOND_LENGTH = 24.0
_DARKER = {9: (0.1, 0.5, 0.3), 16: (0.55, 0.45, 0.0), 17: (0.0, 0.5, 0.0)}
"""RDKit's colours of fluorine, sulfur and chlorine are too pale on white."""


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
    if mol.GetNumHeavyAtoms() > MOST_ATOMS:
        raise ValueError(f"{mol.GetNumHeavyAtoms()} heavy atoms are too many to draw")
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


def _prepare(mol: Chem.Mol) -> Chem.Mol:
    """A copy with fresh 2D coordinates, Kekulé bonds where there are any, and wedges."""
    plain = Chem.Mol(mol)
    plain.RemoveAllConformers()
    with rdBase.BlockLogs():
        try:
            return rdMolDraw2D.PrepareMolForDrawing(plain)
        except Chem.KekulizeException:
            return rdMolDraw2D.PrepareMolForDrawing(plain, kekulize=False)
