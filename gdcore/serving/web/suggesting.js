/**
 * The next word, as a whole: what gdcore/serving/suggesting.py finds.
 *
 * A word ends where the next token begins another; its probability is that of its tokens, and of ending there.
 */

import { BOS, EOS, PAD, SEP, UNK } from "./tokenizer.js";

/** Beginnings of words that are looked into, at most; and tokens of a word. */
const MOST_RUNS = 64, LONGEST = 16;
const FORBIDDEN = [PAD, BOS, UNK, SEP];
/** White space as Python strips it. */
const AROUND = /^[\s\x1c-\x1f\x85]+|[\s\x1c-\x1f\x85]+$/g;
const GOES_ON = /^[\p{L}\p{N}'’\-_\uFFFD]/u;

/** @typedef {{word: string, probability: number, spaced: boolean}} Suggestion `spaced`: a space stands before it */

/** How tokens begin that carry the space before them; the second in bytes. */
const MARKS = ["▁", "Ġ"];

/**
 * @param {(ids: number[]) => Promise<Float64Array>} nextLogprobs
 * @returns {Promise<Suggestion[]>} the likeliest first
 */
export async function nextWords(tokenizer, nextLogprobs, given, context, k) {
  const first = await nextLogprobs(given);
  for (const id of [...FORBIDDEN, EOS]) first[id] = -Infinity;
  if (tokenizer.kind === "word") {
    return likeliest(first, k).map((id) =>
      ({ word: tokenizer.decode([id]), probability: Math.exp(first[id]), spaced: spaced(tokenizer, id) }));
  }
  const begins = beginsAWord(tokenizer);
  let open = likeliest(first, 4 * k).map((id) => ({ logprob: first[id], whole: false, ids: [id] }));
  const words = new Map();
  for (let runs = 0; open.length && words.size < k;) {
    const best = open.reduce((a, b) => (b.logprob > a.logprob ? b : a));
    open = open.filter((each) => each !== best);
    if (best.whole) {
      const word = tokenizer.decode(best.ids).replace(AROUND, "");
      const known = words.get(word) ?? { word, probability: 0, spaced: spaced(tokenizer, best.ids[0]) };
      words.set(word, { ...known, probability: known.probability + Math.exp(best.logprob) });
    } else if (runs < MOST_RUNS && best.ids.length < LONGEST && given.length + best.ids.length < context) {
      runs++;
      const next = await nextLogprobs([...given, ...best.ids]);
      const ends = next.reduce((sum, logprob, id) => (begins[id] ? sum + Math.exp(logprob) : sum), 0);
      open.push({ ...best, whole: true, logprob: best.logprob + Math.log(ends) });
      const inside = next.map((logprob, id) => (begins[id] ? -Infinity : logprob));
      for (const id of likeliest(inside, k)) {
        open.push({ logprob: best.logprob + inside[id], whole: false, ids: [...best.ids, id] });
      }
    }
  }
  words.delete("");
  return [...words.values()].sort((a, b) => b.probability - a.probability);
}

function spaced(tokenizer, id) {
  return MARKS.includes(tokenizer.tokens[id][0]);
}

/** The ids of the largest values, the largest first. @param {Float64Array} values */
function likeliest(values, num) {
  const ids = [...values.keys()].filter((id) => values[id] > -Infinity);
  return ids.sort((a, b) => values[b] - values[a]).slice(0, num);
}

const known = new WeakMap();

/** Of each token, whether the word before it has ended. */
function beginsAWord(tokenizer) {
  const begins = known.get(tokenizer) ?? Array.from({ length: tokenizer.size }, (_, id) => {
    if (FORBIDDEN.includes(id) || id === EOS) return true;
    // Behind a letter, for a decoder takes away the space that a text begins with.
    const letter = tokenizer.encode("a");
    const piece = tokenizer.decode([...letter, id]).slice(tokenizer.decode(letter).length);
    return piece !== "" && !GOES_ON.test(piece);
  });
  known.set(tokenizer, begins);
  return begins;
}
