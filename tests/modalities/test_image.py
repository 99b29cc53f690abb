"""The image modality against RDKit, pixels of known colours, and other processes."""

import hashlib
import io
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from rdkit import Chem
from rdkit.Chem import rdDepictor

from molweave.chem.depict import IMAGE_SIZE, MOST_ATOMS
from molweave.modalities.base import Missing
from molweave.modalities.image import ImageModality, ImageSample

MODALITY = ImageModality()
ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"


def image(read, smiles: str) -> np.ndarray:
    """Pixels as height, width, channel, with their sign."""
    part = MODALITY.collate([MODALITY.featurize(read(smiles), None)])
    return part.pixels[0].permute(1, 2, 0).numpy().astype(int)


def test_decoded_as_pillow_does(read) -> None:
    samples = [MODALITY.featurize(read(text), None) for text in (ASPIRIN, "C", "[Na+].[Cl-]")]
    part = MODALITY.collate(samples)
    assert part.num_molecules == 3
    assert part.pixels.shape == (3, 3, IMAGE_SIZE, IMAGE_SIZE)
    assert part.pixels.dtype == torch.uint8
    for sample, pixels in zip(samples, part.pixels, strict=True):
        with Image.open(io.BytesIO(sample.png)) as opened:
            expected = np.asarray(opened.convert("RGB"))
        assert np.array_equal(pixels.permute(1, 2, 0).numpy(), expected)


def test_colours_tell_the_elements(read) -> None:
    found = image(read, "CCO")
    assert (found[[0, 0, -1, -1], [0, -1, 0, -1]] == 255).all()
    red = (found[..., 0] > 200) & (found[..., 1:] < 60).all(-1)
    assert red.sum() > 20
    green = image(read, "CCCl")
    assert ((green[..., 1] > 140) & (green[..., 0] < 60) & (green[..., 2] < 60)).sum() > 20
    carbon = image(read, "CCCC")
    assert (carbon == carbon[..., :1]).all()  # black, white and greys


def test_bonds_have_one_length_in_small_molecules(read) -> None:
    """A zigzag chain of C bonds of 24 pixels grows by 24 sin 60 degrees with every bond."""
    lengths = []
    for atoms in (4, 6, 8):
        rows, columns = np.nonzero(image(read, "C" * atoms)[..., 0] < 128)
        lengths.append(np.hypot(np.ptp(rows), np.ptp(columns)))
    assert np.diff(lengths) / 2 == pytest.approx(24 * np.sin(np.radians(60)), abs=0.7)


def test_large_molecules_fit(read) -> None:
    found = image(read, "C" * 80)
    assert (found < 128).any()
    edges = np.concatenate([found[0], found[-1], found[:, 0], found[:, -1]])
    assert (edges == 255).all()


def test_stereo_and_charge_and_isotope_are_shown(read) -> None:
    variants = (
        "CC(N)C(=O)O",
        "C[C@H](N)C(=O)O",
        "C[C@@H](N)C(=O)O",
        "CC([NH3+])C(=O)O",
        "CC(N)C([18OH])=O",
    )
    assert len({MODALITY.featurize(read(text), None).png for text in variants}) == len(variants)


def test_every_spelling_gives_the_same_bytes(read) -> None:
    mol = Chem.MolFromSmiles(ASPIRIN)
    first = MODALITY.featurize(read(ASPIRIN), None)
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(mol.GetNumAtoms()).tolist()
        written = Chem.MolToSmiles(Chem.RenumberAtoms(mol, order), canonical=False)
        assert MODALITY.featurize(read(written), None) == first


def test_settings_of_rdkit_do_not_matter(read) -> None:
    caffeine = "Cn1c(=O)c2c(ncn2C)n(C)c1=O"
    first = MODALITY.featurize(read(caffeine), None)
    before = rdDepictor.GetPreferCoordGen()
    rdDepictor.SetPreferCoordGen(not before)
    try:
        assert MODALITY.featurize(read(caffeine), None) == first
    finally:
        rdDepictor.SetPreferCoordGen(before)


def test_another_process_draws_the_same_bytes(read, odd_smiles) -> None:
    smiles = [read(text).canonical for name, text in odd_smiles.items() if name != "1000 atoms"]
    program = (
        "import hashlib, sys; from rdkit import Chem; from molweave.chem.depict import draw_image;"
        "print(hashlib.sha256(b''.join(draw_image(Chem.MolFromSmiles(s)) for s in sys.argv[1:]))"
        ".hexdigest())"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, *smiles], capture_output=True, text=True, check=True
    )
    assert run.stderr == ""
    mine = b"".join(MODALITY.featurize(read(text), None).png for text in smiles)
    assert run.stdout.strip() == hashlib.sha256(mine).hexdigest()


def test_missing_says_why(read) -> None:
    assert isinstance(MODALITY.featurize(read("C" * MOST_ATOMS), None), ImageSample)
    missing = MODALITY.featurize(read("C" * (MOST_ATOMS + 1)), None)
    assert missing == Missing("no drawing: 151 heavy atoms are too many to draw")
