"""Kimi K2 in miniature: every system of the K2 report, small, exact and tested.

`import kimi_mini as km` offers the names of `__all__`; each is imported when first used, so the command line and the
book's tools start without torch.
"""

from importlib import import_module
from typing import Any

_HOME = {
    "ModelConfig": "config",
    "YarnScaling": "config",
    "K2": "presets",
    "DEEPSEEK_V3": "presets",
    "MOONLIGHT": "presets",
    "MINI": "presets",
    "NANO": "presets",
    "count_parameters": "accounting",
    "Tokenizer": "tokenizer",
    "KimiMini": "model",
    "ModelOutput": "model",
    "ForwardStats": "model",
    "from_pretrained": "hub",
    "save_pretrained": "hub",
    "load_mini": "hub",
    "generate": "generation",
}
_SUBPACKAGES = ("accounting", "config", "corpus", "kernels", "model", "optim", "train", "viz")

__all__ = [*_HOME, *_SUBPACKAGES]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    elif name in _SUBPACKAGES:
        value = import_module(f".{name}", __name__)
    else:
        raise AttributeError(f"kimi_mini has no {name!r}; it offers {', '.join(__all__)}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
