"""What goes over the wire: OpenAI's completions where it has a shape for it, plain objects where it has none."""

from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

Text = Annotated[str, StringConstraints(max_length=100_000)]
Texts = Annotated[list[Text], Field(min_length=1, max_length=256)]
Int64 = Annotated[int, Field(ge=-(2**63), lt=2**63)]


class Asked(BaseModel):
    """A request's body: what it does not know is refused, not ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    model: str | None = Field(default=None, max_length=200)
    """Which model, as `/v1/models` names them; by default the first."""

    @model_validator(mode="before")
    @classmethod
    def _null_is_nothing(cls, body: Any) -> Any:
        """As OpenAI's has it: clients send null for what they leave open."""
        if not isinstance(body, dict):
            return body
        given = cast("dict[str, Any]", body)
        return {key: value for key, value in given.items() if value is not None or key not in cls.model_fields}


class StreamOptions(BaseModel):
    """What a stream tells besides the text."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    include_usage: bool = False
    """Whether the last event before the end counts the tokens."""


class CompletionRequest(Asked):
    """Texts that continue or answer prompts."""

    prompt: Text | Annotated[list[Text], Field(min_length=1, max_length=128)] | None = None
    """What the text begins with or, of a model that answers prompts, what it answers; a list has each answered."""
    max_tokens: int | None = Field(default=None, ge=1, le=2**31)
    """At most so many tokens; by default as many as the model's context has room for (OpenAI's default is 16)."""
    temperature: float = Field(default=1.0, ge=0, le=1e6)
    """Below 1 plays safe, above 1 dares; 0 takes the likeliest token."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """Draw among the likeliest tokens that together hold this probability."""
    top_k: int = Field(default=0, ge=0, lt=2**31)
    """Draw among so many likeliest tokens; 0: all. Not of OpenAI's."""
    min_p: float = Field(default=0.0, ge=0, le=1)
    """Draw among tokens at least this many times as probable as the likeliest. Not of OpenAI's."""
    n: int = Field(default=1, ge=1, le=1024)
    """How many texts of each prompt."""
    best_of: int | None = Field(default=None, ge=1, le=1024)
    """So many are drawn, and the `n` best kept: by the discriminator, or by likelihood where the bundle has none."""
    stop: str | Annotated[list[str], Field(max_length=16)] | None = None
    """The text ends before the first of these."""
    seed: Int64 | None = None
    """The same seed gives the same texts, whoever else asks; by default each request draws its own."""
    echo: bool = False
    """Whether the prompt stands before its text."""
    logprobs: int | None = Field(default=None, ge=0, le=20)
    """Tell each token's log-probability, and those of so many likeliest ones."""
    stream: bool = False
    """Send the text as it is written, as server-sent events."""
    stream_options: StreamOptions | None = None
    user: str | None = Field(default=None, max_length=512)
    """Read by nobody."""
    frequency_penalty: float = Field(default=0, ge=0, le=0)
    """There is none: nothing but 0, which some clients always send."""
    presence_penalty: float = Field(default=0, ge=0, le=0)
    """Likewise."""
    logit_bias: Annotated[dict[str, float], Field(max_length=0)] | None = None
    """There is none: nothing but an empty one."""
    suffix: None = None
    """Likewise."""


class Logprobs(BaseModel):
    """One entry a token, the prompt's included where it is echoed."""

    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float]] | None
    text_offset: list[int]


class Choice(BaseModel):
    """One text, or a piece of it."""

    text: str
    index: int
    logprobs: Logprobs | None = None
    finish_reason: Literal["stop", "length"] | None = None


class Usage(BaseModel):
    """Tokens, of all candidates, without those that mark beginning and end."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Completion(BaseModel):
    """OpenAI's `text_completion`."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[Choice]
    usage: Usage | None = None


class Listed(BaseModel):
    """A model."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: Literal["gdflow"] = "gdflow"
    kind: Literal["generator", "classifier"]
    prompted: bool
    """Whether it answers prompts; one that does not continues them."""
    context: int
    discriminator: str | None
    license: str


class ModelList(BaseModel):
    object: Literal["list"] = "list"
    data: list[Listed]


class ScoreRequest(Asked):
    """Texts to be measured."""

    texts: Texts
    prompts: Texts | None = None
    """What each of them answers."""
    judge: bool = False
    """Also the discriminator's verdict."""
    highlight: bool = False
    """Also where the text looks generated; needs a discriminator that judges tokens (crf)."""


class SpanOf(BaseModel):
    """`text[start:end]`, in characters."""

    start: int
    end: int
    fake: float
    """How probably its tokens are fake, on average."""


class Score(BaseModel):
    index: int
    nll: float
    """Negative log-likelihood per token, in nats, the end of the text included."""
    verdict: float | None = None
    """0 to 1: more is more like real text."""
    spans: list[SpanOf] | None = None


class ScoreResponse(BaseModel):
    object: Literal["list"] = "list"
    model: str
    data: list[Score]


class NextRequest(Asked):
    """A text, and how many words that may follow it."""

    prefix: Text = ""
    k: int = Field(default=5, ge=1, le=100)


class Word(BaseModel):
    word: str
    probability: float


class NextResponse(BaseModel):
    object: Literal["list"] = "list"
    model: str
    data: list[Word]


class ClassifyRequest(Asked):
    """Texts to be classified."""

    texts: Texts
    prompts: Texts | None = None
    """What each of them answers."""
    top: int = Field(default=1, ge=1, le=1000)
    """So many classes of each."""


class Class(BaseModel):
    name: str
    probability: float


class Classified(BaseModel):
    index: int
    classes: list[Class]


class ClassifyResponse(BaseModel):
    object: Literal["list"] = "list"
    model: str
    data: list[Classified]


class Problem(BaseModel):
    """What was wrong."""

    message: str
    type: str
    param: str | None
    code: str | None


class ProblemResponse(BaseModel):
    error: Problem


class Health(BaseModel):
    status: Literal["ok", "draining", "failed"]


class Live(BaseModel):
    live: bool


class Ready(BaseModel):
    ready: bool


class Server(BaseModel):
    """KServe's server metadata."""

    name: str
    version: str
    extensions: list[str]


class Tensor(BaseModel):
    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(BaseModel):
    """KServe's model metadata."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[Tensor]
    outputs: list[Tensor]


class ModelReady(BaseModel):
    name: str
    ready: bool


def told(error: Any) -> tuple[str, str | None]:
    """What is wrong with a body, in words, and which key."""
    where = [str(part) for part in error["loc"] if part != "body"]
    # A union names its members behind the key: the client never wrote those.
    key = next((part for part in where if part != "str" and not part.startswith(("constrained", "list["))), None)
    if error["type"] == "extra_forbidden":
        return f"{key}: no such key; /openapi.json says which there are", key
    if error["type"] == "missing":
        return f"{key or 'the body'}: this is missing", key
    if error["type"] == "json_invalid":
        return "the body is no JSON", None
    if error["type"] == "model_attributes_type" and not key:
        return "the body is no JSON object: send one, with `content-type: application/json`", None
    given = repr(error.get("input"))
    message = error["msg"] if len(given) > 80 else f"{error['msg']}, not {given}"
    return f"{key or 'the body'}: {message}", key
