"""Every loss term of every method is explained."""

import pytest
from pages import Page
from tiny import SIZES, labels, make_batch, tiny_config, tiny_model

from molweave.methods import METHODS
from molweave.report.html import render_report
from molweave.report.terms import TERMS

SMILES = ("CCO", "CCN", "c1ccccc1O", "CC(=O)O")


@pytest.mark.parametrize("method", [name for name in METHODS if name in SIZES])
@pytest.mark.parametrize("pretraining", [False, True])
def test_terms_are_explained(method, pretraining):
    entry = METHODS[method]
    changes = dict(entry.pretraining) if pretraining else {}
    config = tiny_config(method, next(iter(entry.presets)), **changes)
    model = tiny_model(config, method=method).train()
    batch = make_batch(SMILES, targets=labels(len(SMILES)))
    assert set(model(batch, 0.5)) <= set(TERMS)


def test_the_report_shows_them_once_each(build_data):
    captions = Page(render_report(build_data(("regression",)))).texts("figcaption")
    assert captions.count(TERMS["loss"]) == 1
    assert captions.count(TERMS["kl"]) == 1
    assert captions.count("root mean squared error, in the unit of the target") == 1
