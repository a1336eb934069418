"""Pretraining a level: start, stop at any moment, start again; a bundle in the end."""

from __future__ import annotations

import copy
import hashlib
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning
import torch

from maskvit_training.errors import TrainingError
from maskvit_training.network import Encoder, folded, spread_of
from maskvit_training.pretraining.crops import GridCrops, PatchCrops
from maskvit_training.pretraining.data import Pieces, pieces_loader
from maskvit_training.pretraining.module import DinoModule, PatchBackbone, RegionBackbone
from maskvit_training.running import (
    LAST,
    is_done,
    make_trainer,
    mark_done,
    require_same,
    silence_lightning,
    where_stopped,
)
from maskvit_training.store import read_features, store_path
from napari_maskvit.model import Model, ModelConfig, RegionArchitecture, build_model, save_bundle

if TYPE_CHECKING:
    from maskvit_training.recipe import PretrainRecipe, Recipe

FOLDER, BUNDLE = "pretraining", "bundle"
STATISTICS_STORES = 64


def pretrain(
    recipe: Recipe, keys: dict[str, str], encoder: Encoder, *, quiet: bool = False
) -> Path:
    """Pretrain the level that the recipe names, or go on where it stopped.

    Parameters
    ----------
    keys
        Of the pixels (level "patch") or features (level "region") of each slide, by its name.
    encoder
        Where it starts from.

    Returns
    -------
    Path
        The bundle: the teacher, with the levels below.

    Raises
    ------
    TrainingError
        If the recipe does not say how, the loss is no number, or the folder holds another run.
    """
    settings = recipe.pretrain
    if settings is None:
        raise TrainingError("The recipe has no part 'pretrain', which says the level and how.")
    if not keys:
        raise TrainingError("No slide has features, so there is nothing to learn from.")
    folder = recipe.output / FOLDER
    stores = [store_path(recipe.feature_folder, key) for _, key in sorted(keys.items())]
    digest = _digest(recipe, settings, encoder, stores)
    if is_done(folder, digest):
        return folder / BUNDLE
    last, epoch = folder / LAST, 0
    if last.exists():
        written, epoch = where_stopped(last)
        require_same(written, digest, folder)
    folder.mkdir(parents=True, exist_ok=True)
    lightning.seed_everything(recipe.seed, verbose=False)
    pieces = Pieces(stores, settings.level, _crops(recipe, settings, encoder), recipe.seed)
    loader = pieces_loader(recipe, pieces, settings.batch, epoch)
    start = _start(recipe, settings, encoder, stores)
    with warnings.catch_warnings():
        silence_lightning(warnings)
        module = DinoModule(start, settings, settings.epochs * max(1, len(loader)), digest)
        trainer = make_trainer(
            recipe.trainer, folder, epochs=settings.epochs, clip=settings.clip, quiet=quiet
        )
        trainer.fit(
            module, loader, ckpt_path=str(last) if last.exists() else None, weights_only=False
        )
    if trainer.interrupted:
        raise KeyboardInterrupt
    if trainer.is_global_zero:
        save_bundle(_model(recipe, settings, encoder, module), folder / BUNDLE)
        # A run that an earlier version began knows its losses alone.
        told = {
            name: [one.get(f"train_{name}") for one in module.history]
            for name in ("loss", "distance")
        }
        mark_done(folder, {"digest": digest, **told})
    return folder / BUNDLE


def _crops(recipe: Recipe, settings: PretrainRecipe, encoder: Encoder) -> Any:
    config = encoder.model.config
    if settings.level == "region":
        return GridCrops(config.patches_per_side, settings.small_crops)
    masked = "patch" in recipe.masking.levels
    return PatchCrops(
        config.patch_px, config.token_px, settings.small_crops, settings.crop_share, masked
    )


def _start(
    recipe: Recipe, settings: PretrainRecipe, encoder: Encoder, stores: list[Path]
) -> PatchBackbone | RegionBackbone:
    config = encoder.model.config
    if settings.level == "patch":
        options = {**config.patch.options, "dynamic_img_size": True}
        flexible = config.patch.model_copy(update={"options": options})
        patch = build_model(config.model_copy(update={"patch": flexible})).patch
        patch.load_state_dict(encoder.model.patch.state_dict())
        return PatchBackbone(patch)
    region = encoder.region or build_model(_region_config(recipe, encoder)).region
    assert region is not None
    step = -(-len(stores) // STATISTICS_STORES)
    stored = [read_features(path) for path in stores[::step]]
    some = [torch.from_numpy(one.features[one.coverage > 0]) for one in stored]
    # One that a region transformer brings along reads features as they are.
    centre, spread = spread_of(some)
    if encoder.region is not None:
        centre, spread = torch.zeros_like(centre), torch.ones_like(spread)
    return RegionBackbone(copy.deepcopy(region), centre, spread)


def _region_config(recipe: Recipe, encoder: Encoder) -> ModelConfig:
    sizes = recipe.model
    facts = encoder.region_facts or RegionArchitecture(
        dim=sizes.region_dim,
        depth=sizes.region_depth,
        heads=sizes.region_heads,
        dropout=sizes.region_dropout,
    )
    return encoder.model.config.model_copy(update={"region": facts, "frozen": ("patch", "region")})


def _model(recipe: Recipe, settings: PretrainRecipe, encoder: Encoder, module: DinoModule) -> Model:
    base = encoder.model.config
    card = recipe.card
    changes: dict[str, Any] = {
        "name": recipe.name,
        "title": card.title or recipe.name,
        "description": card.description
        or f"{base.title}, its {settings.level} level trained further by itself (DINO).",
        "training_data": card.training_data or f"{recipe.data.cohort.name}; {base.training_data}",
        "licence": card.licence or base.licence,
        "warnings": (card.intended_use, *card.limits),
    }
    teacher = module.teacher.eval().cpu()
    if isinstance(teacher, PatchBackbone):
        patch = build_model(base).patch
        patch.load_state_dict(teacher.patch.state_dict())
        model = replace(encoder.model, config=base.model_copy(update=changes), patch=patch)
    else:
        assert isinstance(teacher, RegionBackbone)
        config = _region_config(recipe, encoder).model_copy(update=changes)
        region = folded(teacher.region, teacher.centre, teacher.spread)
        model = replace(encoder.model, config=config, region=region)
    facts = model.config
    limits = "\n".join(f"- {warning}" for warning in facts.warnings)
    text = (
        f"# {facts.title}\n\n{facts.description}\n\nTrained on: {facts.training_data}\n\n{limits}\n"
    )
    return replace(model, card=text)


def _digest(recipe: Recipe, settings: PretrainRecipe, encoder: Encoder, stores: list[Path]) -> str:
    parts = [recipe.digest(), settings.model_dump_json(), encoder.sha256]
    parts += [path.stem for path in stores]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
