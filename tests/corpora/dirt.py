"""Files made by code that no reader should meet: a number gives a file, and what it must hold if it was not hurt."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
import csv
import gzip
import io
import json
from random import Random
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from gdcore.tokenizer import SPECIALS

CONTROL = "".join(map(chr, (*range(32), *range(0x7F, 0xA0))))
ZALGO = "Z" + "".join(map(chr, range(0x300, 0x370))) * 4 + "algo"
PIECES = (
    "a good line", "Größe", "猫が座っている", "می\u200cخواهم", "👨\u200d👩\u200d👧 🇫🇷", ZALGO, "\u202eoverride\u202c",
    "\u2066bidi\u2069", "one\u2028two", "one\u2029two", "\x85", "\ufeffmark", "\ufffe\uffff", "\U0010ffff", "\ue000",
    "\x00", "nul\x00byte", CONTROL, "\r", "\n", "\r\n", "\t", " ", "", '"', '""', '"unclosed', "it's", ",", ";", "a,b",
    "\\", "\\n", "\\u0000", "null", "NaN", "-0", "1e400", "{}", "[]", '{"text": "inside"}', "<script>",
    "'; DROP TABLE", "%s%n", "${x}", "x" * 5_000, " " * 3_000, "\u0301", "e\u0301", "\u200b", "\xa0", "\u3000", "ﬃ",
    "İ", "ß", "１２３", *SPECIALS, " ".join(SPECIALS),
)  # fmt: skip
HALF = ("\ud83d", "\udc00 low", "mid\udfffdle")  # halves of surrogate pairs: JSON can write them
OTHERS = (None, 0, -1, 1.5, float("nan"), float("inf"), True, [], ["x"], {}, {"text": "x"}, 10**400)
ENCODINGS = ("utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le", "latin-1", "cp1252", "shift_jis")
SUFFIXES = (".txt", ".jsonl", ".csv", ".parquet")
PACKS = ("", "", ".gz", ".zst")


class Dirt(NamedTuple):
    """A file's name and bytes; `num_records` is how many it must give, or None where it was hurt."""

    suffix: str
    data: bytes
    num_records: int | None


def dirt(number: int) -> Dirt:
    """The file of this number."""
    random = Random(number)
    suffix, packed = random.choice(SUFFIXES), random.choice(PACKS)
    texts = ["a good line"] + [_text(random) for _ in range(random.choice((0, 1, 5, 30)))]
    data, num_records = {".txt": _lines, ".jsonl": _objects, ".csv": _table, ".parquet": _parquet}[suffix](
        texts, random
    )
    hurt = random.random()
    if hurt < 0.4:
        data, num_records = _hurt(data, random), None
    data = _pack(data, packed)
    if 0.3 < hurt < 0.6:
        data, num_records = _hurt(data, random), None
    return Dirt(suffix + packed, data, num_records)


def as_file(suffix: str, texts: list[str]) -> tuple[bytes, int]:
    """Texts as a file of this kind, and how many records it must give."""
    if suffix == ".txt":
        content = "\n".join(texts).replace("\r\n", "\n").replace("\r", "\n")
        return content.encode(), content.count("\n") + 1
    if suffix == ".jsonl":
        return "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts).encode(), len(texts)
    if suffix == ".csv":
        written = io.StringIO(newline="")
        csv.writer(written, quoting=csv.QUOTE_ALL).writerows([("text",), *((text,) for text in texts)])
        return written.getvalue().encode(), len(texts)
    table = io.BytesIO()
    pq.write_table(pa.table({"text": texts}), table)
    return table.getvalue(), len(texts)


def _text(random: Random) -> str:
    pieces = random.choices(PIECES, k=random.choice((1, 1, 2, 6)))
    if random.random() < 0.1:
        points = (random.choice((random.randrange(0xD800), random.randrange(0xE000, 0x11_0000))) for _ in range(9))
        pieces.append("".join(map(chr, points)))
    return random.choice(("", " ")).join(pieces)


def _lines(texts: list[str], random: Random) -> tuple[bytes, int | None]:
    content = random.choice(("\n", "\r\n", "\r")).join(texts) + random.choice(("", "\n"))
    encoding = random.choice(ENCODINGS)
    lines = content.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split("\n")
    told = encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-32")
    return content.encode(encoding, "replace"), len(lines) if told else None


def _objects(texts: list[str], random: Random) -> tuple[bytes, int | None]:
    def row(text: str) -> str:
        kind = random.random()
        value = random.choice(OTHERS) if kind < 0.1 else random.choice(HALF) if kind < 0.2 else text
        keys = {random.choice(("text",) * 9 + ("Text",)): value, "k": random.choice((*OTHERS, *PIECES[:9]))}
        line = json.dumps(keys, ensure_ascii=random.random() < 0.5 or kind < 0.2)
        return (
            line
            if random.random() < 0.9
            else random.choice(("", line[:-1], line + line, "[1]", '"x"', "nul", "[" * 9_999))
        )

    rows = [json.dumps({"text": texts[0], "k": 1}), *map(row, texts[1:])]
    return "\n".join(rows).encode("utf-8", "replace") + b"\n", len(rows)


def _table(texts: list[str], random: Random) -> tuple[bytes, int | None]:
    written = io.StringIO(newline="")
    mark, encoding = random.choice(",\t;"), random.choice(ENCODINGS[:6])
    writer = csv.writer(written, delimiter=mark, quoting=random.choice((csv.QUOTE_ALL, csv.QUOTE_MINIMAL)))
    writer.writerow(("k", "text"))
    writer.writerows((random.choice(PIECES[:5]), text) for text in texts)
    return written.getvalue().encode(encoding), len(texts)


def _parquet(texts: list[str], random: Random) -> tuple[bytes, int | None]:
    values = pa.array([texts[0], *(text if random.random() < 0.9 else None for text in texts[1:])], pa.string())
    kind = random.choice((pa.string(), pa.large_string(), pa.binary(), pa.dictionary(pa.int32(), pa.string())))
    table = pa.table({"k": pa.array(range(len(texts))), "text": values.cast(kind)})
    written = io.BytesIO()
    pq.write_table(
        table,
        written,
        compression=random.choice(("none", "snappy", "gzip", "zstd", "lz4", "brotli")),
        row_group_size=random.choice((1, 7, 1_000)),
        use_dictionary=random.random() < 0.5,
        version=random.choice(("1.0", "2.6")),
        data_page_version=random.choice(("1.0", "2.0")),
    )
    return written.getvalue(), len(texts)


def _pack(data: bytes, suffix: str) -> bytes:
    if suffix == ".gz":
        return gzip.compress(data, 1, mtime=0)
    return pa.compress(data, "zstd", asbytes=True) if suffix == ".zst" else data


def _hurt(data: bytes, random: Random) -> bytes:
    """Cut, flip, insert, take out, repeat, or append."""
    here, there = sorted(random.randrange(len(data) + 1) for _ in range(2))
    noise = random.randbytes(random.choice((1, 4, 300)))
    return random.choice(
        (
            data[:here],
            data[here:],
            data[:here] + bytes(byte ^ random.randrange(256) for byte in data[here : here + 3]) + data[here + 3 :],
            data[:here] + noise + data[here:],
            data[:here] + noise + data[here + len(noise) :],
            data[:here] + data[there:],
            data[:there] + data[here:],
            data + noise,
            data + b"\0" * 100,
            data + data,
        )
    )
