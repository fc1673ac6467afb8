"""Options that several commands share, and their defaults."""

from pathlib import Path
from typing import Annotated, Literal

from typer import Option

Home = Annotated[Path, Option("--home", envvar="GDFLOW_HOME", help="Folder that holds artifacts/ and runs/.")]
Bundle = Annotated[Path | None, Option(help="Folder of an exported bundle; by default the latest run's.")]
Champion = Annotated[bool, Option("--champion", help="Take the champion's bundle, not the latest run's.")]
ChampionName = Annotated[str, Option("--name", help="Which champion; goes with --champion.")]
Int8 = Annotated[bool, Option("--int8", help="Use the graphs whose weights have eight bits.")]
Json = Annotated[bool, Option("--json", help="Print one JSON object and nothing else on standard output.")]
Preset = Annotated[str, Option(help="How much of everything; `gdflow list presets` names them.")]
Corpus = Annotated[
    list[str], Option(help="File, folder or glob: .txt (a text a line), .jsonl, .csv, .parquet. Repeatable.")
]
Train = Annotated[list[str], Option(help="Train files, when the split is given. Repeatable.")]
Valid = Annotated[list[str], Option(help="Valid files, when the split is given. Repeatable.")]
Test = Annotated[list[str], Option(help="Test files, when the split is given. Repeatable.")]
TextColumn = Annotated[str | None, Option(help="Column of the text.")]
PromptColumn = Annotated[str | None, Option(help="Column of what the text answers.")]
LabelColumn = Annotated[str | None, Option(help="Column of the class.")]
Set = Annotated[
    list[str], Option("--set", metavar="KEY=VALUE", help="Override a setting: finetune.steps=200. Repeatable.")
]
Notices = Annotated[str | None, Option(help="A webhook to tell of failures, promotions, drift and missed nights.")]
Seed = Annotated[int, Option(min=0, help="Seed of every random choice.")]

HERE = Path()
NONE: list[str] = []


def precision(int8: bool) -> Literal["float32", "int8"]:
    """Which of a bundle's graphs `--int8` asks for, as `Session` takes it."""
    return "int8" if int8 else "float32"
