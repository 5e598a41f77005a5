/** Light, dark, or as the system has it. Charts are told when it changes, since they draw by themselves. */

import { byId } from "./dom.js";

const NAME = "crypto-data.theme";
const ORDER = ["system", "light", "dark"];
const dark = matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set();

export function start() {
  let chosen = localStorage.getItem(NAME) ?? "system";
  const button = byId("theme");
  const apply = () => {
    document.documentElement.dataset.theme = chosen === "system" ? (dark.matches ? "dark" : "light") : chosen;
    button.textContent = `Theme: ${chosen}`;
    for (const one of listeners) one();
  };
  button.addEventListener("click", () => {
    chosen = ORDER[(ORDER.indexOf(chosen) + 1) % ORDER.length];
    localStorage.setItem(NAME, chosen);
    apply();
  });
  dark.addEventListener("change", apply);
  apply();
}

/** A colour of the style sheet, by its name. */
export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

export function onTheme(listener, signal) {
  listeners.add(listener);
  signal.addEventListener("abort", () => listeners.delete(listener));
}
