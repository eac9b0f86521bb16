"""Is a MuonClip right? Wrong versions to look at (the museum), and checks that anyone's own code can be put through."""

from .museum import PIECES, SUSPECTS, Piece, piece

__all__ = ["PIECES", "SUSPECTS", "Piece", "piece"]
