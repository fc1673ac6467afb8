"""What a corpus is made of, and how it is divided: the typed options of the first stage."""

from typing import Literal, Self

from pydantic import Field, model_validator

from gdcore.settings import Settings

PersonalData = Literal["ignore", "count", "mask", "quarantine"]

# Optional ones (`?`) are dependencies of dependencies, or ship only with some builds.
EMBEDDED = (
    "stdlib",
    "torch",
    "sympy?",
    "scipy?",
    "prefect",
    "pandas?",
    "networkx?",
    "numpy",
    "sqlalchemy",
    "polars",
    "great_expectations",
    "onnx",
    "pydantic",
    "fastapi",
    "nltk",
)


class DrawnConfig(Settings):
    """How much is drawn of a source that never ends."""

    seed: int = Field(default=0, ge=0)
    """Which texts: the same seed gives the same ones, and more of them begin with the same ones."""
    train: int = Field(default=10_000, ge=1)
    """Texts of the train split."""
    valid: int = Field(default=1_000, ge=1)
    """Texts of the valid split."""
    test: int = Field(default=10_000, ge=1)
    """Texts of the test split."""


class OracleConfig(DrawnConfig):
    """The synthetic oracle: an LSTM of random weights (`gdcore.corpora.oracle`)."""

    parameters: str | None = None
    """A `.npz` file of its weights, such as the published ones; without, they are drawn."""
    parameters_seed: int = Field(default=0, ge=0)
    """Seed of the weights, where they are drawn."""
    vocab_size: int = Field(default=5_000, ge=2, le=1_000_000)
    """Words, where the weights are drawn."""
    dim: int = Field(default=32, ge=1)
    """Width of its embedding and of its hidden state, where the weights are drawn."""
    length: int = Field(default=20, ge=1)
    """Words of a text; every text has so many."""


class GrammarConfig(DrawnConfig):
    """A probabilistic context-free grammar (`gdcore.corpora.grammar`)."""

    file: str | None = None
    """Its rules, one a line: `NP -> Det N [0.7] | Name [0.3]`, words in quotes. Without, a small English."""


class CorpusConfig(Settings):
    """Which texts, from where, and which side of the split each falls on.

    Give one source: `paths`, or `train` (with `valid` and `test` when the split is given), or `docstrings`, or
    `oracle`, or `grammar`. None of them means the embedded corpus: the documentation of the packages gdflow itself
    stands on.
    """

    paths: tuple[str, ...] = ()
    """Files, folders (searched in depth) or globs of `.txt` (one text a line), `.jsonl` (one object a line), `.csv`
    (with a header) and `.parquet`, each of them also packed (`.gz`, `.zst`), to be split by a stable hash."""
    train: tuple[str, ...] = ()
    """Files, folders or globs of the train split, when the split is given rather than drawn."""
    valid: tuple[str, ...] = ()
    """The same for the valid split; carved out of `train` by hash when left out."""
    test: tuple[str, ...] = ()
    """The same for the test split; carved out of `train` by hash when left out."""
    docstrings: tuple[str, ...] = ()
    """Installed packages whose documentation strings are the corpus, by import name; `stdlib` is Python's own library.
    A name ending in `?` is read where it is installed and left out where it is not."""
    oracle: OracleConfig | None = None
    """Draw the texts from a synthetic oracle, whose likelihoods are known."""
    grammar: GrammarConfig | None = None
    """Draw the texts from a grammar, whose likelihoods are known."""
    text_column: str = "text"
    """Key of the text in a `.jsonl` object; name of its column in `.csv` and `.parquet`. So with the keys below."""
    prompt_column: str | None = None
    """Key of what the text answers (source sentence, question, article); none by default."""
    label_column: str | None = None
    """Key of the text's class; a string, number or boolean. None by default."""
    group_column: str | None = None
    """Key of what must stay on one side of the split (document, author, dialogue). By default the prompt, or the text
    itself where there is no prompt."""
    valid_fraction: float = Field(default=0.05, gt=0, lt=1)
    """Share of the groups that goes to valid, where the split is drawn."""
    test_fraction: float = Field(default=0.05, gt=0, lt=1)
    """Share of the groups that goes to test, where the split is drawn."""
    split_seed: int = Field(default=0, ge=0)
    """Salt of the split's hash: another seed, another division. Keep it for as long as the corpus grows."""
    min_characters: int = Field(default=1, ge=1)
    """Texts shorter than this, once cleaned, are quarantined."""
    max_characters: int = Field(default=4_000, ge=1, le=100_000)
    """Texts and prompts longer than this, once cleaned, are quarantined."""
    keep_duplicates: bool = False
    """Keep exact repetitions of a text (with the same prompt): it then counts as often as it occurs."""

    pii: PersonalData = "count"
    """Mail addresses, phone numbers, payment cards, IBANs and access keys in texts and prompts: «count» tells how many
    there are, «mask» writes `[mail]` and the like in their place, «quarantine» leaves such texts out, «ignore» does not
    look."""

    @model_validator(mode="after")
    def one_source(self) -> Self:
        """Refuse two sources at once, a split without train, and fractions or lengths that leave nothing."""
        given = [name for name in ("paths", "train", "docstrings", "oracle", "grammar") if getattr(self, name)]
        if len(given) > 1:
            raise ValueError(f"give one source of text, not {' and '.join(given)}")
        if (self.valid or self.test) and not self.train:
            raise ValueError("valid and test files go with train files: give --train too, or put all texts in paths")
        if self.valid_fraction + self.test_fraction >= 1:
            raise ValueError("valid_fraction + test_fraction must stay below 1, or no text is left to train on")
        if self.keep_duplicates and (self.group_column or self.packages):
            raise ValueError(
                "keep_duplicates would let one text stand on two sides: texts are grouped by something else"
            )
        if self.min_characters > self.max_characters:
            raise ValueError(f"min_characters {self.min_characters} is above max_characters {self.max_characters}")
        return self

    @property
    def packages(self) -> tuple[str, ...]:
        """The packages to read; none when the corpus is the user's files."""
        return () if self.paths or self.train or self.drawn else self.docstrings or EMBEDDED

    @property
    def drawn(self) -> DrawnConfig | None:
        """How much is drawn, of a corpus that is drawn rather than read."""
        return self.oracle or self.grammar

    @property
    def sides(self) -> dict[str, tuple[str, ...]]:
        """Patterns of files by the split they were given for; `""` where the split is to be drawn."""
        if self.paths:
            return {"": self.paths}
        return {split: given for split in ("test", "valid", "train") if (given := getattr(self, split))}
