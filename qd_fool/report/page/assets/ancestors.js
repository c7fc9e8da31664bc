// The ancestors of an elite.

/** Ancestors, newest first: stretches of the line that sat in the same cell. */
function chainOf(run, elite) {
  const { family } = run;
  const stretches = [];
  let [row, cell, confidence, previous] = [elite.row, elite.class, elite.confidence, null];
  for (;;) {
    if (!previous || previous.cell !== cell)
      stretches.push((previous = { cell, confidence, rows: [] }));
    previous.rows.push(row);
    const parent = family.parent[row];
    if (parent < 0) return { stretches, outside: parent === -2 };
    [cell, confidence, row] = [family.parentClass[row], family.parentConfidence[row], parent];
  }
}

/** Small pictures of ancestors by row, read when the first chain is drawn. */
const ancestorPictures = RUNS.map(() => null);
function pictureOf(r, rows) {
  const script = $(`ancestors-${r}`);
  if (!ancestorPictures[r] && script) ancestorPictures[r] = JSON.parse(script.textContent);
  const found = rows.find((row) => ancestorPictures[r]?.[row]);
  return found === undefined ? undefined : ancestorPictures[r][found];
}

function drawChain(run, r, elite) {
  if (elite.row === undefined || elite.parentClass < 0) return [];
  if (!run.family) return [h("h3", {}, "Ancestors"), h("p", { class: "below" }, missing)];
  const { stretches, outside } = chainOf(run, elite);
  const { family } = run;
  const lineIds = new Set(stretches.flatMap(({ rows }) => rows.map((row) => family.id[row])));
  const living = run.elites.filter(({ id }) => lineIds.has(id));
  const list = h("ol", { class: "chain" });
  const item = ({ cell, confidence, rows }) => {
    const label = short(run.labels[cell]);
    const born = rows.map((row) => family.generation[row]);
    const [from, to] = [born[born.length - 1], born[0]];
    const when =
      from === to
        ? `generation ${to.toLocaleString("en")}`
        : `generations ${from.toLocaleString("en")} to ${to.toLocaleString("en")} · ${rows.length} pictures`;
    const ids = new Set(rows.map((row) => family.id[row]));
    const alive = living.filter(({ id }) => ids.has(id));
    // An ancestor may have lost its cell and still hold another.
    const kept = alive.find((e) => e.class === cell) ?? alive[0];
    const moved = kept && kept.class !== cell && kept.id !== elite.id;
    const thumb = kept ? smallAddress(r, run.elites.indexOf(kept)) : pictureOf(r, rows);
    const picture =
      thumb === undefined
        ? h("span", { class: "dot" })
        : h("img", {
            src: thumb,
            alt: "",
            class: isSmall(run) ? "pixels" : null,
          });
    const own = kept === undefined || kept.id === elite.id;
    return h(
      "li",
      {},
      picture,
      h(
        "span",
        { class: "who", title: run.labels[cell] },
        own ? label : toElite(r, kept.class, label),
        h("small", {}, when + (moved ? ` · now holds ${short(kept.label)}` : "")),
      ),
      h("b", {}, confidence === null ? "" : percent(confidence)),
    );
  };
  const FEW = 7;
  const hidden = stretches.length > FEW + 2 ? stretches.slice(FEW, -1) : [];
  const last = stretches.length - 1;
  for (const [k, stretch] of stretches.entries()) {
    if (hidden.length && k === FEW) {
      const more = h(
        "li",
        {},
        h("span", { class: "dot" }),
        h(
          "button",
          { class: "link", type: "button", onclick: () => more.replaceWith(...hidden.map(item)) },
          `${hidden.length} more`,
        ),
      );
      list.append(more);
    }
    if (!hidden.length || k < FEW || k === last) list.append(item(stretch));
  }
  const line = stretches[last].rows;
  const first = line.length > 1 ? pictureOf(r, line.slice(-1)) : undefined;
  if (first !== undefined) {
    const generation = family.generation[line[line.length - 1]].toLocaleString("en");
    list.append(
      h(
        "li",
        {},
        h("img", { src: first, alt: "", class: isSmall(run) ? "pixels" : null }),
        h(
          "span",
          { class: "who" },
          "the first ancestor",
          h("small", {}, `generation ${generation}`),
        ),
      ),
    );
  }
  const changes = elite.switches
    ? `${count(elite.switches, "change")} of class`
    : "no change of class";
  const end = outside ? "the line begins in an earlier run" : "the line begins in the random batch";
  return [
    h("h3", {}, "Ancestors"),
    h(
      "p",
      { class: "below", style: "margin: 0" },
      `${count(elite.depth, "ancestor")}, ${changes}, ${end}`,
    ),
    list,
  ];
}
