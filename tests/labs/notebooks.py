"""Notebooks of a student who has worked: cells of a handed-out notebook filled in."""

import copy

import nbformat

from labs.course.student import role_of


def fill(notebook, twists=None, practice=None, written=None, cells=()):
    """A copy with sources for twist and practice cells, {exercise: source}, one text for all written cells, more code cells."""
    notebook = copy.deepcopy(notebook)
    for cell in notebook.cells:
        role, name = role_of(cell)
        if role == "written" and written:
            cell.source = written
        for wanted, sources in (("twist", twists or {}), ("practice", practice or {})):
            if role == wanted and name in sources:
                cell.source = sources[name]
    notebook.cells += [nbformat.v4.new_code_cell(source) for source in cells]
    return notebook
