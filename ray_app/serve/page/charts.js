/** TradingView Lightweight Charts in the page's colours. */

import { createChart, CrosshairMode } from "./lightweight-charts/lightweight-charts.standalone.production.mjs";
import { fixed } from "./format.js";
import { colour, onTheme } from "./theme.js";

export * from "./lightweight-charts/lightweight-charts.standalone.production.mjs";

const look = () => ({
  layout: {
    background: { color: "transparent" },
    textColor: colour("quiet"),
    fontFamily: colour("font"),
    fontSize: 11,
    attributionLogo: false, // it would bring a style of its own, which the page's policy forbids: named below
    panes: { separatorColor: colour("line"), separatorHoverColor: colour("line") },
  },
  grid: { vertLines: { color: colour("grid") }, horzLines: { color: colour("grid") } },
  rightPriceScale: { borderColor: colour("line") },
  leftPriceScale: { borderColor: colour("line") },
  timeScale: { borderColor: colour("line") },
});

/**
 * A chart in `place`, as wide as it is. `restyle(chart)` gives the series their colours, now and with each theme.
 * Times are UTC. It ends with `signal`.
 */
export function chart(place, height, signal, restyle, options = {}) {
  const made = createChart(place, {
    height,
    autoSize: true,
    ...look(),
    ...options,
    crosshair: { mode: CrosshairMode.Normal },
    timeScale: { ...look().timeScale, timeVisible: true, secondsVisible: false, rightOffset: 3, ...options.timeScale },
    handleScroll: { vertTouchDrag: false, mouseWheel: false },
    handleScale: { mouseWheel: false }, // the wheel scrolls the page; two fingers and the axis zoom
  });
  restyle();
  onTheme(() => {
    made.applyOptions(look());
    restyle();
  }, signal);
  signal.addEventListener("abort", () => made.remove());
  return made;
}

/** Prices on an axis, with so many decimals. */
export const axis = (digits) => ({ type: "custom", minMove: 10 ** -digits, formatter: (value) => fixed(value, digits) });

/** Keys move and zoom a chart that has the focus. */
export function keys(place, made) {
  place.addEventListener("keydown", (event) => {
    const scale = made.timeScale();
    const range = scale.getVisibleLogicalRange();
    if (!range) return;
    const width = range.to - range.from;
    const step = { ArrowLeft: -width / 10, ArrowRight: width / 10 }[event.key];
    const zoom = { "+": 0.8, "=": 0.8, "-": 1.25 }[event.key];
    if (step) scale.setVisibleLogicalRange({ from: range.from + step, to: range.to + step });
    else if (zoom) scale.setVisibleLogicalRange({ from: range.to - width * zoom, to: range.to });
    else if (event.key === "Home") scale.fitContent();
    else return;
    event.preventDefault();
  });
}
