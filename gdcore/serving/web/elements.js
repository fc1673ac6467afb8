/** The page's elements, and how new ones are made. Text is always set as text: no markup comes from a model. */

import { UserError } from "./tokenizer.js";

/** An element that `index.html` has. @returns {any} */
export function $(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`index.html has no element ${id}`);
  return found;
}

/** @param {string} name @param {Record<string, any>} properties @param {(Node | string)[]} children */
export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

/** @param {string} name @param {Record<string, string | number>} attributes @param {(Node | string)[]} children */
export function drawn(name, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  made.append(...children);
  return made;
}

/** Never quite nothing, nor all: the model is not certain. */
export function percent(share) {
  if (share < 0.005) return "< 1 %";
  return share >= 0.995 ? "> 99 %" : `${Math.round(100 * share)} %`;
}

/** @param {number} num @param {string} what @param {string} [many] */
export function counted(num, what, many = `${what}s`) {
  return `${num.toLocaleString("en")} ${num === 1 ? what : many}`;
}

export function megabytes(bytes) {
  return (bytes / 1e6).toFixed(1);
}

/** Tells on the page what went wrong. */
export function fail(error) {
  const ours = error instanceof UserError;
  $("failure").textContent = ours ? error.message : `Something is wrong with this page: ${error.message}`;
  $("failure").hidden = false;
  if (!ours) console.error(error);
}

/** Work that nobody waits for, its failure told. @param {Promise<any>} work */
export function started(work) {
  work.catch(fail);
}
