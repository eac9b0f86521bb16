"""Model and optimizer as named tensors, out and in again: what a checkpoint holds of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.optim import Optimizer

from ..model import KimiMini


class Snapshot(NamedTuple):
    """`model`: weights and selection biases under the model's names. `moments`: <parameter>.momentum, or <parameter>.exp_avg,
    .exp_avg_sq and .step. `groups`: the optimizer's settings, with the names of the parameters each group holds.
    """

    model: dict[str, Tensor]
    moments: dict[str, Tensor]
    groups: list[dict[str, Any]]


def take(model: KimiMini, optimizer: Optimizer) -> Snapshot:
    """Everything that the run has learned; the tensors are those of model and optimizer, not copies."""
    names = _group_names(model, optimizer)
    flat = sum(names, [])
    state = optimizer.state_dict()
    moments = {f"{flat[index]}.{word}": tensor for index, entry in state["state"].items() for word, tensor in entry.items()}
    groups = [group | {"params": held} for group, held in zip(state["param_groups"], names, strict=True)]
    return Snapshot(model.state_dict(), moments, groups)


@torch.no_grad()
def put_back(snapshot: Snapshot, model: KimiMini, optimizer: Optimizer) -> None:
    """Copy a snapshot into `model` and `optimizer`.

    Raises ValueError, with nothing changed, listing every tensor that is missing, unexpected or misshapen.
    """
    names = _group_names(model, optimizer)
    _require_fit(snapshot, take(model, optimizer), dict(model.named_parameters()))
    for name, tensor in model.state_dict().items():
        tensor.copy_(snapshot.model[name])
    optimizer.load_state_dict({
        "state": _by_index(snapshot.moments, sum(names, []), dict(model.named_parameters())),
        "param_groups": _with_settings(optimizer.state_dict()["param_groups"], snapshot.groups),
    })  # fmt: skip


def _group_names(model: KimiMini, optimizer: Optimizer) -> list[list[str]]:
    name_of = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = [[name_of.get(id(parameter), "") for parameter in group["params"]] for group in optimizer.param_groups]
    if "" in sum(groups, []):
        raise ValueError("the optimizer holds parameters that are not the model's; expected one built for this model")
    return groups


def _by_index(moments: dict[str, Tensor], names: list[str], parameters: dict[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in moments.items():
        name, word = key.rsplit(".", 1)
        # A copy: a tensor inside a file's bytes may lie at any address, torch's own are aligned.
        state.setdefault(names.index(name), {})[word] = tensor.to(parameters[name].device, copy=True)
    return state


def _with_settings(groups: list[dict[str, Any]], saved: list[dict[str, Any]]) -> list[dict[str, Any]]:
    def settings(group: dict[str, Any]) -> dict[str, Any]:  # JSON knows no tuples
        return {k: tuple(v) if isinstance(v, list) else v for k, v in group.items() if k != "params"}

    return [group | settings(other) for group, other in zip(groups, saved, strict=True)]


def _require_fit(snapshot: Snapshot, here: Snapshot, parameters: dict[str, Tensor]) -> None:
    formats = {name: _format(tensor) for name, tensor in here.model.items()}
    stored = {name: _format(tensor) for name, tensor in snapshot.model.items()}
    owner = {key: key.rsplit(".", 1)[0] for key in snapshot.moments}
    group_here, group_stored = (
        {name: i for i, group in enumerate(groups) for name in group["params"]} for groups in (here.groups, snapshot.groups)
    )
    complaints = {
        "missing": [name for name in formats if name not in stored],
        "unexpected": [name for name in stored if name not in formats]
        + [k for k, name in owner.items() if name not in parameters],
        "misshapen": [f"{n} {stored[n]} (here {formats[n]})" for n in formats if stored.get(n, formats[n]) != formats[n]]
        + [f"{k} {_format(t)}" for k, t in snapshot.moments.items() if t.ndim and not _like(t, parameters.get(owner[k]))],
        "in another group of the optimizer": [n for n, i in group_here.items() if group_stored.get(n, i) != i],
    }
    if any(complaints.values()):
        lines = [f"  {len(found)} {kind}: {', '.join(found)}" for kind, found in complaints.items() if found]
        raise ValueError("\n".join(["the checkpoint belongs to another model or optimizer:", *lines]))


def _like(moment: Tensor, parameter: Tensor | None) -> bool:
    return parameter is None or moment.shape == parameter.shape


def _format(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"
