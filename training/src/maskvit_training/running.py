"""A run of Lightning in a folder: how it is set up, where it stopped, when it is done."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.plugins import TorchCheckpointIO

from maskvit_training.errors import TrainingError
from maskvit_training.writing import write_text, written_whole

if TYPE_CHECKING:
    from maskvit_training.recipe import TrainerRecipe

LAST, DONE = "last.ckpt", "done.json"


class WholeCheckpoints(TorchCheckpointIO):
    """Checkpoints that are there whole or not at all.

    Lightning writes its own among the machine's temporary files and moves them. Where those lie on
    another disk, moving copies: killed, or out of disk, half of one would stand in place of the
    last good one.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Write a checkpoint in place of an older one."""
        # Not straight into the file: torch says of a full disk that a position was unexpected.
        written = io.BytesIO()
        torch.save(checkpoint, written)
        with written_whole(Path(path)) as place:
            place.write_bytes(written.getbuffer())


def make_trainer(
    machine: TrainerRecipe,
    folder: Path,
    *,
    epochs: int,
    clip: float | None,
    quiet: bool,
    callbacks: Sequence[Callback] = (),
    **more: Any,
) -> lightning.Trainer:
    """A trainer that writes its state and its logs into a folder after every epoch.

    Parameters
    ----------
    callbacks
        Further ones. The state is written after them, and so holds theirs.
    more
        Further arguments of Lightning's Trainer.
    """
    last = ModelCheckpoint(
        folder,
        LAST.removesuffix(".ckpt"),
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )
    for left in folder.glob(".*.partial"):  # by a run that was killed
        left.unlink(missing_ok=True)
    return lightning.Trainer(
        accelerator=machine.accelerator,
        devices=machine.devices,
        strategy=machine.strategy,
        precision=machine.precision,  # type: ignore[arg-type]
        max_epochs=epochs,
        gradient_clip_val=clip,
        callbacks=[*callbacks, last],
        plugins=[WholeCheckpoints()],
        logger=[CSVLogger(folder, "logs"), TensorBoardLogger(folder, "tensorboard")],
        log_every_n_steps=1,
        use_distributed_sampler=False,  # ours takes turns by itself; every process tunes on all
        enable_progress_bar=not quiet,
        enable_model_summary=False,
        **more,
    )


def is_done(folder: Path, digest: str) -> bool:
    """Whether the run in a folder has come to its end.

    Raises
    ------
    TrainingError
        If it is another run.
    """
    if not (folder / DONE).exists():
        return False
    require_same(json.loads((folder / DONE).read_text("utf-8"))["digest"], digest, folder)
    return True


def mark_done(folder: Path, facts: dict[str, Any]) -> None:
    """Note that the run in a folder has come to its end, with its digest among the facts."""
    write_text(folder / DONE, json.dumps(facts) + "\n")


def require_same(found: str, digest: str, folder: Path) -> None:
    """Refuse to go on with what another run has left."""
    if found != digest:
        raise TrainingError(
            f"{folder} holds the training of another recipe, cohort or encoder. Give this one "
            "another output folder, or remove that one."
        )


def where_stopped(path: Path) -> tuple[str, int]:
    """Digest of a training, and the epoch to go on with."""
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=False)
        return str(checkpoint["hyper_parameters"]["digest"]), int(checkpoint["epoch"]) + 1
    except (RuntimeError, KeyError, EOFError, OSError, ValueError, UnpicklingError) as error:
        raise TrainingError(
            f"{path} cannot be opened: it is damaged, or was not written by maskvit-train. Remove "
            "it to train from the beginning."
        ) from error


def silence_lightning(filters: Any) -> None:
    """Advice about what is meant to be so, or is not ours: few workers, a filled folder."""
    logging.getLogger("lightning.pytorch.utilities.rank_zero").setLevel(logging.WARNING)
    for text in (
        ".*does not have many workers.*",
        ".*exists and is not empty.*",
        ".*have no `val_dataloader`.*",
        ".*weight_norm.*is deprecated.*",
    ):
        filters.filterwarnings("ignore", text)
    filters.filterwarnings("ignore", ".*number of training batches.*")
    filters.filterwarnings("ignore", ".*LeafSpec.*|.*treespec.*")
