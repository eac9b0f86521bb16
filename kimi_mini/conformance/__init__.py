"""Is a MuonClip right? Wrong versions to look at (the museum), and checks that anyone's own code can be put through."""

from .heads import Layout
from .museum import PIECES, SUSPECTS, Piece, piece
from .report import Report, Result, load
from .suite import KINDS, conformance

__all__ = ["KINDS", "PIECES", "SUSPECTS", "Layout", "Piece", "Report", "Result", "conformance", "load", "piece"]
