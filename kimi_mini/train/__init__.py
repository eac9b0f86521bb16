"""Training: the loss, one step on one screen, the loop around it, and checkpoints that survive anything."""

from .checkpoint import Checkpoint, DamagedCheckpoint, load_checkpoint, save_checkpoint
from .config import TrainConfig
from .data import TokenStream
from .dialogues import Dialogue, DialogueStream
from .loss import Batch, HeadLoss, linear_next_token_loss, next_token_loss
from .pretrain import pretrain
from .sft import Tuned, sft
from .step import StepConfig, StepReport, train_step

__all__ = [
    "Batch",
    "Checkpoint",
    "DamagedCheckpoint",
    "Dialogue",
    "DialogueStream",
    "HeadLoss",
    "StepConfig",
    "StepReport",
    "TokenStream",
    "TrainConfig",
    "Tuned",
    "linear_next_token_loss",
    "load_checkpoint",
    "next_token_loss",
    "pretrain",
    "save_checkpoint",
    "sft",
    "train_step",
]
