/**
 * An open bundle: writes, judges, suggests, as gdcore/serving/session.py does; given the same seed, the same text.
 *
 * onnxruntime is handed in, for a browser and node have it from different files.
 */

import { BOS, EOS, PAD, SEP, Tokenizer, UserError } from "./tokenizer.js";
import { found } from "./spans.js";
import { nextWords } from "./suggesting.js";
import { write } from "./writing.js";

const GRAPHS = ["decode.onnx", "model.onnx", "discriminator.onnx"];
const TEXTS = ["tokenizer.json", "tokenizer_config.json", "showcase.json"];
/** Files of a bundle that the page opens, where the bundle has them. */
export const FILES = [...GRAPHS, "weights.bin", ...TEXTS];

/**
 * @typedef {{prompt: string, seed: bigint, temperature: number, candidates: number, longest: number}} Wish
 * @typedef {{logit: number, spans: Span[] | null}} Judgement more is more like real text
 */

export class Session {
  /**
   * @param {any} ort onnxruntime-web
   * @param {any} manifest what `manifest.json` says
   * @param {Map<string, Uint8Array>} files of the bundle, by name
   */
  static async open(ort, manifest, files) {
    const [parsed, config, showcase] = TEXTS.map((name) =>
      files.has(name) ? JSON.parse(new TextDecoder().decode(files.get(name))) : null);
    const tokenizer = new Tokenizer(parsed, config);
    const graphs = {};
    for (const name of GRAPHS.filter((name) => files.has(name))) {
      const path = manifest.graphs[name].weights;
      const options = { executionProviders: ["wasm"], logSeverityLevel: 3 };
      if (path) options.externalData = [{ path, data: files.get(path) }];
      graphs[name] = await ort.InferenceSession.create(files.get(name), options);
    }
    return new Session({ ort, manifest, tokenizer, graphs, showcase });
  }

  /** @param {Record<string, any>} parts see `open` */
  constructor(parts) {
    Object.assign(this, parts);
    const { manifest, graphs } = parts;
    this.context = manifest.context;
    /** @type {boolean} whether the model answers prompts; one that does not continues them */
    this.prompted = manifest.prompted;
    this.judges = "discriminator.onnx" in graphs;
    this.highlights = this.judges && graphs["discriminator.onnx"].outputNames.includes("token_probabilities");
  }

  /** What a text begins with, as ids; no prompt is an empty one. */
  given(prompt) {
    const given = [BOS, ...this.tokenizer.encode(prompt), ...(this.prompted ? [SEP] : [])];
    if (given.length >= this.context) {
      throw new UserError(
        `The prompt takes ${given.length} tokens, which leaves no room in the model's context of ${this.context}: ` +
          "shorten it.",
      );
    }
    return given;
  }

  /** See `write`. @param {Wish} wish */
  write(wish) {
    return write(this, wish);
  }

  /**
   * What was written, as text: an answer, or the prompt, as it was put, and what follows it.
   * @param {string} prompt @param {number[]} ids @param {number} given how many of them
   */
  told(prompt, ids, given) {
    const put = prompt.split(/[\s\x1c-\x1f\x85]+/).filter(Boolean).join(" ");
    if (this.prompted || !put) return this.tokenizer.decode(ids.slice(given));
    const begun = this.tokenizer.decode(ids.slice(1, given));
    const spaced = begun || this.tokenizer.kind === "char" ? "" : " "; // nothing was known: the text begins anew
    return put + spaced + this.tokenizer.decode(ids.slice(1)).slice(begun.length);
  }

  /**
   * The discriminator's verdict on each text, and where it looks generated (null where the discriminator cannot say).
   * @param {string[]} texts @param {string | null} prompt that they answer @returns {Promise<Judgement[]>}
   */
  async judge(texts, prompt = null) {
    const given = prompt === null ? [BOS] : this.given(prompt);
    const rows = texts.map((text) => [...given, ...this.tokenizer.encode(text), EOS].slice(0, this.context));
    const told = await this.graphs["discriminator.onnx"].run(this.#padded(rows));
    const width = Math.max(...rows.map((row) => row.length));
    return texts.map((text, i) => ({
      logit: told.logits.data[i],
      spans: this.highlights
        ? found(this.tokenizer, text, told.token_probabilities.data.slice(i * width + given.length, (i + 1) * width))
        : null,
    }));
  }

  /** See `nextWords`. */
  suggest(prefix, k) {
    return nextWords(this.tokenizer, (ids) => this.#nextLogprobs(ids), this.given(prefix), this.context, k);
  }

  /** Log-probabilities of what follows some ids. @returns {Promise<Float64Array>} */
  async #nextLogprobs(ids) {
    const { next_logits: logits } = await this.graphs["model.onnx"].run(this.#padded([ids]), ["next_logits"]);
    const values = Float64Array.from(logits.data);
    const most = values.reduce((a, b) => Math.max(a, b));
    const total = most + Math.log(values.reduce((sum, value) => sum + Math.exp(value - most), 0));
    return values.map((value) => value - total);
  }

  /** @param {number[][]} rows */
  #padded(rows) {
    const lengths = rows.map((row) => row.length), width = Math.max(...lengths);
    const ids = rows.flatMap((row) => [...row, ...Array(width - row.length).fill(PAD)]);
    return { tokens: this.whole(ids, [rows.length, width]), lengths: this.whole(lengths, [rows.length]) };
  }

  /** A tensor of whole numbers. @param {(number | bigint)[]} values */
  whole(values, shape) {
    return new this.ort.Tensor("int64", BigInt64Array.from(values, BigInt), shape);
  }
}
