"""Where figures would mislead: too few texts for the protocol, the wrong one for the script, sides that do not meet."""

from typing import Any

from gdcore.evaluation.evidence import Evidence, Texts, joined
from gdcore.evaluation.protocol import Protocol

FEW = 0.1
"""Share of texts up to which an oddity is a text's own affair."""
CLOUD = 50
"""Texts of a side below which distances between clouds of them say nothing."""
CLOUDS = ("frechet", "mmd", "mauve", "prdc", "c2st")
LEAKED = 0.5
"""Share of samples among the references from which on the samples are hardly samples."""


def cautions(protocol: Protocol, counts: dict[str, Any], evidence: Evidence, unspaced: bool) -> list[str]:
    """What a reader of the figures must know, a sentence each. `unspaced`: references put no spaces between words."""
    found = _shortfalls(protocol, counts)
    if counts["empty"]:
        found.append(f"{counts['empty']:,} samples are empty; they score 0")
    if unspaced and protocol.words != "auto":
        found.append(
            f"the text puts no spaces between words, and the protocol {protocol.name} cuts it there: whole texts count "
            "as single words, and figures of shared wording come out near 0; take the protocol gdflow"
        )
    clouds = [name for name in CLOUDS if name in protocol.metrics]
    if clouds and min(counts["samples"], counts["references"]) < CLOUD:
        found.append(
            f"{', '.join(clouds)}: fewer than {CLOUD} texts on a side are no cloud; a perfect figure means nothing here"
        )
    if "self_bleu" in protocol.metrics and counts["samples"] == 1:
        found.append("self_bleu: a single sample has no others to be compared with; its 0 says nothing of diversity")
    if "self_bleu" in protocol.metrics and 1 < counts["samples"] == counts["empty"] + 1:
        found.append("self_bleu: all samples but one are empty; its 0 says nothing of diversity")
    return found + _sides(protocol, evidence)


def _shortfalls(protocol: Protocol, counts: dict[str, Any]) -> list[str]:
    """Fewer texts or tokens than the protocol, or one of its metrics, is defined on."""
    found = [
        f"{counts[side]:,} {side} of the {asked:,} that the protocol {protocol.name} asks for"
        for side, asked in (("samples", protocol.samples), ("references", protocol.references))
        if asked is not None and counts[side] < asked
    ]
    short: dict[str, list[str]] = {}
    for name, config in protocol.metrics.items():
        for field, unit in (("size", "samples"), ("budget", "tokens")):
            asked = getattr(config, field, None)
            if asked is not None and counts[unit] < asked:
                short.setdefault(f"defined on {asked:,} {unit}, taken on {counts[unit]:,}", []).append(name)
    return found + [f"{', '.join(names)}: {fault}" for fault, names in short.items()]


def _sides(protocol: Protocol, evidence: Evidence) -> list[str]:
    """Samples and references that have too little, or too much, in common."""
    found: list[str] = []
    written = [text for text in evidence.samples if text]
    if not written:
        return found
    words = evidence.once("words of the references", lambda: {unit for text in evidence.references for unit in text})
    foreign = sum(words.isdisjoint(text) for text in written)
    if foreign > FEW * len(written):
        found.append(
            f"{foreign:,} samples have no word in common with any reference: another language, or another form?"
        )
    if not protocol.lowercase:
        of_samples, of_references = (
            _capitalised(written),
            evidence.once("case", lambda: _capitalised(evidence.references)),
        )
        if min(of_samples, of_references) == 0 and max(of_samples, of_references) > FEW:
            side = "samples" if of_samples == 0 else "references"
            found.append(
                f"the {side} hold no capital letter and the other side does; the protocol {protocol.name} minds case, "
                "so that alone lowers BLEU"
            )
    real = evidence.once("references, joined", lambda: frozenset(joined(evidence.references)))
    leaked = sum(text in real for text in joined(written))
    if leaked > LEAKED * len(written):
        found.append(f"{leaked:,} samples are references word for word: they may be what the generator learnt from")
    return found


def _capitalised(texts: Texts) -> float:
    """Share of texts with a capital letter in them."""
    return sum(any(unit != unit.lower() for unit in text) for text in texts) / len(texts)
