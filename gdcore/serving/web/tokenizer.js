/**
 * Text ↔ token ids, as gdcore/tokenizer.py has them: what `tokenizer.json` says is carried out, part by part.
 *
 * Only what gdflow's own three kinds (word, char, bpe) are made of is known here. Anything else, as a pretrained
 * model's tokenizer, is refused: ids that are nearly right give texts that are quietly wrong.
 */

import { toBytes, fromBytes } from "./bytes.js";

export const [PAD, BOS, EOS, UNK, SEP] = [0, 1, 2, 3, 4];
const NUM_SPECIALS = 5;

/** What the reader gave, or the bundle, cannot be used; the message says why. */
export class UserError extends Error {}

/**
 * A text on its way to tokens; each UTF-16 unit knows which part of the original it stands for.
 * @typedef {{text: string, from: number[], to: number[]}} Read
 * @typedef {{id: number, from: number, to: number}} Token
 */

/** White space as Unicode has it; the language's own `trim` leaves U+0085 and takes U+FEFF. */
const SPACE = /[\t-\r \x85\xA0\u1680\u2000-\u200A\u2028\u2029\u202F\u205F\u3000]/;

export class Tokenizer {
  /**
   * @param {any} parsed what `tokenizer.json` says
   * @param {{kind: string, vocab_size: number}} config what `tokenizer_config.json` says
   */
  constructor(parsed, config) {
    if (config.kind === "pretrained") refuse("is a pretrained model's own");
    if (parsed.added_tokens.length) refuse("has added tokens");
    this.kind = config.kind;
    this.size = config.vocab_size;
    this.normalizers = listed(parsed.normalizer, "normalizers").map(normalizer);
    this.splitters = listed(parsed.pre_tokenizer, "pretokenizers").map(splitter);
    this.ids = new Map(Object.entries(parsed.model.vocab));
    this.tokens = [];
    for (const [token, id] of this.ids) this.tokens[id] = token;
    this.spell = speller(parsed.model, this.ids);
    this.decoders = listed(parsed.decoder, "decoders").map(decoder);
  }

  /** @returns {number[]} without BOS and EOS */
  encode(text) {
    return this.read(text).map((token) => token.id);
  }

  /** The tokens of a text, each with where it stands in it. @returns {Token[]} */
  read(text) {
    let pieces = [this.normalizers.reduce((read, step) => step(read), asRead(text))];
    for (const split of this.splitters) pieces = pieces.flatMap(split);
    return pieces.filter((piece) => piece.text).flatMap(this.spell);
  }

  /** The pieces of a text that the vocabulary lacks, as they stand there. */
  unknown(text) {
    return this.read(text).filter(({ id }) => id === UNK).map(({ from, to }) => text.slice(from, to).trim());
  }

  /** The readable text of some ids; special tokens are skipped. */
  decode(ids) {
    const known = ids.filter((id) => id >= NUM_SPECIALS && id in this.tokens).map((id) => this.tokens[id]);
    return this.decoders.reduce((parts, step) => step(parts), known).join("");
  }
}

/** @returns {never} */
function refuse(what) {
  throw new UserError(
    `tokenizer.json ${what}, which this page cannot follow exactly; it knows the kinds word, char and bpe that gdflow ` +
      "fits itself. Use gdflow generate or gdflow serve for this bundle.",
  );
}

/** @returns {any[]} the steps of a part that may be a sequence of them */
function listed(part, key) {
  return part.type === "Sequence" ? part[key] : [part];
}

/** @returns {Read} */
function asRead(text) {
  const from = [], to = [];
  for (const point of text) {
    const start = from.length;
    for (let i = 0; i < point.length; i++) from.push(start), to.push(start + point.length);
  }
  return { text, from, to };
}

/** @returns {Read} */
function part(read, start, end) {
  return { text: read.text.slice(start, end), from: read.from.slice(start, end), to: read.to.slice(start, end) };
}

/**
 * Something else in every match's place; it stands for the last character of the match, as `tokenizers` has it.
 * @param {Read} read @param {RegExp} pattern global @param {(found: string) => string} by @returns {Read}
 */
function replaced(read, pattern, by) {
  let text = "", at = 0;
  const from = [], to = [];
  const keep = (end) => {
    text += read.text.slice(at, end);
    for (; at < end; at++) from.push(read.from[at]), to.push(read.to[at]);
  };
  for (const { 0: found, index } of read.text.matchAll(pattern)) {
    keep(index);
    at = index + found.length;
    const content = by(found);
    text += content;
    for (let i = 0; i < content.length; i++) from.push(read.from[at - 1]), to.push(read.to[at - 1]);
  }
  keep(read.text.length);
  return { text, from, to };
}

/** A pattern of `tokenizer.json`, whose code points are written `\x{…}`. */
function regex(pattern) {
  const source = "Regex" in pattern
    ? pattern.Regex.replaceAll("\\x{", "\\u{")
    : pattern.String.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
  return new RegExp(source, "gu");
}

/** @returns {(read: Read) => Read} */
function normalizer(step) {
  switch (step.type) {
    case "Strip":
      return stripped;
    case "Replace": {
      const pattern = regex(step.pattern);
      return (read) => replaced(read, pattern, () => step.content);
    }
    case "Lowercase": // character by character: a sigma does not know that it is the last
      return (read) => replaced(read, /./gsu, (point) => point.toLowerCase());
    case "Prepend":
      return (read) => (read.text ? prepended(read, step.prepend) : read);
    default:
      return refuse(`normalises by ${step.type}`);
  }
}

/** @returns {Read} */
function prepended(read, what) {
  const [from, to] = [read.from, read.to].map((places) => [...Array(what.length).fill(places[0]), ...places]);
  return { text: what + read.text, from, to };
}

function stripped(read) {
  let start = 0, end = read.text.length;
  while (start < end && SPACE.test(read.text[start])) start++;
  while (end > start && SPACE.test(read.text[end - 1])) end--;
  return part(read, start, end);
}

/** @returns {(read: Read) => Read[]} */
function splitter(step) {
  if (step.type === "ByteLevel" && !step.add_prefix_space && !step.use_regex) return (read) => [inBytes(read)];
  if (step.type !== "Split" || step.behavior !== "Isolated" || step.invert) return refuse(`splits text by ${step.type}`);
  const pattern = regex(step.pattern);
  return (read) => {
    const pieces = [];
    let at = 0;
    for (const { 0: found, index } of read.text.matchAll(pattern)) {
      pieces.push(part(read, at, index), part(read, index, index + found.length));
      at = index + found.length;
    }
    return [...pieces, part(read, at, read.text.length)];
  };
}

/** Each byte as the character that stands for it. @returns {Read} */
function inBytes(read) {
  return replaced(read, /./gsu, toBytes);
}

/** How a piece becomes tokens. @param {Map<string, number>} ids @returns {(read: Read) => Token[]} */
function speller(model, ids) {
  if (model.type === "WordLevel") {
    return ({ text, from, to }) => [{ id: ids.get(text) ?? UNK, from: from[0], to: to[to.length - 1] }];
  }
  if (model.type !== "BPE" || model.unk_token || model.continuing_subword_prefix || model.end_of_word_suffix ||
      model.byte_fallback || model.ignore_merges || model.dropout) {
    return refuse(`spells words by a ${model.type} of another make`);
  }
  const ranks = new Map(model.merges.map((pair, i) => [pair.join(" "), i]));
  return ({ text, from, to }) => {
    const parts = [...text].map((token, i) => ({ token, from: from[i], to: to[i] }));
    for (;;) {
      let best = Infinity, where = -1;
      for (let i = 1; i < parts.length; i++) {
        const rank = ranks.get(`${parts[i - 1].token} ${parts[i].token}`) ?? Infinity;
        if (rank < best) (best = rank), (where = i);
      }
      if (where < 0) break;
      const [left, right] = [parts[where - 1], parts[where]];
      parts.splice(where - 1, 2, { token: left.token + right.token, from: left.from, to: right.to });
    }
    return parts.flatMap(({ token, ...place }) => (ids.has(token) ? [{ id: Number(ids.get(token)), ...place }] : []));
  };
}

/** @returns {(tokens: string[]) => string[]} */
function decoder(step) {
  switch (step.type) {
    case "Fuse":
      return (tokens) => [tokens.join("")];
    case "Replace":
      return (tokens) => tokens.map((token) => token.replaceAll(step.pattern.String, step.content));
    case "ByteLevel":
      return (tokens) => [fromBytes(tokens)];
    case "Strip":
      return (tokens) => tokens.map((token) => withoutLeading(token, step.content, step.start));
    default:
      return refuse(`joins tokens by ${step.type}`);
  }
}

/** @param {string} token @param {string} what @param {number} times at most */
function withoutLeading(token, what, times) {
  for (let i = 0; i < times && token.startsWith(what); i++) token = token.slice(what.length);
  return token;
}
