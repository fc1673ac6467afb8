"""`gdflow generate`; `flows.cli` has the others. Needs no torch and no Prefect."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from typer import Option

from flows.champion_cli import chosen_bundle
from flows.console import answer
from flows.options import HERE, NONE, Bundle, Champion, ChampionName, Home, Int8, Json, precision
from gdcore.errors import UserError

if TYPE_CHECKING:
    from gdcore.decoding import Decoding

EXAMPLES = """Examples:\n
    gdflow generate\n
    gdflow generate --bundle DIR --num 20 --seed 1 --temperature 0.8 --top-p 0.95\n
    gdflow generate --champion\n
    gdflow generate --candidates 16 --choose discriminator

    gdflow generate --prompt "What is a tensor?" --json\n
    gdflow generate --champion --prompts questions.jsonl --prompt-column question --out answers.parquet"""


def generate(
    bundle: Bundle = None,
    num: Annotated[int, Option(min=1, help="How many texts (a prompt).")] = 5,
    seed: Annotated[int, Option(min=0, help="The same seed gives the same texts.")] = 0,
    temperature: Annotated[
        float, Option(min=0, help="Below 1 plays safe, above 1 dares; 0 takes the likeliest.")
    ] = 1.0,
    top_k: Annotated[int, Option(min=0, help="Draw among the k likeliest tokens; 0: all.")] = 0,
    top_p: Annotated[float, Option(help="Draw among the likeliest tokens that hold this mass.")] = 1.0,
    min_p: Annotated[
        float, Option(help="Draw among tokens at least this many times as probable as the likeliest.")
    ] = 0.0,
    candidates: Annotated[int, Option(min=1, help="Texts drawn for each one that is kept.")] = 1,
    choose: Annotated[
        str | None,
        Option(help="Which is kept: the likeliest (likelihood), or what the judge favours (discriminator)."),
    ] = None,
    max_tokens: Annotated[int | None, Option(min=1, help="Longest text, in tokens.")] = None,
    prompt: Annotated[
        list[str],
        Option(help="What the text is to answer or, of a model trained without prompts, to begin with. Repeatable."),
    ] = NONE,
    prompts: Annotated[
        Path | None, Option(help="A file of prompts, of any kind that a corpus may be: a text for each; with --out.")
    ] = None,
    prompt_column: Annotated[str, Option(help="Its column, where it has columns.")] = "prompt",
    out: Annotated[
        Path | None, Option(help="Write a Parquet file instead, in bounded memory; the same command goes on with it.")
    ] = None,
    int8: Int8 = False,
    champion: Champion = False,
    name: ChampionName = "",
    home: Home = HERE,
    json: Json = False,
) -> None:
    """Generate texts from an exported bundle."""
    if choose and candidates == 1:
        raise UserError("--choose says which of several candidates is kept: give --candidates too")
    folder = chosen_bundle(bundle, champion, name, home)
    if not (folder / "manifest.json").exists():
        what = "is no bundle" if bundle else "is not there yet"
        raise UserError(f"{folder} {what}. Give an exported bundle with --bundle, or make one with `gdflow run`.")
    if out:
        if prompt or max_tokens:
            raise UserError("--prompt and --max-tokens do not go with --out: prompts come from a file (--prompts)")
        from gdcore.decoding import Decoding
        from gdcore.explain import parsed

        drawn = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "min_p": min_p, "candidates": candidates}
        decoding = parsed(Decoding, drawn | {"choose": choose or "likelihood"})
        answer(_in_bulk(folder, out, num, prompts, prompt_column, seed, decoding, int8), json, _show_bulk)
        return
    if prompts:
        raise UserError("--prompts goes with --out: what it answers is written to a file")
    from gdcore.serving.session import Session

    session = Session(folder, precision=precision(int8))
    if session.prompted and not prompt:
        raise UserError("this model answers prompts: give --prompt TEXT")
    for text in prompt:
        if unknown := session.tokenizer.unknown(text):
            typer.echo(
                f"Note: the model does not know {', '.join(map(repr, unknown))} of the prompt {text!r}.", err=True
            )
    try:
        texts = session.generate(
            num=num * max(1, len(prompt)),
            prompts=[text for text in prompt for _ in range(num)] or None,
            seed=seed,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            max_tokens=max_tokens,
            min_p=min_p,
            candidates=candidates,
            choose=cast(Any, choose or "likelihood"),
        )
    except ValueError as error:  # an argument out of its range
        raise UserError(str(error)) from error
    result = {"texts": texts, "bundle": str(folder.resolve()), "seed": seed}
    answer(result, json, lambda result: typer.echo("\n".join(result["texts"])))


def _in_bulk(
    bundle: Path, out: Path, num: int, prompts: Path | None, column: str, seed: int, decoding: "Decoding", int8: bool
) -> dict[str, Any]:
    """A Parquet file of texts, with a bar while it grows."""
    from gdcore import bulk
    from gdcore.progress import bar

    asked = bulk.prompts_of(prompts, column) if prompts else bulk.unprompted(num)
    source = bulk.digest_of(prompts, out) if prompts else ""
    with bar("generation") as show:
        for progress in bulk.generate(
            bundle, out, asked, None if prompts else num, seed, decoding, source, precision(int8)
        ):
            show(progress)
    return {"file": str(out), "bundle": str(bundle.resolve()), "seed": seed, **bulk.summary(out)}


def _show_bulk(result: dict[str, Any]) -> None:
    typer.echo(f"{result['file']}: {result['rows']:,} rows, {result['written']:,} texts")
    for reason, number in result["refused"].items():
        typer.echo(f"  {number:,} without: {reason}")
