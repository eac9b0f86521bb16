"""TrainConfig: to JSON and back, phases that fit, and errors that name the field."""

import json
import math

import pytest

from kimi_mini.optim import OptimConfig
from kimi_mini.train import StepConfig, TrainConfig

SHORT = TrainConfig(steps=12, sequence_length=16, micro_batches=2, optim=OptimConfig(lr=1e-2), step=StepConfig(tau=1e-2))
OTHER = TrainConfig(step=StepConfig(tau=math.inf), compute_dtype="bfloat16", warmup_steps=0)


@pytest.mark.parametrize("config", [TrainConfig(), SHORT, OTHER])
def test_a_configuration_survives_json(config):
    text = json.dumps(config.to_dict(), allow_nan=False)
    assert TrainConfig.from_dict(json.loads(text)) == config


def test_fields_left_out_keep_their_defaults():
    assert TrainConfig.from_dict({}) == TrainConfig()
    partly = TrainConfig.from_dict({"steps": 9, "optim": {"momentum": 0.9}, "step": {"tau": 50.0}})
    assert partly == TrainConfig(steps=9, optim=OptimConfig(lr=TrainConfig().optim.lr, momentum=0.9), step=StepConfig(tau=50.0))


def test_the_last_updates_see_as_many_tokens_in_longer_sequences():
    config = TrainConfig(steps=10, sequence_length=16, batch_size=4, micro_batches=2, long_steps=2, long_sequence_length=32)
    assert [config.cut(step) for step in range(10)] == [(16, 4)] * 8 + [(32, 2)] * 2
    assert config.tokens == 10 * 2 * 64


@pytest.mark.parametrize("steps", [1, 2, 3, 10, 300])
def test_default_phases_fit_any_length(steps):
    config = TrainConfig(steps=steps)
    assert all(0 < config.lr_factor(step) <= 1 for step in range(steps))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"steps": 0}, "steps = 0 .*integer >= 1"),
        ({"steps": 1.5}, "steps = 1.5"),
        ({"batch_size": True}, "batch_size = True"),
        ({"seed": -1}, "seed = -1"),
        ({"keep": 0}, "keep = 0"),
        ({"warmup_steps": -1}, "warmup_steps = -1"),
        ({"steps": 10, "warmup_steps": 6, "decay_steps": 5}, "warmup = 6 and decay = 5 do not fit into total = 10"),
        ({"final_lr": 2.0}, "final = 2.0"),
        ({"compute_dtype": "float16"}, "compute_dtype = 'float16' .*'bfloat16'"),
        ({"optim": {"lrr": 1}}, "unknown field optim.lrr; the fields are optim.lr,"),
        ({"stepz": 3}, "unknown field stepz; the fields are steps,"),
        ({"step": {"tau": 0}}, "tau = 0"),
        ({"step": {"tau": "high"}}, "tau = 'high'"),
        ({"step": {"alpha": 1.5}}, "alpha = 1.5"),
        ({"step": {"bias_rate": -1.0}}, "bias_rate = -1.0"),
        ({"step": {"max_grad_norm": math.nan}}, "max_grad_norm = nan"),
        ({"steps": 3, "long_steps": 4}, "long_steps = 4 .*at most steps = 3"),
        ({"long_steps": 1}, "long_sequence_length = None .*a divisor of .* = 1024"),
        ({"long_steps": 1, "long_sequence_length": 100}, "long_sequence_length = 100"),
        ({"step": 3}, "step = 3 .*a dict"),
    ],
)
def test_configurations_that_will_not_do(fields, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig.from_dict(fields)
