"""MINI on the book's own benchmarks: Avg@4 and pass@k with intervals over problems, one file in book/data/evals.

Every benchmark is a point; a second call asks only for what is missing (each answered problem is in a log beside the file).
The file mini.json holds {"subjects": [{"subject", "made_by", "benchmarks": [row, ...], ...}]}; a row is what
`kimi_mini.evals.measure` returns: "benchmark", "asked" (problems), "samples", "average" {value, low, high}, "pass_at"
{"1": {value, low, high}, ...}, "tokens" {mean, most}, "truncated" and "answers" (how many were cut off, of how many),
"parts" (means of what the verifier looks at), "problems" [{id, right}, ...]. Subjects: MINI as it ships ("mini@..."), and
every folder given with --model, such as the end of the climb.

examples:
  python -m runs.evals                              MINI as it ships (about five minutes on one core)
  python -m runs.evals --model runs/out/rl/model    and a trained one beside it
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from tqdm import tqdm

import kimi_mini as km
from kimi_mini.cli.folder import load
from kimi_mini.evals import LocalSubject, Settings, benchmarks, fingerprint, measure
from kimi_mini.synth import JobLog
from runs.output import made_here, write_json

FILE = Path("book/data/evals/mini.json")
LOG = Path("runs/out/evals.jsonl")
SETTINGS = Settings(problems=64, samples=4)
