// The wall: one tile per class, with one picture per run; search, sort, filter, keys.
const TILES = DATA.tiles.map((members, index) => {
  const at = [null, null];
  for (const [r, i] of members) at[r] = i;
  const [r, i] = members[0];
  const elite = RUNS[r].elites[i];
  const wnid = RUNS[r].wnids[elite.class] ?? "";
  const confidence = RUNS.map((run, k) => (at[k] === null ? null : run.elites[at[k]].confidence));
  return { index, at, elite, wnid, confidence, text: `${elite.label} ${wnid}`.toLowerCase() };
});

const first = (tile) => tile.elite;
const by = (key) => (a, b) => key(a) - key(b) || a.index - b.index;
const fitness = (tile, r) => (tile.at[r] === null ? -Infinity : RUNS[r].elites[tile.at[r]].fitness);
const gain = (tile) => {
  const [a, b] = [fitness(tile, 0), fitness(tile, 1)];
  return a === b ? 0 : b - a;
};
const ORDERS = PAIR
  ? [
      ["class", "By class", by((t) => first(t).class)],
      ["b-better", `${RUNS[1].name} ahead`, by((t) => -gain(t))],
      ["a-better", `${RUNS[0].name} ahead`, by((t) => gain(t))],
      ["confidence", `Most confident in ${RUNS[0].name}`, by((t) => -fitness(t, 0))],
      ["confidence-b", `Most confident in ${RUNS[1].name}`, by((t) => -fitness(t, 1))],
      [
        "label",
        "By label",
        (a, b) => first(a).label.localeCompare(first(b).label) || a.index - b.index,
      ],
    ]
  : [
      ["confidence", "Most confident first", by((t) => -first(t).fitness)],
      ["doubt", "Least confident first", by((t) => first(t).fitness)],
      ["class", "By class", by((t) => first(t).class)],
      [
        "label",
        "By label",
        (a, b) => first(a).label.localeCompare(first(b).label) || a.index - b.index,
      ],
      ["birth", "Youngest first", by((t) => -first(t).born)],
      ["age", "Oldest first", by((t) => first(t).born)],
      ["switches", "Most changes of class", by((t) => -(first(t).switches ?? 0))],
    ];
if (!PAIR && RUNS[0].kind === "ascent") ORDERS.pop();

let shown = TILES;

// Pictures are decoded when their tile comes near the window, not all at once.
const near = new IntersectionObserver(
  (entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      near.unobserve(target);
      for (const image of target.querySelectorAll("img[data-elite]")) {
        const [r, i] = image.dataset.elite.split(" ");
        image.src = smallAddress(Number(r), Number(i));
      }
    }
  },
  { rootMargin: "800px" },
);

function makeTile(tile) {
  const pictures = RUNS.map((run, r) =>
    tile.at[r] === null
      ? h("span", { class: "picture empty" }, "none")
      : h("img", {
          class: isSmall(run) ? "picture pixels" : "picture",
          alt: "",
          decoding: "async",
          "data-elite": `${r} ${tile.at[r]}`,
        }),
  );
  const odds = RUNS.map((_, r) => {
    const better = PAIR && fitness(tile, r) > fitness(tile, 1 - r);
    return h(
      "span",
      better ? { class: "better" } : {},
      tile.at[r] === null ? "–" : percent(tile.confidence[r]),
    );
  });
  const told = RUNS.map(
    (run, r) =>
      (PAIR ? `${run.name} ` : "") + (tile.at[r] === null ? "none" : percent(tile.confidence[r])),
  );
  const button = h(
    "button",
    {
      class: "tile",
      type: "button",
      tabindex: "-1",
      title: tile.elite.label,
      "aria-label": `${tile.elite.label}, ${told.join(", ")}`,
      onclick: () => openTile(tile),
    },
    h("span", { class: "pictures" }, ...pictures),
    h("span", { class: "label" }, short(tile.elite.label)),
    h("span", { class: "odds" }, ...odds),
  );
  tile.button = button;
  return h("li", {}, button);
}

/** The element of a tile, made when it is first needed. */
function itemOf(tile) {
  if (!tile.item) {
    tile.item = makeTile(tile);
    tile.item.tile = tile;
    near.observe(tile.item);
  }
  return tile.item;
}

function buildWall() {
  const wall = $("wall");
  const sort = $("sort");
  for (const [value, words] of ORDERS) sort.append(h("option", { value }, words));
  for (const id of ["search", "least", "most"]) $(id).addEventListener("input", showWall);
  sort.addEventListener("change", showWall);
  wall.addEventListener("keydown", moveInWall);
  wall.addEventListener("focusin", (event) => setCurrent(event.target.closest(".tile")));
  followWindow();
  showWall();
}

function bound(id, otherwise) {
  const value = $(id).value.trim();
  return value === "" ? otherwise : Number(value) / 100;
}

/** Shows the tiles that match the search and the filter, in order. */
function showWall() {
  const words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const [least, most] = [bound("least", -1), bound("most", 2)];
  const order = ORDERS.find(([value]) => value === $("sort").value)[2];
  shown = TILES.filter(
    (tile) =>
      words.every((word) => tile.text.includes(word)) &&
      tile.confidence.some((p) => p !== null && p >= least && p <= most),
  ).sort(order);
  const wall = $("wall");
  wall.classList.toggle("rows", inRows());
  if (inRows()) drawRows();
  else {
    wall.style.padding = "";
    wall.replaceChildren(...shown.map(itemOf));
  }
  const things = PAIR ? "class" : "elite";
  $("count").textContent =
    shown.length === TILES.length
      ? `${TILES.length.toLocaleString("en")} ${things}${things === "class" ? "es" : "s"}`
      : `${shown.length.toLocaleString("en")} of ${TILES.length.toLocaleString("en")}`;
  $("none").hidden = shown.length > 0;
  $("none").textContent = TILES.length ? "No elite matches." : "This run has no elites yet.";
  setCurrent(shown[0]?.button);
}

// Tab reaches one tile of the wall; the arrow keys choose which.
let current = null;
function setCurrent(button) {
  if (current) current.tabIndex = -1;
  current = button ?? null;
  if (current) current.tabIndex = 0;
}

function moveInWall(event) {
  const at = shown.findIndex((tile) => tile.button === document.activeElement);
  if (at < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
  const columns = columnsOf();
  const height = inRows() ? rowHeight : shown[at].item.offsetHeight;
  const rows = Math.max(1, Math.floor(innerHeight / height) - 1);
  const steps = {
    ArrowLeft: -1,
    ArrowRight: 1,
    ArrowUp: -columns,
    ArrowDown: columns,
    PageUp: -rows * columns,
    PageDown: rows * columns,
    Home: -at,
    End: shown.length - 1 - at,
  };
  if (!(event.key in steps)) return;
  event.preventDefault();
  const to = at + steps[event.key];
  if (to < 0 || to >= shown.length) return;
  focusTile(to);
}

function focusTile(at) {
  if (inRows()) showRow(at);
  shown[at].button.focus({ preventScroll: inRows() });
}
