"""A probabilistic context-free grammar: a source of texts whose likelihoods are exact (`gdcore.corpora.inside`).

One rule a line, in the notation that NLTK has for it: `NP -> Det N [0.7] | Det Adj N [0.3]`; words stand in quotes, `#`
begins a comment, a line that begins with `|` goes on with the left side above, and the first left side is where texts
begin. The number is a weight, 1 where none is given: weights of the same left side are divided by their sum.

Shapes: R rules, A nonterminals.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gdcore.corpora.exact import Values, Verdict
from gdcore.corpora.inside import Inside
from gdcore.errors import UserError
from gdcore.uniforms import row_seeds, uniforms

FILE = "grammar.pcfg"
BUILT_IN = Path(__file__).parent / "english.pcfg"
BATCH = 1024
CHOICES = 64
"""Random numbers of a text that are made ready at a time."""
LONGEST = 200
"""Words that a text may have on average: a grammar of more is a slip in its weights, as a rule."""

TOKEN = re.compile(r"""\s*(?:(?P<arrow>->)|(?P<bar>\|)|\[(?P<weight>[^\]]*)\]|'(?P<single>[^']*)'|"(?P<double>[^"]*)"
                       |(?P<comment>\#.*)|(?P<name>[^\s\[\]|'"\#]+))""", re.VERBOSE)  # fmt: skip


class Symbol(NamedTuple):
    """A word, or the name of what is to be rewritten."""

    text: str
    is_word: bool


class Rule(NamedTuple):
    """One way to rewrite a name; the probabilities of all ways sum to 1."""

    left: str
    right: tuple[Symbol, ...]
    probability: float


class Parsed(NamedTuple):
    """A rule as it stands in the file."""

    left: str
    right: tuple[Symbol, ...]
    weight: float
    line: int


@dataclass(frozen=True)
class Grammar:
    """A grammar, and the file that it came from."""

    source: str
    rules: tuple[Rule, ...]

    @property
    def words(self) -> list[str]:
        """Every word of the grammar, as it first occurs."""
        return list(dict.fromkeys(each.text for rule in self.rules for each in rule.right if each.is_word))

    @property
    def ends(self) -> bool:
        return True

    @cached_property
    def ways(self) -> dict[str, tuple[list[tuple[Symbol, ...]], NDArray[np.float64]]]:
        """Of each name its right sides, and up to where in 0 … 1 each is chosen."""
        found: dict[str, list[Rule]] = {}
        for rule in self.rules:
            found.setdefault(rule.left, []).append(rule)
        return {
            name: ([rule.right for rule in rules], np.cumsum([rule.probability for rule in rules]))
            for name, rules in found.items()
        }

    @cached_property
    def inside(self) -> Inside:
        return Inside([(rule.left, rule.right, rule.probability) for rule in self.rules])

    def draw(self, num: int, seed: int) -> Iterator[list[str]]:
        """`num` texts in parts; a text's n-th choice is made by number n of the text's own seed."""
        for start in range(0, num, BATCH):
            seeds_N = row_seeds(seed, min(BATCH, num - start), start)
            first_NC = uniforms(seeds_N, 0, CHOICES)
            yield [self._text(seeds_N[i : i + 1], first_NC[i]) for i in range(len(seeds_N))]

    def judge(self, texts: Sequence[str]) -> Verdict:
        """The exact likelihood of each text, over all its derivations; 0 where it has none."""
        rows = [text.split() for text in texts]
        nll_N = self.inside.nll(rows)
        return Verdict(nll_N, np.array([len(row) + 1 for row in rows], np.float64), np.isfinite(nll_N))

    def save(self, folder: Path) -> None:
        """Write the file as it was given."""
        (folder / FILE).write_text(self.source, "utf-8")

    def _text(self, seed_1: NDArray[np.int64], uniform_C: NDArray[np.float32]) -> str:
        """One text: names are rewritten from the left, those in hand on a stack."""
        stack, words, made = [Symbol(self.rules[0].left, False)], list[str](), 0
        while stack:
            symbol = stack.pop()
            if symbol.is_word:
                words.append(symbol.text)
                continue
            if made and made % CHOICES == 0:
                uniform_C = uniforms(seed_1, made, CHOICES)[0]
            rights, upto = self.ways[symbol.text]
            choice = int(np.searchsorted(upto, float(uniform_C[made % CHOICES]) * upto[-1], side="right"))
            made += 1
            stack.extend(reversed(rights[choice]))
        return " ".join(words)


def load(path: Path) -> Grammar:
    """Read a grammar. Raises UserError, naming file and line, for one that cannot be used."""
    try:
        source = path.read_text("utf-8")
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; expected a file of rules such as: S -> NP VP [0.9]") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as text: {error}; expected rules such as: S -> NP VP [0.9]") from error
    parsed = list(_parse(source, path))
    if not parsed:
        raise UserError(f"{path} holds no rule; expected at least one such as: S -> 'yes' [0.5] | 'no' [0.5]")
    _check_names(parsed, path)
    total: dict[str, float] = {}
    for rule in parsed:
        total[rule.left] = total.get(rule.left, 0.0) + rule.weight
    rules = tuple(Rule(rule.left, rule.right, rule.weight / total[rule.left]) for rule in parsed)
    _check_lengths(rules, parsed, path)
    return Grammar(source, rules)


def _parse(source: str, path: Path) -> Iterator[Parsed]:
    left = ""
    for number, line in enumerate(source.splitlines(), 1):
        tokens = list(_tokens(line, f"{path}, line {number}"))
        if not tokens:
            continue
        where = f"{path}, line {number}"
        kinds = [kind for kind, _ in tokens]
        if kinds[0] == "bar" and left:
            tokens = tokens[1:]
        elif kinds[:2] == ["name", "arrow"]:
            left, tokens = tokens[0][1], tokens[2:]
        else:
            raise UserError(f"{where}: expected NAME -> and what it becomes, such as: NP -> 'the' N [0.7]")
        right: list[Symbol] = []
        weight = 1.0
        ended = False
        for kind, text in [*tokens, ("bar", "")]:
            if kind == "bar":
                if not right:
                    raise UserError(f"{where}: {left} becomes nothing; expected at least one word or name on each side")
                yield Parsed(left, tuple(right), weight, number)
                right, weight, ended = [], 1.0, False
            elif ended or kind == "arrow":
                raise UserError(f"{where}: {text or '->'!r} stands where | or the end of the line was expected")
            elif kind == "weight":
                weight, ended = _weight(text, where), True
            else:
                right.append(_symbol(kind, text, where))


def _tokens(line: str, where: str) -> Iterator[tuple[str, str]]:
    place = 0
    while line[place:].strip():
        match = TOKEN.match(line, place)
        if not match:
            raise UserError(f"{where}: {line[place:].strip()!r} cannot be read: a quote or a bracket is left open")
        place = match.end()
        if match.lastgroup and match.lastgroup != "comment":
            yield match.lastgroup, match[match.lastgroup]


def _weight(text: str, where: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = -1.0
    if not 0 < weight < float("inf"):
        raise UserError(f"{where}: [{text}] is no weight; expected a number above 0, such as [0.25]")
    return weight


def _symbol(kind: str, text: str, where: str) -> Symbol:
    is_word = kind in ("single", "double")
    if is_word and (not text or text.split() != [text]):
        raise UserError(f"{where}: {text!r} is not one word; quote each word by itself: 'New' 'York'")
    return Symbol(text, is_word)


def _check_names(parsed: Sequence[Parsed], path: Path) -> None:
    """Every name has rules, and every rule can be reached."""
    known = {rule.left for rule in parsed}
    for rule in parsed:
        for symbol in rule.right:
            if not symbol.is_word and symbol.text not in known:
                raise UserError(
                    f"{path}, line {rule.line}: {symbol.text} has no rule; give it one, or write '{symbol.text}' if it "
                    "is a word"
                )
    reached, waiting = set[str](), [parsed[0].left]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += [each.text for rule in parsed if rule.left == name for each in rule.right if not each.is_word]
    for rule in parsed:
        if rule.left not in reached:
            raise UserError(
                f"{path}, line {rule.line}: {rule.left} is never used: nothing that begins with {parsed[0].left}, the "
                "first left side, comes to it; use it, or take the line out"
            )


def _check_lengths(rules: Sequence[Rule], parsed: Sequence[Parsed], path: Path) -> None:
    """Texts end, after a reasonable number of words."""
    names = list(dict.fromkeys(rule.left for rule in rules))
    expected_AA, words_A = np.zeros((len(names), len(names))), np.zeros(len(names))
    for rule in rules:
        row = names.index(rule.left)
        for symbol in rule.right:
            if symbol.is_word:
                words_A[row] += rule.probability
            else:
                expected_AA[row, names.index(symbol.text)] += rule.probability
    growth: Values = np.abs(np.linalg.eigvals(expected_AA))
    if growth.max() < 1:
        length = float(np.linalg.solve(np.eye(len(names)) - expected_AA, words_A)[0])
        if length <= LONGEST:
            return
        told = f"texts have {length:,.0f} words on average, and {LONGEST} are the most"
    else:
        told = "texts need not end"
    loops = [rule for rule in parsed if any(each.text == rule.left and not each.is_word for each in rule.right)]
    at = f", line {loops[0].line}" if loops else ""
    raise UserError(f"{path}{at}: {told}; give less weight to rules that lead back to their own left side")
