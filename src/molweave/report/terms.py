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
    "contrast": "how hard it is to tell which codes of two views are of one molecule",
    "reconstruction": "how badly the code of a view gives back what its encoder saw",
    "cross": "how badly the code of a view gives back what the encoder of another one saw",
    "memory": "how far embeddings are from what the memory reads for them",
    "recall": "how hard it is to tell a molecule from what the memory reads for it",
    "spd": "how badly the number of bonds between two atoms is recovered from the other relations",
    "edge": "how badly the bonds on the way between two atoms are recovered",
    "distance": "how badly the distance between two atoms is recovered",
    "denoise": "how badly the noise on the coordinates is recovered",
    "atoms": "how badly the features of hidden atoms are recovered",
    "descriptors": "squared error of the physical descriptors that the graph token tells",
    "fingerprint": "how badly the graph token tells the bits of a fingerprint",
    "effective_rank": "how many dimensions the embeddings really use; a collapse lowers it to 1",
    "spread": "standard deviation of the embeddings over a batch; a collapse lowers it to 0",
    "structure_spread": "the same for the embeddings that have heard of similar molecules",
    "contrast_share": "the contrast as a share of what guessing gives: 1 where nothing is learnt",
    "anchor_perplexity": "how many anchors of the memory are in use",
    "dead_anchors": "how many anchors of the memory hardly any molecule reads",
    "valid_graph_to_image": "how often a graph finds its own image among 128 or fewer",
    "valid_graph_to_geometry": "how often a graph finds its own conformer among 128 or fewer",
}
"""Term to a phrase: what is small when it is small; then what else the log of a pre-training has.

A method's terms are in its docstring.
"""
