"""What the compiler says of every Triton kernel, for GPUs that are not here: one file, book/data/kernels/gate.json.

The offline gate (`python -m bench.gate`) compiles each case for sm_90, sm_80 and sm_89; this command keeps its reports with
the versions that made them, for the chapter on kernels. Needs triton, no GPU; some minutes on one core.

examples:
  python -m runs.kernels              all cases of bench/gate_cases.py
  python -m runs.kernels --arch 90    for one architecture only
"""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict
from pathlib import Path

from kimi_mini.kernels import launch
from runs.output import made_here, write_json

FILE = Path("book/data/kernels/gate.json")


def main(argv: list[str] | None = None) -> None:
    """Compile all cases and write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", type=int, action="append", help="compute capability (default: all that the gate knows)")
    args = parser.parse_args(argv)
    if not launch.has_triton() or launch.interpreting():
        parser.error("needs triton, and TRITON_INTERPRET unset: the interpreter replaces the compiler")
    import triton  # here: optional

    from bench import gate
    from bench.gate_cases import CASES

    start = time.perf_counter()
    reports = gate.reports(CASES, tuple(args.arch or gate.TARGETS))
    made = made_here()
    made["versions"]["triton"] = triton.__version__
    content = {
        "made_by": "python -m runs.kernels", "date": time.strftime("%Y-%m-%d", time.gmtime()), **made,
        "seconds": round(time.perf_counter() - start),
        "limits": {str(arch): launch.SHARED_BYTES[row] for arch, row in gate.TARGETS.items()},
        "reports": [asdict(report) | {"faults": report.faults()} for report in reports],
    }  # fmt: skip
    write_json(FILE, content)


if __name__ == "__main__":
    main()
