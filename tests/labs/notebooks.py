"""Notebooks of a student who has worked: cells of a handed-out notebook filled in, or run up to some place."""

import contextlib
import copy

import nbformat
import torch

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


@contextlib.contextmanager
def worked(cells, spec, *more):
    """Names of a source notebook run with the package's functions for a student's, all parts passed, then the cells `more`.

    `cells` are its sources by id. torch's number of threads, which a lab sets, is put back.
    """
    threads, known = torch.get_num_threads(), {}
    try:
        for cell in ("setup", "imports", *(cell for cell in cells if cell.endswith("-practice"))):
            exec(cells[cell], known)
        known["lab"]._passed |= {exercise.name for exercise in spec.exercises}
        for cell in more:
            exec(cells[cell], known)
        yield known
    finally:
        torch.set_num_threads(threads)
