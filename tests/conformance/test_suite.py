"""The suite: it passes what is right in every layout, and fails what is wrong by the check that names the mistake."""

import json
import subprocess
import sys

import pytest
import torch

from kimi_mini.cli import main
from kimi_mini.conformance import KINDS, PIECES, Layout, adapters, conformance, load
from kimi_mini.conformance.heads import WANTED, draw, look
from tests.conformance import outsiders

OURS = {
    "muon": adapters.ours_muon,
    "max-logits": adapters.ours_max_logits,
    "qk-clip": adapters.ours_qk_clip,
    "muonclip": adapters.ours_muonclip,
}
LAYOUTS = [Layout(kind, fused) for kind in ("mha", "gqa", "mla") for fused in (True, False)]
LAYOUTS += [Layout("mla", fused, False) for fused in (True, False)]
EVERY_LAYOUT = pytest.mark.parametrize("layout", LAYOUTS, ids=str)


def result(report, name):
    (found,) = [r for r in report.results if r.name == name]
    return found


# ---- what is right passes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_ours_passes(kind, seed):
    report = conformance(OURS[kind], kind, seed=seed)
    assert report.failed == ()
    assert report.passed and f"{len(report.results)} of {len(report.results)} checks passed" in str(report)


@pytest.mark.parametrize("kind", ["qk-clip", "muonclip"])
def test_ours_passes_without_a_query_latent(kind):
    assert conformance(OURS[kind], kind, Layout(q_latent=False)).failed == ()


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="torch has no Muon before 2.9")
def test_torchs_own_muon_passes_and_refuses_stacks():
    report = conformance(adapters.torch_muon, "muon")
    assert report.failed == ()
    assert "a stack is refused (ValueError: Muon only supports 2D" in result(report, "stack").found


@EVERY_LAYOUT
@pytest.mark.parametrize("clip", [outsiders.clip_any, outsiders.clip_returned, outsiders.clip_replaced])
def test_a_right_clip_passes_in_every_layout(layout, clip):
    assert conformance(clip, "qk-clip", layout).failed == ()


@EVERY_LAYOUT
def test_a_right_muonclip_and_statistic_pass_in_every_layout(layout):
    assert conformance(outsiders.muonclip, "muonclip", layout).failed == ()
    assert conformance(outsiders.max_logits, "max-logits", layout).failed == ()


def test_accepted_variants_are_told_in_words():
    made_up = conformance(outsiders.clip_made_up_for, "qk-clip", Layout("gqa", False))
    assert made_up.failed == () and "up to rounding" in result(made_up, "other-heads").found
    silent = conformance(outsiders.clip_silent, "qk-clip")
    assert silent.failed == () and "nobody was told" in result(silent, "broken").found
    for make, words in ((outsiders.ExactMuon, "it is with Nesterov"), (outsiders.PlainMomentum, "it is without Nesterov")):
        report = conformance(make, "muon")
        assert report.failed == () and result(report, "momentum").found.endswith(words)


def test_the_published_coefficient_sets_pass():
    from kimi_mini.optim import Muon

    def polar_express(params, *, lr, weight_decay, momentum):
        return Muon(params, lr, weight_decay=weight_decay, momentum=momentum, coefficients="polar_express")

    def in_half_precision(params, *, lr, weight_decay, momentum):
        return Muon(params, lr, weight_decay=weight_decay, momentum=momentum, ns_dtype=torch.bfloat16)

    assert conformance(polar_express, "muon").failed == conformance(in_half_precision, "muon").failed == ()


@EVERY_LAYOUT
@pytest.mark.parametrize("seed", range(20))
def test_the_synthetic_heads_are_as_loud_as_they_should_be(layout, seed):
    weights, x_BTD = draw(layout, seed)
    torch.testing.assert_close(look(weights, layout, x_BTD).max_logits_H, torch.tensor(WANTED, dtype=torch.float64))


@pytest.mark.parametrize("kind", ["mha", "gqa", "mla"])
def test_split_and_fused_weights_are_the_same_heads(kind):
    seen = []
    for fused in (True, False):
        weights, x_BTD = draw(Layout(kind, fused), 0)
        seen.append(look(weights, Layout(kind, fused), x_BTD))
    torch.testing.assert_close(*seen)


@pytest.mark.parametrize("q_latent", [True, False])
def test_fused_mla_is_the_layout_of_the_package(q_latent):
    from kimi_mini.model.rope import rope_table

    layout = Layout(q_latent=q_latent)
    weights, x_BTD = draw(layout, 0)
    weights["kv_a_proj_with_mqa"][layout.kv_rank :] = 0  # the turns differ: without rotary keys the content is left
    model = adapters._around(weights, layout).double()
    rope = rope_table(model.config, torch.arange(x_BTD.shape[1])[None], torch.float64)
    _, max_logits_H = model.blocks[0].attn(x_BTD, rope)
    torch.testing.assert_close(look(weights, layout, x_BTD).max_logits_H, max_logits_H)


# ---- what is wrong fails, by name ------------------------------------------------------------------------------------

REASONS = {
    "before-mask": "before the causal mask",
    "absolute": "largest absolute value",
    "unscaled": "not multiplied by the scale",
    "last-micro-batch": "Only the last micro-batch",
    "one-for-all": "One factor for all heads",
    "clamped-ratio": "A clamp of tau / S at 1",
    "no-minimum": "without a minimum with 1",
    "shared-key": "All heads read this key",
    "rope-root": "The rotary query took sqrt(gamma)",
    "columns": "columns instead of rows",
    "wrong-rows": "Rows of other heads",
    "values-too": "Values take no factor",
    "down-projection": "A down-projection was scaled (q_a, kv_a)",
    "copy": "Was a copy scaled",
    "half-averaged": "the look ahead adds a whole gradient",
    "forgetful": "the momentum is not kept",
    "ratio-scale": "The sizes fit sqrt(max(1, A / B))",
    "shaped-decay": "The decay is multiplied by 0.2 sqrt(max(A, B)) too",
    "entrywise-sign": "the sign was taken entry by entry",
    "one-big-matrix": "flattened or joined into one",
}
# Checks that a mistake may fail besides its own, within its own kind.
ALSO = {
    "unscaled": {"per-head", "causal", "signed", "micro-batches", "no-memory"},
    "one-for-all": {"clipped-heads"},
    "no-minimum": {"other-heads"},
    "shared-key": {"clipped-heads", "other-heads"},
    "columns": {"clipped-heads"},
    "wrong-rows": {"clipped-heads"},
    "down-projection": {"other-heads", "values"},
    "shaped-decay": {"zero"},
    "entrywise-sign": {"momentum"},
}


@pytest.mark.parametrize("p", PIECES, ids=lambda p: p.name)
def test_each_piece_of_the_museum_is_caught_by_its_check_and_for_its_reason(p):
    own, _, name = p.killed_by.partition(".")
    with p.installed():
        reports = {kind: conformance(ours, kind) for kind, ours in OURS.items()}
    assert name in reports[own].failed
    assert REASONS[p.name] in result(reports[own], name).cause
    assert set(reports[own].failed) - {name} == ALSO.get(p.name, set())
    for kind in set(KINDS) - {own, "muonclip"}:
        assert reports[kind].failed == ()


@pytest.mark.parametrize("p", [p for p in PIECES if p.suspect in ("statistic", "place")], ids=lambda p: p.name)
def test_the_joined_step_does_not_hide_a_wrong_statistic_or_place(p):
    with p.installed():
        assert conformance(adapters.ours_muonclip, "muonclip").failed != ()


MHA, GQA = Layout("mha", False), Layout("gqa", False)


@pytest.mark.parametrize(
    ("callable_", "kind", "layout", "check", "cause"),
    [
        (outsiders.clip_group_factor, "qk-clip", GQA, "other-heads", "A key that several heads share was scaled"),
        (outsiders.clip_shared_key, "qk-clip", GQA, "other-heads", "A key that several heads share was scaled"),
        (outsiders.clip_in_single, "qk-clip", MHA, "values", "Only rounding"),
        (outsiders.clip_keys_twice, "qk-clip", MHA, "clipped-heads", "Query and key each took gamma whole"),
        (outsiders.clip_unguarded, "qk-clip", MHA, "broken", "the head's weights are gone"),
        (outsiders.max_logits_in_turn, "max-logits", GQA, "per-head", "repeated in the wrong order"),
        (outsiders.max_logits_over_d, "max-logits", MHA, "scaled", "divided by d"),
        (outsiders.Remembering(), "max-logits", MHA, "no-memory", "never reset"),
        (outsiders.Coupled, "muon", None, "decay", "not decoupled"),
        (outsiders.Unscaled, "muon", None, "size", "no scale at all"),
        (outsiders.FixedRate, "muon", None, "rate", "copied when the optimizer was made"),
        (outsiders.Uphill, "muon", None, "orthogonal", "uphill"),
        (outsiders.Dividing, "muon", None, "zero", ""),
        (outsiders.adam, "muon", None, "orthogonal", "entry by entry"),
        (outsiders.sgd, "muon", None, "orthogonal", "nothing was made orthogonal"),
        (outsiders.clip_before, "muonclip", GQA, "order", "The clip ran before the update"),
        (outsiders.remembering, "muonclip", MHA, "no-memory", "largest logits of the first step were kept"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_mistakes_of_others_are_named(callable_, kind, layout, check, cause):
    found = result(conformance(callable_, kind, layout), check)
    assert not found.passed and cause in found.cause


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("callable_", [outsiders.hostile, outsiders.unprintable, outsiders.nonsense])
def test_a_crash_is_a_failed_check_with_its_message(kind, callable_):
    report = conformance(callable_, kind)
    assert not report.passed
    assert {r.name for r in report.results if r.passed} <= {"broken"}  # an exception is the right answer there
    if callable_ is outsiders.hostile:
        assert "SystemExit: 0" in report.results[0].found
    assert str(report)


def test_ctrl_c_is_not_a_failed_check():
    def stop(*arguments, **options):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        conformance(stop, "qk-clip")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (dict(kind="clip"), "kind = 'clip' will not do"),
        (dict(kind="muon", seed=-1), "seed = -1 will not do"),
    ],
)
def test_bad_arguments_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        conformance(adapters.ours_muon, **arguments)


# ---- the command -----------------------------------------------------------------------------------------------------

ADAPTERS = "kimi_mini.conformance.adapters"


def test_the_command_says_pass_or_fail_by_its_exit_status(capsys, tmp_path):
    assert main(["conformance", f"{ADAPTERS}:ours_muon", "--kind", "muon"]) == 0
    assert capsys.readouterr().out.endswith("7 of 7 checks passed\n")
    file = tmp_path / "report.json"
    wrong = ["conformance", "tests.conformance.outsiders:clip_group_factor", "--kind", "qk-clip", "--layout", "gqa"]
    assert main([*wrong, "--json", str(file)]) == 1
    out = capsys.readouterr().out
    assert "FAIL  other-heads" in out and "[K2 report, 2.1: per head" in out and max(map(len, out.splitlines())) <= 100
    saved = json.loads(file.read_text())
    assert saved["passed"] is False and saved["kind"] == "qk-clip"
    assert {r["name"] for r in saved["results"] if not r["passed"]} == {"other-heads"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["no_such_module:f"], "cannot be imported (ModuleNotFoundError"),
        (["json:no_such_name"], "cannot be imported (AttributeError"),
        (["json"], "expected 'package.module:callable'"),
        (["json:__name__"], "expected something that can be called"),
        ([f"{ADAPTERS}:ours_qk_clip", "--layout", "mha", "--no-q-latent"], "only mla has a query latent"),
        ([f"{ADAPTERS}:ours_qk_clip", "--seed", "-1"], "seed = -1"),
    ],
)
def test_bad_input_is_one_line_and_status_2(capsys, arguments, words):
    assert main(["conformance", *arguments, "--kind", "qk-clip"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line


def test_a_module_that_breaks_on_import_is_bad_input(tmp_path, monkeypatch, capsys):
    (tmp_path / "breaks_on_import.py").write_text("raise SystemExit('no')")
    monkeypatch.syspath_prepend(tmp_path)
    assert main(["conformance", "breaks_on_import:f", "--kind", "muon"]) == 2
    assert "SystemExit: no" in capsys.readouterr().err


def test_code_in_the_current_folder_is_found(tmp_path):
    (tmp_path / "mine.py").write_text("def clip(weights, max_logits_H, tau, layout):\n    pass\n")
    import kimi_mini.dev

    command = [sys.executable, "-m", "kimi_mini", "conformance", "mine:clip", "--kind", "qk-clip", "--weights", "split"]
    environment = {"PYTHONPATH": str(kimi_mini.dev.ROOT), "OMP_NUM_THREADS": "1"}
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert run.returncode == 1 and "No weight changed." in run.stdout and run.stderr == ""


def test_names_are_read_down_to_the_attribute():
    assert load("tests.conformance.outsiders:Remembering.__call__") is outsiders.Remembering.__call__


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("diagonal", "cause"), [(2, "see the next one"), (0, "hides each token from itself")])
def test_a_mask_that_is_off_by_one_is_caught_at_every_seed_and_named(diagonal, cause, seed):
    def off_by_one(micro_batches, scale):
        best = []
        for q, k in micro_batches:
            logits = torch.einsum("bthn,bshn->bhts", q, k.repeat_interleave(q.shape[2] // k.shape[2], 2)) * scale
            hidden = torch.ones(q.shape[1], q.shape[1], dtype=torch.bool).triu(diagonal)
            best.append(logits.masked_fill(hidden, float("-inf")).amax((0, 2, 3)))
        return torch.stack(best).amax(0)

    report = conformance(off_by_one, "max-logits", seed=seed)
    failed = {result.name: result for result in report.results if not result.passed}
    assert "causal" in failed and cause in failed["causal"].cause
