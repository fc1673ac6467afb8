"""Decoder-only Transformer in the layout of Llama (Touvron et al. 2023), down to the names of its weights.

RMSNorm (Zhang & Sennrich 2019) before each block, rotary positions in the rotate-half form (Su et al. 2021), SwiGLU
(Shazeer 2020), queries in groups that share keys and values (Ainslie et al. 2023), no biases. So Hugging Face's
`LlamaForCausalLM` opens its weights (`gdcore.export.llama`), and `from` starts from a pretrained model of that layout,
which learns in full or by low-rank adapters (`gdcore.networks.lora`). Its own addition is dropout, which is off
whenever the model is used.

Shapes: B texts, T tokens, V vocabulary, D features, H heads, K heads of keys and values, G = H/K heads that share one,
E features of a head, F = E/2 pairs of them that turn together.
"""

from pathlib import Path
from typing import Literal

import torch
from pydantic import ConfigDict, Field, model_validator
from torch import Tensor, nn

from gdcore.contracts import State
from gdcore.networks import llama, lora
from gdcore.networks.layers import embed
from gdcore.settings import Settings


class Config(Settings):
    model_config = ConfigDict(populate_by_name=True)

    name: Literal["transformer"] = "transformer"
    start: Path | None = Field(default=None, alias="from")
    """Start from this pretrained model: a folder with `config.json` and `*.safetensors` in Llama's layout, or a GGUF
    file. The sizes below are then read from it; its tokenizer, if it brings one, is the run's (docs/pretrained.md)."""
    adapters: lora.Config | None = None
    """Train low-rank adapters beside the pretrained model's weights instead of those; needs `from`."""
    digest: str = ""
    """What the files of `from` must be (sha256). A checkpoint of adapters says so of the model that they belong to."""
    hidden_dim: int = Field(default=128, ge=2)
    """Width of the residual stream."""
    num_layers: int = Field(default=4, ge=1)
    """Blocks on top of each other."""
    num_heads: int = Field(default=2, ge=1)
    """Attention heads; they divide `hidden_dim` among them."""
    num_kv_heads: int = Field(default=2, ge=1)
    """Heads of keys and values; fewer than `num_heads` make the cache smaller."""
    mlp_dim: int = Field(default=384, ge=1)
    """Width inside the feed-forward part."""
    dropout: float = Field(default=0.1, ge=0, lt=1)
    """Share of the embedding's and of each block's features dropped while training."""
    rope_theta: float = Field(default=10000.0, gt=0)
    """Base of the rotary positions' wavelengths."""
    norm_eps: float = Field(default=1e-5, gt=0)
    """What RMSNorm adds to the mean square."""
    tied: bool = True
    """Use the embedding matrix as the output matrix too."""

    @model_validator(mode="after")
    def _divisible(self) -> "Config":
        if self.hidden_dim % (2 * self.num_heads):
            raise ValueError(f"hidden_dim ({self.hidden_dim}) must be an even multiple of num_heads ({self.num_heads})")
        if self.num_heads % self.num_kv_heads:
            raise ValueError(f"num_kv_heads ({self.num_kv_heads}) must divide num_heads ({self.num_heads})")
        if self.adapters and not self.start:
            raise ValueError("adapters are trained beside a pretrained model: name it with generator.from")
        return self

    @property
    def head_dim(self) -> int:
        return self.hidden_dim // self.num_heads


class Generator(nn.Module):
    """Next-token model; `logits(tokens_BT)[:, t]` predicts the token at `t + 1`."""

    def __init__(self, config: Config, vocab_size: int, context: int) -> None:
        """Raises UserError if `from` names a model of another layout or vocabulary, or other files than it did."""
        super().__init__()
        start = config.start
        if start:
            config = _started(config, start, vocab_size)
        self.config, self.vocab_size, self.context = config, vocab_size, context
        self.model = _Decoder(config, vocab_size)
        self.lm_head = None if config.tied else nn.Linear(config.hidden_dim, vocab_size, bias=False)
        if start:
            llama.read_weights(self, start)
        else:
            self._draw_weights()
        if config.adapters:
            lora.adapt(self, config.adapters)

    def _draw_weights(self) -> None:
        """What is added to the residual stream 2·L times begins smaller (GPT-2)."""
        smaller = 0.02 / (2 * self.config.num_layers) ** 0.5
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                nn.init.normal_(
                    parameter, std=smaller if name.endswith(("o_proj.weight", "down_proj.weight")) else 0.02
                )

    def hidden(self, tokens_BT: Tensor) -> Tensor:
        """Features `(B,T,D)` from which `head` predicts each next token."""
        return self.model(tokens_BT)

    def head(self, hidden: Tensor) -> Tensor:
        """Logits `(…,V)` of features `(…,D)`; separate from `hidden`, so that a loss pays for real tokens only."""
        return nn.functional.linear(hidden, (self.lm_head or self.model.embed_tokens).weight)

    def logits(self, tokens_BT: Tensor) -> Tensor:
        """Logits `(B,T,V)` of every next token."""
        return self.head(self.hidden(tokens_BT))

    def forward(self, tokens_BT: Tensor) -> Tensor:
        return self.logits(tokens_BT)

    def initial_state(self, batch_size: int, device: torch.device | str = "cpu") -> State:
        """Nothing read: per layer no keys and no values yet, tensors of `(K,B,0,E)` that grow by a token a step."""
        shape = (self.config.num_kv_heads, batch_size, 0, self.config.head_dim)
        return tuple(torch.zeros(shape, device=device) for _ in range(2 * self.config.num_layers))

    def step(self, token_B: Tensor, state: State) -> tuple[Tensor, State]:
        """Read one token a text, an id or a soft row `(B,V)`; returns `(logits_BV, state)`, without dropout.

        All texts are at the same position, that of the cache's end.
        """
        x_BD = embed(token_B, self.model.embed_tokens.weight)
        position_1 = torch.arange(1, device=x_BD.device) + state[0].shape[2]
        rotation = rotations(position_1, self.config.head_dim, self.config.rope_theta)
        after: list[Tensor] = []
        for layer, keys_KBTE, values_KBTE in zip(self.model.layers, state[::2], state[1::2], strict=True):
            assert isinstance(layer, _Layer)
            x_BD, *grown = layer.step(x_BD, keys_KBTE, values_KBTE, rotation)
            after += grown
        return self.head(self.model.norm(x_BD)), tuple(after)


def _started(config: Config, start: Path, vocab_size: int) -> Config:
    """With the sizes of the model to start from. What learns in full stands alone; adapters go on needing it."""
    digest = llama.verified(start, config.digest) if config.adapters or config.digest else ""
    sizes = llama.read_sizes(start, vocab_size) | {"dropout": config.dropout}
    base = {"start": start.absolute(), "adapters": config.adapters, "digest": digest} if config.adapters else {}
    return Config.model_validate(sizes | base)


class _Decoder(nn.Module):
    """Embedding, blocks, last norm: Llama's `model.`."""

    def __init__(self, config: Config, vocab_size: int) -> None:
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(vocab_size, config.hidden_dim)
        self.layers = nn.ModuleList(_Layer(config) for _ in range(config.num_layers))
        self.norm = RMSNorm(config)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, tokens_BT: Tensor) -> Tensor:
        x_BTD = self.dropout(embed(tokens_BT, self.embed_tokens.weight))
        position_T = torch.arange(x_BTD.shape[1], device=x_BTD.device)
        rotation = rotations(position_T, self.config.head_dim, self.config.rope_theta)
        for layer in self.layers:
            x_BTD = layer(x_BTD, rotation)
        return self.norm(x_BTD)


class _Layer(nn.Module):
    """Attention, then the feed-forward part, each added to the stream."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.self_attn = _Attention(config)
        self.mlp = _FeedForward(config)
        self.input_layernorm = RMSNorm(config)
        self.post_attention_layernorm = RMSNorm(config)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x_BTD: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
        x_BTD = x_BTD + self.dropout(self.self_attn(self.input_layernorm(x_BTD), rotation))
        return x_BTD + self.dropout(self.mlp(self.post_attention_layernorm(x_BTD)))

    def step(
        self, x_BD: Tensor, keys_KBTE: Tensor, values_KBTE: Tensor, rotation: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        attended_BD, *cache = self.self_attn.step(self.input_layernorm(x_BD), keys_KBTE, values_KBTE, rotation)
        x_BD = x_BD + attended_BD
        return x_BD + self.mlp(self.post_attention_layernorm(x_BD)), cache[0], cache[1]


class _Attention(nn.Module):
    """Each token looks at itself and those before it."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.num_heads, self.num_kv_heads, self.head_dim = config.num_heads, config.num_kv_heads, config.head_dim
        self.q_proj = nn.Linear(config.hidden_dim, config.hidden_dim, bias=False)
        self.k_proj = nn.Linear(config.hidden_dim, config.num_kv_heads * config.head_dim, bias=False)
        self.v_proj = nn.Linear(config.hidden_dim, config.num_kv_heads * config.head_dim, bias=False)
        self.o_proj = nn.Linear(config.hidden_dim, config.hidden_dim, bias=False)

    def forward(self, x_BTD: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
        query_BHTE, keys_BKTE, values_BKTE = (
            each(x_BTD).unflatten(-1, (-1, self.head_dim)).transpose(1, 2)
            for each in (self.q_proj, self.k_proj, self.v_proj)
        )
        query_BHTE, keys_BKTE = rotated(query_BHTE, rotation), rotated(keys_BKTE, rotation)
        attended_BHTE = nn.functional.scaled_dot_product_attention(
            query_BHTE, keys_BKTE, values_BKTE, is_causal=True, enable_gqa=self.num_kv_heads < self.num_heads
        )
        return self.o_proj(attended_BHTE.transpose(1, 2).flatten(2))

    def step(
        self, x_BD: Tensor, keys_KBTE: Tensor, values_KBTE: Tensor, rotation: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The last token alone, in plain products; the cache with its key and value behind."""
        query_BHE, key_BKE, value_BKE = (
            projection(x_BD).unflatten(-1, (-1, self.head_dim))
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        query_BHE, key_BKE = rotated(query_BHE, rotation), rotated(key_BKE, rotation)
        keys_KBTE = torch.cat([keys_KBTE, key_BKE.transpose(0, 1).unsqueeze(2)], dim=2)
        values_KBTE = torch.cat([values_KBTE, value_BKE.transpose(0, 1).unsqueeze(2)], dim=2)
        query_KBGE = query_BHE.unflatten(1, (self.num_kv_heads, -1)).transpose(0, 1)
        scores_KBGT = query_KBGE @ keys_KBTE.transpose(2, 3) * self.head_dim**-0.5
        attended_KBGE = torch.softmax(scores_KBGT, dim=-1) @ values_KBTE
        return self.o_proj(attended_KBGE.transpose(0, 1).flatten(1)), keys_KBTE, values_KBTE


class _FeedForward(nn.Module):
    """SwiGLU."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_dim, config.mlp_dim, bias=False)
        self.up_proj = nn.Linear(config.hidden_dim, config.mlp_dim, bias=False)
        self.down_proj = nn.Linear(config.mlp_dim, config.hidden_dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(nn.functional.silu(self.gate_proj(x)) * self.up_proj(x))


class RMSNorm(nn.Module):
    """Features over their root mean square, in single precision whatever comes in."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.eps = config.norm_eps
        self.weight = nn.Parameter(torch.ones(config.hidden_dim))

    def forward(self, x: Tensor) -> Tensor:
        single = x.float()
        # A product, for the gradient of `pow` costs half as much again as all the rest.
        scale = torch.rsqrt((single * single).mean(-1, keepdim=True) + self.eps)
        return self.weight * (single * scale).to(x.dtype)


def rotations(position_T: Tensor, head_dim: int, theta: float) -> tuple[Tensor, Tensor]:
    """Cosines and sines `(T,E)` of each position's angles; feature i turns with feature i + E/2.

    The sines of the first half are negative: what `rotated` then has to do is to change places.
    """
    even = torch.arange(0, head_dim, 2, device=position_T.device).float()
    angles_TF = position_T.float().unsqueeze(1) * (1.0 / theta ** (even / head_dim))
    sine_TF = angles_TF.sin()
    return angles_TF.cos().repeat(1, 2), torch.cat([-sine_TF, sine_TF], dim=1)


def rotated(x: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    """Features `(…,T,E)` turned by their position's angles; of one position, `(B,H,E)`."""
    cosine_TE, sine_TE = rotation
    return (x * cosine_TE + x.roll(x.shape[-1] // 2, dims=-1) * sine_TE).to(x.dtype)
