"""Does the text put spaces between words? Decided by its characters, not by a declared language."""

import polars as pl

# Scripts whose words stand without spaces between them.
UNSPACED = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}]"
MIN_SHARE = 0.3  # below it the script is a guest: names, quotations
MAX_SPACES = 1 / 6  # more spaces than this per character: someone has separated the words already


def count(texts: pl.Series) -> tuple[int, int, int]:
    """Characters; those of scripts written without spaces; spaces that follow one of those."""
    foreign = texts.filter(texts.str.contains(r"[^\x00-\x7F]"))
    unspaced, spaces = (int(foreign.str.count_matches(pattern).sum()) for pattern in (UNSPACED, UNSPACED + " "))
    return int(texts.str.len_chars().sum()), unspaced, spaces


def decide(characters: int, unspaced: int, spaces: int) -> tuple[str, str]:
    """(`spaced` or `unspaced`, why in words)."""
    share = unspaced / max(characters, 1)
    seen = f"{share:.0%} of the {characters:,} characters are of scripts written without spaces between words"
    if share < MIN_SHARE:
        return "spaced", seen
    if spaces > MAX_SPACES * unspaced:
        every = unspaced / spaces
        return "spaced", f"{seen}, but the words are separated already: a space after every {every:.1f} characters"
    return "unspaced", f"{seen} (Chinese, Japanese, Thai, Khmer, Lao, Burmese, Tibetan)"
