// A wall of very many tiles. Up to WHOLE tiles are all in the document, where the browser's own search
// finds them. Of more, only the rows near the window are; the wall's padding stands for the others.
const WHOLE = 2000;
const BEYOND = 800; // pixels above and below the window
const inRows = () => shown.length > WHOLE;
const columnsOf = () => getComputedStyle($("wall")).gridTemplateColumns.split(" ").length;

let rowHeight = 0;
let measuredWidth = 0;

/** Draws the rows again after each scroll, and each change of the window. */
function followWindow() {
  let asked = false;
  const draw = () => {
    asked = false;
    drawRows();
  };
  for (const name of ["scroll", "resize"])
    addEventListener(
      name,
      () => {
        if (!asked) requestAnimationFrame(draw);
        asked = true;
      },
      { passive: true },
    );
}

/** The height of a row with its gap, measured on one tile per width of the wall. */
function measureRow(wall) {
  if (measuredWidth === wall.clientWidth) return;
  let item = wall.querySelector("li:not(.away)");
  if (!item) wall.append((item = itemOf(shown[0])));
  rowHeight = item.getBoundingClientRect().height + parseFloat(getComputedStyle(wall).rowGap);
  measuredWidth = wall.clientWidth;
}

function drawRows() {
  const wall = $("wall");
  if (!inRows() || !wall.clientWidth) return;
  measureRow(wall);
  const columns = columnsOf();
  const rows = Math.ceil(shown.length / columns);
  const many = Math.ceil((innerHeight + 2 * BEYOND) / rowHeight) + 1;
  const above = Math.floor((-wall.getBoundingClientRect().top - BEYOND) / rowHeight);
  const first = Math.max(0, Math.min(above, rows - many));
  const last = Math.min(rows, first + many);
  wall.style.paddingTop = `${first * rowHeight}px`;
  wall.style.paddingBottom = `${(rows - last) * rowHeight}px`;
  place(wall, first * columns, last * columns);
}

/** Puts some of the tiles into the wall. Those that stay are not moved, so that they keep the focus. */
function place(wall, from, to) {
  const items = shown.slice(from, to).map(itemOf);
  const wanted = new Set(items);
  // A focused tile stays, unseen, so that the next key continues from there.
  const focused = wall.contains(document.activeElement)
    ? document.activeElement.closest("li")
    : null;
  for (const child of [...wall.children]) {
    const kept = wanted.has(child);
    child.classList.toggle("away", !kept && child === focused);
    if (kept || child === focused) continue;
    child.remove();
    near.unobserve(child);
    child.tile.item = child.tile.button = undefined;
  }
  let next = wall.firstElementChild;
  for (const [k, item] of items.entries()) {
    if (next && !wanted.has(next)) next = next.nextElementSibling;
    if (item === next) next = next.nextElementSibling;
    else wall.insertBefore(item, next);
    item.setAttribute("aria-posinset", from + k + 1);
    item.setAttribute("aria-setsize", shown.length);
  }
  if (!current?.isConnected) setCurrent(items[0].tile.button);
}

/** Scrolls until the row of a tile is in the window, below the search. */
function showRow(at) {
  drawRows();
  const wall = $("wall");
  const tools = document.querySelector(".tools").getBoundingClientRect().bottom;
  const top = wall.getBoundingClientRect().top + Math.floor(at / columnsOf()) * rowHeight;
  if (top < Math.max(tools, 0)) scrollBy(0, top - Math.max(tools, 0));
  else if (top + rowHeight > innerHeight) scrollBy(0, top + rowHeight - innerHeight);
  drawRows();
}
