/** Files of the bundle and of the runtime, with how much of them has come; each is held to what the manifest says. */

import { FILES } from "./session.js";
import { UserError } from "./tokenizer.js";

/**
 * @typedef {{loaded: number, total: number}} Progress in bytes
 * @typedef {{manifest: any, files: Map<string, Uint8Array>, runtime: any, wasm: Uint8Array, bytes: number}} Loaded
 * @param {(progress: Progress) => void} tell
 * @returns {Promise<Loaded>}
 */
export async function load(tell) {
  const [manifest, runtime] = await Promise.all(["bundle/manifest.json", "runtime/runtime.json"].map(json));
  const names = FILES.filter((name) => name in manifest.files);
  const total = names.reduce((sum, name) => sum + manifest.files[name].size, runtime.size);
  let loaded = 0;
  const told = (bytes) => tell({ loaded: (loaded += bytes), total });
  const wasm = await unpacked(await fetched(`runtime/${runtime.wasm}`, told));
  const files = new Map();
  for (const name of names) {
    const bytes = await fetched(`bundle/${name}`, told);
    await check(name, bytes, manifest.files[name]);
    files.set(name, bytes);
  }
  return { manifest, files, runtime, wasm, bytes: total };
}

async function response(path) {
  const answer = await fetch(path).catch((error) => {
    throw new UserError(`${path} could not be loaded (${error.message}): is the host still there?`);
  });
  if (!answer.ok) {
    throw new UserError(`${path} could not be loaded (${answer.status}): put all that gdflow page wrote on the host.`);
  }
  return answer;
}

/** @returns {Promise<any>} */
async function json(path) {
  return (await response(path)).json();
}

/** @param {string} path @param {(bytes: number) => void} told */
async function fetched(path, told) {
  const reader = (await response(path)).body.getReader();
  const parts = [];
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    told(value.length);
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

/** What gzip packed; a host may have unpacked it on the way already. */
async function unpacked(bytes) {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** @param {string} name @param {Uint8Array} bytes @param {{size: number, sha256: string}} expected */
async function check(name, bytes, expected) {
  // Digests are for secure pages alone, as browsers have it; a damaged file seldom has the right size.
  const digest = crypto.subtle && new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const hex = digest && Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  if (bytes.length !== expected.size || (hex && hex !== expected.sha256)) {
    throw new UserError(`bundle/${name} is not what manifest.json describes: the bundle is damaged. Put it on the host anew.`);
  }
}
