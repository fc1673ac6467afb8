"""A documentation string → its prose sentences, as plain text.

Two steps. `candidates` reads the structure (reStructuredText, NumPy, Google and Markdown habits) and cuts the running
text into sentences; headings, tables, doctests, code blocks, references and parameter names are structure, not text.
`plain` then turns inline markup into the words it marks, and gives each sentence that is no prose a reason; its rules
are tables of patterns, run by Polars over all sentences at once.
"""

import re
from collections.abc import Iterator
from inspect import cleandoc

import polars as pl

MIN_WORDS, MAX_WORDS = 5, 32

# --- structure -------------------------------------------------------------------------------------------------------

DOCTEST = re.compile(r">>>|\.\.\.( |$)|In ?\[\d*\]|\$ |% |C:\\")
UNDERLINE = re.compile(r"([=\-~^\"'`#*+.:_])\1{2,}$")
TABLE = re.compile(r"[+|]|={2,}\s+=|-{2,}\s+-|.*\s\|\s.*\||.*\S {3,}\S")
DIRECTIVE = re.compile(r"\.\.(?: ([\w:-]+)::(.*))?(?: |$)")
PROSE_DIRECTIVES = {"note", "warning", "tip", "important", "hint", "caution", "attention", "admonition"}
VERSIONED = {"versionadded", "versionchanged", "versionremoved", "deprecated"}
HEADING = re.compile(r"(#+ .*|\w[\w ]{0,30}:)$")
SKIPPED_SECTIONS = {"references", "see also", "bibliography", "authors", "author", "methods", "attributes"}
# What stands before the text of a list item or of a parameter; the text that follows is prose like any other.
LEAD = re.compile(
    r"(?:[-*+•]|\(?\d{1,2}[.)]|\(?[a-zA-Z][.)]|:[A-Za-z][^:`]*:)\s+"
    r"|[*`]{0,3}[A-Za-z_][\w.,/ *`-]{0,40}(?:\([^()]*(?:\([^()]*\)[^()]*)*\))?[*`]{0,3}\s*(?::|--|—|–)\s+(?=[A-Z`])"
)
NAME_AND_TYPE = re.compile(r"[*`\w.,/ \\-]+ : \S|[*\w.,]+ *:$|:\w[^:`]*:$")

END = re.compile(r"[.!?][\"')\]`*]{0,3}\s+(?=[\"'(`*:\[_]*[A-Z])")
STOP = re.compile(r"[.!?][\"')\]`*]{0,3}$")
ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|vs|cf|figs?|eqs?|sec|refs?|no|nos|dr|mr|mrs|ms|prof|st|al|approx|resp|ch|chap|pp?|vol|ed|eds|"
    r"a\.k\.a|w\.r\.t|def|thm|prop|inc|ltd|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)|\b[A-Z])\.$",
    re.IGNORECASE,
)


def candidates(docstring: str) -> Iterator[str]:
    """The sentences of a documentation string with their markup: stretches of paragraphs that end in a full stop."""
    for paragraph in _paragraphs(docstring):
        start = 0
        for end in END.finditer(paragraph):
            sentence = paragraph[start : end.end()].rstrip()
            if not ABBREVIATION.search(sentence):
                yield sentence
                start = end.end()
        if STOP.search(rest := paragraph[start:]):
            yield rest


def _paragraphs(docstring: str) -> Iterator[str]:
    """Running text, one paragraph at a time, its lines joined."""
    paragraph: list[str] = []
    base = body = 0  # indentation of the paragraph's first line and of the others
    deeper_than: int | None = None  # skip what is indented more than this
    until_blank = until_fence = until_heading = False
    lines = cleandoc(docstring).splitlines()

    def flush() -> Iterator[str]:
        if paragraph:
            yield " ".join(paragraph)
            paragraph.clear()

    for number, raw in enumerate(lines):
        line = raw.strip()
        indent = len(raw) - len(raw.lstrip())
        following = lines[number + 1].strip() if number + 1 < len(lines) else ""
        if until_fence or line.startswith(("```", "~~~ ")):
            yield from flush()
            if line.startswith(("```", "~~~")):
                until_fence = not until_fence and not (len(line) > 3 and line.endswith("```"))
            continue
        if not line:
            yield from flush()
            until_blank = False
            continue
        if deeper_than is not None and indent > deeper_than:
            continue
        deeper_than = None
        heading = UNDERLINE.match(following) is not None and not UNDERLINE.match(line)
        if heading or HEADING.match(line):
            yield from flush()
            title = line.strip("#: ").lower()
            until_heading = title in SKIPPED_SECTIONS
            if until_heading and not heading:
                until_heading, deeper_than = False, indent
            continue
        if until_heading or until_blank:
            continue
        if UNDERLINE.match(line) or TABLE.match(line):
            yield from flush()
            continue
        if DOCTEST.match(line):
            yield from flush()
            until_blank = True
            continue
        if directive := DIRECTIVE.match(line):
            yield from flush()
            name, rest = directive[1], (directive[2] or "").strip()
            if name in VERSIONED:
                rest = re.sub(r"^v?[\d.]+\w*[:,]?\s*", "", rest)
            elif name not in PROSE_DIRECTIVES:
                deeper_than = indent
                continue
            if rest:
                paragraph.append(rest)
                base, body = indent, -1
            continue
        lead = LEAD.match(line)
        if paragraph and not lead and (indent == body or (body < 0 and indent > base)):
            body = indent
        else:
            if paragraph and not lead and body == base and indent > base and not STOP.search(paragraph[-1]):
                paragraph.clear()  # a term, then its definition
            yield from flush()
            base, body = indent, -1 if lead else indent
            if lead:
                line = line[lead.end() :]
            elif NAME_AND_TYPE.match(line):
                continue
        if line.endswith("::"):
            deeper_than = base
            paragraph.clear() if line == "::" else paragraph.append(line[:-1])
            yield from flush()
            continue
        paragraph.append(line)
    yield from flush()


# --- inline markup ---------------------------------------------------------------------------------------------------

MARKUP = (
    (r":[\w+:-]+:`!?~?(?:[^`<]*[./])?([^`<./]+)(?:\(\))?`", "$1"),  # :class:`~a.b.C` → C
    (r":[\w+:-]+:`([^`<]+?)\s*<[^`>]*>`", "$1"),  # :ref:`words <target>` → words
    (r"`([^`<]+?)\s*<[^`>]*>`_{1,2}", "$1"),  # `words <address>`_ → words
    (r"\[([^\]\[]+)\]\((?:[^()\s]|\([^()\s]*\))+\)", "$1"),  # [words](address) → words
    (r"\s*\[[\w#*., -]*\]_\b?", ""),  # [1]_ → nothing
    (r"\[`([^`]+)`\](?:\[[^\]]*\])?", "$1"),  # [`name`][target] → name
    (r"`{1,2}([A-Za-z_][\w.-]*)\(\)`{1,2}", "$1"),  # ``name()`` → name
    (r"`{3}([^`]+)`{3}|`{2}([^`]+)`{2}|`([^`]+)`_{0,2}", "$1$2$3"),  # ``code`` → code
    (r"\*{3}(\S|\S[^*]*\S)\*{3}|\*{2}(\S|\S[^*]*\S)\*{2}", "$1$2"),  # **strong** → strong
    (r"\*([A-Za-z0-9]|[A-Za-z0-9\"'(][^*]*[^\s*])\*", "$1"),  # *emphasis* → emphasis
    (r"(^|[\s(])_([A-Za-z][^_]*[a-z.,])_([\s.,;:)]|$)", "$1$2$3"),  # _emphasis_ → emphasis
    (r"\b([A-Za-z][\w-]*)_{1,2}([\s.,;:)]|$)", "$1$2"),  # reference_ → reference
    (r"\\([*_`|<>\\ ])", "$1"),  # \* → *
    (r"(^|[\s(])([A-Za-z_]\w*)\(\)", "$1$2"),  # name() → name
    (r"[“”«»]", '"'),
    (r"[‘’]", "'"),
    (r"``|''", '"'),
    (r"\s(?:---?|–|—)\s", " - "),
    (r"\s+", " "),
)

# The first that matches is the reason.
REJECTIONS = (
    ("link", r"(?i)https?:|www\.|ftp://|\w@\w|\w\.(?:com|org|net|io|html?|pdf|rst|md)\b|(?:^|\s|[\"'(])[.~]?/\w|\w/\w+/\w|\w:\\"),
    ("placeholder", r"[{}]|%[sdrf(]|\$\w|<\w[^<>]*>|\bXXX\b|\bTODO\b|\bFIXME\b|#\s"),
    ("formula", r"\\[a-zA-Z]|[$^]|\w\s*(?:<=|>=|==|!=|=|<|>|\+|\*|/|\|)\s*\S|[−∞∈∑∫√≤≥×·⋅±≠→⇒∂∇α-ωΑ-Ω]|\bO\(|\d\s?-\s?\d|\b\w\s-\s\w\b|\.{4,}|\(-"),
    ("leftover_markup", r"[`|~\\]|::|:\w+:|\*|\]_|_\s|^[:_\[]|\[\["),
    (
        "code",
        r"[=<>\[\]@#&;]|\w\(|\)\w|\w_\w|\b_\w|\w_\b|\w\.\w+\.|[a-z]\.[a-zA-Z_]{3,}|\.[a-z]\w*\(|\b[a-z]+[A-Z]\w*|[A-Z][a-z]+[A-Z]\w*|\b[a-zA-Z]+\d+\w*\b|\d[a-zA-Z_]\w|^import |^from \w+ import|\s--?\w|\s\.\w|,\w|\w:\w|\"{3}|'{3}|\(\s|\s\)|\(\)",
    ),
)  # fmt: skip
START = r"^[\"'(]?[A-Z]"
FINISH = r"[a-zA-Z0-9%)\"'][.!?][\"')]?$"
OTHER = r"[^A-Za-z0-9À-ÿ\s.,:!?'\"()/%+-]"  # what plain English prose does not use
WORD = r"^[\"'(]*(?:[A-Za-zÀ-ÿ]?[a-zà-ÿ]+(?:[-'/][A-Za-zà-ÿ]+)*|[AI])[.,:!?\"')]*$"
MIN_WORD_SHARE = 0.75


def plain(frame: pl.DataFrame) -> pl.DataFrame:
    """(`record`: sentence with markup) → `text` without it, `markup` (was there any) and `reason` (null for prose)."""
    text = pl.col("record")
    for pattern, words in MARKUP:
        text = text.str.replace_all(pattern, words)
    frame = frame.with_columns(text=text.str.strip_chars()).with_columns(
        markup=pl.col("text") != pl.col("record"), words=pl.col("text").str.split(" ")
    )
    text, words = pl.col("text"), pl.col("words")
    share = words.list.eval(pl.element().str.contains(WORD)).list.mean()
    unbalanced = (
        (text.str.count_matches(r"\(") != text.str.count_matches(r"\)"))
        | (text.str.count_matches('"') % 2 == 1)
        | text.str.contains(r"(?:^|\s)'[^']*$")
    )
    rules = [(reason, text.str.contains(pattern)) for reason, pattern in REJECTIONS]
    rules += [
        ("code", text.str.contains(OTHER)),
        ("unfinished", ~text.str.contains(START) | ~text.str.contains(FINISH) | unbalanced),
        ("few_words", words.list.len() < MIN_WORDS),
        ("many_words", words.list.len() > MAX_WORDS),
        ("not_prose", share < MIN_WORD_SHARE),
    ]
    reason = pl.coalesce(*(pl.when(found).then(pl.lit(reason)) for reason, found in rules))
    return frame.with_columns(reason=reason).drop("words")
