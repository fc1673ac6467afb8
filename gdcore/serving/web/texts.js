/** A text that was judged: what looks generated is marked, and beside it stands how real it looks. */

import { element, percent } from "./elements.js";

/**
 * @param {string} text @param {Judgement} judgement
 * @param {[number, number] | null} line that calibrates the verdict, its slope and offset
 */
export function shown(text, { logit, spans }, line) {
  const real = verdict(logit, line);
  const bar = element("span", { className: "bar" }, element("span"));
  bar.setAttribute("aria-hidden", "true");
  bar.firstChild.style.setProperty("width", `${100 * real}%`);
  const words = [line ? `${percent(real)} likely real` : `verdict ${real.toFixed(2)}`];
  if (spans) words.push(spans.length ? `looks generated: ${spans.map(({ fake }) => percent(fake)).join(", ")}` : "nothing marked");
  const about = element("span", { textContent: words.join(" · ") });
  return element("li", {}, marked(text, spans ?? []), element("p", { className: "about soft" }, bar, about));
}

/** From 0 to 1; a probability where there is a line. */
export function verdict(logit, line) {
  const [slope, offset] = line ?? [1, 0];
  return 1 / (1 + Math.exp(-(slope * logit + offset)));
}

/** @param {string} text @param {Span[]} spans */
function marked(text, spans) {
  const parts = [];
  let at = 0;
  for (const { start, end, fake } of spans) {
    const mark = element("mark", { textContent: text.slice(start, end) });
    mark.style.setProperty("--sure", `${100 * fake}%`);
    parts.push(text.slice(at, start), mark);
    at = end;
  }
  return element("p", {}, ...parts, text.slice(at));
}
