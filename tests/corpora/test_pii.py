"""Personal data: found where its form and its check digit say so, and dealt with as configured."""

import time
from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdcore.corpora.pii import PATTERNS, SUSPECT, luhn, masked
from tests.corpora.corpus_case import build_bytes, train_texts

# Made up, or the published examples of their standards; put together here so that no scanner takes them for real.
FOUND = {
    "mail": ["ann@example.org", "first.last+tag@mail.example.co.uk", "jörg@exämple.de", "o'hara@example.com"],
    "phone": ["+49 30 1234567", "+1 (212) 555-0123", "0044 20 7946 0958", "(212) 555-0123", "212-555-0123"],
    "card": ["4111 1111 1111 1111", "5500-0000-0000-0004", "340000000000009", "6011000000000004"],
    "iban": ["DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432", "NO93 8601 1117 947"],
    "key": [
        "AKIA" + "IOSFODNN7EXAMPLE",
        "ghp_" + "a1B2" * 9,
        "sk-" + "a1B2" * 8,
        "sk_live_" + "a1B2" * 5,
        "xoxb-" + "123456789012-abcdef",
        "AIza" + "a1B2c" * 7,
        "eyJ" + "hbGciOiJIUzI1NiJ9" + ".eyJ" + "zdWIiOiIxMjM0NTY3" + ".abcdefghijklmnop",
        "-----BEGIN RSA " + "PRIVATE KEY-----",
    ],
}  # fmt: skip
CASES = [(kind, text) for kind, texts in FOUND.items() for text in texts]
NONE = [
    "4111 1111 1111 1112",  # the check digit
    "0000 0000 0000 0000",
    "DE89 3704 0044 0532 0130 02",
    "in 1999, 2000 and 2001",
    "1,234,567.89 and 3.14159265358979",
    "192.168.100.200",
    "2026-11-27 20:12:19",
    "978-3-16-148410-0",
    "10.1000/182-555-0123-7",
    "a @ b, @someone, foo@bar",
    "sk-learn and AKIA",
    "the eyJ prefix",
    "C++ 11 20 17 23",
]


@pytest.mark.parametrize(("kind", "text"), CASES)
@pytest.mark.parametrize("frame", ["{}", "write to {}, please", "({})", "it is {}."])
def test_found(kind: str, text: str, frame: str) -> None:
    assert masked(frame.format(text)) == (frame.format(f"[{kind}]"), Counter({kind: 1}))


@pytest.mark.parametrize("text", NONE)
def test_not_found(text: str) -> None:
    assert masked(text) == (text, Counter())


def test_what_is_found_was_suspected() -> None:
    assert pl.Series([text for _, text in CASES]).str.contains(SUSPECT).all()
    assert {kind for kind, _ in CASES} == set(PATTERNS)


def test_luhn_against_the_definition() -> None:
    """Each digit of a number that holds has one value alone with which it does."""
    number = "4539578763621486"
    assert luhn(number)
    for place in range(1, 16):
        others = [f"{number[:place]}{digit}{number[place + 1 :]}" for digit in range(10)]
        assert sum(map(luhn, others)) == 1


@given(st.lists(st.sampled_from([*"0123456789 -+()@./aAé_\n", *(text for _, text in CASES)])).map("".join))
def test_masking_twice_finds_nothing_more(text: str) -> None:
    once, counts = masked(text)
    assert sum(counts.values()) == sum(once.count(f"[{kind}]") for kind in PATTERNS)
    assert masked(once) == (once, Counter())
    assert not counts or pl.Series([text]).str.contains(SUSPECT).all()


@pytest.mark.parametrize(
    "piece", ["a", "a.", "a@", "@a.", "1", "1 ", "1-", "+1 ", "A1", "A1 ", "eyJ", "sk-", "(212) ", "-"]
)
def test_no_text_takes_long(piece: str) -> None:
    begun = time.process_time()
    masked(piece * (100_000 // len(piece)))
    assert time.process_time() - begun < 5


MAILS, PHONES = FOUND["mail"], FOUND["phone"]
DATA = f"write to {MAILS[0]} or {MAILS[1]}\nnothing here\ncall {PHONES[0]}\ncall {PHONES[1]}\n"


def test_counted_and_left_alone_by_default(tmp_path: Path) -> None:
    built = build_bytes(tmp_path, DATA.encode())
    assert built.summary["pii"] == {"mail": 2, "phone": 2}
    assert train_texts(built) == DATA.splitlines()
    assert build_bytes(tmp_path, DATA.encode(), pii="ignore").summary["pii"] == {}


def test_masked(tmp_path: Path) -> None:
    built = build_bytes(tmp_path, DATA.encode(), pii="mask")
    assert train_texts(built) == ["write to [mail] or [mail]", "nothing here", "call [phone]"]
    assert built.quarantine == [("call [phone]", 4, "duplicate")]  # nor does the quarantine keep it
    assert built.summary["pii"] == {"mail": 2, "phone": 2}


def test_quarantined(tmp_path: Path) -> None:
    built = build_bytes(tmp_path, DATA.encode(), pii="quarantine")
    assert train_texts(built) == ["nothing here"]
    assert built.summary["reasons"] == {"personal_data": 3}
    assert built.quarantine[0] == ("write to [mail] or [mail]", 1, "personal_data")


def test_in_prompts_and_in_records_that_are_rejected_for_something_else(tmp_path: Path) -> None:
    data = b'{"text": "yes", "p": "is it ann@example.org?"}\n{"text": 5, "p": "ann@example.org"}\nann@example.org\n'
    built = build_bytes(tmp_path, data, ".jsonl", prompt_column="p", pii="mask")
    assert built.texts["train"]["prompt"].to_list() == ["is it [mail]?"]
    assert not [record for record, _, _ in built.quarantine if "@" in record]
    left_out = build_bytes(tmp_path, b"a good line\n" + data, pii="quarantine")
    assert left_out.summary["reasons"] == {"personal_data": 3}
