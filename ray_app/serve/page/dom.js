/** Elements from text. Nothing here reads HTML: what an upstream wrote is only ever a text node or an attribute. */

const SVG = "http://www.w3.org/2000/svg";

/** An element. A function as an attribute's value listens to the event of that name; null leaves it out. */
export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

export const byId = (id) => document.getElementById(id);

/** A link to somewhere else, or plain text where the address is none that may be opened. */
export function link(address, text, attributes = {}) {
  let url;
  try {
    url = new URL(address);
  } catch {
    return el("span", attributes, text);
  }
  if (!["http:", "https:"].includes(url.protocol)) return el("span", attributes, text);
  const away = { href: url.href, target: "_blank", rel: "noopener noreferrer nofollow ugc" };
  return el("a", { ...away, ...attributes }, text);
}

/** Buttons of which one is pressed. `chosen(value)` hears of a change. */
export function choices(place, values, first, chosen) {
  const buttons = values.map(([value, text]) =>
    el("button", { type: "button", "aria-pressed": String(value === first), click: () => press(value) }, text),
  );
  function press(value) {
    values.forEach(([one], at) => buttons[at].setAttribute("aria-pressed", String(one === value)));
    chosen(value);
  }
  place.replaceChildren(...buttons);
}

/** Buttons of which each is pressed or not. `changed(set)` hears of a change. */
export function toggles(place, values, first, changed) {
  const on = new Set(first);
  place.append(
    ...values.map(([value, text]) =>
      el("button", {
        type: "button",
        class: `toggle ${value}`,
        "aria-pressed": String(on.has(value)),
        click: (event) => {
          if (!on.delete(value)) on.add(value);
          event.currentTarget.setAttribute("aria-pressed", String(on.has(value)));
          changed(on);
        },
      }, text),
    ),
  );
  return on;
}
