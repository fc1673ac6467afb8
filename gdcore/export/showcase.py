"""`showcase.json`: what the bundle's page shows besides what the graphs compute.

Where each temperature lies between quality and diversity, how the discriminator's verdicts are to be read, and some
texts to guess about. Real texts are somebody's own, and a bundle is given away: it holds none unless it is told to.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from gdcore.report.planes import PLANES

NUM_GENERATED = 40
"""Generated texts, at most: enough to play for a while."""


def showcase(evaluation: Mapping[str, Any], real_texts: int) -> dict[str, Any]:
    """What `evaluation.json` says of the model that it selected; held-out `real_texts` at most."""
    model: str = evaluation["selection"]["selected"]
    calibration, samples = evaluation.get("calibration", {}).get(model), evaluation["samples"]
    # A line that falls calls most real what is ranked last: a discriminator that was worse than chance has none.
    rises = calibration and calibration["slope"] > 0
    return {
        "model": model,
        "protocol": evaluation["protocol"],
        "frontier": _frontier(evaluation.get("frontier", {}), model),
        "line": [calibration["slope"], calibration["offset"]] if rises else None,
        "generated": _texts(samples.get(model, []), NUM_GENERATED),
        "real": _texts(samples.get("real", []), real_texts),
    }


def _frontier(planes: Mapping[str, Any], model: str) -> dict[str, Any] | None:
    """The plane in which most temperatures were measured, and its points from the coldest to the hottest."""
    found = [(plane, _points(plane["curves"], model)) for plane in planes.values()]
    plane, points = max(found, key=lambda each: len(each[1]), default=(None, []))
    if not plane or not points:
        return None
    words, real = PLANES[plane["name"]], plane["real"]
    return {
        "title": words.title,
        "x_label": words.x_label,
        "y_label": words.y_label,
        "guide": words.guide,
        "better": plane["better"],
        "real": {axis: real[axis]["value"] for axis in "xy"} if real else None,
        "points": points,
    }


def _points(curves: Sequence[Mapping[str, Any]], model: str) -> list[dict[str, float]]:
    """Of the decodings that differ in nothing but temperature."""
    points = [
        {"temperature": point["decoding"]["temperature"], "x": point["x"]["value"], "y": point["y"]["value"]}
        for curve in curves
        if curve["model"] == model and curve["family"] == "temperature"
        for point in curve["points"]
    ]
    return sorted(points, key=lambda point: point["temperature"])


def _texts(samples: Sequence[Mapping[str, Any]], num: int) -> list[dict[str, Any]]:
    return [{"text": sample["text"], "prompt": sample["prompt"]} for sample in samples[:num] if sample["text"].strip()]
