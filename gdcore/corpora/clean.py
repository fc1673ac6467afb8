"""What is repaired in a text, and what keeps a text out. Every rule of the corpus stage stands in these two tables.

A repair keeps the text and is counted under its name; a rejection sends the record to quarantine with its name as the
reason, the first that applies. Cleaning a cleaned text changes nothing.
"""

import polars as pl

from gdcore.corpora.config import CorpusConfig

REPAIRS = {
    "bom": "a byte order mark at the start of a file is dropped",
    "encoding": "UTF-16 and UTF-32, which a byte order mark tells, are read as such",
    "line_ending": "CRLF and a lone CR end a line as LF does",
    "markup": "reStructuredText and Markdown markup in documentation is turned into the words it marks",
    "control_characters": "control characters, NUL among them, are dropped (tabs and line breaks count as white space)",
    "invisible_characters": "zero-width and direction-control characters, soft hyphens and stray byte order marks are "
    "dropped; the joiners that Persian, Indic scripts and emoji spell with stay",
    "unicode_form": "Unicode is put in composed form (NFC)",
    "white_space": "each run of white space, line breaks included, becomes one space; none at either end",
}

REJECTIONS = {
    "line_too_long": "a line of several megabytes; it is cut there and not read further",
    "cut": "the compressed file ends in the middle: what stood before is used, this line "
    "is not whole, the rest is lost",
    "damaged": "from here on the file cannot be unpacked or decoded, or something else follows what is packed; what "
    "stood before is used",
    "invalid_json": "the line is not JSON",
    "not_an_object": "the line is JSON, but not an object",
    "unclosed_quote": "a quote in the line is not closed within several megabytes, or to the end of the file",
    "wrong_number_of_fields": "the row has more or fewer fields than the header has names",
    "missing_text": "the object has no text, or a null one",
    "missing_prompt": "the object has no prompt, or a null one, though a prompt column was named",
    "missing_label": "the object has no label, or a null one, though a label column was named",
    "missing_group": "the object has no group, or a null one, though a group column was named",
    "wrong_type_text": "the text is not a string",
    "wrong_type_prompt": "the prompt is not a string",
    "wrong_type_label": "the label is not a string, number or boolean",
    "wrong_type_group": "the group is not a string, number or boolean",
    "formula": "documentation: a formula",
    "link": "documentation: a web or mail address, or a path",
    "placeholder": "documentation: a template's placeholder",
    "code": "documentation: code, a signature, or an identifier that is no word",
    "leftover_markup": "documentation: markup that could not be turned into words",
    "unfinished": "documentation: no capital at the start, no full stop at the end, or an unclosed bracket or quote",
    "few_words": "documentation: fewer words than a sentence needs",
    "many_words": "documentation: more words than a sentence should have",
    "not_prose": "documentation: mostly names, numbers or capitals rather than words",
    "invalid_bytes": "bytes that are not UTF-8 (or U+FFFD, which an earlier program left in their place): the text "
    "cannot be restored",
    "empty": "nothing is left after cleaning",
    "empty_prompt": "nothing is left of the prompt after cleaning",
    "too_short": "fewer characters than min_characters",
    "too_long": "text or prompt of more characters than max_characters",
    "personal_data": "a mail address, phone number, card, IBAN or access key, where `pii` is to quarantine them",
    "duplicate": "the same text, with the same prompt, stands earlier in the corpus",
    "also_in_test": "a text given for train or valid that stands in test too",
    "also_in_valid": "a text given for train that stands in valid too",
}

# Cc without what counts as white space; then what is never seen and never spelt with.
CONTROL = r"[\x00-\x08\x0E-\x1F\x7F-\x84\x86-\x9F]"
INVISIBLE = (
    r"[\u{AD}\u{61C}\u{180E}\u{200B}\u{200E}\u{200F}\u{202A}-\u{202E}\u{2060}-\u{206F}\u{FEFF}\u{FFF9}-\u{FFFB}]"
)
# Texts without any of these need no repair: most of them, in many languages, at a tenth of the cost.
SUSPECT = r"[^\x20-\x7E]|  |^ | $"
COLUMNS = ("text", "prompt", "label")


def clean(frame: pl.DataFrame, config: CorpusConfig) -> pl.DataFrame:
    """Repair text, prompt and label, and say so in one boolean per repair; fill `reason` where a rule keeps a row out.

    `record` is the text as read, unless the reader gave it. Rows keep their order and their reader's reason.
    """
    if "record" not in frame.columns:
        frame = frame.with_columns(record="text")
    suspect = frame.select(pl.any_horizontal(pl.col(*COLUMNS).str.contains(SUSPECT).fill_null(False))).to_series()
    if suspect.any():
        frame = frame.with_row_index("row")
        frame = pl.concat([frame.filter(~suspect), _repaired(frame.filter(suspect))]).sort("row").drop("row")
    text, prompt = pl.col("text"), pl.col("prompt")
    unreadable = pl.any_horizontal(pl.col(*COLUMNS).str.contains("\ufffd", literal=True).fill_null(False))
    length = pl.max_horizontal(text.str.len_chars(), prompt.str.len_chars())
    rules = {
        "invalid_bytes": unreadable,
        "empty": text == "",
        "empty_prompt": prompt == "",
        "too_short": text.str.len_chars() < config.min_characters,
        "too_long": length > config.max_characters,
    }
    reasons = (pl.when(found).then(pl.lit(reason)) for reason, found in rules.items())
    return frame.with_columns(reason=pl.coalesce("reason", *reasons))


def _repaired(frame: pl.DataFrame) -> pl.DataFrame:
    """Each repair in its turn, on every column, with its boolean."""
    column = pl.col(*COLUMNS)
    steps = {
        "control_characters": column.str.replace_all(CONTROL, ""),
        "invisible_characters": column.str.replace_all(INVISIBLE, ""),
        "unicode_form": column.str.normalize("NFC"),
        "white_space": column.str.replace_all(r"\s+", " ").str.strip_chars(),
    }
    for rule, after in steps.items():
        frame = frame.with_columns(after, pl.any_horizontal((after != column).fill_null(False)).alias(rule))
    return frame
