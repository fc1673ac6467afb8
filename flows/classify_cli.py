"""The command that makes a classifier; `flows.cli` has the others."""

from typing import Annotated, Any, Literal, cast

from typer import Option

from flows.console import answer, quiet_stdout, settings
from flows.options import (
    HERE,
    NONE,
    Corpus,
    Home,
    Json,
    Preset,
    PromptColumn,
    Seed,
    Set,
    Test,
    TextColumn,
    Train,
    Valid,
)

EXAMPLES = """Examples:\n
    gdflow classify\n
    gdflow classify --corpus questions.jsonl --text-column question --label-column intent\n
    gdflow classify --train train.jsonl --valid valid.jsonl --test test.jsonl --set discriminator.name=svm --json\n
    gdflow classify --corpus few.jsonl --label-column intent --augment generator"""

Augment = Annotated[
    Literal["words", "generator"] | None,
    Option(help="Make up texts to learn from besides: real ones with words dropped, or those of a generator."),
]
Label = Annotated[str | None, Option("--label-column", help="Key of the class, in .jsonl; by default label.")]


def classify(
    preset: Preset = "classify",
    corpus: Corpus = NONE,
    train: Train = NONE,
    valid: Valid = NONE,
    test: Test = NONE,
    text_column: TextColumn = None,
    prompt_column: PromptColumn = None,
    label_column: Label = None,
    augment: Augment = None,
    set_: Set = NONE,
    seed: Seed = 0,
    home: Home = HERE,
    json: Json = False,
) -> None:
    """Train a classifier on a labelled corpus, hold it to word counts, export it."""
    from flows.presets import load_preset
    from flows.server import connected

    load_preset(preset)  # a misspelt one is told at once
    files = {"paths": corpus, "train": train, "valid": valid, "test": test}
    own = corpus or train
    columns = {
        "text_column": text_column,
        "prompt_column": prompt_column,
        "label_column": label_column or ("label" if own else None),
    }
    with quiet_stdout(), connected(home) as ready:
        from flows.parameters import checked

        more = {"classification.augment.how": augment} if augment else {}
        parameters = checked(preset, files | columns, settings(set_) | more, seed, home)
        from flows.classify import classify as classify_flow

        ready()
        result = cast("dict[str, Any]", classify_flow(**parameters))
    from flows.results import show_classification

    answer(result, json, show_classification)
