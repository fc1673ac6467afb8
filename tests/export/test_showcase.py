"""What the bundle's page shows: of the selected model, along temperature alone, and no real text unless it is asked."""

from typing import Any

from gdcore.export.showcase import showcase


def curve(model: str, family: str, *temperatures: float) -> dict[str, Any]:
    points = [
        {"decoding": {"temperature": t}, "x": {"value": t, "low": 0, "high": 1}, "y": {"value": -t}}
        for t in temperatures
    ]
    return {"model": model, "family": family, "points": points}


def plane(name: str, *curves: dict[str, Any]) -> dict[str, Any]:
    sides = {"x": "lower", "y": "higher"}
    return {"name": name, "better": sides, "real": {"x": {"value": 0.5}, "y": {"value": 0.7}}, "curves": list(curves)}


def evaluation(**parts: Any) -> dict[str, Any]:
    samples = {
        model: [{"text": f"{model} {i}", "prompt": None, "logit": 1.0} for i in range(100)] + [{"text": " "}]
        for model in ("real", "pretrained", "finetuned")
    }
    return {"selection": {"selected": "finetuned"}, "protocol": "some", "samples": samples, **parts}


def test_the_selected_models_temperatures_and_texts() -> None:
    planes = {
        "wording": plane("wording", curve("finetuned", "temperature", 1.0)),
        "language_models": plane(
            "language_models",
            curve("pretrained", "temperature", 1.0, 0.5, 0.2),
            curve("finetuned", "top-p", 1.0, 0.9, 0.7),
            curve("finetuned", "temperature", 1.2, 1.0, 0.8),
        ),
    }
    calibration = {"finetuned": {"slope": 2.0, "offset": -1.0}, "pretrained": {"slope": 0, "offset": 0}}
    shown = showcase(evaluation(frontier=planes, calibration=calibration), 0)
    assert shown["frontier"]["title"] == "Language models"
    assert shown["frontier"]["real"] == {"x": 0.5, "y": 0.7}
    assert shown["frontier"]["points"] == [{"temperature": t, "x": t, "y": -t} for t in (0.8, 1.0, 1.2)]
    assert shown["line"] == [2.0, -1.0]
    assert len(shown["generated"]) == 40
    assert shown["generated"][0] == {"text": "finetuned 0", "prompt": None}
    assert shown["real"] == []


def test_verdicts_that_are_worse_than_chance_are_no_probabilities() -> None:
    for slope in (-0.1, 0.0):
        assert showcase(evaluation(calibration={"finetuned": {"slope": slope, "offset": 0.3}}), 0)["line"] is None


def test_real_texts_are_shown_where_that_is_asked_for() -> None:
    shown = showcase(evaluation(), 7)
    assert [each["text"] for each in shown["real"]] == [f"real {i}" for i in range(7)]
    assert shown["frontier"] is None
    assert shown["line"] is None
