// Reads {runtime, bundle, wishes, prefixes}, opens the bundle with the page's own module and writes what it says.
import { readFileSync, writeSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { FILES, Session } from "../../../gdcore/serving/web/session.js";

const { runtime, bundle, wishes, prefixes } = JSON.parse(readFileSync(0, "utf8"));
const ort = await import(pathToFileURL(`${runtime}/dist/ort.wasm.bundle.min.mjs`).href);
ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmBinary = readFileSync(`${runtime}/dist/ort-wasm-simd-threaded.wasm`);

const manifest = JSON.parse(readFileSync(`${bundle}/manifest.json`, "utf8"));
const names = FILES.filter((name) => name in manifest.files);
const files = new Map(names.map((name) => [name, new Uint8Array(readFileSync(`${bundle}/${name}`))]));
const session = await Session.open(ort, manifest, files);
const written = [];
for (const wish of wishes) {
  const stages = [];
  for await (const { texts } of session.write({ ...wish, seed: BigInt(wish.seed) })) stages.push(texts);
  const texts = stages.at(-1);
  const judged = session.judges ? await session.judge(texts, session.prompted ? wish.prompt : null) : null;
  written.push({ stages, texts, judged });
}
const suggested = [];
for (const prefix of prefixes) suggested.push(await session.suggest(prefix, 5));
writeSync(1, JSON.stringify({ written, suggested }));
