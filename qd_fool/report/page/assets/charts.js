// Charts of how a run went, as inline SVG; two runs share the axes.
const logit = (p) => Math.log(p / (1 - p));
const nines = (k) =>
  k < 6 ? `99.${"9".repeat(k - 2)}%`.replace("99.%", "99%") : `1 − 10⁻${raised(k)}`;
const CONFIDENCES = [
  ...[0.0001, 0.001, 0.01, 0.1, 0.5, 0.9].map((p) => [logit(p), `${+(p * 100).toFixed(4)}%`]),
  ...Array.from({ length: 15 }, (_, k) => [(k + 2) * Math.LN10, nines(k + 2)]),
];

let charted = false;
function drawCharts() {
  if (charted) return;
  charted = true;
  const place = $("charts");
  // On a phone a narrower drawing keeps its words as large as the page's.
  SIZE.width = Math.min(560, Math.max(330, place.clientWidth));
  const curves = RUNS.map((run) => run.curves);
  if (!curves.some((c) => c.evaluations.length)) {
    place.append(h("p", { class: "none" }, "This run has logged nothing yet."));
    return;
  }
  place.append(
    totals(),
    h(
      "div",
      { class: "charts" },
      confidenceChart(curves),
      thresholdChart(curves),
      replacementChart(curves),
      ...switchChart(curves),
      ...emitterCharts(),
    ),
  );
}

/** One sentence per run about goal switches. */
function totals() {
  const of = (share) =>
    share === null || share === undefined ? null : `${(share * 100).toFixed(1)}%`;
  const lines = RUNS.map((run) => {
    const parts = [];
    if (of(run.eliteSwitches))
      parts.push(`${of(run.eliteSwitches)} of the elites have a parent from another class`);
    if (of(run.insertionSwitches))
      parts.push(
        `the same holds for ${of(run.insertionSwitches)} of all ${run.insertions.toLocaleString("en")} insertions`,
      );
    const depths = run.elites
      .map((e) => e.depth)
      .filter((d) => d !== undefined)
      .sort((a, b) => a - b);
    if (depths.length && run.kind !== "ascent") {
      const switches = run.elites.map((e) => e.switches ?? 0).sort((a, b) => a - b);
      parts.push(
        `medians per elite: ${count(depths[depths.length >> 1], "ancestor")}, ${count(switches[switches.length >> 1], "change")} of class`,
      );
    }
    if (!parts.length) return null;
    const text = parts.join("; ") + ".";
    return h(
      "p",
      { class: "lead" },
      PAIR ? h("span", { class: `key run${RUNS.indexOf(run)}` }) : null,
      PAIR ? `${run.name}: ${text}` : text,
    );
  });
  return h("div", { class: "totals" }, ...lines.filter(Boolean));
}

function confidenceChart(curves) {
  const all = curves
    .flatMap((c) => (c.lines ? Object.entries(c.lines) : []))
    .filter(([name]) => (PAIR ? !["min", "max"].includes(name) : true));
  const values = all.flatMap(([, v]) => v);
  const low = Math.max(Math.min(...values), logit(0.0001));
  const high = Math.max(...values, logit(0.9));
  const ticks = CONFIDENCES.filter(([v]) => v >= low - 0.5 && v <= high + 0.5).filter(
    (_, k, all) => all.length < 11 || k % 2 === 0,
  );
  const whole = curves.every((c) => !c.lines || c.lines.q10);
  const about = `Confidence of all cells, on a log-odds scale${PAIR ? ": median (line) and mean (dashed)" : ""}${whole ? "; bands hold the middle 50% and 80%" : ""}.`;
  const say = (at) =>
    curves.flatMap((c, r) => {
      if (!c.lines) return [];
      const k = pointAt(c.evaluations, at);
      return [
        h(
          "span",
          {},
          ...whichRun(r),
          `${c.evaluations[k].toLocaleString("en")} evaluations: median `,
          h("b", {}, percent(sigmoid(c.lines.median[k]))),
          `, mean ${percent(sigmoid(c.lines.mean[k]))}`,
        ),
      ];
    });
  const frame = chart({
    title: "Confidence",
    about,
    xMax: furthest(curves),
    yMin: low - 0.3,
    yMax: high + 0.3,
    yTicks: ticks,
    say,
  });
  const ends = [];
  curves.forEach((c, r) => {
    if (!c.lines) return;
    const colour = COLOURS[r];
    if (c.lines.q10) {
      band(frame, c.evaluations, c.lines.q10, c.lines.q90, { fill: colour, "fill-opacity": 0.1 });
      band(frame, c.evaluations, c.lines.q25, c.lines.q75, { fill: colour, "fill-opacity": 0.16 });
    }
    if (!PAIR)
      for (const name of ["min", "max"])
        lines(frame, c.evaluations, c.lines[name], {
          stroke: colour,
          "stroke-dasharray": "1 4",
          "stroke-linecap": "round",
          "stroke-width": 1.6,
        });
    lines(frame, c.evaluations, c.lines.mean, {
      stroke: colour,
      "stroke-dasharray": "6 4",
      "stroke-width": 1.4,
    });
    lines(frame, c.evaluations, c.lines.median, { stroke: colour, "stroke-width": 2.2 });
    if (!PAIR)
      ends.push(
        ...["max", "mean", "median", "min"].map((name) => [
          frame.y(c.lines[name].at(-1)),
          name,
          colour,
        ]),
      );
  });
  endLabels(frame, ends);
  return frame.figure;
}

const LEVELS = [
  ["0.5", 0.35],
  ["0.9", 0.55],
  ["0.99", 0.78],
  ["0.9999", 1],
];
function thresholdChart(curves) {
  const cells = Math.max(...curves.map((c) => c.cells ?? 0));
  const known = LEVELS.filter(([level]) => curves.some((c) => c.over?.[level]));
  const say = (at) =>
    curves.flatMap((c, r) => {
      if (!c.over) return [];
      const k = pointAt(c.evaluations, at);
      const parts = known
        .filter(([level]) => c.over[level])
        .flatMap(([level], n) => [
          n ? ", " : "",
          `≥ ${+(level * 100).toFixed(4)}%: `,
          h("b", {}, c.over[level][k].toLocaleString("en")),
        ]);
      return [h("span", {}, ...whichRun(r), ...parts)];
    });
  const ticks = niceTicks(cells).map((v) => [v, v.toLocaleString("en")]);
  const about = `Number of cells, out of ${cells.toLocaleString("en")}, with a confidence of at least ${known.map(([level]) => `${+(level * 100).toFixed(4)}%`).join(", ")}.`;
  const frame = chart({
    title: "Cells over thresholds",
    about,
    xMax: furthest(curves),
    yMin: 0,
    yMax: Math.max(cells, 1),
    yTicks: ticks,
    say,
  });
  const ends = [];
  curves.forEach((c, r) => {
    for (const [level, opacity] of known) {
      if (!c.over?.[level]) continue;
      lines(frame, c.evaluations, c.over[level], { stroke: COLOURS[r], "stroke-opacity": opacity });
      ends.push([frame.y(c.over[level].at(-1)), `${+(level * 100).toFixed(4)}%`, COLOURS[r]]);
    }
  });
  endLabels(frame, ends);
  return frame.figure;
}

function replacementChart(curves) {
  const values = curves.flatMap((c) => c.replacements ?? []).filter((v) => v > 0);
  const least = Math.floor(Math.log10(Math.max(Math.min(...values, 1), 0.01)));
  const most = Math.ceil(Math.log10(Math.max(...values, 10)));
  const ticks = Array.from({ length: most - least + 1 }, (_, k) => [
    least + k,
    compact(10 ** (least + k)),
  ]);
  const scale = (v) => (v > 0 ? Math.log10(v) : least);
  const say = (at) =>
    curves.flatMap((c, r) => {
      if (!c.replacements) return [];
      const k = Math.min(pointAt(c.bins, at), c.replacements.length - 1);
      return [
        h(
          "span",
          {},
          ...whichRun(r),
          `${compact(c.bins[k])} to ${compact(c.bins[k + 1])} evaluations: `,
          h("b", {}, c.replacements[k].toLocaleString("en", { maximumSignificantDigits: 3 })),
          " per thousand",
        ),
      ];
    });
  const frame = chart({
    title: "Replacements",
    about:
      "Elites that lost their cell to a better picture, per thousand evaluations; logarithmic scale.",
    xMax: furthest(curves),
    yMin: least,
    yMax: most,
    yTicks: ticks,
    say,
  });
  curves.forEach(
    (c, r) =>
      c.replacements && steps(frame, c.bins, c.replacements.map(scale), { stroke: COLOURS[r] }),
  );
  return frame.figure;
}

function switchChart(curves) {
  if (!curves.some((c) => c.switches?.some((v) => v !== null))) return [];
  const say = (at) =>
    curves.flatMap((c, r) => {
      if (!c.switches) return [];
      const k = Math.min(pointAt(c.bins, at), c.switches.length - 1);
      const value = c.switches[k];
      return [
        h(
          "span",
          {},
          ...whichRun(r),
          `${compact(c.bins[k])} to ${compact(c.bins[k + 1])} evaluations: `,
          h("b", {}, value === null ? "no insertions" : `${(value * 100).toFixed(0)}%`),
        ),
      ];
    });
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((v) => [v, `${v * 100}%`]);
  const frame = chart({
    title: "Goal switches",
    about: "Share of insertions whose parent sat in another class's cell.",
    xMax: furthest(curves),
    yMin: 0,
    yMax: 1,
    yTicks: ticks,
    say,
  });
  curves.forEach((c, r) => c.switches && steps(frame, c.bins, c.switches, { stroke: COLOURS[r] }));
  return [frame.figure];
}

/** Two charts per run whose emitters share each batch: their shares, and what they gained. */
function emitterCharts() {
  return RUNS.flatMap((run) => {
    const emitters = run.curves.emitters;
    if (!emitters) return [];
    const names = Object.keys(emitters);
    const suffix = PAIR ? ` (${run.name})` : "";
    const gains = names.flatMap((name) => emitters[name].gain).filter((v) => v !== null);
    const top = Math.max(...gains, 1);
    return [
      emitterChart(run, "share", {
        title: `Shares of the emitters${suffix}`,
        about: "Part of the offspring that each emitter made.",
        top: 1,
        ticks: [0, 0.25, 0.5, 0.75, 1].map((v) => [v, `${v * 100}%`]),
        words: (v) => `${(v * 100).toFixed(0)}%`,
      }),
      emitterChart(run, "gain", {
        title: `Gains of the emitters${suffix}`,
        about: "Confidence that each emitter's offspring added, summed over cells, per thousand evaluations.",
        top,
        ticks: niceTicks(top).map((v) => [v, compact(v)]),
        words: (v) => v.toLocaleString("en", { maximumSignificantDigits: 3 }),
      }),
    ];
  });
}

function emitterChart(run, kind, { title, about, top, ticks, words }) {
  const { bins, emitters } = run.curves;
  const names = Object.keys(emitters);
  const hue = (k) => `hsl(${Math.round((360 * k) / names.length)} 60% 42%)`;
  const say = (at) => {
    const k = Math.min(pointAt(bins, at), bins.length - 2);
    const parts = names
      .filter((name) => emitters[name][kind][k] !== null)
      .flatMap((name, i) => [i ? ", " : "", `${name} `, h("b", {}, words(emitters[name][kind][k]))]);
    return [h("span", {}, `${compact(bins[k])} to ${compact(bins[k + 1])} evaluations: `, ...parts)];
  };
  const frame = chart({
    title,
    about,
    xMax: Math.max(bins.at(-1), 1),
    yMin: 0,
    yMax: top,
    yTicks: ticks,
    say,
  });
  const ends = names.map((name, k) => {
    const values = emitters[name][kind];
    steps(frame, bins, values, { stroke: hue(k) });
    const last = values.filter((v) => v !== null).at(-1) ?? 0;
    return [frame.y(Math.min(last, top)), name, hue(k)];
  });
  endLabels(frame, ends);
  return frame.figure;
}
