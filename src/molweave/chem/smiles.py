"""Is a text a molecule?"""

from rdkit import Chem, rdBase


def is_smiles(text: str) -> bool:
    """Whether RDKit reads the text as a SMILES of one atom at least."""
    with rdBase.BlockLogs():
        mol: Chem.Mol | None = Chem.MolFromSmiles(text)
    return mol is not None and mol.GetNumAtoms() > 0
