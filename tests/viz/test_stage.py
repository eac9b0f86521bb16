"""A visual's HTML: data cannot break out of it, a text for every reader, one script for both faces."""

import html
import json
import re

import pytest

from kimi_mini.viz import stage
from kimi_mini.viz.stage import components, static_files

FORBIDDEN = r"^\s*(import|export)\b|\bfetch\(|XMLHttpRequest|new Worker\((?!URL\.createObjectURL\()|https?://(?!www\.w3\.org)"
HOSTILE = "</script><script>alert(1)</script><!-- & \" ' \u2028 <b>"


@pytest.fixture
def static_face(monkeypatch):
    monkeypatch.setenv("KIMI_BOOK", "static")


@pytest.fixture
def live_face(monkeypatch):
    monkeypatch.delenv("KIMI_BOOK", raising=False)


def cache_visual(**changes):
    arguments = {"title": "A finding.", "alt": "What is to be seen.", "still": "<p>still</p>"}
    return stage("cache", {"config": {}}, **(arguments | changes))


@pytest.mark.parametrize("field", ["title", "alt"])
@pytest.mark.parametrize("text", ["", "  \n", None])
def test_a_visual_without_its_texts_is_refused(field, text):
    with pytest.raises(ValueError, match=f"{field} = .* expected a sentence"):
        cache_visual(**{field: text})


def test_alt_has_no_default():
    with pytest.raises(TypeError, match="alt"):
        stage("cache", {}, title="A finding.")


def test_an_unknown_component_is_refused_and_the_known_ones_are_named():
    with pytest.raises(ValueError, match="component = 'pixel' .*pixels"):
        stage("pixel", {}, title="A finding.", alt="What is to be seen.")


@pytest.mark.parametrize("name", ["Two words", "1st", 'a"b', ""])
def test_a_name_is_a_plain_key(name):
    if name == "":
        assert cache_visual(name=name).name == "cache"
        return
    with pytest.raises(ValueError, match="name = "):
        cache_visual(name=name)


@pytest.mark.parametrize("data", [float("nan"), {"x": float("inf")}, {"x": object()}, {1, 2}])
def test_data_that_json_cannot_hold_is_refused(data):
    with pytest.raises(ValueError, match="data cannot be written as JSON"):
        stage("cache", data, title="A finding.", alt="What is to be seen.")


def test_data_comes_back_whole_and_cannot_end_its_script(static_face):
    data = {"text": HOSTILE, HOSTILE: [1, 2.5, None, True]}
    shown = stage("cache", data, title="A finding.", alt="What is to be seen.")._repr_html_()
    assert shown.count("</script>") == 1
    payload = re.search(r'<script type="application/json">(.*)</script>', shown, re.S).group(1)
    assert json.loads(payload) == data
    assert "<" not in payload and ">" not in payload


def test_texts_are_escaped(static_face):
    shown = cache_visual(title=HOSTILE, alt=HOSTILE)._repr_html_()
    assert "alert(1)</script>" not in shown and "<b>" not in shown
    assert f'data-alt="{html.escape(HOSTILE)}"' in shown


def test_the_static_face_carries_its_still_and_no_frame(static_face):
    shown = cache_visual()._repr_html_()
    assert '<div class="km-still"><p>still</p></div>' in shown
    assert "iframe" not in shown


def test_the_live_face_is_the_same_element_with_every_script_inside(live_face):
    visual = cache_visual()
    page = html.unescape(re.search(r'srcdoc="([^"]*)"', visual._repr_html_()).group(1))
    assert visual.element in page
    for path in static_files():
        assert path.read_text(encoding="utf-8") in page
    assert re.findall(r"""(?:src|href)=["']?(?:https?:)?//""", page) == []


def test_a_reader_of_plain_text_gets_title_and_alt(live_face):
    assert cache_visual()._repr_mimebundle_()["text/plain"] == "A finding. What is to be seen."


def test_scripts_are_classic_and_ask_for_nothing():
    """Pages open from disk, where modules, fetch and workers from files are refused; inlined, they must not end a script."""
    for path in static_files():
        text = path.read_text(encoding="utf-8")
        assert not re.search(FORBIDDEN, text, re.M), path.name
        assert "</script" not in text.lower() and "</style" not in text.lower(), path.name
        assert len(text.splitlines()) <= 300, path.name


def test_every_component_is_found():
    chapters = {
        "touch": {"touch", "losses"},
        "glance": {"pixels", "strips", "calculator", "cache", "flops", "memory"},
        "position": {"clocks", "layout"},
        "latent": {"shelves", "logit"},
        "routing": {"sentence", "foretold"},
        "balance": {"thermostat", "pooling"},
        "muon": {"ellipse", "race"},
        "bets": {"desk", "doubling"},
        "muonclip": {"runaway", "bricks"},
        "rephrase": {"askings", "chunks"},
        "recorder": {"recorder"},
        "critic": {"gap"},
        "ranking": {"ranking"},
        "rewards": {"cards", "scrubber"},
        "trajectories": {"what-if"},
        "tools": {"tool-map"},
        "unpublished": {"frames"},
        "museum": {"museum"},
        "kernels": {"tile-walk"},
    }
    assert components() == set().union(*chapters.values())
