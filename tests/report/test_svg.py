import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from rdkit import Chem

from molweave.chem.depict import draw_molecule
from molweave.report.figures import parity_figure, roc_figure
from molweave.report.svg import inline_svg


def parse(text):
    return ET.fromstring(text.replace("xlink:href", "href"))


def test_drawing_keeps_every_line_and_letter():
    document = draw_molecule(Chem.MolFromSmiles("CC(=O)Nc1ccc(O)cc1"))
    inline = inline_svg(document, key="m", label="a <b>")
    before, after = ET.fromstring(document), parse(inline)
    paths = [path.get("d") for path in before.iter("{http://www.w3.org/2000/svg}path")]
    assert [path.get("d") for path in after.iter("path")] == paths
    letters = [text.text for text in before.iter("{http://www.w3.org/2000/svg}text")]
    assert [text.text for text in after.iter("text")] == letters
    colors = re.findall(r"stroke:(#\w+)", document)
    assert re.findall(r"stroke:(#\w+)", inline) == colors
    assert after.get("aria-label") == "a <b>"
    assert len(inline) < 0.7 * len(document)


def test_figures_refer_to_their_own_ids():
    x = np.linspace(0, 1, 20)
    inline = parity_figure(x, x**2, key="k")
    root = parse(inline)
    ids = {element.get("id") for element in root.iter() if element.get("id")}
    used = {element.get("href") for element in root.iter("use")}
    assert used
    assert {name[1:] for name in used} <= ids
    assert all(name.startswith("k-") for name in ids)
    assert len(list(root.iter("use"))) >= 20


def test_roc_figure_draws_the_curve():
    truth, prediction = np.array([0.0, 1, 0, 1]), np.array([0.1, 0.4, 0.6, 0.9])
    paths = [path.get("d") for path in parse(roc_figure(truth, prediction, key="r")).iter("path")]
    blue = [d for d in paths if d.count("L") == 4 and "z" not in d]
    assert blue, "one line through the five points of the curve"


def test_not_an_svg():
    with pytest.raises(ValueError, match="not an SVG"):
        inline_svg("<p>", key="x", label="y")
