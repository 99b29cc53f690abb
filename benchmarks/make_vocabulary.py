"""Make ``smiles_vocabulary.json``, the fixed token list of the sequence modality.

    python benchmarks/make_vocabulary.py corpus.smi.gz [more.smi.gz ...] --source "which corpora"

Each corpus is a (gzipped) text file whose lines start with a SMILES string. The list holds every
token that is possible outside brackets, then the bracket atoms seen at least ``--minimum`` times,
then the bare bracket atom of every element that is seen that often in any bracket atom.
"""

import argparse
import gzip
import json
from collections import Counter
from pathlib import Path

from molweave.chem import vocabulary

FIXED = [
    *("B", "C", "N", "O", "P", "S", "F", "Cl", "Br", "I"),
    *("b", "c", "n", "o", "p", "s", "*"),
    *("(", ")", ".", "-", "=", "#", "$", ":", "~", "/", "\\", "->", "<-"),
    *(str(ring) for ring in range(10)),
    *(f"%{ring}" for ring in range(10, 100)),
]


def main() -> None:
    """Count the tokens of the corpora and write the list."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpora", nargs="+", type=Path)
    parser.add_argument("--minimum", type=int, default=10)
    parser.add_argument("--source", required=True, help="what the corpora are, for the record")
    arguments = parser.parse_args()
    counts: Counter[str] = Counter()
    for path in arguments.corpora:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                counts.update(vocabulary.tokenize(line.split()[0]))
    brackets = Counter({token: n for token, n in counts.items() if token[0] == "["})
    bare: Counter[str] = Counter()
    for token, count in brackets.items():
        bare[vocabulary.bare_atom(token)] += count
    chosen = dict.fromkeys(FIXED)
    for group in (brackets, bare):
        ranked = sorted(group.items(), key=lambda item: (-item[1], item[0]))
        chosen.update(dict.fromkeys(token for token, n in ranked if n >= arguments.minimum))
    record = {"source": arguments.source, "minimum": arguments.minimum, "tokens": list(chosen)}
    text = json.dumps(record, indent=0, ensure_ascii=True) + "\n"
    vocabulary.PATH.write_text(text, encoding="utf-8")
    print(f"{len(chosen)} tokens written to {vocabulary.PATH.name}")


if __name__ == "__main__":
    main()
