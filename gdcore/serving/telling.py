"""What was written, as text, while it is written: no half character, nothing that a stop sequence may take back."""

from collections.abc import Sequence

from gdcore.tokenizer import Tokenizer

WINDOW = 32
"""So many tokens are decoded anew for each piece; decoding all of them each time would be quadratic."""
KEPT = 8
HALF = "\N{REPLACEMENT CHARACTER}"


class Teller:
    """Tokens in, pieces of text out; together they are the text."""

    def __init__(self, tokenizer: Tokenizer, begun: Sequence[int] = (), stop: Sequence[str] = ()) -> None:
        """`begun` are the ids of the text that is written on; none for a text of its own. `stop` ends the text."""
        self._tokenizer, self._stop = tokenizer, [each for each in stop if each]
        self._ids = list(begun)
        self._known = tokenizer.decode(self._ids)
        """The text of the window, as far as it was told or waits in `_held`."""
        # Nothing of the prompt was known: the text begins anew, a space behind it.
        self._held = " " if begun and not self._known and tokenizer.kind != "char" else ""
        self.stopped = False
        """Whether a stop sequence was met; what came before it has been told."""

    def add(self, ids: Sequence[int]) -> str:
        """What these tokens make certain; may be empty."""
        self._ids += ids
        text = self._tokenizer.decode(self._ids)
        if not text.endswith(HALF):
            self._learn(text)
        return self._certain()

    def end(self) -> str:
        """The rest, when no token is to come."""
        self._learn(self._tokenizer.decode(self._ids))
        told = self._certain()
        if not self.stopped:
            told, self._held = told + self._held, ""
        return told

    def _learn(self, text: str) -> None:
        self._held += text[len(self._known) :]
        self._known = text
        if len(self._ids) > WINDOW:
            del self._ids[:-KEPT]
            self._known = self._tokenizer.decode(self._ids)

    def _certain(self) -> str:
        """What waits, up to a stop sequence, or to what may yet become one."""
        if self.stopped:
            return ""
        found = [at for stop in self._stop if (at := self._held.find(stop)) >= 0]
        if found:
            self.stopped = True
            return self._held[: min(found)]
        keep = max((_overlap(self._held, stop) for stop in self._stop), default=0)
        told, self._held = self._held[: len(self._held) - keep], self._held[len(self._held) - keep :]
        return told


def _overlap(text: str, stop: str) -> int:
    """How many characters at the end of a text may be the beginning of a stop sequence."""
    return next(n for n in range(min(len(text), len(stop) - 1), -1, -1) if text.endswith(stop[:n]))
