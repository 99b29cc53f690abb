"""scikit-learn estimators over the facade: molecules in, labels, probabilities or vectors out.

``X`` is a sequence of molecules: SMILES or RDKit molecules in a list, array or Series, or the one
column of a DataFrame or 2D array. What scikit-learn makes of a table of numbers (scaling, say) has
no meaning here; grid search, cross-validation, pipelines and column transformers work as usual.
"""

from molweave.sklearn.embedder import MolweaveEmbedder
from molweave.sklearn.molecules import InvalidMoleculesError
from molweave.sklearn.properties import MolweaveClassifier, MolweaveRegressor

__all__ = ["InvalidMoleculesError", "MolweaveClassifier", "MolweaveEmbedder", "MolweaveRegressor"]
