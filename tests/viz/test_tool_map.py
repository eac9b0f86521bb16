"""The map of tools: what is drawn is what was recorded; a key, a tap and a pointer choose the tool that they mean."""

import json

import pytest

from kimi_mini.dev import ROOT
from kimi_mini.viz import tool_map

ROWS = ROOT / "book" / "data" / "tools" / "map.json"


@pytest.fixture(scope="module")
def row():
    return tool_map.load_map(ROWS)


def test_every_tool_is_on_the_map_and_the_title_says_what_was_measured(row):
    stage = tool_map.tool_map(row)
    assert sorted(tool["name"] for tool in stage.data["tools"]) == sorted(tool["name"] for tool in row["tools"])
    near = row["nearest"]["domain"]
    assert f"{len(row['tools'])} tools" in stage.title and f"{near['map']:.0%}" in stage.title
    assert len(json.dumps(stage.data)) < 80_000 and "airline" in stage.still


def test_a_row_of_something_else_is_refused(tmp_path):
    path = tmp_path / "map.json"
    path.write_text('{"tools": []}', encoding="utf-8")
    with pytest.raises(ValueError, match=r"python -m runs.tools"):
        tool_map.load_map(path)


# ---- under a hand ------------------------------------------------------------------------------------------------------


@pytest.fixture(params=[760, 360])
def root(request, chromium, tmp_path, row):
    stage, complaints = tool_map.tool_map(row), []
    (tmp_path / "page.html").write_text(stage.page, encoding="utf-8")
    context = chromium.new_context(offline=True, reduced_motion="reduce", viewport={"width": request.param, "height": 1000})
    page = context.new_page()
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto((tmp_path / "page.html").as_uri())
    root = page.locator(f"#km-{stage.name}.km-alive")
    yield root
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    context.close()
    assert complaints == []


def value(root, name):
    return root.get_attribute(f"data-value-{name}")


def of_domain(row, domain):
    return sorted((tool for tool in row["tools"] if tool["domain"] == domain), key=lambda tool: tool["name"])


@pytest.mark.browser
def test_the_whole_map_counts_as_the_run_did(root, row):
    assert int(value(root, "listed")) == int(value(root, "seen")) == len(row["tools"])
    assert int(value(root, "like")) / len(row["tools"]) == pytest.approx(row["nearest"]["domain"]["map"], abs=0.006)


@pytest.mark.browser
def test_keys_step_through_a_domain_and_zoom_around_the_tool(root, row):
    tools = of_domain(row, "invoices")
    root.locator("[data-control=domain]").select_option("invoices")
    assert int(value(root, "listed")) == len(tools) and value(root, "name") == tools[0]["name"]
    root.locator("[data-control=tool]").press("ArrowRight")
    assert value(root, "name") == tools[1]["name"] and tools[1]["description"] in root.locator(".km-tool-told").inner_text()
    root.locator("[data-control=tool]").press("End")
    assert value(root, "name") == tools[-1]["name"]
    before = int(value(root, "seen"))
    root.locator("[data-control=zoom]").press("End")
    assert value(root, "zoom") == "8" and 0 < int(value(root, "seen")) < before / 2
    assert root.locator(".km-tool-told").inner_text().startswith(tools[-1]["name"])


def middle_of_the_ring(root):
    """Where the chosen tool lies, from the picture's corner."""
    ring, picture = (root.locator(name).bounding_box() for name in ("path.km-tool-now", ".km-picture"))
    return {axis: ring[axis] + ring[size] / 2 - picture[axis] for axis, size in (("x", "width"), ("y", "height"))}


@pytest.mark.browser
def test_a_tap_chooses_and_a_pointer_only_shows(root, row):
    first, place = value(root, "name"), middle_of_the_ring(root)
    root.locator("[data-control=tool]").press("End")
    other = value(root, "name")
    root.locator(".km-picture").hover(position=place)
    assert value(root, "name") == first != other, "pointed at"
    root.page.mouse.move(0, 0)
    assert value(root, "name") == other, "and away"
    root.locator(".km-picture").click(position=place)
    root.page.mouse.move(0, 0)
    assert value(root, "name") == first
    domain = next(tool["domain"] for tool in row["tools"] if tool["name"] == first)
    assert root.get_attribute("data-state-domain") == domain and int(value(root, "listed")) == len(of_domain(row, domain))
