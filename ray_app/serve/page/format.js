/** Numbers, times and ages as people read them. What is not known is a dash, never 0. */

export const NOTHING = "–";
const UNITS = [[1e18, "E"], [1e15, "P"], [1e12, "T"], [1e9, "B"], [1e6, "M"], [1e3, "k"]];

const known = (value) => typeof value === "number" && Number.isFinite(value);

/** How many decimals a price of this size needs. */
export function decimals(price) {
  if (!known(price) || price === 0) return 2;
  const size = Math.floor(Math.log10(Math.abs(price)));
  return Math.min(12, Math.max(2, 3 - size));
}

export function fixed(value, digits = 2) {
  if (!known(value)) return NOTHING;
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

export const price = (value) => fixed(value, decimals(value));

export const count = (value) => (known(value) ? value.toLocaleString("en-US", { maximumFractionDigits: 0 }) : NOTHING);

/** 1.27T, 3.41B, 120.5. */
export function short(value) {
  if (!known(value)) return NOTHING;
  for (const [size, name] of UNITS) {
    if (Math.abs(value) >= size) return `${fixed(value / size, Math.abs(value) < 10 * size ? 2 : 1)}${name}`;
  }
  return value.toLocaleString("en-US", { maximumSignificantDigits: 5 });
}

/** With its sign, so that colour is not all that tells up from down. */
export function signed(value, digits = 2, after = "") {
  if (!known(value)) return NOTHING;
  const sign = value > 0 ? "+" : value < 0 ? "−" : "";
  return sign + fixed(Math.abs(value), digits) + after;
}

export const percent = (value) => signed(value, 2, " %");

export const direction = (value) => (!known(value) || value === 0 ? "" : value > 0 ? "up" : "down");

export function age(seconds) {
  if (!known(seconds)) return NOTHING;
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}

/** 2026-11-23 01:05, UTC. */
export const minute = (text) => (text ? `${text.slice(0, 10)} ${text.slice(11, 16)}` : NOTHING);
export const day = (text) => (text ? text.slice(0, 10) : NOTHING);
export const seconds = (text) => Math.floor(Date.parse(text) / 1000);
export const iso = (milliseconds) => new Date(milliseconds).toISOString();
export const words = (name) => name.replaceAll("_", " ");
