// Shared by all charts: axes, lines, bands, steps, names at the ends of lines.
const SIZE = { width: 560, height: 270, left: 64, right: 46, top: 10, bottom: 34 };
const COLOURS = ["var(--run0)", "var(--run1)"];
const compact = (n) =>
  Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 }).format(n);

/** Axes, a frame to draw into, and a line of text that follows the pointer. */
function chart({ title, about, xMax, yMin, yMax, yTicks, say }) {
  const { width, height, left, right, top, bottom } = SIZE;
  const x = (v) => left + (v / xMax) * (width - left - right);
  const y = (v) =>
    height -
    bottom -
    ((Math.min(Math.max(v, yMin), yMax) - yMin) / (yMax - yMin || 1)) * (height - top - bottom);
  const svg = s("svg", {
    viewBox: `0 0 ${width} ${height}`,
    role: "img",
    "aria-label": `${title}. ${about}`,
  });
  for (const [value, words] of yTicks) {
    svg.append(
      s("path", { class: "grid", d: `M${left} ${y(value)}H${width - right}` }),
      s("text", { x: left - 8, y: y(value) + 4, "text-anchor": "end" }, words),
    );
  }
  for (const value of niceTicks(xMax))
    svg.append(
      s("text", { x: x(value), y: height - bottom + 18, "text-anchor": "middle" }, compact(value)),
    );
  svg.append(s("text", { x: width - right, y: height - 2, "text-anchor": "end" }, "evaluations"));
  const readout = h("p", { class: "readout" });
  const cross = s("path", { class: "cross", d: "" });
  svg.append(cross);
  const rest = say(xMax);
  readout.append(...rest);
  const follow = (event) => {
    const box = svg.getBoundingClientRect();
    const at =
      Math.min(
        Math.max(
          (((event.clientX - box.left) / box.width) * width - left) / (width - left - right),
          0,
        ),
        1,
      ) * xMax;
    cross.setAttribute("d", `M${x(at)} ${top}V${height - bottom}`);
    readout.replaceChildren(...say(at));
  };
  svg.addEventListener("pointermove", follow);
  svg.addEventListener("pointerdown", follow);
  svg.addEventListener("pointerleave", () => {
    cross.setAttribute("d", "");
    readout.replaceChildren(...say(xMax));
  });
  const figure = h(
    "figure",
    {},
    h("figcaption", {}, h("h2", {}, title), h("p", {}, about)),
    svg,
    readout,
  );
  return { figure, svg, x, y };
}

function niceTicks(max) {
  const rough = max / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((m) => m >= rough);
  return Array.from({ length: Math.floor(max / step) + 1 }, (_, k) => k * step);
}

const path = (points) =>
  points.map(([x, y], k) => `${k ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");

function lines(frame, xs, ys, attributes) {
  frame.svg.append(
    s("path", {
      d: path(xs.map((v, k) => [frame.x(v), frame.y(ys[k])])),
      fill: "none",
      "stroke-width": 1.8,
      "stroke-linejoin": "round",
      ...attributes,
    }),
  );
}

function band(frame, xs, low, high, attributes) {
  const up = xs.map((v, k) => [frame.x(v), frame.y(high[k])]);
  const down = xs.map((v, k) => [frame.x(v), frame.y(low[k])]).reverse();
  frame.svg.append(s("path", { d: `${path([...up, ...down])}Z`, stroke: "none", ...attributes }));
}

/** Names at the right ends of lines, pushed apart where they would touch: `[y, words, colour]`. */
function endLabels(frame, ends) {
  const { width, height, right, top, bottom } = SIZE;
  const sorted = [...ends].sort((a, b) => a[0] - b[0]);
  let last = -Infinity;
  const at = sorted.map(([y]) => (last = Math.max(y + 4, last + 12.5, top + 4)));
  for (let k = at.length - 1, floor = height - bottom + 4; k >= 0; k--, floor = at[k + 1] - 12.5)
    at[k] = Math.min(at[k], floor);
  sorted.forEach(([, words, colour], k) =>
    frame.svg.append(
      s("text", { x: width - right + 6, y: at[k], style: `fill: ${colour}` }, words),
    ),
  );
}

/** The last of the points that is not beyond a value. */
function pointAt(xs, at) {
  let k = xs.length - 1;
  while (k > 0 && xs[k] > at) k--;
  return k;
}

const whichRun = (r) => (PAIR ? [h("span", { class: `key run${r}` }), `${RUNS[r].name}: `] : []);
const furthest = (curves) => Math.max(...curves.map((c) => c.evaluations.at(-1) ?? 0), 1);

/** One value per bin, as steps. */
function steps(frame, edges, values, attributes) {
  const points = values.flatMap((v, k) =>
    v === null
      ? []
      : [
          [frame.x(edges[k]), frame.y(v)],
          [frame.x(edges[k + 1]), frame.y(v)],
        ],
  );
  if (points.length)
    frame.svg.append(
      s("path", { d: path(points), fill: "none", "stroke-width": 1.8, ...attributes }),
    );
}
