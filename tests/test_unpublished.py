"""The register of what is not published: whole, sourced, and what it says of this package is looked up in it."""

from dataclasses import asdict

import pytest

from kimi_mini.optim import OptimConfig
from kimi_mini.unpublished import PIECES, STATES, WISHES, Piece, count_states


def test_every_piece_is_counted_once():
    assert sum(sum(count_states(wish).values()) for wish in WISHES) == len(PIECES) == len({piece.name for piece in PIECES})
    assert list(count_states("run")) == list(STATES)


def test_to_run_it_nothing_is_missing_and_to_train_it_much_is():
    assert count_states("run") == {"published": count_states("run")["published"], "elsewhere": 0, "nowhere": 0}
    assert min(count_states(wish)["nowhere"] for wish in ("check", "pretrain", "posttrain")) > 0


@pytest.mark.parametrize("piece", [piece for piece in PIECES if piece.here], ids=lambda piece: piece.name)
def test_what_is_chosen_here_is_found_in_the_package(piece):
    assert piece.chosen_here().startswith(piece.here.partition(":")[2])


def test_a_number_is_read_from_the_package_and_not_written_down():
    (momentum,) = (piece for piece in PIECES if piece.here == "optim:OptimConfig.momentum")
    assert momentum.chosen_here() == f"OptimConfig.momentum = {OptimConfig().momentum}"
    assert "here_value" not in asdict(momentum)


@pytest.mark.parametrize("change", [{"wish": "sell"}, {"state": "somewhere"}, {"said": " "}, {"chapter": 99}])
def test_a_broken_piece_is_refused_by_name(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        Piece(**asdict(PIECES[0]) | change)


def test_an_unknown_wish_is_refused():
    with pytest.raises(ValueError, match="wish = 'sell'"):
        count_states("sell")
