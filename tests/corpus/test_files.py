"""The shipped text: what provenance says, nothing held out in training, one tokenizer, and loud refusals."""

import hashlib
import shutil

import numpy as np
import pytest

import kimi_mini as km
from kimi_mini.corpus import DOMAINS, SPLITS, load, load_tokenizer, mix, pack
from kimi_mini.corpus.files import SHIPPED, WITH_MARKERS, read_provenance
from kimi_mini.corpus.generated import GENERATORS, generate
from kimi_mini.tokenizer import SPECIAL_TOKENS

TEXT = load()


def test_everything_is_there_and_small():
    assert tuple(TEXT.tokens) == DOMAINS and all(tuple(splits) == SPLITS for splits in TEXT.tokens.values())
    sizes = [path.stat().st_size for path in SHIPPED.glob("*.*")]
    assert sum(sizes) < 6e6
    assert load() is TEXT


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("domain", DOMAINS)
def test_provenance_agrees_with_the_tokens(domain, split):
    facts, tokens_N = TEXT.provenance["domains"][domain][split], TEXT.tokens[domain][split]
    assert facts["tokens"] == len(tokens_N)
    assert facts["documents"] == len(TEXT.documents(domain, split))
    assert facts["sha256"] == hashlib.sha256(tokens_N.astype("<u2").tobytes()).hexdigest()
    if split == "held_out":
        assert facts["bytes"] == sum(len(text.encode()) for text in TEXT.texts(domain, split))


def test_provenance_names_source_version_and_licence():
    sources = TEXT.provenance["sources"]
    assert set(sources) == set(DOMAINS) and all(source["licence"] for source in sources.values())
    for domain in ("plays", "code"):
        documents = sum(TEXT.provenance["domains"][domain][split]["documents"] for split in SPLITS)
        assert "==" in sources[domain]["package"] and len(sources[domain]["files"]) == documents
    requirements = (SHIPPED.parent.parent / "requirements.txt").read_text()
    assert sources["code"]["package"] in requirements


@pytest.mark.parametrize("domain", GENERATORS)
def test_the_generators_still_make_what_shipped(domain):
    source = TEXT.provenance["sources"][domain]
    few = generate(domain, 200, source["seed"])
    for split in SPLITS:
        tokens_N = pack(TEXT.tokenizer, getattr(few, split), special=domain in WITH_MARKERS)
        assert len(tokens_N) and np.array_equal(tokens_N, TEXT.tokens[domain][split][: len(tokens_N)])


@pytest.mark.parametrize("domain", DOMAINS)
def test_no_held_out_document_is_in_training(domain):
    train, held_out = ({ids.tobytes() for ids in TEXT.documents(domain, split)} for split in SPLITS)
    assert held_out and not train & held_out


def test_no_held_out_question_is_in_training():
    questions = [{GENERATORS["maths"].key(text) for text in TEXT.texts("maths", split)} for split in SPLITS]
    assert not questions[0] & questions[1]


def test_plays_carry_no_foreign_header():
    words = " ".join(TEXT.texts("plays", "held_out")).lower()
    assert "macbeth" in words and "gutenberg" not in words


@pytest.mark.parametrize("domain", DOMAINS)
def test_documents_have_their_ends_and_reserved_tokens_only_where_meant(domain):
    tokenizer = TEXT.tokenizer
    reserved = {tokenizer.id(token) for token in SPECIAL_TOKENS}
    for split in SPLITS:
        inside = set()
        for ids in TEXT.documents(domain, split):
            assert (ids[0], ids[-1]) == (tokenizer.bos, tokenizer.eos)
            inside |= set(ids[1:-1].tolist()) & reserved
        assert bool(inside) == (domain in WITH_MARKERS)
        assert not inside & {tokenizer.bos, tokenizer.eos, tokenizer.pad}


@pytest.mark.parametrize("domain", DOMAINS)
def test_the_tokenizer_gives_the_text_back(domain):
    ids = TEXT.documents(domain, "held_out")[-1]
    text = TEXT.texts(domain, "held_out")[-1]
    assert np.array_equal(pack(TEXT.tokenizer, [text], special=domain in WITH_MARKERS), ids)


def test_the_tokenizer():
    tokenizer = load_tokenizer()
    assert tokenizer.vocab_size == km.MINI.vocab_size == 2048
    assert [tokenizer.id(token) for token in SPECIAL_TOKENS] == list(range(2048 - len(SPECIAL_TOKENS), 2048))
    assert len(tokenizer.encode("20481")) == 5  # digits single
    assert tokenizer.decode(tokenizer.encode("Où est <|im_end|> 漢字?")) == "Où est <|im_end|> 漢字?"


@pytest.mark.parametrize("name", ["tokenizer.json", "maths-train.tokens.xz"])
def test_another_file_is_refused_with_a_remedy(tmp_path, name):
    folder = tmp_path / "data"
    shutil.copytree(SHIPPED, folder, ignore=shutil.ignore_patterns("mini*"))
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[:-1] + b"?")
    with pytest.raises(ValueError, match=f"{name} has SHA-256 .* as provenance.json says; install .*python -m runs.corpus"):
        load(folder)
    (folder / name).unlink()
    with pytest.raises(ValueError, match=f"{name} cannot be read .*python -m runs.corpus"):
        load(folder)


def test_the_environment_names_another_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("KIMI_MINI_DATA", str(tmp_path))
    with pytest.raises(ValueError, match="provenance.json cannot be read .*KIMI_MINI_DATA"):
        load()
    shutil.copytree(SHIPPED, tmp_path / "data", ignore=shutil.ignore_patterns("mini*"))
    monkeypatch.setenv("KIMI_MINI_DATA", str(tmp_path / "data"))
    assert load() is not TEXT and load().provenance == read_provenance(SHIPPED)


@pytest.mark.parametrize(("domain", "split"), [("poems", "train"), ("plays", "test")])
def test_an_unknown_part_is_refused(domain, split):
    with pytest.raises(ValueError, match="will not do; expected"):
        TEXT.documents(domain, split)


# ---- the mixture -------------------------------------------------------------------------------------------------------

WEIGHTS = {"plays": 0.0, "code": 0.0, "maths": 0.5, "facts": 0.3, "chat": 0.2}


def test_a_mixture_has_its_shares_and_its_seed():
    mixed_N = mix(TEXT, 100_000, weights=WEIGHTS)
    assert len(mixed_N) == 100_000 and mixed_N.dtype == np.uint16
    assert np.array_equal(mixed_N, mix(TEXT, 100_000, weights=WEIGHTS))
    assert not np.array_equal(mixed_N, mix(TEXT, 100_000, weights=WEIGHTS, seed=1))
    domain_of = {ids.tobytes(): domain for domain in DOMAINS for ids in TEXT.documents(domain, "train")}
    held_out = {ids.tobytes() for domain in DOMAINS for ids in TEXT.documents(domain, "held_out")}
    pieces = np.split(mixed_N, np.flatnonzero(mixed_N == TEXT.tokenizer.bos))[1:]
    counts, order = dict.fromkeys(DOMAINS, 0), []
    for piece in pieces:
        assert piece.tobytes() not in held_out
        domain = domain_of.get(piece.tobytes())  # None: the cut last one of a domain
        if domain:
            counts[domain] += len(piece)
            order.append(domain)
    for domain, weight in WEIGHTS.items():
        assert counts[domain] == pytest.approx(100_000 * weight, abs=1500)
    changes = sum(a != b for a, b in zip(order, order[1:], strict=False))
    assert changes > len(order) / 5  # shuffled, not one domain behind the other


def test_a_small_domain_comes_round_again_in_another_order():
    only = {domain: float(domain == "facts") for domain in DOMAINS}
    size = len(TEXT.tokens["facts"]["train"])
    mixed_N = mix(TEXT, 2 * size, weights=only)
    assert np.array_equal(np.bincount(mixed_N, minlength=2048), 2 * np.bincount(TEXT.tokens["facts"]["train"], minlength=2048))


@pytest.mark.parametrize(
    "change", [{"tokens": 0}, {"seed": -1}, {"weights": {"plays": 1.0}}, {"weights": dict.fromkeys(DOMAINS, 0.3)}]
)
def test_a_mixture_that_will_not_do(change):
    (name,) = change
    with pytest.raises(ValueError, match=f"{name} = "):
        mix(TEXT, **{"tokens": 100} | change)
