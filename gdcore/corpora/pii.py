"""Personal data in texts: what is looked for, and what becomes of it (`corpus.pii`).

Patterns find what has a form of its own: mail addresses, phone numbers written for the world or the American way,
payment cards (with Luhn's check digit), IBANs (with theirs, ISO 13616), and access keys by their makers' prefixes.
Names, addresses and national numbers have none and are not found: this is a net, not a proof.
"""

import re
from collections import Counter
from collections.abc import Callable

import polars as pl

from gdcore.corpora.config import PersonalData

COLUMNS = ("text", "prompt")


def luhn(found: str) -> bool:
    """Does a card number begin as cards do, and does its check digit hold?"""
    digits = [int(digit) for digit in found if digit.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return digits[0] in (2, 3, 4, 5, 6) and len(set(digits)) > 1 and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def iban(found: str) -> bool:
    """Do the check digits of an account number hold?"""
    number = found.replace(" ", "")
    return 15 <= len(number) <= 34 and int("".join(str(int(mark, 36)) for mark in number[4:] + number[:4])) % 97 == 1


def always(found: str) -> bool:
    """What has no check digit."""
    return bool(found)


# In the order in which they are looked for: what one has taken, the next does not see.
KEYS = (
    r"(?:AKIA|ASIA)[0-9A-Z]{16}",  # AWS
    r"gh[oprsu]_[0-9A-Za-z]{36,255}|github_pat_\w{22,255}",
    r"sk-[0-9A-Za-z_-]{20,255}",  # OpenAI, Anthropic, Stripe's older cousin
    r"[rs]k_(?:live|test)_[0-9A-Za-z]{16,255}",  # Stripe
    r"xox[abprs]-[0-9A-Za-z-]{10,255}",  # Slack
    r"AIza[0-9A-Za-z_-]{35}",  # Google
    r"hf_[A-Za-z]{34}",
    r"eyJ[0-9A-Za-z_-]{10,2000}\.eyJ[0-9A-Za-z_-]{10,4000}\.[0-9A-Za-z_-]{10,2000}",  # JSON web tokens
)
PATTERNS: dict[str, tuple[re.Pattern[str], Callable[[str], bool]]] = {
    "key": (re.compile(rf"-----BEGIN [A-Z ]{{0,30}}PRIVATE KEY-----|\b(?:{'|'.join(KEYS)})(?![0-9A-Za-z_])"), always),
    "mail": (re.compile(r"\b[\w.%+'-]{1,64}@(?:[^\W_](?:[\w-]{0,62})\.){1,8}[^\W\d_]{2,24}\b"), always),
    "iban": (re.compile(r"\b[A-Z]{2}[0-9]{2}(?: ?[0-9A-Z]{4}){2,7}(?: ?[0-9A-Z]{1,3})?\b"), iban),
    "card": (re.compile(r"(?<![\w.])[0-9](?:[ -]?[0-9]){12,18}(?!\w)"), luhn),
    "phone": (
        re.compile(
            r"(?<!\w)(?<![0-9] )(?:\+|00)[1-9](?:[ ()./-]{0,2}[0-9]){7,13}(?!\w)"
            r"|(?<![\w.-])(?:\+?1[ .-])?(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}[.-])[2-9][0-9]{2}[ .-][0-9]{4}(?![\w-])"
        ),
        always,
    ),
}
# Texts without any of these hold none of those: most of them, at a fraction of the cost.
SUSPECT = (
    r"@|[0-9][^0-9A-Za-z]{0,3}[0-9][^0-9A-Za-z]{0,3}[0-9][^0-9A-Za-z]{0,3}[0-9]|AKIA|ASIA|gh[oprsu]_|github_pat_|sk-"
    r"|[rs]k_(?:live|test)_|xox|AIza|hf_|eyJ|PRIVATE KEY"
)


def masked(text: str) -> tuple[str, Counter[str]]:
    """The text with each find as its kind in brackets, such as `[mail]`, and how many there were of each."""
    counts = Counter[str]()
    for kind, (pattern, holds) in PATTERNS.items():

        def replace(match: re.Match[str], kind: str = kind, holds: Callable[[str], bool] = holds) -> str:
            if not holds(match[0]):
                return match[0]
            counts[kind] += 1
            return f"[{kind}]"

        text = pattern.sub(replace, text)
    if not counts:
        return text, counts
    text, more = masked(text)  # a bracket may have freed what stood too close to be seen
    return text, counts + more


def search(frame: pl.DataFrame, mode: PersonalData) -> tuple[pl.DataFrame, Counter[str]]:
    """Look through the cleaned texts and prompts: the frame as the mode wants it, and what was found, by kind.

    What is kept of a quarantined record is masked too, unless the mode is to count alone.
    """
    counts = Counter[str]()
    if mode == "ignore":
        return frame, counts
    for name in (*COLUMNS, "record") if mode != "count" else COLUMNS:
        judged = pl.col("reason").is_null() | pl.lit(name == "record")
        rows = frame.select(judged & pl.col(name).str.contains(SUSPECT).fill_null(False)).to_series().arg_true()
        if not len(rows):
            continue
        results = [masked(text) for text in frame[name].gather(rows)]
        hits = [i for i, (_, found) in enumerate(results) if found]
        if name != "record":
            counts.update(sum((results[i][1] for i in hits), Counter[str]()))
        if mode == "count" or not hits:
            continue
        rows = rows.gather(hits)
        if mode == "mask" or name == "record":
            column = frame[name].scatter(rows, [results[i][0] for i in hits])
            frame = frame.with_columns(column)
        else:
            reason = frame["reason"].scatter(rows, "personal_data")
            frame = frame.with_columns(reason)
    return frame, counts
