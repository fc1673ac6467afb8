"""Text ↔ token ids: what a token is, and the tokenizer as it is shipped.

Three schemes, each a self-sufficient `tokenizer.json` of Hugging Face's `tokenizers`:

- word: a word or a punctuation mark, carrying `▁` when a space stands before it: «Hello, world.» is
  `▁Hello` `,` `▁world` `.`, so that decoding puts every space back where it was;
- char: every character (code point), a space being `▁`;
- bpe: byte-level byte-pair encoding, which knows every text.

A pretrained model brings a fourth, its own (`gdcore.networks.vocabulary`), which is none of the below.

Runs of white space count as one space, white space at either end as none. A literal `▁` in a text is read as `_`
(word and char). The character classes are written out below rather than as `\\p{…}`: regex engines follow different
editions of Unicode, and ids must not depend on whose engine read the text.

The special tokens are entries of the vocabulary and never «added tokens», which `tokenizers` would look for inside
the user's text; no scheme can produce them from text: `<` stands alone (word, bpe) or is one character (char).
"""

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, Self

from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers
from tokenizers import Tokenizer as Backend

from gdcore.errors import UserError

Kind = Literal["word", "char", "bpe", "pretrained"]
SPECIALS = ("<pad>", "<bos>", "<eos>", "<unk>", "<sep>")
PAD, BOS, EOS, UNK, SEP = range(5)
FORBIDDEN = (PAD, BOS, UNK, SEP)
"""Tokens that stand for no text: never drawn, never a guess."""
MARK = "▁"

WHITESPACE = r"\x{9}-\x{D}\x{20}\x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}"
SYMBOLS = "".join(
    (
        r"!-/:-@\[-\^`{-~",  # ASCII but for `_`, a letter of identifiers
        r"\x{A1}-\x{A9}\x{AB}\x{AC}\x{AE}-\x{B1}\x{B4}\x{B6}-\x{B8}\x{BB}\x{BF}\x{D7}\x{F7}",
        r"\x{55A}-\x{55F}\x{589}\x{58A}\x{5BE}\x{5C0}\x{5C3}\x{5C6}\x{5F3}\x{5F4}",  # Armenian, Hebrew
        r"\x{609}-\x{60D}\x{61B}\x{61D}-\x{61F}\x{66A}-\x{66D}\x{6D4}\x{700}-\x{70D}",  # Arabic, Syriac
        r"\x{964}\x{965}\x{970}\x{E4F}\x{E5A}\x{E5B}\x{F04}-\x{F14}\x{F3A}-\x{F3D}",  # Indic, Thai, Tibetan
        r"\x{104A}-\x{104F}\x{10FB}\x{1360}-\x{1368}\x{17D4}-\x{17DA}\x{1800}-\x{180A}",  # Burmese … Mongolian
        r"\x{2010}-\x{2027}\x{2030}-\x{205E}\x{20A0}-\x{20CF}\x{2100}-\x{214F}\x{2190}-\x{2580}",
        r"\x{2582}-\x{2BFF}\x{2E00}-\x{2E7F}",  # but for `▁` (2581), which is no symbol: no joiner may bind it
        r"\x{3001}-\x{3003}\x{3008}-\x{3020}\x{3030}\x{303D}-\x{303F}\x{30FB}",  # Chinese and Japanese
        r"\x{FD3E}\x{FD3F}\x{FE10}-\x{FE19}\x{FE30}-\x{FE6B}",
        r"\x{FF01}-\x{FF0F}\x{FF1A}-\x{FF20}\x{FF3B}-\x{FF3E}\x{FF40}\x{FF5B}-\x{FF65}\x{FFE0}-\x{FFEE}",
        r"\x{1F000}-\x{1FAFF}",  # emoji
    )
)
WORD = rf"[^{SYMBOLS}{WHITESPACE}{MARK}]"
# An emoji keeps its variation selectors, skin tones and tags, and what a zero-width joiner binds to it; a flag is two
# regional indicators.
EMOJI_TAIL = (
    rf"(?:[\x{{FE0E}}\x{{FE0F}}\x{{20E3}}\x{{1F3FB}}-\x{{1F3FF}}\x{{E0020}}-\x{{E007F}}]|\x{{200D}}[{SYMBOLS}])*"
)
PIECE = rf"(?:{WORD}+(?:['’\-]{WORD}+)*|[\x{{1F1E6}}-\x{{1F1FF}}]{{2}}|[{SYMBOLS}]{EMOJI_TAIL})"
SPLIT = {"word": f"{MARK}?{PIECE}", "char": ".", "bpe": rf"\x{{20}}?{PIECE}"}


def assemble(kind: Kind, model: models.Model, lowercase: bool) -> Backend:
    """The shipped tokenizer of a scheme: its normaliser, splitter and decoder round a fitted model."""
    space = " " if kind == "bpe" else MARK
    steps: list[normalizers.Normalizer] = [normalizers.Strip()]
    if kind != "bpe":
        steps.append(normalizers.Replace(MARK, "_"))
    if lowercase:
        steps.append(normalizers.Lowercase())
    steps.append(normalizers.Replace(Regex(f"[{WHITESPACE}]+"), space))
    if kind != "char":
        steps.append(normalizers.Prepend(space))
    tokenizer = Backend(model)
    tokenizer.normalizer = normalizers.Sequence(steps)
    split = pre_tokenizers.Split(Regex(SPLIT[kind]), "isolated")
    if kind == "bpe":
        to_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, to_bytes])
        tokenizer.decoder = decoders.Sequence([decoders.ByteLevel(), decoders.Strip(" ", 1, 0)])
    else:
        tokenizer.pre_tokenizer = split
        tokenizer.decoder = decoders.Sequence(
            [decoders.Replace(MARK, " "), decoders.Fuse()]
            + ([decoders.Strip(" ", 1, 0)] if kind == "word" else [])  # the first word's space
        )
    return tokenizer


class Tokenizer:
    """A fitted tokenizer: `tokenizer.json` and `tokenizer_config.json` of a tokens or bundle directory."""

    pad_id, bos_id, eos_id, unk_id, sep_id = PAD, BOS, EOS, UNK, SEP

    def __init__(self, backend: Backend, config: dict[str, Any]) -> None:
        self.backend, self.config = backend, config
        self.kind: Kind = config["kind"]
        self.vocab_size: int = config["vocab_size"]

    @classmethod
    def load(cls, directory: Path | str) -> Self:
        """Open a directory that holds both files. Raises UserError when it does not."""
        directory = Path(directory)
        try:
            config = json.loads((directory / "tokenizer_config.json").read_text("utf-8"))
            return cls(Backend.from_str((directory / "tokenizer.json").read_text("utf-8")), config)
        except FileNotFoundError as error:
            raise UserError(
                f"{directory} holds no tokenizer: {Path(error.filename).name} is missing; expected the folder of a "
                "tokens stage or of an exported bundle"
            ) from None

    def save(self, directory: Path) -> None:
        """Write both files, the same bytes for the same tokenizer."""
        (directory / "tokenizer.json").write_text(self.backend.to_str(pretty=True) + "\n", "utf-8")
        config = json.dumps(self.config, ensure_ascii=False, indent=2)
        (directory / "tokenizer_config.json").write_text(config + "\n", "utf-8")

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text, without BOS and EOS."""
        # One thread unless the user chose otherwise: a server's cores are spoken for, and a pool of threads is lost
        # on a fork, about which `tokenizers` warns.
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        return [encoding.ids for encoding in self.backend.encode_batch_fast(list(texts), add_special_tokens=False)]

    def unknown(self, text: str) -> list[str]:
        """The pieces of a text that the vocabulary lacks, as they stand there."""
        read = self.backend.encode(text, add_special_tokens=False)
        return [text[begin:end] for i, (begin, end) in zip(read.ids, read.offsets, strict=True) if i == UNK]

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """Where each of its tokens stands in a text: the first character, and that after the last."""
        return self.backend.encode(text, add_special_tokens=False).offsets

    def decode(self, ids: Iterable[int]) -> str:
        """The readable text of some ids; special tokens are skipped."""
        return self.backend.decode([int(i) for i in ids if i >= len(SPECIALS)], skip_special_tokens=False)

    def token(self, i: int) -> str:
        """The token of one id as the vocabulary writes it."""
        return self.backend.id_to_token(i) or SPECIALS[UNK]
