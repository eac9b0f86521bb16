"""The page for a term names every chapter and lab, and links to what is there and to nothing else."""

import re

import yaml

from kimi_mini.claims import CHAPTERS, CLAIMS
from labs.course import find, term

PAGE = (find.ROOT / "book" / "term.md").read_text(encoding="utf-8")
NO_CHAPTER = {"scoreboard", "glossary", "term", "unpublished"}


def test_the_page_is_up_to_date():
    assert term.render() == PAGE, "run `python -m labs.course term`"


def test_every_page_of_the_contents_is_a_chapter_of_the_plan():
    toc = yaml.safe_load((find.ROOT / "_toc.yml").read_text(encoding="utf-8"))
    names = [entry["file"].removeprefix("book/") for entry in toc["chapters"]]
    assert [name for name in names if name not in NO_CHAPTER] == list(term.written_chapters().values()), "in the plan's order"


def test_links_lead_to_files_that_are_there():
    links = set(re.findall(r"\]\((\w+\.ipynb)\)", PAGE))
    assert links and all((find.ROOT / "book" / link).is_file() for link in links)
    downloads = re.findall(r"<\.\./labs/student/(lab\d\d)\.ipynb>", PAGE)
    assert downloads == find.lab_names() and all((find.STUDENT / f"{name}.ipynb").is_file() for name in downloads)


def test_nothing_is_called_planned_that_is_written_and_all_is_named():
    pages, labs = term.written_chapters(), term.written_labs()
    for number in {number for week in term.TERM for number in week}:
        assert (f"[{number}. {CHAPTERS[number]}]" in PAGE) == (number in pages)
        assert (f"{number}. {CHAPTERS[number]} (planned)" in PAGE) == (number not in pages)
    for number, (title, _) in term.LABS.items():
        assert (f"{number}. {title} (planned)" in PAGE) == (number not in labs)


def test_a_term_takes_each_chapter_once_and_each_lab_after_its_chapters():
    assert sorted(number for week in term.TERM for number in week) == list(range(len(CHAPTERS))) and len(term.TERM) == 13
    assert set(term.CORE) <= set(term.LABS)
    week_of = {chapter: week for week, chapters in enumerate(term.TERM) for chapter in chapters}
    for _, chapters in term.LABS.values():
        assert week_of[chapters[-1]] == max(week_of[chapter] for chapter in chapters)


def test_labs_have_the_titles_and_chapters_that_they_have_elsewhere():
    pages = term.written_chapters()
    for number, name in term.written_labs().items():
        spec = find.load_spec(name)
        title, chapters = term.LABS[number]
        assert spec.title == title
        assert spec.chapter in {pages.get(chapter) for chapter in chapters} or not set(chapters) & set(pages)
    assert all(claim.chapter.number in term.LABS[claim.lab][1] for claim in CLAIMS if claim.lab is not None)
