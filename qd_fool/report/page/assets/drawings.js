// Genomes: a CPPN as a graph, a direct picture as a histogram of its pixels.

/** The row of an elite's graph: elites with equal graphs share one. */
const graphRow = (graphs, i) => graphs.rows?.[i] ?? i;

/** Undoes `pack_graphs`: the graph as `qd-fool export --format graphs` writes it. */
function unpackGraph(graphs, i) {
  const k = graphRow(graphs, i);
  const [flat, edges] = [graphs.nodes[k], graphs.edges[k]];
  const nodes = [];
  for (let n = 0; n < flat.length; n += 4)
    nodes.push({ id: flat[n], ...graphs.kinds[flat[n + 1]] });
  const list = [];
  for (let e = 0; e < edges.length; e += 3)
    list.push({ source: edges[e], target: edges[e + 1], weight: edges[e + 2] });
  return { ...graphs.head, nodes, edges: list };
}

const SHORT = { sine: "sin", sigmoid: "sig", gaussian: "gau", linear: "lin" };

function drawGraph(graphs, i) {
  const graph = unpackGraph(graphs, i);
  const flat = graphs.nodes[graphRow(graphs, i)];
  const [pitchX, pitchY, radius] = [76, 70, 19];
  const places = new Map();
  for (let k = 0; k < flat.length; k += 4)
    if (flat[k + 3] >= 0) places.set(flat[k], [flat[k + 2], flat[k + 3]]);
  const xs = [...places.values()].map(([x]) => x);
  const top = Math.max(...[...places.values()].map(([, y]) => y));
  const width = Math.max(Math.max(...xs) + 1, 5) * pitchX;
  const height = (top + 1) * pitchY - 6;
  const shift = (width - Math.max(...xs) * pitchX) / 2;
  const at = (id) => {
    const [x, y] = places.get(id);
    return [shift + x * pitchX, height - 32 - y * pitchY];
  };
  const drawn = graph.edges.filter((e) => places.has(e.source) && places.has(e.target));
  const left = graph.nodes.length - places.size;
  const told = `${count(graph.nodes.length, "node")}, ${count(graph.edges.length, "edge")}`;
  const svg = s("svg", {
    viewBox: `0 0 ${width} ${height}`,
    role: "img",
    "aria-label": `The CPPN as a graph: ${told}`,
  });
  const seen = {};
  for (const { source, target, weight } of drawn) {
    const key = `${source} ${target}`;
    const parallel = (seen[key] = (seen[key] ?? -1) + 1);
    const [[x0, y0], [x1, y1]] = [at(source), at(target)];
    const length = Math.hypot(x1 - x0, y1 - y0) || 1;
    // Parallel edges bend apart, and all a little, so that one does not hide behind a node.
    const bend = length * (0.06 + 0.16 * parallel);
    const [cx, cy] = [
      (x0 + x1) / 2 - (bend * (y1 - y0)) / length,
      (y0 + y1) / 2 + (bend * (x1 - x0)) / length,
    ];
    const colour = weight < 0 ? "var(--down)" : "var(--up)";
    svg.append(
      s(
        "path",
        {
          d: `M${x0.toFixed(1)} ${y0.toFixed(1)}Q${cx.toFixed(1)} ${cy.toFixed(1)} ${x1.toFixed(1)} ${y1.toFixed(1)}`,
          fill: "none",
          stroke: colour,
          "stroke-opacity": 0.75,
          "stroke-width": (0.7 + 0.3 * Math.abs(weight)).toFixed(2),
          ...(weight < 0 ? { "stroke-dasharray": "5 3" } : {}),
        },
        s("title", {}, `weight ${weight.toFixed(3)}`),
      ),
    );
  }
  const used = new Set();
  for (const node of graph.nodes) {
    if (!places.has(node.id)) continue;
    const [x, y] = at(node.id);
    const name = node.activation ?? "input";
    used.add(name);
    const circle = s("circle", {
      cx: x,
      cy: y,
      r: node.kind === "hidden" ? radius * 0.8 : radius,
      fill: `var(--${name}, var(--input))`,
      stroke: "var(--back)",
      "stroke-width": 2,
    });
    circle.append(s("title", {}, [node.label, name].filter(Boolean).join(", ")));
    svg.append(circle);
    if (node.activation)
      svg.append(
        s(
          "text",
          { x, y: y + 3, "text-anchor": "middle", class: "function" },
          SHORT[name] ?? name.slice(0, 4),
        ),
      );
    if (node.label) {
      const below = node.kind === "input";
      const text = s(
        "text",
        { x, y: below ? y + radius + 12 : y - radius - 5, "text-anchor": "middle" },
        node.label,
      );
      svg.append(text);
    }
  }
  const legend = h("ul", { class: "legend" });
  for (const name of used)
    legend.append(h("li", {}, h("i", { style: `background: var(--${name}, var(--input))` }), name));
  legend.append(
    h("li", {}, h("i", { class: "edge", style: "background: var(--up)" }), "positive weight"),
    h(
      "li",
      {},
      h("i", {
        class: "edge",
        style:
          "background: repeating-linear-gradient(90deg, var(--down) 0 5px, transparent 5px 8px)",
      }),
      "negative",
    ),
  );
  return [
    svg,
    legend,
    h("p", { class: "below" }, told + (left ? `; ${left} not drawn because without effect` : "")),
  ];
}

const bytesOf = (base64) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));

function drawHistogram(run, i) {
  const heights = bytesOf(run.histograms[i]);
  const bins = 32;
  const channels = heights.length / bins;
  const [width, height] = [420, 130];
  const svg = s("svg", {
    viewBox: `0 0 ${width} ${height + 20}`,
    role: "img",
    "aria-label": "Number of pixels per value",
  });
  const colours = channels === 1 ? ["var(--soft)"] : ["#e0564a", "#3fa35c", "#4a7fe0"];
  const step = width / bins;
  for (let c = 0; c < channels; c++) {
    let d = `M0 ${height}`;
    for (let b = 0; b < bins; b++) {
      const y = height - (heights[c * bins + b] / 255) * (height - 4);
      d += `L${(b * step).toFixed(1)} ${y.toFixed(1)}L${((b + 1) * step).toFixed(1)} ${y.toFixed(1)}`;
    }
    d += `L${width} ${height}Z`;
    svg.append(
      s("path", {
        d,
        fill: colours[c],
        "fill-opacity": channels === 1 ? 0.55 : 0.22,
        stroke: colours[c],
        "stroke-width": 1,
      }),
    );
  }
  svg.append(s("path", { d: `M0 ${height}H${width}`, class: "grid" }));
  for (const value of [0, 64, 128, 192, 255]) {
    const x = (value / 256) * width;
    svg.append(
      s(
        "text",
        {
          x,
          y: height + 15,
          "text-anchor": value === 0 ? "start" : value === 255 ? "end" : "middle",
        },
        String(value),
      ),
    );
  }
  return [svg];
}

/** The genome as JSON, or null where it is not in the page. */
function genomeText(run, i) {
  if (run.graphs) return JSON.stringify(unpackGraph(run.graphs, i), null, 1);
  if (run.genomes) return JSON.stringify(run.genomes[i], null, 1);
  if (!run.pixels) return null;
  const [height, width] = run.shape;
  const bytes = [...bytesOf(run.pixels[i])];
  const row = width * run.channels;
  const rows = Array.from({ length: height }, (_, y) =>
    JSON.stringify(bytes.slice(y * row, (y + 1) * row)),
  );
  return `{"format": "qd_fool.direct", "shape": [${height}, ${width}, ${run.channels}], "pixels": [\n${rows.join(",\n")}\n]}`;
}
