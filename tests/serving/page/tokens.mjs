// Reads {tokenizers: [{parsed, config}], texts} and writes of each tokenizer and text the ids, places and decoded text.
import { readFileSync, writeSync } from "node:fs";
import { Tokenizer } from "../../../gdcore/serving/web/tokenizer.js";

const { tokenizers, texts, rows } = JSON.parse(readFileSync(0, "utf8"));
const told = tokenizers.map(({ parsed, config }) => {
  const tokenizer = new Tokenizer(parsed, config);
  return {
    read: texts.map((text) => tokenizer.read(text).map(({ id, from, to }) => [id, from, to])),
    decoded: rows.map((ids) => tokenizer.decode(ids)),
  };
});
writeSync(1, JSON.stringify(told));
