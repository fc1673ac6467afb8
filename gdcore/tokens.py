"""A corpus becomes token ids: the scheme is chosen, the vocabulary fitted on the train split, every text encoded.

The bulk path is Polars. It works on the distinct space-separated chunks of a batch and gives exactly the ids that the
shipped `tokenizer.json` gives, an order of magnitude faster; byte-pair encoding is left to `tokenizers` itself.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import polars as pl
from pydantic import Field
from tokenizers import models, pre_tokenizers, trainers

from gdcore.corpora.drawn import VOCABULARY
from gdcore.errors import UserError
from gdcore.networks.vocabulary import adopt
from gdcore.progress import Progress
from gdcore.settings import Settings
from gdcore.shards import Ids, ShardWriter
from gdcore.tokenizer import MARK, SPECIALS, SPLIT, UNK, WHITESPACE, Kind, Tokenizer, assemble

SPLITS = ("train", "valid", "test")
READ_ROWS = 1 << 18  # the size of Polars' own row groups, so that none is decoded twice
BATCH_ROWS = 1 << 15  # what is in hand as tokens at one time


class TokenizerConfig(Settings):
    """How text becomes tokens. A pretrained model (`generator.from`) brings its own: then `lowercase` alone counts."""

    kind: Literal["auto", "word", "char", "bpe"] = "auto"
    """The scheme. «auto»: words where words are spaced, unless `max_unk` is exceeded, then byte-pair encoding; without
    spaces, characters for Chinese, Japanese and Korean writing and byte-pair encoding for alphabets (Thai, Lao …)."""
    vocab_size: int = Field(default=16_000, ge=8, le=1 << 20)
    """The largest vocabulary, the five special tokens included; the most frequent tokens are kept."""
    min_count: int = Field(default=2, ge=1)
    """A token (bpe: a merge) seen less often in the train split is left out. At 2 the unknown token occurs in training
    text too, and so is learnt like any other."""
    lowercase: bool = False
    """Read every letter as its lower case."""
    max_unk: float = Field(default=0.1, ge=0, le=1)
    """«auto» gives up words when more than this share of the valid split's tokens would be unknown."""


class Pieces(NamedTuple):
    """Tokenised texts: `types[codes]` are the tokens end to end, `lengths_N` how many each text has."""

    types: pl.Series
    codes: Ids
    lengths_N: Ids


def normalise(texts: pl.Expr, lowercase: bool) -> pl.Expr:
    """The normaliser of `tokenizer.assemble`, up to the mark before the first word."""
    texts = texts.str.replace_all(MARK, "_", literal=True).str.replace_all(f"^[{WHITESPACE}]+|[{WHITESPACE}]+$", "")
    if lowercase:  # letter by letter: Polars alone would write the Greek sigma by its place in the word
        texts = texts.str.replace_all("Σ", "σ", literal=True).str.to_lowercase()
    return texts.str.replace_all(f"[{WHITESPACE}]+", MARK)


def coded(values: pl.Series) -> tuple[pl.Series, Ids]:
    """The distinct values, and each value as its index among them."""
    distinct = values.unique()
    return distinct, values.cast(pl.Enum(distinct)).to_physical().to_numpy().astype(np.int64)


def ranges(starts: Ids, lengths: Ids) -> Ids:
    """start, start+1, … of each range, end to end."""
    ends = np.cumsum(lengths)
    return np.repeat(starts - ends + lengths, lengths) + np.arange(ends[-1] if len(ends) else 0)


def split_texts(texts: pl.Series, kind: Kind, lowercase: bool) -> Pieces:
    """Tokenise in bulk (word and char). A chunk between two spaces is tokenised once however often it occurs."""
    name = "text"
    frame = texts.fill_null("").alias(name).to_frame()
    if kind == "char":
        tokens = frame.select(normalise(pl.col(name), lowercase).str.extract_all(SPLIT[kind]))[name]
        types, codes = coded(tokens.filter(tokens.list.len() > 0).explode())
        return Pieces(types, codes, tokens.list.len().to_numpy().astype(np.int64))
    chunks = frame.select(pl.col(name).str.split(" "))[name]
    distinct, chunk_codes = coded(chunks.explode())
    normal = normalise(pl.col(name), lowercase)
    marked = pl.when(normal != "").then(pl.concat_str(pl.lit(MARK), normal)).otherwise(pl.lit(""))
    tokens = distinct.alias(name).to_frame().select(marked.alias(name).str.extract_all(SPLIT[kind]))[name]
    types, codes = coded(tokens.filter(tokens.list.len() > 0).explode())
    sizes = tokens.list.len().to_numpy().astype(np.int64)
    lengths = sizes[chunk_codes]
    codes = codes[ranges((np.cumsum(sizes) - sizes)[chunk_codes], lengths)]
    ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    rows = np.concatenate([np.zeros(1, np.int64), np.cumsum(chunks.list.len().to_numpy().astype(np.int64))])
    return Pieces(types, codes, np.diff(ends[rows]))


class BulkEncoder:
    """Encodes many texts at once: `encode(texts) -> (flat ids, lengths_N)`, null being no text."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        vocabulary = tokenizer.backend.get_vocab()
        self.vocabulary = pl.Enum(sorted(vocabulary, key=vocabulary.__getitem__))

    def encode(self, texts: pl.Series) -> tuple[Ids, Ids]:
        if self.tokenizer.kind in ("bpe", "pretrained"):
            rows = self.tokenizer.encode(texts.fill_null("").to_list())
            lengths_N = np.array([len(row) for row in rows], np.int64)
            return np.fromiter((i for row in rows for i in row), np.int64, int(lengths_N.sum())), lengths_N
        pieces = split_texts(texts, self.tokenizer.kind, self.tokenizer.config["lowercase"])
        ids = pieces.types.cast(self.vocabulary, strict=False).to_physical().fill_null(UNK)
        return ids.to_numpy().astype(np.int64)[pieces.codes], pieces.lengths_N


def read_batches(path: Path) -> Iterator[pl.DataFrame]:
    """The text and prompt of a split, some rows at a time, in order."""
    texts = pl.scan_parquet(path).select("text", "prompt")
    for start in range(0, count_rows(path), READ_ROWS):
        yield from texts.slice(start, READ_ROWS).collect().iter_slices(BATCH_ROWS)


def count_rows(path: Path) -> int:
    return pl.scan_parquet(path).select(pl.len()).collect().item()


def count_tokens(path: Path, kind: Kind, lowercase: bool) -> pl.DataFrame:
    """How often each token occurs in a split's texts and prompts: columns token, count; most frequent first."""
    total = pl.DataFrame(schema={"token": pl.String, "count": pl.Int64})
    for batch in read_batches(path):
        for column in ("text", "prompt"):
            pieces = split_texts(batch[column], kind, lowercase)
            counts = np.bincount(pieces.codes, minlength=len(pieces.types))
            new = pl.DataFrame({"token": pieces.types, "count": counts.astype(np.int64)})
            total = pl.concat([total, new]).group_by("token").sum()
    return total.sort("count", "token", descending=[True, False])


def fit(config: TokenizerConfig, corpus: Path) -> Tokenizer:
    """Choose the scheme and fit it on the train split."""
    train = corpus / "train.parquet"
    kind, why = (config.kind, "as configured") if config.kind != "auto" else choose(corpus)
    known = pl.Series("token", dtype=pl.String)
    if kind != "bpe":
        counts = count_tokens(train, kind, config.lowercase)
        known = most_frequent(with_vocabulary(counts, kind, config, corpus), config)
    if config.kind == "auto" and kind == "word":
        unknown = unknown_share(count_tokens(corpus / "valid.parquet", "word", config.lowercase), known)
        why += f", and {unknown:.1%} of the valid split's are unknown"
        if unknown > config.max_unk:
            kind, why = "bpe", f"{why}: more than {config.max_unk:.1%}"
    if kind == "bpe":
        model = fit_bpe(config, train)
    else:
        model = models.WordLevel({token: i for i, token in enumerate((*SPECIALS, *known))}, unk_token=SPECIALS[UNK])
    backend = assemble(kind, model, config.lowercase)
    ids = {f"{token.strip('<>')}_id": i for i, token in enumerate(SPECIALS)}
    settings = {"kind": kind, "vocab_size": backend.get_vocab_size(), **ids, "lowercase": config.lowercase, "why": why}
    return Tokenizer(backend, settings)


def choose(corpus: Path) -> tuple[Kind, str]:
    """The scheme for a corpus by its writing, and why in words."""
    if json.loads((corpus / "summary.json").read_text("utf-8"))["segmentation"] == "spaced":
        return "word", "words are spaced"
    ideograph, text = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}]", pl.col("text").str
    counts = pl.scan_parquet(corpus / "train.parquet").select(
        found=text.count_matches(ideograph).sum(), letters=text.count_matches(r"\p{L}").sum()
    )
    found, letters = counts.collect(engine="streaming").row(0)
    share = found / max(letters, 1)
    if share >= 0.5:
        return "char", f"words are not spaced, and {share:.0%} of the letters are Chinese, Japanese or Korean"
    return "bpe", f"words are not spaced, and {1 - share:.0%} of the letters are an alphabet's"


def most_frequent(counts: pl.DataFrame, config: TokenizerConfig) -> pl.Series:
    """The tokens that are kept: often enough seen, as many as fit."""
    return counts.filter(pl.col("count") >= config.min_count)["token"].head(config.vocab_size - len(SPECIALS))


def with_vocabulary(counts: pl.DataFrame, kind: Kind, config: TokenizerConfig, corpus: Path) -> pl.DataFrame:
    """With every token of a corpus that knows all its words and keeps them in `vocabulary.txt`, be it never seen."""
    if not (corpus / VOCABULARY).exists():
        return counts
    words = pl.Series("text", (corpus / VOCABULARY).read_text("utf-8").split())
    types = split_texts(words, kind, config.lowercase).types
    own = pl.DataFrame({"token": types, "count": [config.min_count] * len(types)}, schema=counts.schema)
    largest = pl.concat([counts, own]).group_by("token").agg(pl.col("count").max())
    return largest.sort("count", "token", descending=[True, False])


def unknown_share(counts: pl.DataFrame, known: pl.Series) -> float:
    """The share of unknown tokens among those counted."""
    is_unknown = ~pl.col("token").is_in(known.implode())
    total, unknown = counts.select(pl.col("count").sum(), unknown=pl.col("count").filter(is_unknown).sum()).row(0)
    return unknown / max(total, 1)


def grown(old: Tokenizer, config: TokenizerConfig, corpus: Path) -> Tokenizer:
    """The tokenizer of a model that is to go on: every id as it was, and words that have become frequent behind them.

    Byte pairs spell whatever comes, so they stay as they are.
    """
    kind, lowercase = old.kind, old.config["lowercase"]
    if kind not in ("word", "char"):
        return Tokenizer(old.backend, old.config)
    vocabulary = old.backend.get_vocab()
    counts = count_tokens(corpus / "train.parquet", kind, lowercase)
    new = counts.filter((pl.col("count") >= config.min_count) & ~pl.col("token").is_in([*vocabulary]))["token"]
    added = new.head(max(config.vocab_size - len(vocabulary), 0)).to_list()
    ids = vocabulary | {token: len(vocabulary) + i for i, token in enumerate(added)}
    backend = assemble(kind, models.WordLevel(ids, unk_token=SPECIALS[UNK]), lowercase)
    why = f"the champion's, and {len(added):,} more"
    return Tokenizer(backend, old.config | {"vocab_size": len(ids), "why": why})


def fit_bpe(config: TokenizerConfig, train: Path) -> models.BPE:
    """Byte-level merges by frequency, the same for the same text. Source: Sennrich et al. 2016, arXiv:1508.07909."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    if config.vocab_size < (least := len(SPECIALS) + len(alphabet)):
        raise UserError(
            f"tokens.vocab_size is {config.vocab_size}, but byte-pair encoding begins with {least} tokens (every byte, "
            f"and {len(SPECIALS)} special ones); expected at least {least}, a few thousand as a rule"
        )
    trainer = trainers.BpeTrainer(
        vocab_size=config.vocab_size,
        min_frequency=config.min_count,
        special_tokens=list(SPECIALS),
        initial_alphabet=alphabet,
        max_token_length=48,  # bytes; an unspaced script would otherwise learn whole sentences
        show_progress=False,
    )
    backend = assemble("bpe", models.BPE(), config.lowercase)
    texts = (batch[column].drop_nulls().to_list() for batch in read_batches(train) for column in ("text", "prompt"))
    backend.train_from_iterator(texts, trainer)
    # A new model of the same merges: training has made the special tokens «added» ones.
    model = json.loads(backend.to_str())["model"]
    return models.BPE(model["vocab"], [tuple(pair) for pair in model["merges"]])


def build_tokens(
    config: TokenizerConfig, corpus: Path, out: Path, start: Path | None = None, ancestor: Path | None = None
) -> Iterator[Progress]:
    """The tokens stage: the tokenizer, the id shards of each split, `summary.json`. Progress counts texts.

    The tokenizer is that of the pretrained model `start`, where there is one that brings its own; or the one in the
    folder `ancestor`, grown. Raises UserError when the train split leaves fewer than two different tokens to learn
    from.
    """
    total = sum(count_rows(corpus / f"{split}.parquet") for split in SPLITS)
    yield Progress(0, total, "fitting the vocabulary")
    out.mkdir(parents=True, exist_ok=True)
    own = adopt(start, config.lowercase) if start else None
    old = grown(Tokenizer.load(ancestor), config, corpus) if ancestor else None
    tokenizer = own or old or fit(config, corpus)
    tokenizer.save(out)
    encoder, done = BulkEncoder(tokenizer), 0
    summary: dict[str, Any] = {
        "vocab_size": tokenizer.vocab_size,
        "kind": tokenizer.kind,
        "why": tokenizer.config["why"],
    }
    for split in SPLITS:
        writer = ShardWriter(out, split, tokenizer.vocab_size)
        counts_V, lengths = np.zeros(tokenizer.vocab_size, np.int64), [np.zeros(0, np.int64)]
        for batch in read_batches(corpus / f"{split}.parquet"):
            text_ids, text_lengths_N = encoder.encode(batch["text"])
            prompt_ids, prompt_lengths_N = encoder.encode(batch["prompt"])
            flat, lengths_N = interleave(prompt_ids, prompt_lengths_N, text_ids, text_lengths_N)
            writer.append(flat, lengths_N, prompt_lengths_N)
            counts_V += np.bincount(flat, minlength=tokenizer.vocab_size)
            lengths.append(lengths_N)
            done += batch.height
            yield Progress(done, total, f"encoding {split}")
        writer.close()
        if split == "train":
            check_vocabulary(tokenizer, counts_V, config)
        describe(summary, split, counts_V, np.concatenate(lengths))
    (out / "summary.json").write_text(json.dumps(summary, ensure_ascii=False, indent=2) + "\n", "utf-8")


def interleave(a: Ids, a_lengths_N: Ids, b: Ids, b_lengths_N: Ids) -> tuple[Ids, Ids]:
    """Rows of a and rows of b, end to end, as rows of a then b."""
    lengths_N = a_lengths_N + b_lengths_N
    if not len(a):
        return b, lengths_N
    flat = np.empty(len(a) + len(b), np.int64)
    starts_N = np.cumsum(lengths_N) - lengths_N
    flat[ranges(starts_N, a_lengths_N)] = a
    flat[ranges(starts_N + a_lengths_N, b_lengths_N)] = b
    return flat, lengths_N


def check_vocabulary(tokenizer: Tokenizer, counts_V: Ids, config: TokenizerConfig) -> None:
    """Raise UserError when training text has fewer than two different known tokens."""
    known = np.flatnonzero(counts_V[len(SPECIALS) :]) + len(SPECIALS)
    if len(known) < 2:
        only = f"one token, {tokenizer.decode(known)!r}," if len(known) else "no token"
        raise UserError(
            f"the vocabulary of the train split holds {only} that occurs at least {config.min_count} times "
            f"(tokens.min_count); expected at least two, as there is nothing to learn otherwise; give more or more "
            "varied text, or lower tokens.min_count"
        )


def describe(summary: dict[str, Any], split: str, counts_V: Ids, lengths_N: Ids) -> None:
    """Add a split's figures to the summary: texts, tokens, the share unknown, lengths in tokens (prompt and text)."""
    summary.setdefault("num_texts", {})[split] = len(lengths_N)
    summary.setdefault("num_tokens", {})[split] = (num_tokens := int(counts_V.sum()))
    summary.setdefault("unk_rate", {})[split] = round(int(counts_V[UNK]) / max(num_tokens, 1), 6)
    at = {"p50": 50, "p90": 90, "p95": 95, "p99": 99, "max": 100}
    figures = {
        name: int(np.percentile(lengths_N, q, method="higher")) if len(lengths_N) else 0 for name, q in at.items()
    }
    summary.setdefault("lengths", {})[split] = figures
