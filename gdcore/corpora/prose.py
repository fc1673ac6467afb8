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
MIN_WORD_SHARE = 0.75  # of plain words among all

# --- structure: lines → paragraphs → sentences ---

DOCTEST = re.compile(r">>>|\.\.\.(?: |$)|In ?\[\d*\]|\$ |% |C:\\")
UNDERLINE = re.compile(r"([=\-~^\"'`#*+.:_])\1{2,}$")
TABLE = re.compile(r"[+|]|={2,}\s+=|-{2,}\s+-|.* \| .*\||.*\S {3,}\S")
DIRECTIVE = re.compile(r"\.\.(?: ([\w:-]+)::(.*))?(?: |$)")
PROSE_DIRECTIVES = {"note", "warning", "tip", "important", "hint", "caution", "attention", "admonition"}
VERSIONED = {"versionadded", "versionchanged", "versionremoved", "deprecated"}
VERSION = re.compile(r"^v?[\d.]+\w*[:,]?\s*")
HEADING = re.compile(r"#+ .*|\w[\w ]{0,30}:$")
SKIPPED_SECTIONS = {"references", "see also", "bibliography", "authors", "author", "methods", "attributes"}
# What stands before the text of a list item or of a parameter; the text that follows is prose like any other.
LEAD = re.compile(
    r"(?:(?:[-*+•]|\(?\d{1,2}[.)]|\(?[a-zA-Z][.)]|:[A-Za-z][^:`]*:)\s+)?"
    r"(?P<name>[*`'\"]{0,3}[A-Za-z_][\w.,/ *`'\"-]{0,40}(?:\([^()]*(?:\([^()]*\)[^()]*)*\))?[*`]{0,3}"
    r"\s*(?::|--|—|–)\s+(?=[A-Z`]))?"
)
NAME_AND_TYPE = re.compile(r"[*`\w.,/ \\-]+ : \S|[*\w.,]+ *:$|:\w[^:`]*:$")
TYPE_WORDS = 3  # as few words as this after a parameter's name are its type, when deeper text follows

END = re.compile(r"[.!?][\"')\]`*]{0,3}\s+(?=[\"'(`*:\[_]*[A-Z]|[`*:])")
STOP = re.compile(r"[.!?][\"')\]`*]{0,3}$")
ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|vs|cf|figs?|eqs?|sec|refs?|no|nos|dr|mr|mrs|ms|prof|st|al|approx|resp|ch|chap|pp?|vol|ed|eds|"
    r"a\.k\.a|w\.r\.t|def|thm|prop|inc|ltd|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)|\b[A-Z])\.$",
    re.IGNORECASE,
)


def candidates(docstring: str) -> Iterator[str]:
    """The sentences of a documentation string with their markup: stretches of paragraphs that end in a full stop."""
    for paragraph in _paragraphs(cleandoc(docstring)):
        start = 0
        for end in END.finditer(paragraph):
            sentence = paragraph[start : end.end()].rstrip()
            if not ABBREVIATION.search(sentence, max(len(sentence) - 12, 0)):
                yield sentence
                start = end.end()
        if STOP.search(paragraph, max(len(paragraph) - 4, start)):
            yield paragraph[start:]


def _paragraphs(docstring: str) -> Iterator[str]:
    """Running text, one paragraph at a time, its lines joined."""
    paragraph: list[str] = []
    base = body = 0  # indentation of the paragraph's first line and of the others (-1: not known yet)
    named = False  # is this the text of a parameter
    for indent, line in _text_lines(docstring):
        starts = LEAD.match(line) if line else None
        lead = starts.end() if starts else 0
        if line and not lead and paragraph and indent == body:
            paragraph.append(line)
            continue
        if line and not lead and paragraph and body < 0 and indent > base:
            body = indent
            what = paragraph[-1]
            if named and not STOP.search(what) and (line[0].isupper() or what.count(" ") < TYPE_WORDS):
                paragraph = [line]
            else:
                paragraph.append(line)
            continue
        if not (line and paragraph and indent > base and not STOP.search(paragraph[-1])):  # else a term, then its text
            yield " ".join(paragraph)
        paragraph = [] if not line[lead:] or (not lead and NAME_AND_TYPE.match(line)) else [line[lead:]]
        base, body = indent, -1 if lead else indent
        named = bool(starts and starts["name"])
    yield " ".join(paragraph)


def _text_lines(docstring: str) -> Iterator[tuple[int, str]]:
    """(indentation, line) of what is running text; an empty line wherever a paragraph ends."""
    lines = docstring.splitlines()
    deeper_than: int | None = None  # pass over what is indented more than this
    until_blank = until_fence = until_heading = False
    for number, raw in enumerate(lines):
        line = raw.strip()
        if until_fence or line.startswith("```"):
            until_fence = not line.startswith("```") if until_fence else not (len(line) > 3 and line.endswith("```"))
            yield 0, ""
            continue
        if not line:
            until_blank = False
            yield 0, ""
            continue
        indent = len(raw) - len(raw.lstrip())
        if deeper_than is not None:
            if indent > deeper_than:
                continue
            deeper_than = None
        following = lines[number + 1].strip() if number + 1 < len(lines) else ""
        underlined = not following[:1].isalnum() and UNDERLINE.match(following) and not UNDERLINE.match(line)
        if underlined or ((line[-1] == ":" or line[0] == "#") and HEADING.match(line)):
            skipped = line.strip("#: ").lower() in SKIPPED_SECTIONS
            until_heading = bool(skipped and underlined)
            deeper_than = indent if skipped and not underlined else None
            yield 0, ""
        elif until_heading or until_blank:
            continue
        elif (not line[0].isalnum() and UNDERLINE.match(line)) or (
            (line[0] in "+|=-" or "  " in line) and TABLE.match(line)
        ):
            yield 0, ""
        elif line[0] in ">.I$%C" and DOCTEST.match(line):
            until_blank = True
            yield 0, ""
        elif line.startswith("..") and (directive := DIRECTIVE.match(line)):
            yield 0, ""
            name, rest = directive[1], (directive[2] or "").strip()
            if name in VERSIONED:
                rest = VERSION.sub("", rest)
            elif name not in PROSE_DIRECTIVES:
                deeper_than = indent
                continue
            if rest:
                yield indent, f"- {rest}"  # hangs like a list item
        elif line.endswith("::"):
            deeper_than = indent
            yield indent, line[:-1]
            yield 0, ""
        else:
            yield indent, line


# --- sentences: markup → words, and what is no prose ---

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

# Reason → patterns of what has no place in a sentence; the first reason that matches is the one given.
REJECTIONS = {
    "link": (
        r"(?i:https?:|www\.|\w://|\w@\w|\w\.(?:com|org|net|io|html?|pdf|rst|md)\b)",
        r"(?:^|[\s\"'(])[.~]?/\w|\w/\w+/\w|\w:\\",  # paths
    ),
    "placeholder": (r"[{}]|%[sdrf(]|\$\w|<\w[^<>]*>|\b(?:XXX|TODO|FIXME)\b|#\s",),
    "formula": (
        r"\\[a-zA-Z]|[$^]|\w\s*(?:<=|>=|==|!=|[=<>+*/|])\s*\S",
        r"[−∞∈∑∫√≤≥×·⋅±≠→⇒∂∇α-ωΑ-Ω]|\bO\(|\d\s?-\s?\d|\b\w\s-\s\w\b|\s-\s\d|\.{4,}|\(-",
    ),
    "leftover_markup": (r"[`|~\\*]|::|:\w+:|\]_|_\s|^[:_\[]|\[\[|\s[,.;:!?]",),
    "code": (
        r"[=<>\[\]@#&;]|\"{3}|'{3}|\(\)|\(\s|\s\)|\w\(|\)\w|\): |,\w|\w:\w|\s--?\w|\s\.\w",  # no prose is set like this
        r"\w_\w|\b_\w|\w_\b|[a-z]\w*[A-Z]\w*[a-z]|\b[a-z]+[A-Z]",  # snake_case, camelCase
        r"[a-zA-Z_]{2,}\.[a-zA-Z_]|\b\w\.[a-zA-Z_]{2,}|\w\.\w+\.\w",  # dotted names, versions
        r"\b[a-zA-Z]+\d+\w*\b|\d[a-zA-Z_]\w",  # x1, 3rd
        r"^import |^from \w+ import",
        r"[^A-Za-z0-9À-ÿ\s.,:!?'\"()/%+-]",
    ),
}
ABBREVIATED = r"\b(?:e\.g|i\.e|etc|vs|cf|al|approx|resp|a\.k\.a|w\.r\.t)\."
UNFINISHED = (
    r"[.!?][\"')]* [a-z]",  # two sentences, the second began with a name
    r"\b(?:in|by|from|see|and|or|the|of|per)[.,;)]",  # a reference stood here
    r"^If [^,]*[.!?]$",  # a condition of nothing
    r"(?:^|\s)'[^']*$",
)
START = r"^[\"'(]?[A-Z]"
FINISH = r"[a-zA-Z0-9%)\"'][.!?][\"')]?$"
WORD = r"^[\"'(]*(?:[A-Za-zÀ-ÿ]?[a-zà-ÿ]+(?:[-'/][A-Za-zà-ÿ]+)*|[AI])[.,:!?\"')]*$"


def plain(frame: pl.DataFrame) -> pl.DataFrame:
    """(`record`: sentence with markup) → `text` without it, `markup` (was there any) and `reason` (null for prose)."""
    text = pl.col("record")
    for pattern, words in MARKUP:
        text = text.str.replace_all(pattern, words)
    frame = frame.with_columns(text=text.str.strip_chars()).with_columns(
        markup=pl.col("text") != pl.col("record"), words=pl.col("text").str.split(" ")
    )
    text, words = pl.col("text"), pl.col("words")
    uneven = (text.str.count_matches(r"\(") != text.str.count_matches(r"\)")) | (text.str.count_matches('"') % 2 == 1)
    unfinished = text.str.replace_all(ABBREVIATED, "").str.contains("|".join(UNFINISHED))
    plain_words = words.list.eval(pl.element().str.contains(WORD)).list.mean()
    doubled = words.list.eval(pl.element() == pl.element().shift()).list.any()
    rules = [(reason, text.str.contains("|".join(patterns))) for reason, patterns in REJECTIONS.items()]
    rules += [
        ("unfinished", ~text.str.contains(START) | ~text.str.contains(FINISH) | uneven | unfinished),
        ("few_words", words.list.len() < MIN_WORDS),
        ("many_words", words.list.len() > MAX_WORDS),
        ("not_prose", (plain_words < MIN_WORD_SHARE) | doubled),
    ]
    reason = pl.coalesce(*(pl.when(found).then(pl.lit(reason)) for reason, found in rules))
    return frame.with_columns(reason=reason).drop("words")
