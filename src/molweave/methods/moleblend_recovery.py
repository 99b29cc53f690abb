"""The second half of MoleBLEND: recover every relation from blended ones."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from torch import nn

from molweave.chem.descriptors import FINGERPRINT_BITS
from molweave.methods.base import Encoding, Term
from molweave.methods.moleblend_config import TERMS, MoleBLENDConfig
from molweave.modalities import relations
from molweave.modalities.descriptors import PHYSICAL
from molweave.nn.encoders.pair_transformer import PairStates
from molweave.nn.fusion.blend import DISTANCE, EDGE, SPD, Shown
from molweave.nn.heads import DisplacementHead, DistanceHead, PairHead, StateHead
from molweave.nn.objectives.relations import class_loss, denoise_loss, distance_loss
from molweave.nn.objectives.score import Score, score
from molweave.nn.objectives.structure import bit_loss, feature_loss, value_loss
from molweave.nn.pairs import Pairs
from molweave.shapes import Bool, Float, Int, Tensor

_OF_TOKEN = ("descriptors", "fingerprint")
SPD_TARGETS = 11
"""Classes of the distance to recover: 1 to 10 bonds, and longer."""


@dataclass(frozen=True, kw_only=True)
class BlendedEncoding(Encoding):
    """An encoding of blended relations, with what there is to recover.

    Attributes:
        pairs: the whole molecules, without noise.
        shown: what the encoder saw of them.
        noise: what was added to the positions before; in angstrom.
        hidden: atoms whose features the encoder did not see.
        described: the scaled descriptors and the fingerprint counts to predict; 0 where
            ``has_description`` is False.
        has_description: molecules whose descriptors are known.
        states: what the encoder made of them.
    """

    pairs: Pairs
    shown: Shown
    noise: Float[Tensor, "N n 3"]
    hidden: Bool[Tensor, "N n"]
    described: Float[Tensor, "N C"]
    has_description: Bool[Tensor, " N"]
    states: PairStates


class Recovery(nn.Module):
    r"""Heads and losses of the recovery, each with the weight of its name in the configuration.

    ``spd``: cross-entropy of the shortest-path distance over pairs that a path joins. ``edge``:
    cross-entropy of the joint class of each of the first five bonds of the path, over those that
    exist. ``distance``: smooth L1 error of the distance **without noise**, over pairs with
    coordinates. ``denoise``: one minus the cosine between a vector per atom and the noise on its
    position.

    Beyond the paper, because pairs alone do not need what an atom is, and nothing of the paper's
    reaches the graph token: ``atoms``: cross-entropy of the features of hidden atoms, the mean
    over the features. ``descriptors``: squared error of the scaled physical descriptors.
    ``fingerprint``: cross-entropy of the presence of every bit, both read from the token.

    A term of weight 0 has no head.
    """

    def __init__(self, config: MoleBLENDConfig) -> None:
        """Build the heads with fresh weights."""
        super().__init__()
        self.weights = {name: getattr(config, name) for name in TERMS}
        width = config.width
        builders: dict[str, Callable[[], nn.Module]] = {
            "spd": lambda: PairHead(inputs=width, outputs=SPD_TARGETS),
            "edge": lambda: PairHead(inputs=width, outputs=len(relations.BONDS) * relations.HOPS),
            "distance": lambda: DistanceHead(inputs=width),
            "denoise": lambda: DisplacementHead(inputs=width, heads=config.heads),
            "atoms": lambda: StateHead(inputs=width, outputs=sum(relations.ATOM_CARDINALITIES)),
            "descriptors": lambda: StateHead(inputs=width, outputs=PHYSICAL),
            "fingerprint": lambda: StateHead(inputs=width, outputs=FINGERPRINT_BITS),
        }
        self.heads = nn.ModuleDict(
            {name: build() for name, build in builders.items() if self.weights[name] > 0}
        )

    def terms(self, encoding: BlendedEncoding) -> dict[str, Term]:
        """The loss terms."""
        pairs = encoding.pairs
        found = self._recovered(encoding)
        losses: dict[str, Callable[[Tensor], Tensor]] = {
            "spd": lambda logits: class_loss(logits, spd_target(pairs), joined(pairs)),
            "edge": lambda logits: class_loss(logits, edge_target(pairs), hops_there(pairs)),
            "distance": lambda guess: distance_loss(guess, pairs.distance, measured(pairs)),
            "denoise": lambda guess: denoise_loss(guess, encoding.noise, moved(pairs)),
            "atoms": lambda logits: feature_loss(
                logits, pairs.atoms, relations.ATOM_CARDINALITIES, encoding.hidden
            ),
            "descriptors": lambda guess: value_loss(
                guess, encoding.described[:, :PHYSICAL], encoding.has_description
            ),
            "fingerprint": lambda logits: bit_loss(
                logits, encoding.described[:, PHYSICAL:] > 0, encoding.has_description
            ),
        }
        return {name: Term(self.weights[name], losses[name](one)) for name, one in found.items()}

    def scores(self, encoding: BlendedEncoding) -> dict[str, Score]:
        """Accuracy of ``spd`` and ``edge``, mean absolute error of ``distance`` in angstrom.

        Each twice: ``_hidden`` over the pairs that show the relation in neither direction, and
        ``_visible`` over the others, from which it can be copied. ``element_hidden`` is the
        accuracy of the elements of hidden atoms.
        """
        pairs, found = encoding.pairs, self._recovered(encoding)
        scores: dict[str, Score] = {}

        def add(name: str, relation: int, values: Tensor, mask: Tensor) -> None:
            seen = encoding.shown.pairs[..., relation]
            seen = (seen | seen.mT).view(-1, *(1,) * (mask.dim() - 3), *seen.shape[1:])
            scores[f"{name}_hidden"] = score(values.float(), mask & ~seen)
            scores[f"{name}_visible"] = score(values.float(), mask & seen)

        if "spd" in found:
            right = found["spd"].argmax(1) == spd_target(pairs)
            add("spd", SPD, right, joined(pairs))
        if "edge" in found:
            right = found["edge"].argmax(1) == edge_target(pairs)
            add("edge", EDGE, right, hops_there(pairs))
        if "distance" in found:
            error = (found["distance"].float() - pairs.distance).abs()
            add("distance", DISTANCE, error, measured(pairs))
        if "atoms" in found:
            elements = found["atoms"][..., : relations.ATOM_CARDINALITIES[0]].argmax(-1)
            right = (elements == pairs.atoms[..., 0]).float()
            scores["element_hidden"] = score(right, encoding.hidden)
        return scores

    def _recovered(self, encoding: BlendedEncoding) -> dict[str, Tensor]:
        """What each head says; class logits have the classes in dimension 1."""
        states, pairs = encoding.states, encoding.pairs
        found: dict[str, Tensor] = {}
        for name, head in self.heads.items():
            if name == "denoise":
                noisy = replace(pairs, positions=pairs.positions + encoding.noise)
                found[name] = head(
                    states.atoms, states.bias, noisy.positions, noisy.distance, pairs.different
                )
            else:
                found[name] = head(states.graph if name in _OF_TOKEN else states.atoms)
        if "edge" in found:
            found["edge"] = _by_hop(found["edge"])
        return found


def _by_hop(logits: Float[Tensor, "N m n n"]) -> Float[Tensor, "N C k n n"]:
    """The classes of every hop, of outputs that are laid out class by class."""
    count, _, size, _ = logits.shape
    return logits.view(count, -1, relations.HOPS, size, size)


def joined(pairs: Pairs) -> Bool[Tensor, "N n n"]:
    """Pairs of different atoms that a path joins."""
    return pairs.different & (pairs.spd <= relations.FAR)


def spd_target(pairs: Pairs) -> Int[Tensor, "N n n"]:
    """Class of the shortest-path distance, 0 for one bond to 10 for more than ten."""
    return (pairs.spd - 1).clamp(0, SPD_TARGETS - 1).long()


def hops_there(pairs: Pairs) -> Bool[Tensor, "N k n n"]:
    """Hops that exist."""
    return (pairs.hops != relations.NO_HOP).permute(0, 3, 1, 2)


def edge_target(pairs: Pairs) -> Int[Tensor, "N k n n"]:
    """Joint class of the bond of every hop; 0, too, where there is none."""
    return (pairs.hops - 1).clamp(min=0).long().permute(0, 3, 1, 2)


def measured(pairs: Pairs) -> Bool[Tensor, "N n n"]:
    """Pairs of different atoms that have coordinates."""
    return pairs.different & pairs.placed[:, None, None]


def moved(pairs: Pairs) -> Bool[Tensor, "N n"]:
    """Atoms with coordinates in a molecule of at least two."""
    return measured(pairs).any(-1)
