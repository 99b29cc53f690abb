"""What every loss term is, in plain words."""

from collections.abc import Mapping

TERMS: Mapping[str, str] = {
    "loss": "what training lowers: the sum of all terms, each times its weight",
    "task": "how far the predicted properties are from the labels",
    "kl": "how far the shared codes are from a standard normal: keeps them short of memorising",
    "mmd": "how far the private codes are, as a cloud, from a standard normal",
    "align": "how hard it is to tell which shared codes of two views are of one molecule",
    "orth": "how much the private codes repeat what the shared ones say",
    "rec": "how badly the codes of a view give back what its encoder saw",
    "spd": "how badly the number of bonds between two atoms is recovered from the other relations",
    "edge": "how badly the bonds on the way between two atoms are recovered",
    "distance": "how badly the distance between two atoms is recovered",
    "denoise": "how badly the noise on the coordinates is recovered",
    "contrast": "how hard it is to tell which codes of two views are of one molecule",
    "reconstruction": "how badly the code of a view gives back what its encoder saw",
    "cross": "how badly the codes of the other views give back what an encoder saw",
    "memory": "how far a molecule's structure code is from what it reads from the memory",
    "recall": "how hard it is to tell which reading of the memory and which codes belong together",
}
"""Term to a phrase: what is small when it is small. A method's terms are in its docstring."""
