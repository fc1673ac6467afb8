/** Quality against diversity: what was measured at some temperatures, and where the chosen one lies between them. */

import { $, drawn } from "./elements.js";

const [WIDTH, HEIGHT, LEFT, BOTTOM, EDGE] = [420, 330, 40, 46, 34];

/**
 * @typedef {{temperature: number, x: number, y: number}} Point
 * @typedef {{title: string, x_label: string, y_label: string, guide: string, real: {x: number, y: number} | null,
 *   points: Point[]}} Frontier as `showcase.json` has it, the coldest point first
 */

/** @param {Frontier | null | undefined} frontier */
export function openFrontier(frontier) {
  const temperature = $("temperature");
  const turned = () => ($("degrees").textContent = Number(temperature.value).toFixed(2));
  temperature.addEventListener("input", turned);
  turned();
  if (!frontier) return;
  $("frontier").hidden = false;
  const { svg, dot, at } = chart(frontier);
  $("chart").append(svg);
  const move = () => {
    const chosen = Number(temperature.value), place = between(frontier.points, chosen), { x, y } = at(place);
    dot.setAttribute("transform", `translate(${x} ${y})`);
    $("place").textContent = told(frontier, chosen, place);
  };
  temperature.addEventListener("input", move);
  move();
}

/** Where a temperature lies on the measured line, at its ends where it is beyond them. @param {Point[]} points */
export function between(points, chosen) {
  const after = points.findIndex((point) => point.temperature >= chosen);
  if (after === 0) return points[0];
  if (after < 0) return points[points.length - 1];
  const [a, b] = [points[after - 1], points[after]];
  const share = (chosen - a.temperature) / (b.temperature - a.temperature);
  return { temperature: chosen, x: a.x + share * (b.x - a.x), y: a.y + share * (b.y - a.y) };
}

/** @param {Frontier} frontier @param {number} chosen @param {Point} place */
function told({ points, x_label, y_label, guide }, chosen, place) {
  const [coldest, hottest] = [points[0].temperature, points[points.length - 1].temperature];
  const beyond = chosen < coldest || chosen > hottest;
  const measured = coldest === hottest ? `at ${coldest} alone` : `from ${coldest} to ${hottest}`;
  const where = beyond
    ? `${chosen.toFixed(2)} is beyond what was measured (${measured}); the dot is at the nearest.`
    : `At ${chosen.toFixed(2)}: ${name(y_label)} ${place.y.toPrecision(3)}, ${name(x_label)} ${place.x.toPrecision(3)}.`;
  return `${where} ${guide}`;
}

/** A metric without what its axis says of directions. */
function name(label) {
  return label.split(":")[0];
}

/** @param {Frontier} frontier */
function chart({ title, x_label, y_label, real, points }) {
  const all = real ? [...points, real] : points;
  const x = scale(all.map((point) => point.x), LEFT + EDGE, WIDTH - EDGE);
  const y = scale(all.map((point) => point.y), HEIGHT - BOTTOM - EDGE, EDGE);
  const at = (point) => ({ x: x(point.x), y: y(point.y) });
  const svg = drawn("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", class: "chart" });
  const values = points.map((point) => `${point.temperature}: ${point.x.toPrecision(3)}, ${point.y.toPrecision(3)}`);
  svg.setAttribute("aria-label", `${title}. ${x_label} across, ${y_label} upwards. By temperature: ${values.join("; ")}.`);
  svg.append(
    drawn("path", { class: "axes", d: `M${LEFT} ${EDGE / 2}V${HEIGHT - BOTTOM}H${WIDTH - EDGE / 2}` }),
    drawn("text", { class: "axis", x: (LEFT + WIDTH) / 2, y: HEIGHT - 14 }, x_label),
    drawn("text", { class: "axis", transform: `translate(18 ${(HEIGHT - BOTTOM) / 2}) rotate(-90)` }, y_label),
    drawn("polyline", { class: "line", points: points.map(at).map((place) => `${place.x},${place.y}`).join(" ") }),
  );
  let last = { x: -99, y: -99 };
  for (const point of points) {
    const place = at(point);
    svg.append(drawn("circle", { class: "point", cx: place.x, cy: place.y, r: 3.5 }));
    // Those that lie close together would be written over one another.
    if (Math.hypot(place.x - last.x, place.y - last.y) < 30) continue;
    svg.append(drawn("text", { class: "tick", x: place.x, y: place.y - 13 }, String(point.temperature)));
    last = place;
  }
  if (real) {
    const place = at(real);
    svg.append(drawn("path", { class: "real", d: `M${place.x} ${place.y - 7}l7 7l-7 7l-7-7z` }));
    svg.append(drawn("text", { class: "tick real", x: place.x, y: place.y + 22 }, "real text"));
  }
  const dot = drawn("g", { class: "dot" }, drawn("circle", { r: 11, class: "halo" }), drawn("circle", { r: 6 }));
  svg.append(dot);
  return { svg, dot, at };
}

/** From values to places between two ends; a single value stands in the middle. */
function scale(values, from, to) {
  const least = Math.min(...values), most = Math.max(...values);
  return (value) => (most > least ? from + ((value - least) / (most - least)) * (to - from) : (from + to) / 2);
}
