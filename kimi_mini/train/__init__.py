"""Training: the loss, one step on one screen, the loop around it, and checkpoints that survive anything."""

from .checkpoint import Checkpoint, DamagedCheckpoint, load_checkpoint, save_checkpoint
from .config import TrainConfig
from .data import TokenStream
from .loss import Batch, next_token_loss
from .pretrain import pretrain
from .step import StepConfig, StepReport, train_step

__all__ = [
    "Batch",
    "Checkpoint",
    "DamagedCheckpoint",
    "StepConfig",
    "StepReport",
    "TokenStream",
    "TrainConfig",
    "load_checkpoint",
    "next_token_loss",
    "pretrain",
    "save_checkpoint",
    "train_step",
]
