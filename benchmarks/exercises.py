"""Prompts that have one right answer, made on the spot: what prompted text is proved on, by exact match.

    python -m benchmarks.exercises numbers 6000 > numbers.jsonl
    gdflow run --corpus numbers.jsonl --prompt-column prompt

- `numbers`: a number below a million in words → its digits
- `dates`: a date as it is said → as it is filed
- `grammar`: a sentence of a made-up English → a made-up language with its verb last, cases and agreement
"""

import json
import random
import sys
from collections.abc import Callable
from datetime import date, timedelta

UNITS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
TENS = ("", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
ORDINALS = (
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh",
    "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth", "eighteenth", "nineteenth",
    "twentieth", *(f"twenty {word}" for word in ("first", "second", "third", "fourth", "fifth", "sixth", "seventh")),
    "twenty eighth", "twenty ninth", "thirtieth", "thirty first",
)  # fmt: skip

NOUNS = {
    "farmer": "temo", "sailor": "salu", "baker": "bako", "girl": "nini", "dog": "wafu", "horse": "hesto",
    "poet": "lira", "king": "regu",
}  # fmt: skip
ADJECTIVES = {"old": "vet", "young": "jun", "tired": "lasi", "clever": "sapi", "hungry": "fame"}
VERBS = {"see": "vid", "help": "aju", "follow": "seq", "praise": "laud", "fear": "tim"}


def numbers(rng: random.Random) -> tuple[str, str]:
    """As likely short as long."""
    number = rng.randrange(10 ** rng.randint(1, 6))
    return said(number), " ".join(str(number))


def said(number: int) -> str:
    """A whole number below a million in words."""
    if number >= 1000:
        rest = said(number % 1000) if number % 1000 else ""
        return f"{said(number // 1000)} thousand {rest}".strip()
    if number >= 100:
        return f"{UNITS[number // 100]} hundred" + (f" and {said(number % 100)}" if number % 100 else "")
    if number >= 20:
        return TENS[number // 10] + (f" {UNITS[number % 10]}" if number % 10 else "")
    return UNITS[number]


def dates(rng: random.Random) -> tuple[str, str]:
    """In one of three ways."""
    day = date(1900, 1, 1) + timedelta(days=rng.randrange(200 * 365))
    ordinal, month, year = ORDINALS[day.day - 1], MONTHS[day.month - 1], " ".join(str(day.year))
    ways = f"the {ordinal} of {month} {year}", f"{month} the {ordinal} , {year}", f"{ordinal} {month} {year}"
    return rng.choice(ways), " ".join(day.isoformat())


def grammar(rng: random.Random) -> tuple[str, str]:
    """Subject, verb and object, each noun with up to two adjectives and a number."""
    (subject, ours), of_one = _phrase(rng)
    (object_, theirs), _ = _phrase(rng)
    verb = rng.choice(list(VERBS))
    english = f"{subject} {verb}{'s' if of_one else ''} {object_}"
    return english, f"{ours} {theirs}m {VERBS[verb]}{'at' if of_one else 'ant'}"


def _phrase(rng: random.Random) -> tuple[tuple[str, str], bool]:
    """A noun phrase in both languages, and whether it is of one."""
    noun, of_one = rng.choice(list(NOUNS)), rng.random() < 0.5
    adjectives = rng.sample(list(ADJECTIVES), rng.randint(0, 2))
    english = " ".join(["the", *adjectives, noun if of_one else f"{noun}s"])
    ending = "" if of_one else "s"
    words = [*(f"{ADJECTIVES[each]}a{ending}" for each in adjectives), f"{NOUNS[noun]}{ending}"]
    return (english, " ".join(words)), of_one


EXERCISES: dict[str, Callable[[random.Random], tuple[str, str]]] = {
    "numbers": numbers,
    "dates": dates,
    "grammar": grammar,
}


def pairs(name: str, num: int, seed: int = 0) -> list[tuple[str, str]]:
    """So many different (prompt, answer), from a seed."""
    rng = random.Random(seed)
    found: dict[str, str] = {}
    while len(found) < num:
        prompt, answer = EXERCISES[name](rng)
        found[prompt] = answer
    return list(found.items())


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in EXERCISES or not sys.argv[2].isdigit():
        sys.exit(f"usage: python -m benchmarks.exercises {{{','.join(EXERCISES)}}} NUMBER > FILE.jsonl")
    for prompt, answer in pairs(sys.argv[1], int(sys.argv[2])):
        print(json.dumps({"prompt": prompt, "text": answer}))
