// Unpacks what the charts need, after the page's first view, and connects the controls to what they draw.

const connect = () => {
  for (const level of ["experiment", "data", "norm", "loss", "quantity"]) {
    byId(`curve-${level}`).addEventListener("change", chooseCurves);
  }
  for (const level of ["experiment", "data", "loss", "quantity"]) {
    byId(`map-${level}`).addEventListener("change", drawMaps);
  }
  for (const box of ["log-steps", "log-values", "show-theory"]) byId(box).addEventListener("change", drawCurves);
  byId("value-step").addEventListener("input", drawCurves);
  byId("reset-zoom").addEventListener("click", () => Plotly.relayout("chart", { "xaxis.autorange": true, "yaxis.autorange": true }));
  dark.addEventListener("change", drawCurves);
};

const start = async () => {
  const [tree, numbers, plotly] = await Promise.all(["charts", "numbers", "plotly"].map(unpacked));
  charts = withNumbers(JSON.parse(textOf(tree)), numbersOf(numbers));
  document.body.append(element("script", { textContent: textOf(plotly) }));
  for (const part of document.querySelectorAll(".drawn")) part.hidden = false;
  connect();
  chooseCurves();
  drawMaps();
};

// A link to a verdict's evidence unfolds it.
const unfold = () => {
  const evidence = document.getElementById(decodeURIComponent(location.hash.slice(1)))?.closest("details");
  if (evidence) evidence.open = true;
};
window.addEventListener("hashchange", unfold);
unfold();

// Where the reader is, in the list of sections.
const links = Object.fromEntries([...document.querySelectorAll("nav a")].map((link) => [link.hash.slice(1), link]));
const here = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (isIntersecting) links[target.id].setAttribute("aria-current", "true");
    else links[target.id].removeAttribute("aria-current");
  }
}, { rootMargin: "-30% 0% -69% 0%" });
for (const section of document.querySelectorAll("main > section")) here.observe(section);

if (typeof DecompressionStream === "undefined") byId("too-old").hidden = false;
else requestAnimationFrame(() => setTimeout(start));
