// One class, opened large: its elite in each run.
let opened = null;

function openTile(tile) {
  opened = tile;
  const dialog = $("elite");
  const at = shown.indexOf(tile);
  const step = (by, words, sign) =>
    h(
      "button",
      {
        class: "round",
        type: "button",
        "aria-label": words,
        title: words,
        disabled: at < 0 || !shown[at + by],
        onclick: () => openTile(shown[at + by]),
      },
      sign,
    );
  readLater(() => $("elite").open && openTile(opened));
  const sides = h("div", { class: "sides" });
  for (const r of RUNS.keys()) sides.append(drawSide(tile, r));
  dialog.replaceChildren(
    h(
      "div",
      { class: "top" },
      h(
        "h2",
        { id: "elite-title", tabindex: "-1" },
        tile.elite.label,
        h("small", {}, `class ${tile.elite.class}${tile.wnid ? ` · ${tile.wnid}` : ""}`),
      ),
      step(-1, "Previous", "←"),
      step(1, "Next", "→"),
      h(
        "button",
        {
          class: "round",
          type: "button",
          "aria-label": "Close",
          title: "Close (Esc)",
          onclick: () => dialog.close(),
        },
        "✕",
      ),
    ),
    sides,
  );
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
  $("elite-title").focus();
  history.replaceState(null, "", `#elite-${tile.elite.class}`);
}

$("elite").addEventListener("close", () => {
  history.replaceState(null, "", location.pathname + location.search);
  const at = shown.indexOf(opened);
  if (at >= 0) focusTile(at);
});
$("elite").addEventListener("click", (event) => {
  if (event.target === $("elite")) $("elite").close(); // beside it
});
$("elite").addEventListener("keydown", (event) => {
  const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!by || event.altKey || event.ctrlKey || event.metaKey || event.target.closest("pre")) return;
  const next = shown[shown.indexOf(opened) + by];
  if (next) openTile(next);
});

/** A link to the elite of a class, where the page has one. */
function toElite(r, classIndex, words) {
  const tile = TILES.find((t) => t.at[r] !== null && RUNS[r].elites[t.at[r]].class === classIndex);
  return tile
    ? h("button", { class: "link", type: "button", onclick: () => openTile(tile) }, words)
    : words;
}

function drawSide(tile, r) {
  const run = RUNS[r];
  const i = tile.at[r];
  const name = PAIR
    ? h("p", { class: "run" }, h("span", { class: `key run${r}` }), run.name)
    : null;
  if (i === null)
    return h(
      "div",
      { class: "side narrow" },
      name,
      h("p", { class: "none" }, "no elite for this class"),
    );
  const elite = run.elites[i];
  const address = pictureAddress(r, i);
  const image = h("img", {
    src: address,
    class: isSmall(run) ? "picture pixels" : "picture",
    alt: `Elite of ${elite.label}${PAIR ? ` in ${run.name}` : ""}`,
  });
  const [height, width] = run.shape;
  const link = address.startsWith("data:")
    ? h("a", { href: address, download: elite.png.split("/").pop() }, "save PNG")
    : h("a", { href: address, target: "_blank", rel: "noopener" }, "open PNG");
  return h(
    "div",
    { class: "side" },
    h(
      "div",
      { class: "look" },
      name,
      h("div", { class: "whole" }, image),
      h("p", { class: "below" }, `${width} × ${height} pixels, as scored · `, link),
    ),
    h(
      "div",
      { class: "tell" },
      h("h3", {}, run.networks > 1 ? "The networks' top classes" : "The network's top classes"),
      drawBars(run, elite),
      h("h3", {}, run.kind === "ascent" ? "The climb" : "Birth"),
      drawFacts(run, r, elite),
      ...drawChain(run, r, elite),
    ),
    h("div", { class: "made" }, ...drawGenome(run, i)),
  );
}

function drawBars(run, elite) {
  const list = h("ol", { class: "bars" });
  for (const [k, p] of elite.top) {
    const own = k === elite.class;
    list.append(
      h(
        "li",
        own ? { class: "own" } : {},
        h("span", { title: run.labels[k] }, short(run.labels[k])),
        h("b", {}, percent(p)),
        h("i", { style: `--p: ${(p * 100).toFixed(2)}%`, "aria-hidden": "true" }),
      ),
    );
  }
  return list;
}

function drawFacts(run, r, elite) {
  const list = h("dl", { class: "about" });
  const row = (name, ...values) => list.append(h("dt", {}, name), h("dd", {}, ...values));
  const step = run.kind === "ascent" ? "iteration" : "generation";
  row("confidence", `${confidenceInFull(elite)} (log-odds ${elite.fitness.toFixed(2)})`);
  const age =
    run.generations === null || run.kind === "ascent"
      ? ""
      : ` of ${run.generations.toLocaleString("en")}`;
  row(
    run.kind === "ascent" ? "best at" : "born",
    elite.born < 0
      ? "in the run that this run started from"
      : `${step} ${elite.born.toLocaleString("en")}${age}`,
  );
  if (elite.parentClass >= 0) {
    const label = short(run.labels[elite.parentClass]);
    row(
      "parent",
      ...(elite.parentClass === elite.class
        ? ["the same class's elite at that time"]
        : ["the elite of ", toElite(r, elite.parentClass, label), " at that time"]),
    );
  } else if (run.kind !== "ascent")
    row("parent", elite.born < 0 ? "unknown" : "none: made at random");
  const others = run.elites.filter((other) => other.id === elite.id && other.class !== elite.class);
  if (others.length) {
    const value = others
      .slice(0, 4)
      .flatMap((other, k) => [k ? ", " : "", toElite(r, other.class, short(other.label))]);
    row("also the elite of", ...value, others.length > 4 ? ` and ${others.length - 4} more` : "");
  }
  if (run.kind !== "ascent") row("id", elite.id < 0 ? "none" : String(elite.id));
  return list;
}

function drawGenome(run, i) {
  if (missing !== null) return [h("h3", {}, "Genome"), h("p", { class: "below" }, missing)];
  const drawing = run.graphs
    ? drawGraph(run.graphs, i)
    : run.histograms
      ? drawHistogram(run, i)
      : [];
  const parts = [
    h("h3", {}, run.graphs ? "CPPN" : run.histograms ? "Pixel values" : "Genome"),
    h("div", { class: "genome" }, ...drawing),
  ];
  const text = genomeText(run, i);
  if (run.note) parts.push(h("p", { class: "below" }, `No genome here: ${run.note}.`));
  if (text === null) {
    if (!run.note) parts.push(h("p", { class: "below" }, "The genome is the picture itself."));
    return parts;
  }
  const said = h("span", { role: "status" });
  const pre = h("pre", { tabindex: "0", "aria-label": "Genome as JSON" });
  const details = h(
    "details",
    { ontoggle: () => (pre.textContent = text) },
    h("summary", {}, "Show the JSON"),
    pre,
  );
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      said.textContent = "copied";
    } catch {
      // A browser may deny the clipboard to a page on disk; the text is then ready to select.
      details.open = true;
      pre.textContent = text;
      getSelection().selectAllChildren(pre);
      said.textContent = "select the text here and copy it";
    }
  };
  parts.push(
    h(
      "div",
      { class: "copy" },
      h("button", { type: "button", onclick: copy }, "Copy genome"),
      said,
    ),
    details,
  );
  return parts;
}
