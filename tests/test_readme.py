"""The front door: the README's Python runs and prints what it says, its picture and its licences are there."""

import re

import pytest
import torch
import yaml

from kimi_mini.dev import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
COUNTING, GENERATING, CHECKING, USING, CALLING = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_counting_prints_what_the_readme_says(capsys):
    exec(COUNTING, {})
    assert "# " + capsys.readouterr().out.strip() in COUNTING.splitlines()


def test_generating_runs(capsys):
    exec(COUNTING + GENERATING, {})
    assert len(capsys.readouterr().out.splitlines()) > 1


def test_both_forms_of_the_kernel_agree():
    names = {}
    exec(USING, names)
    torch.testing.assert_close(names["out_BTHM"], names["slow_BTHM"], atol=1e-5, rtol=0)


@pytest.mark.parametrize("code", [CHECKING, pytest.param(CALLING, marks=pytest.mark.slow)], ids=["checking", "calling"])
def test_it_prints_what_the_readme_says(code, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    exec(code, {})
    assert "# " + capsys.readouterr().out.strip() in code.splitlines()


def test_what_the_readme_shows_and_names_is_there():
    (picture,) = re.findall(r"!\[[^]]{20,}\]\(([^)]+)\)", README)
    assert 10_000 < (ROOT / picture).stat().st_size < 200_000
    for name in ("LICENSE", "LICENSE-TEXT", ".github/workflows/pages.yml"):
        assert f"`{name}`" in README and (ROOT / name).is_file()


def test_code_and_text_have_each_one_licence_everywhere():
    footer = yaml.safe_load((ROOT / "_config.yml").read_text())["html"]["extra_footer"]
    assert footer.endswith("Text CC BY 4.0, code MIT.") and "not affiliated with Moonshot AI" in footer
    assert (ROOT / "LICENSE").read_text().startswith("MIT License\n")
    assert "https://creativecommons.org/licenses/by/4.0/\n" in (ROOT / "LICENSE-TEXT").read_text()
