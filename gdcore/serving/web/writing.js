/** Texts written a token at a time by `decode.onnx`, in which the sampler is; candidates of one text share each step. */

import { BOS, EOS } from "./tokenizer.js";
import { candidateSeeds, rowSeed } from "./seeds.js";

/** Stands for half a character, whose other half is yet to come. */
const HALVES = /\uFFFD+$/;

/**
 * Yields, after each token, the texts as far as they are certain, and how many tokens the longest has drawn.
 * @param {Wish} wish
 * @returns {AsyncGenerator<{texts: string[], ended: boolean[], tokens: number}>}
 */
export async function* write(session, { prompt, seed, temperature, candidates, longest }) {
  const given = session.given(prompt), end = Math.min(given.length + longest, session.context);
  const filled = (value) =>
    new session.ort.Tensor("float32", new Float32Array(candidates).fill(value), [candidates]);
  const fixed = {
    seeds: session.whole(candidateSeeds(rowSeed(seed), candidates), [candidates]),
    temperature: filled(temperature),
    top_p: filled(1),
    min_p: filled(0),
    top_k: session.whole([0], []),
  };
  const rows = Array.from({ length: candidates }, () => [BOS]);
  const ended = Array(candidates).fill(false);
  let states = blank(session, candidates);
  for (let length = 1; !ended.every(Boolean); length++) {
    // A text that has ended goes on being read, for rows to stay in their places; what it draws is left.
    const token = session.whole(rows.map((row) => row[row.length - 1]), [candidates]);
    const number = session.whole(Array(candidates).fill(length - given.length), [candidates]);
    const told = await session.graphs["decode.onnx"].run({ token, number, ...fixed, ...states });
    states = Object.fromEntries(Object.keys(states).map((name) => [name, told[name.replace("state", "after")]]));
    for (const [i, row] of rows.entries()) {
      if (ended[i]) continue;
      row.push(length < given.length ? given[length] : Number(told.next.data[i]));
      ended[i] = length >= given.length && (row[length] === EOS || row.length >= end);
    }
    if (length < given.length) continue;
    const texts = rows.map((row, i) => {
      const text = session.told(prompt, row, given.length);
      return ended[i] ? text : text.replace(HALVES, "");
    });
    yield { texts, ended: [...ended], tokens: length + 1 - given.length };
  }
}

/**
 * States of texts that begin: BOS, which each reads first, puts in what belongs there. What grows has no length yet.
 * @param {Session} session @returns {Record<string, any>}
 */
function blank(session, num) {
  const inputs = session.manifest.graphs["decode.onnx"].inputs;
  const states = inputs.filter((input) => input.name.startsWith("state_"));
  return Object.fromEntries(states.map(({ name, shape }) => {
    const sizes = shape.map((size, axis) => (axis === 1 ? num : typeof size === "string" ? 0 : size));
    const zeros = new Float32Array(sizes.reduce((product, size) => product * size, 1));
    return [name, new session.ort.Tensor("float32", zeros, sizes)];
  }));
}
