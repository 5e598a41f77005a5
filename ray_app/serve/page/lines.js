/** Small lines of numbers: a sparkline, and a tile that says what its line shows. SVG, since there are many. */

import { el, svg } from "./dom.js";
import { NOTHING, short } from "./format.js";

const WIDTH = 240;

/** The path of [x, y] points; null values break it. */
function path(points, height, low, high) {
  const first = points[0][0];
  const span = points.at(-1)[0] - first || 1;
  const x = (one) => ((one - first) / span) * WIDTH;
  const y = (one) => (high === low ? height / 2 : height - 1.5 - ((one - low) / (high - low)) * (height - 3));
  let pen = "M";
  let text = "";
  for (const [at, value] of points) {
    if (value === null) pen = "M";
    else {
      text += `${pen}${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
      pen = "L";
    }
  }
  return text;
}

/** A line of [x, value or null] points in order of x; null when there are not two. `title` is what is read out. */
export function line(points, height, title, attributes = {}) {
  const values = points.map(([, value]) => value).filter((value) => value !== null);
  if (values.length < 2) return null;
  const drawn = path(points, height, Math.min(...values), Math.max(...values));
  return svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": title, class: "line", ...attributes },
    svg("path", { d: drawn, "vector-effect": "non-scaling-stroke" }),
  );
}

/**
 * A tile: title, newest value with unit, its line, and what is below it.
 * `points`: [milliseconds, value or null] in order; `when` puts a time into words.
 */
export function tile({ title, name, unit, points, when, below, note, shown = short }) {
  const values = points.map(([, value]) => value).filter((value) => value !== null);
  const last = points.at(-1);
  const read = el("span", { class: "number" }, last ? shown(last[1]) : NOTHING);
  const at = el("span", { class: "at" }, last ? when(last[0]) : "");
  const low = values.length ? Math.min(...values) : null;
  const high = values.length ? Math.max(...values) : null;
  const words = values.length
    ? `${title}: from ${when(points[0][0])} to ${when(last[0])} between ${shown(low)} and ${shown(high)} ${unit ?? ""}, last ${shown(last[1])}`
    : `${title}: no values`;
  const drawn = line(points, 64, words);
  if (drawn) {
    const show = (one) => {
      read.textContent = shown(one[1]);
      at.textContent = when(one[0]);
    };
    drawn.addEventListener("pointermove", (event) => show(nearest(points, event, drawn)));
    drawn.addEventListener("pointerleave", () => show(last));
  }
  return el(
    "article",
    { class: "tile" },
    el("h3", { title: name ?? null }, title),
    el("p", { class: "value" }, read, " ", el("span", { class: "unit" }, unit ?? ""), at),
    drawn ? el("div", { class: "plot" }, drawn, el("span", { class: "high" }, shown(high)), el("span", { class: "low" }, shown(low))) : null,
    note ? el("p", { class: "bad" }, note) : null,
    el("p", { class: "below" }, below ?? ""),
  );
}

function nearest(points, event, drawn) {
  const box = drawn.getBoundingClientRect();
  const share = (event.clientX - box.left) / box.width;
  const wanted = points[0][0] + share * (points.at(-1)[0] - points[0][0]);
  return points.reduce((best, one) => (Math.abs(one[0] - wanted) < Math.abs(best[0] - wanted) ? one : best));
}
