// The page's data, and helpers that all parts share.
const DATA = JSON.parse(document.getElementById("data").textContent);
const RUNS = DATA.runs;
const PAIR = RUNS.length === 2;
const $ = (id) => document.getElementById(id);

/** An element: attributes by name, "on..." as listeners; children are elements or text. */
function h(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value !== null && value !== undefined && value !== false)
      element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** The same, of SVG. */
function s(name, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** "99.9987%": as many digits as tell it from certainty, never rounded up. */
function percent(confidence) {
  const doubt = 1 - confidence;
  const digits = doubt > 0.01 ? 1 : doubt > 0.001 ? 2 : doubt > 0.0001 ? 3 : 4;
  const floored = Math.floor(confidence * 100 * 10 ** digits + 1e-9) / 10 ** digits;
  const shown = Math.min(floored, 99.9999); // a number that has rounded to 1 is not certainty
  if (shown === 0 && confidence > 0)
    return confidence < 1e-6 ? "< 0.0001%" : `${+(confidence * 100).toPrecision(1)}%`;
  return `${shown.toFixed(digits)}%`;
}

/** In full: with how much is missing, where that is next to nothing. */
function confidenceInFull({ confidence, fitness }) {
  const doubt = 1 / (1 + Math.exp(fitness));
  if (doubt > 1e-6) return `${(Math.floor(confidence * 1e6) / 1e4).toFixed(4)}%`;
  const [digits, exponent] = doubt.toExponential(1).split("e-");
  return `1 − ${digits} × 10⁻${raised(exponent)}`;
}
const raised = (n) => String(n).replace(/\d/g, (d) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[d]);

const count = (n, word) => `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`;
const short = (label) => label.split(",")[0];
const sigmoid = (x) => 1 / (1 + Math.exp(-x));
const isSmall = (run) => Math.max(...run.shape) <= 64;

/** Where an elite's full picture is: inside a page that is a single file, else beside it. */
function pictureAddress(r, i) {
  if (document.body.hasAttribute("data-single-file")) {
    // A page of 80 MB may be looked at before it has been read to its end.
    return $(`picture-${r}-${i}`)?.textContent ?? RUNS[r].elites[i].thumb;
  }
  const path = RUNS[r].base + RUNS[r].elites[i].png;
  return path.split("/").map(encodeURIComponent).join("/");
}

/** Where a small picture of an elite is; in a page of very many elites it is the full one. */
const smallAddress = (r, i) => RUNS[r].elites[i].thumb ?? pictureAddress(r, i);
