"""`model_card.md`: what a bundle's manifest says, for people to read. The same manifest gives the same bytes."""

from collections.abc import Iterator, Mapping
from typing import Any

FIGURES = {
    "nll": "NLL of held-out text, nats a token",
    "lm_score": "its texts under another language model, nats",
    "bleu_4": "BLEU-4 against held-out text",
    "self_bleu_4": "self-BLEU-4 (less is more diverse)",
    "distinct_2": "distinct 2-grams",
    "copy_rate": "texts copied from training text",
}
"""What a card shows of an evaluation, where it was measured."""
NAMES = {"real": "real text", "pretrained": "maximum likelihood", "finetuned": "adversarial"}

USE = """## How to use it

```python
from gdcore.serving.session import Session

session = Session("DIR")
session.generate(num=5, seed=1)
session.score(["a text"])
```

```
gdflow generate --bundle DIR --num 5 --seed 1
gdflow score --bundle DIR texts.txt --out scores.parquet
gdflow serve --bundle DIR
gdflow bundle verify DIR
```
"""


def model_card(manifest: Mapping[str, Any]) -> str:
    """The card of a bundle that holds a generator, from what goes into its manifest."""
    return "\n".join(_lines(manifest))


def _lines(manifest: Mapping[str, Any]) -> Iterator[str]:
    about, generator, judge = manifest["about"], manifest["generator"], manifest["discriminator"]
    yield f"# A text generator: {generator['name']}\n"
    answers = "It answers prompts." if manifest["prompted"] else "It writes texts, or continues what they begin with."
    sizes = f"{manifest['vocab_size']:,} tokens of vocabulary, {manifest['context']} of context."
    judged = f" A discriminator ({judge['name']}) is part of it." if judge else " It has no discriminator."
    yield f"{answers} {sizes}{judged} Made by gdflow {manifest['gdflow']}.\n"
    yield f"Licence: {manifest['license'] or 'none stated'}.\n"
    yield "## What it learnt from\n"
    yield from _told(about.get("text"), "Nothing is recorded about its text.")
    yield "\n## How\n"
    yield from _told(about.get("training"), "Nothing is recorded about its training.")
    if "selected" in about:
        yield f"\nOf the run's two models this is the {about['selected']} one. {about['reason']}"
    yield "\n## How good it is\n"
    yield from _evaluated(about.get("evaluation"))
    if cost := manifest.get("int8"):
        change = cost["nll_int8"] - cost["nll"]
        yield (
            f"\nIts int8 twins find {cost['texts']:,} held-out texts {change:+.5f} nats a token less likely; "
            f"they are {cost['bytes'] / cost['bytes_int8']:.1f} times smaller."
        )
    yield "\n## Limits\n"
    yield (
        "It imitates the text it learnt from, its errors, its slant and its personal data included. What it writes may "
        "be false, and may be taken from training text word for word. It was measured on held-out text of the same "
        "source; elsewhere nothing is known. The discriminator's verdict compares texts of this generator with its "
        "training text, and is no detector of generated text in general.\n"
    )
    yield USE


def _told(facts: Mapping[str, Any] | None, otherwise: str) -> Iterator[str]:
    """Facts, one a line."""
    if not facts:
        yield otherwise
        return
    for name, value in facts.items():
        told = f"{value:,}" if isinstance(value, int) and name != "seed" else value
        yield f"- {name.replace('_', ' ')}: {told}"


def _evaluated(evaluation: Mapping[str, Any] | None) -> Iterator[str]:
    """The table of the run's models beside real text, and the protocol under which they were measured."""
    if not evaluation:
        yield "It was not evaluated when it was exported."
        return
    rows = evaluation["rows"]
    shown = [name for name in FIGURES if any(name in row["figures"] for row in rows)]
    yield f"Protocol `{evaluation['protocol']}`: {evaluation['about']}"
    yield "\nPoint estimates with the interval in brackets; read them beside the row of real text.\n"
    yield f"| | {' | '.join(FIGURES[name] for name in shown)} |"
    yield f"|---|{'---:|' * len(shown)}"
    for row in rows:
        yield f"| {NAMES[row['model']]} | {' | '.join(_figure(row['figures'].get(name)) for name in shown)} |"


def _figure(value: Mapping[str, float | None] | None) -> str:
    if value is None or value["value"] is None:
        return "–"
    if value.get("low") is None or value.get("high") is None:
        return f"{value['value']:.3g}"
    return f"{value['value']:.3g} ({value['low']:.3g} to {value['high']:.3g})"
