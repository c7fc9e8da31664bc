// Tabs, and the first look.
const TABS = ["elites", "charts", "settings"];

function showTab(name, { focus = false } = {}) {
  for (const tab of TABS) {
    const chosen = tab === name;
    const button = $(`tab-${tab}`);
    button.setAttribute("aria-selected", String(chosen));
    button.tabIndex = chosen ? 0 : -1;
    $(tab).hidden = !chosen;
    if (chosen && focus) button.focus();
  }
  if (name === "charts") drawCharts();
  if (name === "elites") drawRows();
}

for (const [i, tab] of TABS.entries()) {
  const button = $(`tab-${tab}`);
  button.addEventListener("click", () => {
    showTab(tab);
    history.replaceState(
      null,
      "",
      tab === "elites" ? location.pathname + location.search : `#${tab}`,
    );
  });
  button.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step) showTab(TABS[(i + step + TABS.length) % TABS.length], { focus: true });
  });
}

function followHash() {
  const name = location.hash.slice(1);
  if (TABS.includes(name)) showTab(name);
  const tile = TILES.find((t) => name === `elite-${t.elite.class}`);
  if (tile) openTile(tile);
}

buildWall();
if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", followHash);
else followHash();
window.addEventListener("hashchange", followHash);
