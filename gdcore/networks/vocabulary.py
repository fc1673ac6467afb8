"""A pretrained model's own tokenizer, so arranged that its special tokens stand where gdflow has its own.

gdflow fixes five ids (`gdcore.tokenizer.SPECIALS`). Each is given to one of the model's tokens: the one that the model
declares for that role; else one that bears our name; else a special token without a role, the lowest id first. What is
left without a token gets a new one, which stands for the mean of the model's. All other tokens follow in the model's
own order, so the model's matrices need their rows rearranged, and nothing else (`rows_V`).

The model's special tokens cease to be «added tokens», which `tokenizers` would look for inside the user's text; they
stay in the vocabulary, where no text leads to them.

Shapes: V vocabulary.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer as Backend

from gdcore.artifacts import file_digest
from gdcore.errors import UserError
from gdcore.networks.gguf import GGUF
from gdcore.tokenizer import SPECIALS, Tokenizer

NEW = -1
"""In `rows_V`: a token that the model does not have."""
CONTROL, BYTE_PAIRS = 3, "gpt2"
SPLITTERS: dict[str, list[dict[str, Any]]] = {
    "gpt-2": [],
    "smollm": [{"type": "Digits", "individual_digits": True}],
}
"""By GGUF's name for how text is split: what comes before GPT-2's own pattern, which `ByteLevel` brings."""


def splitter(parsed: Mapping[str, Any]) -> str | None:
    """GGUF's name for how a `tokenizer.json` splits text; None where it does so in none of these ways."""
    first = parsed.get("pre_tokenizer") or {}
    *before, last = first.get("pretokenizers") or [first]
    if last.get("type") != "ByteLevel" or not last.get("use_regex", True):
        return None
    return next((name for name, steps in SPLITTERS.items() if steps == before), None)


class Vocabulary(NamedTuple):
    """A model's vocabulary in our order."""

    parsed: dict[str, Any]
    """What its `tokenizer.json` would say."""
    rows_V: NDArray[np.int64]
    """Which row of the model's embedding each token is; `NEW` where it has none."""
    stands_for: dict[str, str]
    """Our special tokens' counterparts, by our names."""


def gguf_path(start: Path) -> Path | None:
    """The GGUF file that `start` is, or the only model of the folder; None for a folder in Hugging Face's layout.

    Raises UserError where there is no such file or folder, or several files.
    """
    if start.is_file():
        return start
    if not start.is_dir():
        raise UserError(
            f"generator.from: there is no {start}; expected a folder with config.json and model.safetensors in Llama's "
            "layout, or a GGUF file"
        )
    found = sorted(start.glob("*.gguf"))
    if (start / "config.json").is_file() or not found:
        return None
    if len(found) > 1:
        raise UserError(f"generator.from: {start} holds {len(found)} GGUF files; name one, for example {found[0]}")
    return found[0]


def sources(start: Path) -> list[Path]:
    """The files that the tokenizer is made from; none for a folder without `tokenizer.json`."""
    if path := gguf_path(start):
        return [path]
    if not (start / "tokenizer.json").is_file():
        return []
    names = ("tokenizer.json", "tokenizer_config.json", "config.json")
    return [start / name for name in names if (start / name).is_file()]


def identity(start: Path) -> dict[str, str]:
    """What decides the outcome of taking a model's tokenizer: the digests of its files; one GGUF file is as another."""
    path = gguf_path(start)
    return {"gguf": file_digest(path)} if path else {path.name: file_digest(path) for path in sources(start)}


def adopt(start: Path, lowercase: bool = False) -> Tokenizer | None:
    """The model's tokenizer; None for a folder that has none. Raises UserError for a scheme that is not known here."""
    own = read(start)
    if own is None:
        return None
    if lowercase:
        steps = [{"type": "Lowercase"}, *([own.parsed["normalizer"]] if own.parsed.get("normalizer") else [])]
        own.parsed["normalizer"] = {"type": "Sequence", "normalizers": steps}
    told = ", ".join(f"{ours} is its {token}" for ours, token in sorted(own.stands_for.items()))
    config = {
        "kind": "pretrained",
        "vocab_size": len(own.rows_V),
        **{f"{ours.strip('<>')}_id": i for i, ours in enumerate(SPECIALS)},
        "lowercase": lowercase,
        "why": f"the pretrained model's own; {told}",
        "stands_for": own.stands_for,
    }
    return Tokenizer(Backend.from_str(json.dumps(own.parsed)), config)


def read(start: Path) -> Vocabulary | None:
    """The model's vocabulary; None for a folder that has none. Raises UserError for a scheme that is not known here."""
    if not sources(start):
        return None
    path = gguf_path(start)
    parsed, declared = _of_gguf(GGUF(path)) if path else _of_folder(start)
    return _arranged(parsed, declared)


def _arranged(parsed: dict[str, Any], declared: dict[str, str]) -> Vocabulary:
    """From what `tokenizer.json` says, and the model's tokens by our names for their roles (`<bos>` …)."""
    model, added = parsed["model"], sorted(parsed.get("added_tokens") or (), key=lambda token: token["id"])
    row_of: dict[str, int] = model["vocab"] | {token["content"]: token["id"] for token in added}
    special: list[str] = [token["content"] for token in added if token["special"]]
    role_of = {token: ours for ours, token in _roles(row_of, special, declared).items()}
    # A token that bears one of our names and has another role, or none, must not be taken for ours.
    name_of = {
        token: role_of.get(token, f"{token}{row}" if token in SPECIALS else token) for token, row in row_of.items()
    }
    rest = sorted((row, token) for token, row in row_of.items() if token not in role_of)
    stands_for = {ours: token for token, ours in role_of.items()}
    rows = [row_of[stands_for[ours]] if ours in stands_for else NEW for ours in SPECIALS] + [row for row, _ in rest]
    ids = {ours: i for i, ours in enumerate((*SPECIALS, *(name_of[token] for _, token in rest)))}

    model |= {"vocab": ids}
    if model.get("unk_token") is not None:
        model["unk_token"] = name_of[model["unk_token"]]
    kept = [token | {"id": ids[token["content"]]} for token in added if not token["special"]]
    parsed |= {"added_tokens": kept, "post_processor": None, "truncation": None, "padding": None}
    return Vocabulary(parsed, np.array(rows), stands_for)


def _roles(row_of: dict[str, int], special: list[str], declared: dict[str, str]) -> dict[str, str]:
    """Our special tokens' counterparts, as far as there are any; no token has two roles."""
    roles: dict[str, str] = {}
    order = ("<eos>", "<bos>", "<unk>", "<pad>", "<sep>")  # a model that has one token for several ends its texts by it
    for candidates in (declared, {ours: ours for ours in SPECIALS}):
        for ours in order:
            token = candidates.get(ours)
            if token in row_of and ours not in roles and token not in roles.values():
                roles[ours] = token
    spare = [token for token in special if token not in roles.values()]
    return roles | dict(zip((ours for ours in order if ours not in roles), spare, strict=False))


def _of_folder(folder: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """What its `tokenizer.json` says, and the tokens that the model declares for our roles. Raises UserError."""
    parsed, told, config = (
        _read(folder / name) if (folder / name).is_file() else {}
        for name in ("tokenizer.json", "tokenizer_config.json", "config.json")
    )
    kind = parsed.get("model", {}).get("type")
    if kind not in ("BPE", "WordLevel"):
        raise UserError(
            f"generator.from: the tokenizer of {folder} is a {kind}; gdflow takes byte-pair encodings and word lists"
        )
    by_id = {i: token for token, i in parsed["model"]["vocab"].items()}
    by_id |= {token["id"]: token["content"] for token in parsed.get("added_tokens") or ()}
    declared: dict[str, str] = {}
    for ours in SPECIALS:
        token, i = told.get(f"{ours.strip('<>')}_token"), config.get(f"{ours.strip('<>')}_token_id")
        token = token["content"] if isinstance(token, dict) else token
        token = token or by_id.get(i[0] if isinstance(i, list) and i else i)
        if token:
            declared[ours] = token
    return parsed, declared


def _read(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise UserError(f"generator.from: {path} is no JSON ({error}); copy the model's folder anew") from None


def _of_gguf(file: GGUF) -> tuple[dict[str, Any], dict[str, str]]:
    """The same as a folder's, from metadata. Raises UserError for anything but byte-level byte pairs split as above."""
    told = {key.removeprefix("tokenizer.ggml."): value for key, value in file.metadata.items()}
    scheme, pre = told.get("model"), told.get("pre")
    if scheme != BYTE_PAIRS or pre not in SPLITTERS:
        raise UserError(
            f"generator.from: {file.path} has a tokenizer of the scheme {scheme!r} that splits text by {pre!r}; from "
            f"GGUF gdflow takes {BYTE_PAIRS!r} with one of {', '.join(SPLITTERS)}. Give the model's folder, with its "
            "tokenizer.json, instead."
        )
    tokens: list[str] = told["tokens"]
    types = told.get("token_type", [])
    special = [i for i, kind in enumerate(types) if kind == CONTROL]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    parsed = {
        "version": "1.0",
        "added_tokens": [{"id": i, "content": tokens[i], "special": True, **flags} for i in special],
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [*SPLITTERS[pre], byte_level]},
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "vocab": {token: i for i, token in enumerate(tokens)},
            "merges": [merge.split(" ", 1) for merge in told["merges"]],
        },
    }
    names = {"<bos>": "bos", "<eos>": "eos", "<unk>": "unknown", "<pad>": "padding", "<sep>": "seperator"}  # sic
    ids = {ours: told.get(f"{theirs}_token_id") for ours, theirs in names.items()}
    return parsed, {ours: tokens[i] for ours, i in ids.items() if i is not None and i < len(tokens)}
