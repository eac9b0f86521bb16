"""Lab 3: its table says what the specification says, and what its notebook says of its own runs is what they do."""

import pytest
import torch

from labs.course.find import load_notebook, load_spec

SPEC = load_spec("lab03")
CELLS = {cell.id: cell.source for cell in load_notebook("lab03").cells}


@pytest.mark.slow
def test_the_shapes_of_the_runs_cost_the_same_and_their_losses_fall_so_that_factors_can_be_read_off(capsys):
    names, threads = {}, torch.get_num_threads()
    try:
        for cell in ("setup", "imports", "flops-practice", "saved-practice", "runs", "flops-of-runs"):
            exec(CELLS[cell], names)
    finally:
        torch.set_num_threads(threads)
    each = [names["training_flops"](names["small"](experts), names["LENGTH"]) for experts in names["SHAPES"]]
    assert max(each) / min(each) < 1.02, "but for the router's rows"
    for loss_SN in names["loss_SN"].values():
        assert (loss_SN.diff(dim=1) < -0.2).all()
    names["lab"]._passed |= {"training_flops", "times_saved", "factor"}
    names["lab"].answers["factor"] = {"value": 1.7}
    exec(CELLS["saved-use"], names)
    assert SPEC["factor"].low < names["mean_factor"] < SPEC["factor"].high, capsys.readouterr().out
