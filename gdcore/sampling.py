"""The one sampler: every text that gdflow draws from a torch generator comes from here.

A text's n-th new token is drawn by inverse CDF from number n of the text's own seed (`gdcore.uniforms`), so a text does
not depend on the batch it is drawn in, and the exported graph draws the same one. Of several candidates for a text,
`gdcore.candidates` says which is kept.

Shapes: B texts, C candidates a text, R texts still being written, T tokens, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import count

import numpy as np
import torch
from torch import Tensor

from gdcore import ranks
from gdcore.adversarial.verdicts import verdicts
from gdcore.batches import Batch, make_batch
from gdcore.candidates import Choice, chosen
from gdcore.contracts import Discriminator, Generator
from gdcore.decoding import Decoding
from gdcore.errors import UserError
from gdcore.likelihood import logprobs
from gdcore.networks import latent
from gdcore.tokenizer import BOS, EOS, FORBIDDEN, PAD, SEP
from gdcore.uniforms import candidate_seeds, redraw, row_seeds, uniforms

WIDTH = 128
"""Tokens of a block, where a draw looks for its token in two steps."""


def pick(logits_BV: Tensor, uniform_B: Tensor, decoding: Decoding) -> Tensor:
    """The next token `(B,)`: the first, in vocabulary order, at which the cumulative mass exceeds the uniform number.

    First the temperature; then top-k keeps the k largest logits (of equals, the lower id); top-p keeps a token if the
    strictly likelier ones hold less than p of what is left (Holtzman et al. 2020), and min-p if it is at least min-p
    times as probable as the likeliest (Nguyen et al. 2024). Whichever of the last two leaves less decides.
    """
    logits_BV = logits_BV.float()
    logits_BV.index_fill_(1, _forbidden(logits_BV.device), -torch.inf)
    if decoding.temperature == 0:
        return logits_BV.argmax(dim=-1)
    if 0 < decoding.top_k < logits_BV.shape[-1]:
        logits_BV = logits_BV.where(_largest(logits_BV, decoding.top_k), -torch.inf)
    mass_BV = logits_BV - logits_BV.amax(dim=-1, keepdim=True)
    if decoding.temperature != 1:
        mass_BV.div_(decoding.temperature)
    mass_BV.exp_()
    token_B = _locate(mass_BV, uniform_B)
    cut = decoding.top_p < 1 or decoding.min_p > 0
    return _among_likely(token_B, mass_BV, uniform_B, decoding.top_p, decoding.min_p) if cut else token_B


@cache
def _forbidden(device: torch.device) -> Tensor:
    return torch.tensor(FORBIDDEN, device=device)


def _largest(logits_BV: Tensor, k: int) -> Tensor:
    """Which (bool) are the k largest of each row; of equals, the lower id. Without a sort, which costs far more."""
    least_B1 = logits_BV.topk(k, dim=-1).values[:, -1:]
    larger_BV, equal_BV = logits_BV > least_B1, logits_BV == least_B1
    return larger_BV | (equal_BV & (equal_BV.cumsum(dim=-1) <= k - larger_BV.sum(dim=-1, keepdim=True)))


def _locate(mass_BV: Tensor, uniform_B: Tensor) -> Tensor:
    """The first token `(B,)` whose cumulative mass exceeds that share of the total.

    First the block of WIDTH tokens in which it lies, then its place there: a sum of all in place of a cumulative one.
    """
    whole = mass_BV.shape[1] // WIDTH * WIDTH
    sums_BN = mass_BV[:, :whole].unflatten(1, (-1, WIDTH)).sum(dim=-1)
    sums_BN = torch.cat([sums_BN, mass_BV[:, whole:].sum(dim=-1, keepdim=True)], dim=1)
    cumulative_BN = sums_BN.cumsum(dim=-1)
    threshold_B1 = uniform_B.unsqueeze(1) * cumulative_BN[:, -1:]
    block_B1 = _first_above(cumulative_BN, threshold_B1)
    before_B1 = cumulative_BN.gather(1, block_B1) - sums_BN.gather(1, block_B1)
    token_BW = block_B1 * WIDTH + torch.arange(WIDTH, device=mass_BV.device)
    mass_BW = mass_BV.gather(1, token_BW.clamp(max=mass_BV.shape[1] - 1)).where(token_BW < mass_BV.shape[1], 0)
    # Rounding may leave a negative rest; at zero, leading tokens without mass are still passed over.
    place_B1 = _first_above(mass_BW.cumsum(dim=-1), (threshold_B1 - before_B1).clamp(min=0))
    return (block_B1 * WIDTH + place_B1).squeeze(1)


def _first_above(cumulative_BN: Tensor, threshold_B1: Tensor) -> Tensor:
    """The first place `(B,1)` above a threshold; where rounding has it at the total, the last that adds anything."""
    place_B1 = torch.searchsorted(cumulative_BN, threshold_B1, right=True)
    return torch.minimum(place_B1, cumulative_BN.argmax(dim=-1, keepdim=True))


def _among_likely(token_B: Tensor, mass_BV: Tensor, uniform_B: Tensor, top_p: float, min_p: float) -> Tensor:
    """Refuse a token that top-p or min-p leaves out, and with it all that are no likelier; draw again from the others.

    What is drawn from always holds all that is permitted, so what is accepted is distributed as that; and it shrinks
    fast, whatever p is: a few passes over ever fewer texts instead of a sort of all. The largest mass of a row is 1.
    """
    token_B = token_B.clone()
    limit_B = top_p * mass_BV.sum(dim=-1) if top_p < 1 else torch.full_like(mass_BV[:, 0], torch.inf)
    row_R = torch.arange(len(token_B), device=token_B.device)  # texts whose token is not accepted yet
    for attempt in count(1):
        likelier_RV = mass_BV[row_R]
        here_R1 = likelier_RV.gather(1, token_B[row_R].unsqueeze(1))
        likelier_RV = likelier_RV.where(likelier_RV > here_R1, 0)
        outside_R = (likelier_RV.sum(dim=-1) >= limit_B[row_R]) | (here_R1.squeeze(1) < min_p)
        row_R = row_R[outside_R]
        if len(row_R) == 0:
            break
        again_R = torch.from_numpy(redraw(uniform_B[row_R].cpu().numpy(), attempt)).to(token_B.device)
        token_B[row_R] = _locate(likelier_RV[outside_R], again_R)
    return token_B


@torch.no_grad()
def complete(
    generator: Generator,
    given_BT: Tensor,
    prompt_lengths_B: Tensor,
    *,
    max_tokens: int,
    decoding: Decoding,
    seeds_B: np.ndarray,
    noise_BZ: Tensor | None = None,
) -> Batch:
    """Write on from what is given (BOS, prompt and SEP, right-padded) until EOS, `max_tokens` or the context's end.

    A generator with latent variables writes from `noise_BZ`; where it is not given, from that of the texts' seeds.

    The generator is in evaluation mode meanwhile; finished texts leave the batch, so that nothing is paid past EOS.
    """
    training = generator.training
    generator.eval()
    device, num = given_BT.device, len(given_BT)
    limit_B = (prompt_lengths_B + max_tokens).clamp(max=generator.context)
    longest, shortest, longest_given = int(limit_B.max()), int(limit_B.min()), int(prompt_lengths_B.max())
    tokens_BT = torch.full((num, longest), PAD, dtype=torch.long, device=device)
    width = min(given_BT.shape[1], longest)
    tokens_BT[:, :width] = given_BT[:, :width]
    lengths_B = torch.maximum(limit_B, prompt_lengths_B)  # of those that do not end before
    # Number n of a text's own uniforms is for its n-th new token, wherever its prompt ends.
    uniform_BT = torch.from_numpy(uniforms(seeds_B, 0, min(max_tokens, longest))).to(device)
    new_BT = torch.arange(longest, device=device) - prompt_lengths_B.unsqueeze(1)
    uniform_BT = uniform_BT.gather(1, new_BT.clamp(0, uniform_BT.shape[1] - 1))

    noise_BZ = latent.noise_of(generator, seeds_B, device) if noise_BZ is None else noise_BZ
    state = latent.begin(generator, noise_BZ)
    row_R = torch.arange(num, device=device)  # which texts are still being written
    token_R = tokens_BT[:, 0]
    for t in range(1, longest):
        if t >= shortest and not bool((going_R := t < limit_B[row_R]).all()):
            row_R, token_R, state = row_R[going_R], token_R[going_R], tuple(tensor[:, going_R] for tensor in state)
        logits_RV, state = generator.step(token_R, state)
        token_R = pick(logits_RV, uniform_BT[row_R, t], decoding)
        ended_R = token_R == EOS
        if t < longest_given:  # some are still inside their prompts
            inside_R = new_BT[row_R, t] < 0
            token_R, ended_R = torch.where(inside_R, tokens_BT[row_R, t], token_R), ended_R & ~inside_R
        tokens_BT[row_R, t] = token_R
        if bool(ended_R.any()):
            lengths_B[row_R[ended_R]] = t + 1
            going_R = ~ended_R
            row_R, token_R, state = row_R[going_R], token_R[going_R], tuple(tensor[:, going_R] for tensor in state)
            if len(row_R) == 0:
                break
    generator.train(training)
    return replace(make_batch(tokens_BT[:, : int(lengths_B.max())], lengths_B, prompt_lengths_B), noise_BZ=noise_BZ)


def complete_batch(generator: Generator, batch: Batch, decoding: Decoding | None = None) -> Batch:
    """One fresh text for each text of a batch, from the same prompt; seeded from torch's global generator."""
    seed = ranks.agreed(int(torch.randint(2**62, (1,))))
    given_BT = torch.where(batch.mask_BT & ~batch.target_BT, batch.tokens_BT, PAD)
    return complete(
        generator,
        given_BT,
        batch.prompt_lengths_B,
        max_tokens=generator.context,
        decoding=decoding or Decoding(),
        seeds_B=ranks.share(row_seeds(seed, len(batch) * ranks.size())),
    )


def sample(
    generator: Generator,
    num: int,
    *,
    seed: int,
    decoding: Decoding | None = None,
    prompts: Sequence[Sequence[int]] | None = None,
    max_tokens: int | None = None,
    batch_size: int = 512,
    discriminator: Discriminator | None = None,
) -> list[list[int]]:
    """`num` texts as ids, without special tokens; text i answers prompt `i % len(prompts)` where prompts are given.

    Raises ValueError for a prompt that fills the context, UserError where a discriminator is to choose and there is
    none.
    """
    decodings = [decoding or Decoding()]
    return sample_each(
        generator,
        num,
        seed=seed,
        decodings=decodings,
        prompts=prompts,
        max_tokens=max_tokens,
        batch_size=batch_size,
        discriminator=discriminator,
    )[0]


def sample_each(
    generator: Generator,
    num: int,
    *,
    seed: int,
    decodings: Sequence[Decoding],
    prompts: Sequence[Sequence[int]] | None = None,
    max_tokens: int | None = None,
    batch_size: int = 512,
    discriminator: Discriminator | None = None,
) -> list[list[list[int]]]:
    """What `sample` gives for each of several decodings that write alike and differ in their candidates only.

    Their candidates are drawn once: those of a text are the first of those that it would have if more were drawn.
    """
    alike = all(decoding.token_by_token == decodings[0].token_by_token for decoding in decodings)
    assert alike, "these decodings do not write alike"
    device = next(generator.parameters()).device
    most = max(decoding.candidates for decoding in decodings)
    texts: list[list[list[int]]] = [[] for _ in decodings]
    num_rows = max(1, batch_size // most)
    for start in range(0, num, num_rows):
        rows = range(start, min(start + num_rows, num))
        given = [[BOS, *prompts[i % len(prompts)], SEP] if prompts else [BOS] for i in rows for _ in range(most)]
        prompt_lengths_B = torch.tensor([len(ids) for ids in given], device=device)
        if int(prompt_lengths_B.max()) >= generator.context:
            raise ValueError(
                f"a prompt takes {int(prompt_lengths_B.max())} tokens; the context holds {generator.context}"
            )
        given_BT = torch.nn.utils.rnn.pad_sequence(
            [torch.tensor(ids, device=device) for ids in given], batch_first=True, padding_value=PAD
        )
        seeds_B = row_seeds(seed, len(rows), start)
        drawn = complete(
            generator,
            given_BT,
            prompt_lengths_B,
            max_tokens=max_tokens or generator.context,
            decoding=decodings[0],
            seeds_B=candidate_seeds(seeds_B, most).ravel(),
        )
        scores: dict[Choice, np.ndarray] = {}
        wanted: set[Choice] = {decoding.choose for decoding in decodings if decoding.candidates > 1}
        for choose in wanted:
            scores[choose] = _scores(drawn, generator, discriminator, choose).reshape(-1, most)
        tokens_BT, new_BT = drawn.tokens_BT.cpu().numpy(), (drawn.target_BT & (drawn.tokens_BT != EOS)).cpu().numpy()
        for decoding, kept in zip(decodings, texts, strict=True):
            row_B = np.arange(0, len(tokens_BT), most)
            if decoding.candidates > 1:
                row_B += chosen(scores[decoding.choose][:, : decoding.candidates], seeds_B, decoding.choose)
            kept += [tokens_BT[row][new_BT[row]].tolist() for row in row_B]
    return texts


@torch.no_grad()
def _scores(drawn: Batch, generator: Generator, discriminator: Discriminator | None, choose: Choice) -> np.ndarray:
    """What candidates are chosen by `(B,)`: log-likelihood per token drawn, or the discriminator's logit."""
    if choose == "likelihood":
        training = generator.training
        generator.eval()
        scores_B = logprobs(generator, drawn).double().sum(dim=1) / drawn.target_BT.sum(dim=1)
        generator.train(training)
    elif discriminator is None:
        raise UserError("choosing candidates by the discriminator needs one; this model has none")
    else:
        scores_B = verdicts(discriminator, drawn).double()
    return scores_B.cpu().numpy()
