"""Fit a model on a table, save it, load it and predict new molecules.

    python examples/quickstart.py

Takes a few minutes on two cores; the conformers are kept, so a second run is faster.
"""

from pathlib import Path

import molweave as mw

HERE = Path(__file__).parent
BBBP = HERE.parent / "src" / "molweave" / "data" / "bundled" / "bbbp.csv.gz"


def main() -> None:
    """Predict which of the new molecules cross the blood-brain barrier."""
    model = mw.Predictor().fit(BBBP, targets="p_np", split="scaffold")
    model.save("bbbp-model", overwrite=True)

    model = mw.Predictor.load("bbbp-model")
    table = model.predict(HERE / "new_molecules.csv")
    print(table[["name", "p_np_prob", "error"]].to_string(index=False))

    vectors = model.embed(["CCO", "c1ccccc1O"])
    print("embedding of two molecules:", vectors.shape)


if __name__ == "__main__":
    main()
