"""MoleBLEND: one Transformer over blended 2D and 3D relations of atom pairs.

Source: Yu et al., "Multimodal Molecular Pretraining via Modality Blending", ICLR 2024
(arXiv:2307.06235). docs/methods/moleblend.md maps the equations to the code and lists where this
implementation parts from the paper and from the released code.
"""

from dataclasses import replace
from typing import ClassVar, cast

import torch
from torch import nn

from molweave.data.batch import Batch
from molweave.methods.base import Assessment, Encoding, Method, Term
from molweave.methods.moleblend_config import VIEWS, MoleBLENDConfig
from molweave.methods.moleblend_recovery import BlendedEncoding, Recovery
from molweave.modalities import descriptors, relations
from molweave.modalities.descriptors import DescriptorsPart
from molweave.modalities.geometry import GeometryPart
from molweave.modalities.relations import RelationsPart
from molweave.nn.encoders.pair_transformer import PairTransformer
from molweave.nn.fusion.blend import blend, unblend
from molweave.nn.pair_bias import DistanceBias, PathBias
from molweave.nn.pairs import pad_pairs
from molweave.shapes import Bool, Float, Int, Tensor


def build_encoder(config: MoleBLENDConfig) -> PairTransformer:
    """The encoder of these sizes; it holds the 3D biases only where the views need them."""
    paths = PathBias(
        spd_classes=relations.UNREACHABLE + 1,
        bonds=relations.BONDS,
        bond_cardinalities=relations.BOND_CARDINALITIES,
        hops=relations.HOPS,
        heads=config.heads,
    )
    distances = None
    if config.views != "2d":
        distances = DistanceBias(
            elements=relations.ATOM_CARDINALITIES[0],
            kernels=config.kernels,
            reach=config.reach,
            heads=config.heads,
            width=config.width,
        )
    return PairTransformer(
        atom_cardinalities=relations.ATOM_CARDINALITIES,
        paths=paths,
        distances=distances,
        width=config.width,
        layers=config.layers,
        heads=config.heads,
        feed_forward=config.feed_forward,
        dropout=config.encoder_dropout,
        drop_path=config.drop_path,
    )


class MoleBLEND(Method):
    r"""A pair-biased Transformer that reads 2D relations, 3D relations, both, or a blend.

    With `MoleBLENDConfig.views` ``blend``, in training, every pair of atoms shows one relation of
    three, drawn at random, coordinates carry noise, and `objectives` are the recovery of all
    relations and of the noise:

    .. math:: \lambda_{spd} L_{spd} + \lambda_{edge} L_{edge} + \lambda_{distance} L_{distance}
        + \lambda_{denoise} L_{denoise}

    and, beyond the paper, the features of hidden atoms and descriptors of the molecule (see
    `Recovery`).

    Otherwise relations are read as they are, nothing is random but dropout, and there are no
    objectives. The embedding is the state of the virtual graph token.
    """

    name: ClassVar[str] = "moleblend"
    pads: ClassVar[bool] = True
    spatial_terms: ClassVar[tuple[str, ...]] = ("distance", "denoise")

    def __init__(self, config: MoleBLENDConfig) -> None:
        """Build the network with fresh weights."""
        super().__init__()
        self.config = config
        self.modalities = VIEWS[config.views]
        self.predicts = config.predicts
        self.embedding_dim = config.width
        self.encoder = build_encoder(config)
        self.recovery = Recovery(config) if config.views == "blend" else None

    def encode(self, batch: Batch) -> Encoding:
        """The graph token of every molecule; blended in the training of a blending network only.

        A molecule without a conformer is read from its 2D relations. The modalities have no
        weights in this method: those that a molecule has share alike.
        """
        if self.training and self.recovery is not None:
            return self.blended(batch)
        views = self.config.views
        part, positions, placed = self._parts(batch)
        graphs = self.encoder.tokens(
            part, positions, placed, flat=views != "3d", spatial=views != "2d"
        )
        return Encoding(graphs, self.modalities, self._weights(batch))

    def blended(self, batch: Batch, generator: torch.Generator | None = None) -> BlendedEncoding:
        """Encode a random blend of the relations; validation of a pre-training calls it directly.

        Args:
            batch: the molecules.
            generator: of the random numbers, on the batch's device; None for torch's own.
        """
        config = self.config
        part, positions, placed = self._parts(batch)
        pairs = pad_pairs(part, positions, placed, slice(0, len(part.sizes)))
        shown = blend(
            placed,
            pairs.real.shape[1],
            pairs=config.shown,
            spatial_atoms=config.show_spatial_atom,
            symmetric=config.symmetric,
            generator=generator,
        )
        if any(config.whole):
            draw = torch.rand(len(placed), device=positions.device, generator=generator)
            shown = unblend(shown, placed, config.whole, draw)
        noise = config.noise * torch.randn(
            pairs.positions.shape, device=positions.device, generator=generator
        )
        noise = noise * (pairs.real & placed[:, None])[..., None]
        hidden = torch.zeros_like(pairs.real)
        if config.atoms > 0:
            draw = torch.rand(pairs.real.shape, device=positions.device, generator=generator)
            hidden = (draw < config.hide_atoms) & pairs.real
        seen = replace(
            pairs,
            positions=pairs.positions + noise,
            atoms=torch.where(hidden[..., None], _hidden_atom(pairs.atoms), pairs.atoms),
        )
        states = self.encoder(seen, shown)
        described, has_description = self._description(batch)
        return BlendedEncoding(
            embedding=states.graph,
            modalities=self.modalities,
            weights=self._weights(batch),
            pairs=pairs,
            shown=shown,
            noise=noise,
            hidden=hidden,
            described=described,
            has_description=has_description,
            states=states,
        )

    def objectives(self, encoding: Encoding, batch: Batch, progress: float) -> dict[str, Term]:
        """The recovery of a blended encoding (see `Recovery`); nothing for any other."""
        if self.recovery is None or not isinstance(encoding, BlendedEncoding):
            return {}
        return self.recovery.terms(encoding)

    def assess(self, batch: Batch, generator: torch.Generator) -> Assessment:
        """The terms and the recovery scores of a blend that ``generator`` draws."""
        if self.recovery is None:
            return Assessment({}, {})
        encoding = self.blended(batch, generator)
        return Assessment(self.recovery.terms(encoding), self.recovery.scores(encoding))

    def objective_heads(self) -> tuple[str, ...]:
        """The heads of the recovery."""
        heads = () if self.recovery is None else tuple(self.recovery.heads)
        return tuple(f"recovery.heads.{name}." for name in heads)

    def compiled(self) -> tuple[nn.Module, ...]:
        """The layers of the Transformer."""
        return tuple(self.encoder.layers)

    def depths(self) -> dict[str, int]:
        """0 for embeddings and biases, 1 to L for the layers, L for what reads their result."""
        layers = len(self.encoder.layers)
        starts = {f"encoder.layers.{index}.": index + 1 for index in range(layers)}
        starts |= {"encoder.norm.": layers, "recovery.": layers}
        return {
            name: next((depth for start, depth in starts.items() if name.startswith(start)), 0)
            for name, _ in self.named_parameters()
        }

    def _parts(
        self, batch: Batch
    ) -> tuple[RelationsPart, Float[Tensor, "A 3"], Bool[Tensor, " B"]]:
        """Relations, positions of all atoms (0 where there are none), and who has positions."""
        part = cast(RelationsPart, batch.parts["relations"])
        positions = torch.zeros(len(part.atoms), 3, device=part.atoms.device)
        if "geometry" not in self.modalities or "geometry" not in batch.parts:
            return part, positions, torch.zeros_like(batch.present["relations"])
        placed = batch.present["geometry"]
        sizes = torch.tensor(part.sizes, device=placed.device)
        owned = placed.repeat_interleave(sizes, output_size=len(positions))
        found = cast(GeometryPart, batch.parts["geometry"]).positions
        return part, positions.masked_scatter(owned[:, None], found), placed

    def _description(self, batch: Batch) -> tuple[Float[Tensor, "B D"], Bool[Tensor, " B"]]:
        """The descriptors to predict, 0 where there are none, and who has some."""
        values = torch.zeros(batch.size, descriptors.WIDTH, device=batch.rows.device)
        if "descriptors" not in self.predicts or "descriptors" not in batch.parts:
            return values, torch.zeros_like(batch.present["relations"])
        there = batch.present["descriptors"]
        found = cast(DescriptorsPart, batch.parts["descriptors"]).values
        return values.masked_scatter(there[:, None], found), there

    def _weights(self, batch: Batch) -> Float[Tensor, "B V"]:
        present = torch.stack([batch.present[name] for name in self.modalities], dim=1).float()
        return present / present.sum(1, keepdim=True)


def _hidden_atom(atoms: Int[Tensor, "N n F"]) -> Int[Tensor, " F"]:
    """What stands for an atom that is not shown: the last class of every feature.

    No real atom has these classes together.
    """
    return atoms.new_tensor(relations.ATOM_CARDINALITIES) - 1
