/** Macro series as tiles: five years of each, the newest vintage. */

import { sentence } from "./api.js";
import { byId, el } from "./dom.js";
import { day, iso } from "./format.js";
import { tile } from "./lines.js";
import { Panel } from "./panel.js";

const FIRST = ["DGS10", "FEDFUNDS", "CPIAUCSL", "UNRATE", "M2SL", "GDP", "DTWEXBGS", "T10YIE", "VIXCLS"]; // where they are collected
const TILES = 8;
const YEARS = 5 * 365 * 86_400_000;
const EVERY = 1800; // seconds

export class Macro {
  #series = [];
  #picked = [];

  constructor(api) {
    this.panel = new Panel(api, "macro", (asked, late) => this.#load(asked, late), EVERY);
    byId("macro-more").addEventListener("change", (event) => this.#pick(event.target.value), { signal: api.signal });
  }

  start = () => this.panel.run();

  #pick(name) {
    this.#picked = [name, ...this.#picked.filter((one) => one !== name)].slice(0, TILES);
    this.panel.run();
  }

  async #load(api, late) {
    if (!this.#series.length) await this.#list(api);
    if (!this.#series.length) throw Object.assign(new Error("no macro series are collected here"), { status: 0 });
    const about = new Map(this.#series.map((one) => [one.series, one]));
    const found = await Promise.all(this.#picked.map((name) => one(api, about.get(name))));
    if (late()) return null;
    this.panel.body.replaceChildren(...found.map((each) => each.tile));
    const bad = found.find((each) => each.meta && each.meta.condition !== "available");
    return (bad ?? found.find((each) => each.meta))?.meta && { ...(bad ?? found.find((each) => each.meta)).meta, age_seconds: null };
  }

  async #list(api) {
    const { data } = await api.get("/api/v1/catalog/datasets");
    const sets = data.filter((each) => each.record === "Observation").map((each) => each.dataset);
    const pages = await Promise.all(sets.map((dataset) => api.get("/api/v1/catalog/series", { dataset, limit: 1000 })));
    this.#series = pages.flatMap((page) => page.data);
    const names = this.#series.map((each) => each.series);
    const rest = this.#series.filter((each) => !each.restricted && !FIRST.includes(each.series)).map((each) => each.series);
    this.#picked = [...FIRST.filter((each) => names.includes(each)), ...rest].slice(0, TILES);
    const options = this.#series.map((each) => el("option", { value: each.series }, `${each.series} – ${each.title ?? each.dataset}`));
    byId("macro-more").replaceChildren(el("option", { value: "", disabled: true, selected: true }, "Show a series…"), ...options);
  }
}

async function one(api, about) {
  const when = (at) => day(iso(at));
  const shape = { title: about.title ?? about.series, name: about.series, unit: about.unit, points: [], when };
  try {
    const { data, meta } = await api.get(`/api/v1/macro/${encodeURIComponent(about.series)}`, { start: iso(api.now() - YEARS), limit: 1000 });
    const points = data.map((row) => [Date.parse(row.period), row.value]).reverse();
    const newest = data[0];
    const below = newest ? `${about.series}, ${about.frequency ?? ""}, as of vintage ${day(newest.vintage)}` : `${about.series}: nothing in five years`;
    return { tile: tile({ ...shape, points, below }), meta };
  } catch (error) {
    return { tile: tile({ ...shape, note: sentence(error), below: about.series }), meta: null };
  }
}
