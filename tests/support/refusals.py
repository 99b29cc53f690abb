"""Commands that have to be refused without a trace."""

from pathlib import Path

from fits import frame

TABLE = frame()
LABELS = "smiles,active,logp\nCCO,1,0.5\nCCN,0,1.5\n"


def content(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def refused(cli, folder: Path, message: str, *arguments: object) -> None:
    """The command fails with exactly this message and changes no file."""
    before = content(folder)
    assert cli(*arguments) == (2, "", f"error: {message}\n")
    assert content(folder) == before
