"""THE one place where code written by a model or a student runs: `run(code)` on Linux, in namespaces of its own.

What it does not protect against: a flaw of the kernel, which the code can still call several hundred ways; side channels
(it shares processor, caches and clock with everything else, and may measure them); noise, since it takes what time and memory
its limits allow from whatever runs beside it, for instance from a measurement; reading what lies under the folders that are
shown, so do not name a package with secrets in it; a wrong verdict, when code that is to be judged shares its process with
the judge (compare its output outside); and memory that is taken and given back between two looks of the keeper, 20 ms apart.
"""

from .container import ContainerRunner
from .sandbox import Limits, Outcome, Runner, SandboxUnavailable, run

__all__ = ["ContainerRunner", "Limits", "Outcome", "Runner", "SandboxUnavailable", "run"]
