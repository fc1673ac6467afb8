"""Settings from what a user wrote, or one paragraph: each key as it was written, what was expected, what was meant."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from gdcore.errors import UserError

S = TypeVar("S", bound=BaseModel)


def parsed(model: type[S], values: Any, of: str = "") -> S:
    """The settings that `values` describe. Raises UserError in words; `of` (a file) goes in front."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise UserError(f"{of}: {explain(error, model)}" if of else explain(error, model)) from None


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """What is wrong with the settings of `model`, key by key."""
    found = error.errors()
    places = [one["loc"] for one in found]
    # Where an item of a list is wrong, pydantic counts the list as too short as well.
    causes = [one for one in found if not any(other[: len(one["loc"])] == one["loc"] != other for other in places)]
    return "; ".join(_explain_one(one, model) for one in causes)


def _explain_one(error: Any, model: type[BaseModel]) -> str:
    path, owner = _located(model, error["loc"])
    key = ".".join(path)
    match error["type"]:
        case "union_tag_invalid":
            tag, known = error["ctx"]["tag"], error["ctx"]["expected_tags"]
            return f"{key}.name: there is no {path[-1]} named {tag!r}; there are {known}"
        case "value_error":
            return f"{key}: {error['ctx']['error']}" if key else str(error["ctx"]["error"])
        case "missing":
            return f"{key}: this key is missing"
        case "extra_forbidden":
            known = list(owner.model_fields) if owner else []
            close = difflib.get_close_matches(path[-1], known, 1)
            return f"{key}: no such key; " + (f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}")
        case _:
            return f"{key or 'settings'}: {error['msg']}, not {error['input']!r}"


def _located(model: type[BaseModel], place: Sequence[str | int]) -> tuple[list[str], type[BaseModel] | None]:
    """A place as the user wrote it, and the model that its last key belongs to.

    A union of plug-ins puts the chosen one's name into the place, behind the part's.
    """
    path: list[str] = []
    annotation: Any = model
    owner: type[BaseModel] | None = model
    for part in place:
        models = list(_models(annotation))
        chosen = next((each for each in models if len(models) > 1 and _tag(each) == part), None)
        if chosen is not None:
            annotation = chosen
            continue
        path.append(str(part))
        owner = models[0] if models else None
        if isinstance(part, int):
            continue  # an item has its list's annotation
        field = owner.model_fields.get(part) if owner else None
        annotation = field.annotation if field else None
    return path, owner


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models that an annotation is made of: itself, a union's members, the items of a list or of a mapping."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif annotation is not Mapping:
        for inner in get_args(annotation):
            yield from _models(inner)


def _tag(model: type[BaseModel]) -> Any:
    return model.model_fields["name"].default if "name" in model.model_fields else None
