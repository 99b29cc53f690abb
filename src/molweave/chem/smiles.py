"""Reading a SMILES without standardising it."""

from rdkit import Chem, rdBase


def parse_smiles(text: str) -> Chem.Mol | None:
    """The molecule, or None where RDKit does not read the text; it logs nothing."""
    with rdBase.BlockLogs():
        return Chem.MolFromSmiles(text)


def is_smiles(text: str) -> bool:
    """Whether RDKit reads the text as a SMILES of one atom at least."""
    mol = parse_smiles(text)
    return mol is not None and mol.GetNumAtoms() > 0
