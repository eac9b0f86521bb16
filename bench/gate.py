"""Row B2, the offline gate: compile every kernel, in every configuration, for GPUs that are not here, and read the report.

`python -m bench.gate [pattern ...]` runs the public operations of kimi_mini.kernels, forward and backward, on tensors of device
"meta" (shapes without memory, so K2's sizes cost nothing) with a driver that says "sm_90". Every launch is compiled exactly as
it would be on that GPU, and not run. Two things follow. The compiler's report: registers, spills to the stack, shared memory,
and whether the tensor-core instructions are there. And a proof that no launcher waits for the GPU: meta tensors have no
values, so `.item()` and its relatives raise.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import triton
from tqdm import tqdm
from triton.backends.compiler import GPUTarget
from triton.runtime import driver
from triton.runtime.jit import JITFunction

from kimi_mini.kernels import launch

TARGETS = {90: "hopper", 80: "ampere", 89: "small"}  # compute capability: its row of the configuration tables


@dataclass(frozen=True)
class Report:
    """What the compiler says of one launch: registers a thread, bytes of spills a thread, shared bytes a block."""

    case: str
    kernel: str
    arch: int
    constants: str
    warps: int
    stages: int
    registers: int
    stack: int
    shared: int
    dot: bool  # the kernel multiplies tiles of 16-bit numbers
    tensor_cores: bool  # the instructions for it are in the code: wgmma on sm_90, mma before
    serialised: bool  # the assembler notes that each wgmma waits for the one before
    grid: tuple[int, ...]

    def faults(self) -> list[str]:
        """What would keep this kernel from being fast, or from starting at all; empty when it passes."""
        limit = launch.SHARED_BYTES[TARGETS[self.arch]]
        checks = {
            f"spills {self.stack} bytes a thread": self.stack > 0,
            f"wants {self.shared} bytes of shared memory of {limit}": self.shared > limit,
            f"multiplies tiles without {'wgmma' if self.arch == 90 else 'mma'}": self.dot and not self.tensor_cores,
            "runs its wgmma one by one": self.serialised,
            f"a grid of {self.grid} is too large": any(n > 65_535 for n in self.grid[1:]) or self.grid[0] > 2**31 - 1,
        }
        return [fault for fault, is_so in checks.items() if is_so]


class _Offline:
    """The part of Triton's driver that compiling asks for."""

    def __init__(self, arch: int) -> None:
        self.target = GPUTarget("cuda", arch, 32)

    def get_current_target(self) -> GPUTarget:
        return self.target

    def get_current_device(self) -> int:
        return self.target.arch  # kernels are cached by device: each architecture is one of its own

    def get_current_stream(self, device: int) -> int:
        return 0


@contextmanager
def compile_only(arch: int, found: list[Report], case: str) -> Iterator[None]:
    """Inside, a launch compiles for `arch` and appends its Report to `found`; nothing runs, here or after in this process."""
    real_run = JITFunction.run

    def run(self, *args, grid, warmup, **kwargs):
        compiled = real_run(self, *args, grid=grid, warmup=True, **kwargs)
        report = _read(case, self, compiled, arch, grid(kwargs) if callable(grid) else grid)
        if report not in found:
            found.append(report)
        return compiled

    driver.set_active(_Offline(arch))
    JITFunction.run = run
    try:
        yield
    finally:
        JITFunction.run = real_run


def _read(case: str, kernel: JITFunction, compiled, arch: int, grid: tuple[int, ...]) -> Report:
    usage = _resource_usage(compiled.asm["cubin"], compiled.metadata.name)
    dots = re.findall(r"tt\.dot .*tensor<[\dx]+x(\w+)> \*", compiled.asm["ttir"])
    constants = {kernel.arg_names[where[0]]: value for where, value in compiled.src.constants.items()}
    return Report(
        case,
        f"{kernel.fn.__module__.rpartition('.')[2]}.{kernel.fn.__name__}",
        arch,
        ", ".join(f"{k}={v}" for k, v in constants.items()),
        compiled.metadata.num_warps,
        compiled.metadata.num_stages,
        usage["REG"],
        usage["STACK"],
        compiled.metadata.shared,
        any(width in ("f16", "bf16", "f8E4M3FN") for width in dots),
        ("wgmma.mma_async" if arch == 90 else "mma.sync") in compiled.asm["ptx"],
        arch == 90 and "wgmma" in compiled.asm["ptx"] and _is_serialised(compiled.asm["ptx"]),
        tuple(grid),
    )


def _nvidia(tool: str, options: list[str], content: bytes) -> str:
    """What one of the programs that come with triton says of a file with this content."""
    path = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / tool
    with tempfile.TemporaryDirectory() as folder:  # the assembler leaves its output there
        (Path(folder) / "kernel").write_bytes(content)
        command = [path, *options, "kernel"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, timeout=300)
    return done.stdout + done.stderr


def _is_serialised(ptx: str) -> bool:
    notes = _nvidia("ptxas", ["--gpu-name=sm_90a", "--verbose"], ptx.encode())
    return "wgmma.mma_async instructions are serialized" in notes


def _resource_usage(cubin: bytes, name: str) -> dict[str, int]:
    """REG, STACK, SHARED, ... of a compiled kernel."""
    text = _nvidia("cuobjdump", ["--dump-resource-usage"], cubin)
    line = text[text.index(f"Function {name}:") :].splitlines()[1]
    return {key: int(value) for key, value in re.findall(r"(\w+):(\d+)", line)}


def reports(cases: dict[str, Callable[[], object]], archs: tuple[int, ...]) -> list[Report]:
    """The Report of every launch that the cases make, on each architecture."""
    found: list[Report] = []
    for arch, name in tqdm([(arch, name) for arch in archs for name in cases], desc="compiling", disable=None):
        with compile_only(arch, found, name):
            cases[name]()
    return found


def main(arguments: list[str] | None = None) -> int:
    """Print the table; 1 if any kernel has a fault."""
    from .gate_cases import CASES  # here: the cases import every kernel

    parser = argparse.ArgumentParser(prog="python -m bench.gate", description=__doc__.split("\n")[0])
    parser.add_argument("patterns", nargs="*", help="cases with this in their name (default: all)")
    parser.add_argument("--arch", type=int, action="append", choices=TARGETS, help="compute capability (default: 90 80 89)")
    parser.add_argument("--json", type=Path, help="also write the reports here")
    args = parser.parse_args(arguments)
    if launch.interpreting():
        parser.error("TRITON_INTERPRET=1 replaces the compiler; unset it")
    cases = {k: v for k, v in CASES.items() if not args.patterns or any(p in k for p in args.patterns)}
    if not cases:
        parser.error(f"no case has {args.patterns} in its name; there are {', '.join(CASES)}")
    found = reports(cases, tuple(args.arch or TARGETS))
    columns = "{:<28} {:<44} {:>3} {:>5} {:>6} {:>4} {:>5} {:>7}  {}"
    print(columns.format("case", "kernel", "sm", "warps", "stages", "reg", "spill", "shared", "verdict"))
    for r in found:
        verdict = "; ".join(r.faults()) or ("ok, tensor cores" if r.dot else "ok")
        print(columns.format(r.case, r.kernel, r.arch, r.warps, r.stages, r.registers, r.stack, r.shared, verdict))
    if args.json:
        args.json.write_text(json.dumps([asdict(r) for r in found], indent=1) + "\n", encoding="utf-8")
    return int(any(r.faults() for r in found))


if __name__ == "__main__":
    sys.exit(main())
