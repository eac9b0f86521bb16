"""The road: `python -m kimi_mini.dev book | test | test-quick | edition`, from a bare Python to a built book and green tests.

Standard library only, so that it runs before anything is installed. Everything goes into `.venv` beside this
package; `--here` uses the running interpreter as it is instead (a conda environment, a container).
"""

from __future__ import annotations

import argparse
import glob
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
FIRST_PAGE = ROOT / "_build" / "html" / "index.html"
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"  # torch's documented index of wheels without CUDA
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
CHROMIUM_MAC = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"


class StepFailed(Exception):
    """A step of the road ended badly; the message names it."""


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit status (0 only if every step passed)."""
    args = _parse(argv)
    if sys.version_info < (3, 11):  # noqa: UP036 (this file also runs on what is too old)
        print(f"Python 3.11 or later is needed, this is {platform.python_version()}: make PYTHON=python3.12 {args.command}")
        return 2
    os.chdir(ROOT)
    started = time.monotonic()
    try:
        python = sys.executable if args.here else install()
        status = _COMMANDS[args.command](python, *filter(None, [args.tag]))
    except StepFailed as failure:
        print(f"\nFAILED: {failure}", flush=True)
        status = 1
    print(f"{args.command}: {'done' if status == 0 else 'FAILED'} in {time.monotonic() - started:.0f} s", flush=True)
    return status


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m kimi_mini.dev",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="\n".join(f"{name:<12}{_COMMANDS[name].__doc__.splitlines()[0]}" for name in _COMMANDS),
    )
    parser.add_argument("command", choices=_COMMANDS)
    parser.add_argument("--here", action="store_true", help="use this interpreter, install nothing (default: .venv)")
    parser.add_argument("--tag", help="name of the edition, such as 2026-autumn")
    args = parser.parse_args(argv)
    if (args.command == "edition") != bool(args.tag):
        parser.error("edition needs --tag TAG (make edition TAG=...), and nothing else takes one")
    return args


# --- commands ---------------------------------------------------------------------------------------------------------


def _book(python: str) -> int:
    """Install what is missing, run the chapters, build the book, say where to open it."""
    build_book(python)
    print(f"\nOpen this in a browser (no server, no network needed):\n  {FIRST_PAGE.as_uri()}\n", flush=True)
    return 0


def _test_quick(python: str) -> int:
    """The tests of under three minutes."""
    return _run_lanes({"quick": lambda: pytest(python, "-n", "2", "-m", "not slow and not browser")})


def _test(python: str) -> int:
    """Every test: unit and parity, notebooks, the book in a browser.

    Each lane runs to its end whatever the others do; the browser lane looks at the build of the lane before it.
    """
    lanes = {
        "unit and parity": lambda: pytest(python, "-n", "2", "-m", "not browser"),
        "notebooks": lambda: test_notebooks(python),
        "book": lambda: build_book(python),
    }
    if find_chromium():
        lanes["browser"] = lambda: pytest(python, "-n", "2", "-m", "browser", KIMI_BOOK_BUILT=str(FIRST_PAGE.parent))
    status = _run_lanes(lanes)
    if "browser" not in lanes:
        print("  SKIPPED browser: no Chromium or Chrome on this machine, the built book was not looked at", flush=True)
    return status


def _edition(python: str, tag: str) -> int:
    """Freeze a clean checkout into dist/edition-TAG: book, wheel, weights, labs, manifest, SHA256SUMS."""
    if not re.fullmatch(r"\w[\w.-]*", tag):
        raise StepFailed(f"edition: the tag {tag!r} cannot name a folder")
    folder, partial = ROOT / "dist" / f"edition-{tag}", ROOT / "dist" / f".edition-{tag}"
    if folder.exists():
        raise StepFailed(f"edition: {folder} exists, and an edition is never made twice; choose another tag")
    commit, when = clean_commit()
    shutil.rmtree(ROOT / "_build", ignore_errors=True)
    build_book(python)
    if clean_commit() != (commit, when):
        raise StepFailed("edition: the checkout changed while the book was built")
    for rest in (partial, ROOT / "build"):  # setuptools would put what an older build left there into the wheel
        shutil.rmtree(rest, ignore_errors=True)
    partial.mkdir(parents=True)
    pip = [python, "-m", "pip", "--disable-pip-version-check", "wheel", "--no-deps", "--no-build-isolation"]
    step("edition: build the wheel", [*pip, "-w", str(partial), "."], {"SOURCE_DATE_EPOCH": str(when)})
    data = ROOT / "kimi_mini" / "data"
    weights = [*data.glob("mini/*"), *data.glob("licences/*"), data / "mini.json", data / "tokenizer.json"]
    pack(partial / f"kimi-mini-book-{tag}.zip", FIRST_PAGE.parent, FIRST_PAGE.parent.rglob("*"), when)
    pack(partial / f"kimi-mini-weights-{tag}.zip", data, weights, when)
    pack(partial / f"kimi-mini-labs-{tag}.zip", ROOT / "labs" / "student", (ROOT / "labs" / "student").glob("*.ipynb"), when)
    for name in ("LICENSE", "LICENSE-TEXT", "requirements.txt"):
        shutil.copy(ROOT / name, partial)
    seal(partial, {"tag": tag, "commit": commit, "committed": _utc(when), "made": _utc(time.time()), **_versions(python)})
    partial.replace(folder)
    print(f"\n{folder}:\n{(folder / 'SHA256SUMS').read_text()}", flush=True)
    return 0


_COMMANDS = {"book": _book, "test": _test, "test-quick": _test_quick, "edition": _edition}


def _run_lanes(lanes: dict) -> int:
    outcomes = {}
    for name, lane in lanes.items():
        if name == "browser" and outcomes["book"][0] != "passed":
            outcomes[name] = "FAILED (not run: the book was not built)", 0.0
            continue
        started = time.monotonic()
        try:
            lane()
            outcome = "passed"
        except StepFailed as failure:
            outcome = f"FAILED ({failure})"
        outcomes[name] = outcome, time.monotonic() - started
    print("\nLanes:", flush=True)
    for name, (outcome, seconds) in outcomes.items():
        print(f"  {seconds:5.0f} s  {name}: {outcome}", flush=True)
    return int(any(outcome != "passed" for outcome, _ in outcomes.values()))


# --- steps ------------------------------------------------------------------------------------------------------------


def pytest(python: str, *options: str, **environment: str) -> None:
    """Run pytest over tests/, with two processes where the options say so."""
    command = [python, "-m", "pytest", *options]
    if "-n" in options:
        command += ["--dist", "loadfile"]  # a file's fixtures, and a notebook's kernel, stay in one process
    step(f"pytest {' '.join(options)}", command, environment)


def test_notebooks(python: str) -> None:
    """Run every notebook in a live kernel, the other face of what the book's own build runs; students' ones unsolved."""
    places = ("book/*.ipynb", "labs/source/*/*.ipynb", "labs/student/*.ipynb")
    notebooks = sorted(path for place in places for path in glob.glob(place))
    if notebooks:
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))  # kernels start beside their notebook
        pytest(python, "-n", "2", "--nbval-lax", "--nbval-current-env", *notebooks, PYTHONPATH=path, OMP_NUM_THREADS="1")
    else:
        print("\n==> notebooks: there are none yet", flush=True)


def build_book(python: str) -> None:
    """Run what changed and build `_build/html`; any warning fails."""
    command = [str(Path(python).with_name("jupyter-book")), "build", ".", "-W", "--keep-going"]
    try:
        step("book: run the chapters, build the pages", command)
    except StepFailed:
        shutil.rmtree(ROOT / "_build" / ".doctrees", ignore_errors=True)  # or a page with a warning passes next time
        raise


def clean_commit() -> tuple[str, int]:
    """The commit of the checkout and its time; raises StepFailed where there is none, or files differ from it."""
    git = ["git", "-C", str(ROOT)]
    run = subprocess.run([*git, "log", "-1", "--format=%H %ct"], capture_output=True, text=True)
    if run.returncode:
        raise StepFailed(f"edition: {ROOT} is no git checkout with a commit")
    changed = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True, check=True).stdout
    if changed:
        raise StepFailed(f"edition: not everything is committed:\n{changed}")
    commit, when = run.stdout.split()
    return commit, int(when)


def pack(path: Path, root: Path, files: Iterable[Path], when: float) -> None:
    """A zip of one folder, of files named from `root`; the same files and time give the same bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(file for file in files if file.is_file()):
            entry = zipfile.ZipInfo(f"{path.stem}/{file.relative_to(root).as_posix()}", time.gmtime(when)[:6])
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(entry, file.read_bytes())


def seal(folder: Path, facts: dict) -> None:
    """Write manifest.json, facts and sizes, and SHA256SUMS of all files, which `sha256sum -c SHA256SUMS` checks."""
    sizes = {file.name: file.stat().st_size for file in sorted(folder.iterdir())}
    (folder / "manifest.json").write_text(json.dumps({**facts, "bytes": sizes}, indent=1) + "\n", encoding="utf-8")
    sums = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in sorted(folder.iterdir())]
    (folder / "SHA256SUMS").write_text("".join(sums), encoding="utf-8")


def _versions(python: str) -> dict[str, str]:
    code = "import json, platform, torch, kimi_mini as km; "
    code += "print(json.dumps({'kimi_mini': km.__version__, 'python': platform.python_version(), 'torch': torch.__version__}))"
    return json.loads(subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout)


def _utc(when: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(when))


def install() -> str:
    """Bring `.venv` up to date with requirements.txt and pyproject.toml; returns its Python."""
    python = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp, key = VENV / "kimi-mini.stamp", _environment_key()
    if python.exists() and stamp.exists() and stamp.read_text() == key:
        return str(python)
    if not _has_pip(python):
        command = [sys.executable, "-m", "venv", "--clear", str(VENV)]
        step("create .venv", command, hint="on Debian and Ubuntu: apt install python3-venv")
    pip = [str(python), "-m", "pip", "--disable-pip-version-check"]
    _install_torch(pip)
    step("install requirements.txt", [*pip, "install", "-r", "requirements.txt"])
    step("install kimi_mini", [*pip, "install", "--no-deps", "--no-build-isolation", "-e", "."])
    stamp.write_text(key)
    return str(python)


def _install_torch(pip: list[str]) -> None:
    """Spare Linux machines without a GPU the CUDA libraries; requirements.txt brings torch if this cannot."""
    if platform.system() != "Linux" or _has_gpu():
        return
    pin = next(line.split("#")[0].strip() for line in open("requirements.txt") if line.startswith("torch=="))
    index = ["--index-url", TORCH_CPU_INDEX, "--retries", "1", "--timeout", "20"]
    try:
        step(f"install {pin} without CUDA", [*pip, "install", "--no-deps", *index, pin])
    except StepFailed:
        print(f"torch's CPU index does not answer: {pin} comes from the usual index, with CUDA (2 GB more)", flush=True)


def step(title: str, command: list[str], environment: dict[str, str] | None = None, hint: str = "") -> None:
    """Announce and run one command; raises StepFailed with its title when it fails."""
    print(f"\n==> {title}", flush=True)
    code = subprocess.run(command, env={**os.environ, **(environment or {})}).returncode
    if code:
        raise StepFailed(f"{title} (exit status {code})" + (f". {hint}" if hint else ""))


# --- what is on this machine ------------------------------------------------------------------------------------------


def find_chromium() -> str | None:
    """Path of the system's Chromium or Chrome, or None. KIMI_CHROMIUM overrules."""
    found = (shutil.which(name) for name in (os.environ.get("KIMI_CHROMIUM", ""), *CHROMIUM_NAMES, CHROMIUM_MAC))
    return next(filter(None, found), None)


def _environment_key() -> str:
    parts = [platform.python_version(), str(ROOT)]
    parts += [(ROOT / name).read_text(encoding="utf-8") for name in ("requirements.txt", "pyproject.toml")]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _has_pip(python: Path) -> bool:
    return python.exists() and subprocess.run([python, "-m", "pip", "--version"], capture_output=True).returncode == 0


def _has_gpu() -> bool:
    return bool(shutil.which("nvidia-smi")) and subprocess.run(["nvidia-smi"], capture_output=True).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
