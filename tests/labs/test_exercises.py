"""Every exercise of every lab, in every version: right answers pass, stubs and known mistakes do not, and are told so."""

from functools import cache

import pytest

from kimi_mini.labs import Lab, attempt, difference, store
from labs.course import find
from labs.course.bake import bake, function_of, outcomes
from labs.course.exercise import Coding, Guess, define
from tests.labs.tiny import TINY

HIDDEN_SEEDS = (12345, 1 << 40)
SPECS = [TINY, *map(find.load_spec, find.lab_names())]
EXERCISES = [(spec, exercise) for spec in SPECS for exercise in spec.coding]
VARIANTS = [(spec, each, variant) for spec, each in EXERCISES for variant in (each.practice, *each.twists)]
MISTAKES = [(*row, mistake) for row in VARIANTS for mistake in row[2].mistakes]


def _label(value):
    return getattr(value, "name", None)


def _each(names, rows):
    return pytest.mark.parametrize(names, rows, ids=lambda value: _label(value) or "")


@pytest.fixture(scope="module")
def lab_of(tmp_path_factory):
    """`lab_of(spec, exercise, variant)`: the lab of a student who has that variant."""
    known = {}

    def make(spec, exercise, variant):
        place = max(0, (exercise.practice, *exercise.twists).index(variant) - 1)
        if (spec.name, place) not in known:
            twists = {each.name: each.twists[min(place, len(each.twists) - 1)] for each in spec.coding}
            known[spec.name, place] = Lab(bake(spec, twists), tmp_path_factory.mktemp(spec.name))
        return known[spec.name, place]

    return make


@cache
def _right(variant, seed):
    """A variant's hidden cases with their right outcomes."""
    right = function_of(variant.solution)
    return [(case, attempt(right, store(case))) for case in variant.cases(seed)]


def _fails(variant, function, seed):
    """Whether a function fails one of a variant's cases: the first is enough."""
    return any(difference(right, attempt(function, store(case)), case.largest) for case, right in _right(variant, seed))


@_each(("spec", "exercise", "variant"), VARIANTS)
def test_the_solution_passes(spec, exercise, variant, lab_of, capsys):
    solution = function_of(variant.solution)
    assert lab_of(spec, exercise, variant).check(variant.function, solution), capsys.readouterr().out
    assert not any(_fails(variant, solution, seed) for seed in HIDDEN_SEEDS)


@_each(("spec", "exercise", "variant"), VARIANTS)
def test_hidden_cases_are_others_with_the_same_names(spec, exercise, variant):
    names = [[case.name for case in variant.cases(seed)] for seed in HIDDEN_SEEDS]
    contents = [repr([store(case) for case in variant.cases(seed)]) for seed in HIDDEN_SEEDS]
    again = repr([store(case) for case in variant.cases(HIDDEN_SEEDS[0])])
    assert len(set(names[0])) == len(names[0])
    assert contents[0] != contents[1] and contents[0] == again


@_each(("spec", "exercise", "variant"), VARIANTS)
def test_the_stub_is_not_yet(spec, exercise, variant, lab_of, capsys):
    lab = lab_of(spec, exercise, variant)
    assert not lab.check(variant.function, define(variant.stub)[variant.function])
    assert capsys.readouterr().out == f"{variant.function}: not yet (nothing is written there).\n"
    assert not lab.passed(variant.function)


@_each(("spec", "exercise"), EXERCISES)
def test_the_package_answers_the_practice_version_and_no_twist(spec, exercise, lab_of, capsys):
    package = function_of(exercise.package)
    assert lab_of(spec, exercise, exercise.practice).check(exercise.name, package), capsys.readouterr().out
    for seed in HIDDEN_SEEDS:
        assert not _fails(exercise.practice, package, seed)
        assert [twist.name for twist in exercise.twists if not _fails(twist, package, seed)] == []


@_each(("spec", "exercise"), EXERCISES)
def test_an_answer_to_one_twist_answers_no_other(spec, exercise):
    answers = {each.name: function_of(each.solution) for each in (exercise.practice, *exercise.twists)}
    for seed in HIDDEN_SEEDS:
        same = [(a, b.name) for a in answers for b in exercise.twists if a != b.name and not _fails(b, answers[a], seed)]
        assert same == []


@_each(("spec", "exercise", "variant", "mistake"), MISTAKES)
def test_a_known_mistake_fails_and_is_recognised(spec, exercise, variant, mistake, lab_of, capsys):
    wrong = function_of(variant.mutant(mistake))
    lab = lab_of(spec, exercise, variant)
    assert not lab.check(variant.function, wrong)
    assert f"It looks like this: {mistake.hint}\n" in capsys.readouterr().out
    assert all(_fails(variant, wrong, seed) for seed in HIDDEN_SEEDS)


def _tells_copies(exercise):
    """Whether whoever hands in the practice version is told that theirs differs, whichever twist they have."""
    for twist in exercise.twists:
        *mistakes, copy = zip(*(case["mistakes"] for case in outcomes(exercise, twist)["cases"]), strict=True)
        if copy in mistakes:  # the hint of a mistake that is the practice version comes first
            return False
    return True


@pytest.mark.parametrize("spec", SPECS, ids=_label)
def test_a_copy_is_told_so_somewhere_in_every_lab_whatever_the_key(spec):
    assert any(_tells_copies(exercise) for exercise in spec.coding)


@pytest.mark.parametrize("spec", SPECS, ids=_label)
def test_a_lab_is_complete(spec):
    names = [each.name for each in spec.exercises]
    assert len(set(names)) == len(names)
    assert spec is TINY or 4 <= len(names) <= 12
    assert all(each.points > 0 and each.minutes > 0 for each in spec.exercises)
    assert all(each.difficulty in (1, 2, 3) for each in spec.exercises if isinstance(each, Coding))
    assert all(each.low < each.high for each in spec.exercises if isinstance(each, Guess))
