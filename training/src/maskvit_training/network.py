"""The encoder that a recipe names, and the hierarchy that is trained on top of it."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor, nn

from maskvit_training.data import Sample
from maskvit_training.errors import TrainingError
from maskvit_training.recipe import Recipe
from napari_maskvit.errors import ModelError
from napari_maskvit.model import Model, ModelConfig, RegionArchitecture, SlideArchitecture
from napari_maskvit.model.hub import state_sha256
from napari_maskvit.model.region import RegionTransformer
from napari_maskvit.model.slide import SlideTransformer


@dataclass(frozen=True)
class Encoder:
    """What makes the features.

    Attributes
    ----------
    model
        Its patch transformer alone, at the recipe's region size.
    region, region_facts
        The region transformer that it brought along, for training the slide transformer alone.
    sha256
        Of the patch transformer's weights.
    """

    model: Model
    region: RegionTransformer | None
    region_facts: RegionArchitecture | None
    sha256: str


def load_encoder(recipe: Recipe) -> Encoder:
    """Load the model that a recipe names as its encoder.

    Raises
    ------
    MaskvitError
        If there is none, or it does not fit the recipe.
    """
    from napari_maskvit.model import load_model

    model = load_model(recipe.encoder.model)
    if recipe.model.train == "global" and model.region is None:
        raise TrainingError(
            f"{model.config.title!r} has no region transformer, so there is more to train than the "
            "slide transformer: set model.train to local."
        )
    facts = {**model.config.model_dump(), "region": None, "slide": None, "head": None}
    facts |= {"labels": (), "answer": "", "frozen": ("patch",), "weights_sha256": None}
    facts["region_px"] = recipe.encoder.region_px or model.config.region_px
    try:
        config = ModelConfig.model_validate(facts)
    except ValueError as error:
        raise TrainingError(
            f"Regions of {facts['region_px']} px do not fit {model.config.title!r}, whose patches "
            f"have {model.config.patch_px} px: set encoder.region_px to a multiple."
        ) from error
    if recipe.model.train == "global" and config.region_px != model.config.region_px:
        raise TrainingError("encoder.region_px cannot be changed where model.train is global.")
    patch = replace(model, config=config, region=None, slide=None)
    region_facts = model.config.region
    if region_facts is not None:
        region_facts = region_facts.model_copy(update={"position_side": model.config.position_side})
    return Encoder(patch, model.region, region_facts, state_sha256(model.patch.vit))


def make_config(recipe: Recipe, encoder: Encoder, time_edges: Sequence[float]) -> ModelConfig:
    """The facts of the model that is trained."""
    base = encoder.model.config
    sizes = recipe.model
    labels = recipe.task.classes or interval_names(time_edges)
    region = encoder.region_facts
    if sizes.train != "global" or region is None:
        region = RegionArchitecture.model_validate(
            {
                "dim": sizes.region_dim,
                "depth": sizes.region_depth,
                "heads": sizes.region_heads,
                "dropout": sizes.region_dropout,
                # Trained on whole regions, not DINO's crops: every place has an entry of its own.
                "position_side": base.patches_per_side,
            }
        )
    slide = SlideArchitecture.model_validate(
        {
            "dim": sizes.slide_dim,
            "depth": sizes.slide_depth,
            "heads": sizes.slide_heads,
            "feedforward": sizes.slide_dim,
            "dropout": sizes.dropout,
        }
    )
    levels = "plain attention"
    if recipe.masking.levels:
        levels = f"attention masked at the levels {', '.join(recipe.masking.levels)}"
    return base.model_copy(
        update={
            "name": recipe.name,
            "title": recipe.card.title or recipe.name,
            "description": recipe.card.description or f"{recipe.task.kind}, trained with {levels}.",
            "region": region,
            "slide": slide,
            "head": recipe.task.kind,
            "labels": labels,
            "frozen": {"local": ("patch",), "global": ("patch", "region")}.get(sizes.train, ()),
        }
    )


def interval_names(edges: Sequence[float]) -> tuple[str, ...]:
    """Names of the time intervals between inner edges."""
    if not edges:
        return ()
    middle = [f"{low:g} to {high:g}" for low, high in pairwise(edges)]
    return (f"before {edges[0]:g}", *middle, f"from {edges[-1]:g}")


class Hierarchy(nn.Module):
    """Region and slide transformers of a model, from patch features to logits.

    Training sees standardised features: those of some encoders lie in a narrow cone far from the
    origin, where every step of the first layer is a step along their common direction. `folded`
    puts that into the first layer's weights, so that a bundle reads features as they are.

    Parameters
    ----------
    config
        Of the whole model.
    patch_dim
        Width of a patch feature.
    """

    centre: Tensor
    spread: Tensor

    def __init__(self, config: ModelConfig, patch_dim: int) -> None:
        super().__init__()
        if config.region is None or config.slide is None:
            raise ModelError("A model without region and slide transformers cannot be trained.")
        self.region = RegionTransformer(
            config.region,
            patch_dim=patch_dim,
            side=config.patches_per_side,
            position_side=config.position_side,
            resize=config.position_resize,
        )
        self.slide = SlideTransformer(
            config.slide, region_dim=config.region.dim, outputs=config.outputs
        )
        self.register_buffer("centre", torch.zeros(patch_dim))
        self.register_buffer("spread", torch.ones(patch_dim))

    def forward(self, sample: Sample) -> Tensor:
        """Logits [1, C] of one unit, computed densely, for training."""
        features = (sample.features - self.centre) / self.spread
        features, kept = unpack(replace(sample, features=features), self.region.side**2)
        regions = self.region(features, None if kept.all() else kept)
        logits: Tensor = self.slide(regions[None], sample.coordinates[None])[0]
        return logits

    def encode(self, sample: Sample) -> Tensor:
        """Logits [C] of one unit of features, computed as the plugin does."""
        region = self.folded()
        regions = region.encode(sample.features, sample.positions, sample.lengths).features
        return self.slide.encode(regions, sample.coordinates).logits

    def standardise(self, units: Sequence[Sample]) -> None:
        """Take centre and spread of the features from patches with tissue of some units.

        Plain attention reads glass as well. A centre between glass and tissue would leave all
        tissue with a direction in common that is as long as what tells it apart.
        """
        # A slide whose features are no numbers is named when its loss is, and spoils no other.
        units = [unit for unit in units if bool(unit.features.isfinite().all())] or units
        tissue = [unit.features[unit.coverage > 0] for unit in units]
        if not any(len(one) for one in tissue):
            tissue = [unit.features for unit in units]
        centre, spread = spread_of(tissue)
        self.centre.copy_(centre)
        self.spread.copy_(spread)

    def folded(self) -> RegionTransformer:
        """The region transformer that reads features as they are."""
        return folded(self.region, self.centre, self.spread)


def spread_of(features: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Centre and spread [D] over the rows of some features [*, D]."""
    count = sum(len(one) for one in features)
    centre = torch.stack([one.double().sum(0) for one in features]).sum(0) / count
    moments = [(one.double() - centre).square().sum(0) for one in features]
    spread = (torch.stack(moments).sum(0) / count).sqrt()
    # A feature that hardly varies must not become the loudest of all.
    return centre.float(), spread.clamp(min=max(1e-6, 0.1 * float(spread.median()))).float()


@torch.no_grad()
def folded(region: RegionTransformer, centre: Tensor, spread: Tensor) -> RegionTransformer:
    """A region transformer of standardised features as one that reads them as they are."""
    region = copy.deepcopy(region)
    first = region.phi[0]
    assert isinstance(first, nn.Linear)
    weight = first.weight.double() / spread.double()
    first.bias.copy_(first.bias.double() - weight @ centre.double())
    first.weight.copy_(weight)
    return region


def unpack(sample: Sample, count: int) -> tuple[Tensor, Tensor]:
    """Packed patches as features [R, N, D], 0 at background, and kept bool [R, N]."""
    regions = len(sample.lengths)
    owner = torch.repeat_interleave(
        torch.arange(regions, device=sample.lengths.device), sample.lengths
    )
    features = sample.features.new_zeros(regions, count, sample.features.shape[1])
    features[owner, sample.positions] = sample.features
    kept = torch.zeros(regions, count, dtype=torch.bool, device=owner.device)
    kept[owner, sample.positions] = True
    return features, kept


def drop_patches(sample: Sample, share: float) -> Sample:
    """Leave out a random share of a unit's patches, and regions of which nothing is left."""
    stay = torch.rand(len(sample.positions), device=sample.positions.device) >= share
    if not stay.any():
        return sample
    owner = torch.repeat_interleave(
        torch.arange(len(sample.lengths), device=stay.device), sample.lengths
    )
    lengths = torch.bincount(owner[stay], minlength=len(sample.lengths))
    return replace(
        sample,
        features=sample.features[stay],
        tokens=None if sample.tokens is None else sample.tokens[stay],
        positions=sample.positions[stay],
        coverage=sample.coverage[stay],
        lengths=lengths[lengths > 0],
        coordinates=sample.coordinates[lengths > 0],
    )
