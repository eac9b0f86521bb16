"""Training: the loss, one step on one screen, the loop around it, and checkpoints that survive anything."""

from .loss import Batch, next_token_loss
from .step import StepConfig, StepReport, train_step

__all__ = ["Batch", "StepConfig", "StepReport", "next_token_loss", "train_step"]
