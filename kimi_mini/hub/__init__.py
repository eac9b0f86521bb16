"""Hugging Face folders of the `deepseek_v3` layout, in and out. Reading order: keys, load, save, mini."""

from .keys import Slot, hf_slots
from .load import from_pretrained
from .mini import load_mini
from .save import save_pretrained

__all__ = ["Slot", "from_pretrained", "hf_slots", "load_mini", "save_pretrained"]
