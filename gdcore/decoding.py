"""How texts are drawn from a generator, wherever that is done: in torch, in an evaluation, from a bundle."""

from pydantic import Field

from gdcore.candidates import MOST, Choice
from gdcore.settings import Settings


class Decoding(Settings):
    """How the next token is drawn from the generator's logits."""

    temperature: float = Field(default=1.0, ge=0)
    """Logits are divided by it; 1 samples the model as it is, 0 takes the likeliest token."""
    top_k: int = Field(default=0, ge=0)
    """Draw among this many likeliest tokens only; 0 means all."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """Draw among the likeliest tokens that together hold this probability only."""
    min_p: float = Field(default=0.0, ge=0, le=1)
    """Draw among the tokens at least this many times as probable as the likeliest one, at the temperature used; 0 means
    all."""
    candidates: int = Field(default=1, ge=1, le=MOST)
    """Texts drawn for each one that is kept."""
    choose: Choice = "likelihood"
    """Which candidate is kept: `likelihood`, the likeliest per token under the generator itself; `discriminator`, one
    drawn in proportion to the discriminator's odds that it is real."""

    def __str__(self) -> str:
        parts = ["greedy" if self.temperature == 0 else f"T={self.temperature:g}"]
        parts += [f"top-k {self.top_k}"] if self.top_k else []
        parts += [f"top-p {self.top_p:g}"] if self.top_p < 1 else []
        parts += [f"min-p {self.min_p:g}"] if self.min_p > 0 else []
        if self.candidates > 1:
            parts.append(f"{'likeliest' if self.choose == 'likelihood' else 'guided'} of {self.candidates}")
        return ", ".join(parts)

    @property
    def token_by_token(self) -> "Decoding":
        """The part that says how one candidate is written."""
        return self.model_copy(update={"candidates": 1, "choose": "likelihood"})
