/** Where a text looks generated, by a discriminator that judges every token: what gdcore/serving/spans.py finds. */

/** @typedef {{start: number, end: number, fake: number}} Span a part of a text, and how probably its tokens are fake */

const LEAST = 0.5;

/**
 * The runs of a text's tokens that are fake with probability 0.5 or more; spaces before a run are not in it.
 * @param {ArrayLike<number>} real how probably each of its tokens is real
 * @returns {Span[]}
 */
export function found(tokenizer, text, real) {
  const tokens = tokenizer.read(text).slice(0, real.length);
  const spans = [];
  let run = [];
  for (let i = 0; i <= tokens.length; i++) {
    if (i < tokens.length && 1 - real[i] >= LEAST) {
      run.push(i);
    } else if (run.length) {
      const end = tokens[run[run.length - 1]].to;
      let start = tokens[run[0]].from;
      start += text.slice(start, end).search(/\S|$/);
      const fake = run.reduce((sum, place) => sum + 1 - real[place], 0) / run.length;
      if (start < end) spans.push({ start, end, fake });
      run = [];
    }
  }
  return spans;
}
