// Genomes and ancestors. A page of very many elites has them in a script beside it, which is read
// when the first elite is opened.
let missing = DATA.later ? "They are being read." : null;
let whenRead = null;

window.qdFoolLater = (token, text) => {
  if (!DATA.later || token !== DATA.later.token) return;
  JSON.parse(text).forEach(({ ancestors, ...rest }, r) => {
    Object.assign(RUNS[r], rest);
    ancestorPictures[r] = ancestors ?? {};
  });
  missing = null;
};

/** Reads the script beside the page, once; draws again when it is read. */
function readLater(draw) {
  if (missing === null) return;
  const before = whenRead;
  whenRead = draw;
  if (before) return;
  const end = () => {
    if (missing !== null) missing = `${DATA.later.file} is not beside this page, or of another one.`;
    whenRead();
  };
  document.head.append(
    h("script", { src: encodeURIComponent(DATA.later.file), onload: end, onerror: end }),
  );
}
