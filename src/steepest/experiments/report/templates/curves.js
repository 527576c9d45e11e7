// Trajectories: which lines are chosen, how they look, and the same numbers as a table.

const DIMENSIONS = {
  batch_size: (value, group) => (value === group.samples ? `${counted(value)} (full)` : counted(value)),
  momentum: (value) => String(value),
  signal: (value) => value,
};
const DASHES = ["solid", "dash", "dashdot", "longdash", "longdashdot"];
const SVG_DASHES = { solid: "", dash: "6 4", dashdot: "6 3 1 3", longdash: "10 4", longdashdot: "10 3 1 3" };
// Marks of further signals where several are drawn, as Plotly names them and as paths of the legend.
const MARKS = { diamond: "M18 1 L23 6 L18 11 L13 6 Z", square: "M14 2 H22 V10 H14 Z", "triangle-up": "M18 1 L23 10 H13 Z", "triangle-down": "M18 11 L13 2 H23 Z" };
// What the boxes start with: every batch size, the smallest momentum, the first signal.
const FIRST_CHOSEN = {
  batch_size: () => true,
  momentum: (value, values) => value === values[0],
  signal: (value, values) => value === values[0],
};
// A choice outlives a change of the data set; the full batch is the same choice whatever its size.
const choiceOf = (name, value) => (name === "batch_size" && value === curves.group.samples ? "full" : value);
// Plotly reads some HTML in its texts; these are words alone.
const words = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

const names = Object.keys(DIMENSIONS);
const curves = {
  group: null,
  quantity: null,
  offered: Object.fromEntries(names.map((name) => [name, new Set()])),
  chosen: Object.fromEntries(names.map((name) => [name, new Set()])),
};
const isChosen = (name, value) => curves.chosen[name].has(choiceOf(name, value));
const chosenLines = () => curves.group.lines.filter((line) => names.every((name) => isChosen(name, line[name])));
// Numbers in ascending order, names as they come.
const valuesOf = (name) => {
  const values = distinct(curves.group.lines.map((line) => line[name]));
  return typeof values[0] === "number" ? values.sort((a, b) => a - b) : values;
};

const chooseFirst = (name, values) => {
  const unknown = values.filter((value) => !curves.offered[name].has(choiceOf(name, value)));
  const none = !values.some((value) => isChosen(name, value));
  // Further batch sizes are drawn too; further momenta wait until they are asked for.
  const candidates = none ? values : name === "batch_size" ? unknown : [];
  for (const value of candidates.filter((value) => FIRST_CHOSEN[name](value, values))) {
    curves.chosen[name].add(choiceOf(name, value));
  }
  for (const value of values) curves.offered[name].add(choiceOf(name, value));
};

const pickBoxes = () => {
  for (const [name, said] of Object.entries(DIMENSIONS)) {
    const values = valuesOf(name);
    chooseFirst(name, values);
    const boxes = values.map((value) => {
      const box = element("input", { type: "checkbox", checked: isChosen(name, value) });
      box.addEventListener("change", () => {
        curves.chosen[name][box.checked ? "add" : "delete"](choiceOf(name, value));
        drawCurves();
      });
      return element("label", {}, box, ` ${said(value, curves.group)}`);
    });
    const fieldset = byId(`pick-${name}`);
    fieldset.replaceChildren(fieldset.querySelector("legend"), ...boxes);
  }
};

// Colour is the batch size, dashes the momentum, marks the signal: each only where several are drawn.
const styleOf = (line) => {
  const sizes = distinct(curves.group.lines.map(({ batch_size }) => batch_size)).filter((b) => b !== curves.group.samples);
  const momenta = distinct(chosenLines().map(({ momentum }) => momentum));
  const signals = valuesOf("signal").filter((value) => isChosen("signal", value));
  const full = line.batch_size === curves.group.samples;
  const share = sizes.length > 1 ? sizes.indexOf(line.batch_size) / (sizes.length - 1) : 0.4;
  const colour = full ? (dark.matches ? [255, 255, 255] : [0, 0, 0]) : viridis(dark.matches ? 0.35 + 0.65 * share : 0.75 * share);
  return {
    colour,
    width: full ? 2.6 : 1.8,
    dash: momenta.length > 1 ? DASHES[momenta.indexOf(line.momentum) % DASHES.length] : "solid",
    mark: signals.length > 1 && line.signal !== signals[0] ? Object.keys(MARKS)[(signals.indexOf(line.signal) - 1) % 4] : null,
  };
};

const nameOf = (line) => {
  const size = `b = ${DIMENSIONS.batch_size(line.batch_size, curves.group)}`;
  return `${size}, β = ${line.momentum}${line.signal === "minibatch" ? "" : `, ${line.signal}`}`;
};

// A logarithmic axis has no place for what is not positive.
const drawable = (values) => (byId("log-values").checked ? values.map((value) => (value > 0 ? value : null)) : values);

const tracesOf = (line) => {
  const { steps } = curves.group;
  const { middle, low = middle, high = middle } = line.values[curves.quantity] ?? { middle: steps.map(() => null) };
  const style = styleOf(line);
  const plain = { x: steps, mode: "lines", showlegend: false, hoverinfo: "skip" };
  const range = [
    { ...plain, y: drawable(low), line: { width: 0 } },
    { ...plain, y: drawable(high), line: { width: 0 }, fill: "tonexty", fillcolor: css(style.colour, 0.15) },
  ];
  const text = steps.map((_, place) => (low === middle ? "" : `<br>${shown(low[place])} to ${shown(high[place])}`));
  return [
    ...(low === middle ? [] : range),
    {
      x: steps, y: drawable(middle), text, name: words(nameOf(line)), showlegend: false,
      mode: style.mark ? "lines+markers" : "lines",
      line: { color: css(style.colour), width: style.width, dash: style.dash },
      marker: { color: css(style.colour), size: 7, symbol: style.mark ?? "diamond", maxdisplayed: 12 },
      hovertemplate: "%{fullData.name}<br>step %{x:,}: <b>%{y:.4~g}</b>%{text}<extra></extra>",
    },
  ];
};

// Asked for when the page was written, so that they need no box to tick.
const predictedTracesOf = (line) => curves.quantity === "relative_margin_error" && line.theory.predicted_error ? [{
  mode: "lines", showlegend: false, x: curves.group.steps, y: drawable(line.theory.predicted_error),
  name: words(`predicted for seed ${line.theory.predicted_seed}: ${nameOf(line)}`),
  line: { color: css(styleOf(line).colour, 0.6), width: 3, dash: "dash" },
  hovertemplate: "%{fullData.name}<br>step %{x:,}: %{y:.4~g}<extra></extra>",
}] : [];

const theoryTracesOf = (line) => {
  const { steps } = curves.group;
  const { colour } = styleOf(line);
  const bound = { relative_margin_error: line.theory.error, normalized_margin: line.theory.floor }[curves.quantity];
  const plain = { mode: "lines", showlegend: false };
  const traces = [];
  if (bound) {
    traces.push({
      ...plain, x: steps, y: drawable(bound), name: words(`bound: ${nameOf(line)}`),
      line: { color: css(colour), width: 2, dash: "dot" },
      hovertemplate: "%{fullData.name}<br>step %{x:,}: %{y:.4~g}<extra></extra>",
    });
  }
  const realised = {
    relative_margin_error: line.theory.realised_error, normalized_margin: line.theory.realised_floor,
  }[curves.quantity];
  if (realised) {
    traces.push({
      ...plain, x: steps, y: drawable(realised), name: words(`from alignments: ${nameOf(line)}`),
      line: { color: css(colour), width: 1.5, dash: "dashdot" },
      hovertemplate: "%{fullData.name}<br>step %{x:,}: %{y:.4~g}<extra></extra>",
    });
  }
  const end = line.values[curves.quantity]?.middle.at(-1);
  if (curves.quantity === "relative_margin_error" && line.theory.slope && end > 0) {
    const [at, rate] = line.theory.slope;
    traces.push({
      ...plain, x: at, y: rate.map((each) => each * end), name: words(`slope: ${nameOf(line)}`), hoverinfo: "skip",
      line: { color: css(colour, 0.3), width: 8 },
    });
  }
  return traces;
};

// The certified max margin, where the quantity has its units.
const marginTraces = () => {
  if (!["normalized_margin", "upper_bound"].includes(curves.quantity)) return [];
  const { steps, margin } = curves.group;
  const grey = dark.matches ? "#a4adb8" : "#57606a";
  return [{
    x: [steps[0], steps.at(-1)], y: [margin[0], margin[0]], mode: "lines", showlegend: false, name: "max margin γ",
    line: { color: grey, width: 1.5, dash: "dash" }, hovertemplate: `max margin γ, certified: ${shown(margin[0], 7)}<extra></extra>`,
  }];
};

// As in the static figures: 1, 2 and 5 of each decade, unless there are many decades.
const logarithmicAxis = (traces) => {
  const values = traces.flatMap(({ y }) => y).filter((value) => value > 0);
  const decades = values.length ? Math.log10(values.reduce((a, b) => Math.max(a, b)) / values.reduce((a, b) => Math.min(a, b))) : 0;
  return { type: "log", ...(decades < 3 ? { dtick: "D2", tickformat: ".1~r" } : {}) };
};

const layoutOf = (quantity, traces) => {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const axis = {
    gridcolor: colour("--line"), linecolor: colour("--quiet"), zeroline: false, showline: true, ticks: "outside",
    tickcolor: colour("--quiet"), automargin: true, exponentformat: "power", minor: { ticks: "outside", ticklen: 3 },
  };
  const values = byId("log-values").checked ? logarithmicAxis(traces) : { type: "linear" };
  const steps = byId("log-steps").checked ? { type: "log", dtick: 1 } : { type: "linear", tickformat: "," };
  const units = quantity.units === "1" ? "" : ` (${quantity.units})`;
  return {
    xaxis: { ...axis, ...steps, title: { text: "step t" } },
    yaxis: { ...axis, ...values, title: { text: words(quantity.title + units), standoff: 8 } },
    margin: { l: 60, r: 12, t: 12, b: 48 }, paper_bgcolor: "transparent", plot_bgcolor: "transparent",
    font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: colour("--text") },
    hoverlabel: { align: "left", bgcolor: colour("--raised"), bordercolor: colour("--line"), font: { color: colour("--text") } },
    hovermode: "closest", showlegend: false, dragmode: window.matchMedia("(pointer: coarse)").matches ? false : "zoom",
  };
};

const legendItem = (line) => {
  const style = styleOf(line);
  const namespace = "http://www.w3.org/2000/svg";
  const picture = document.createElementNS(namespace, "svg");
  for (const [name, value] of Object.entries({ width: 36, height: 12, "aria-hidden": "true" })) picture.setAttribute(name, value);
  const stroke = document.createElementNS(namespace, "line");
  const drawn = { x1: 0, y1: 6, x2: 36, y2: 6, stroke: css(style.colour), "stroke-width": style.width + 0.6, "stroke-dasharray": SVG_DASHES[style.dash] };
  for (const [name, value] of Object.entries(drawn)) stroke.setAttribute(name, value);
  picture.append(stroke);
  if (style.mark) {
    const mark = document.createElementNS(namespace, "path");
    mark.setAttribute("d", MARKS[style.mark]);
    mark.setAttribute("fill", css(style.colour));
    picture.append(mark);
  }
  return element("li", {}, picture, nameOf(line));
};

const drawTable = (lines, withTheory) => {
  const place = Number(byId("value-step").value);
  byId("value-step-shown").textContent = counted(curves.group.steps[place]);
  const heads = ["b", "β", "Signal", "Seeds", "Median", "Range over seeds", ...(withTheory ? ["Bound", "ρ / γ", "What the theory promises"] : [])];
  const head = (text) => element("th", { scope: "col", textContent: text, className: /^(b|β|Seeds|Median|Bound|ρ)/.test(text) ? "number" : "" });
  byId("values").tHead.replaceChildren(element("tr", {}, ...heads.map(head)));
  const cell = (textContent, className = "") => element("td", { textContent, className });
  byId("values").tBodies[0].replaceChildren(...lines.map((line) => {
    const { middle = [], low, high } = line.values[curves.quantity] ?? {};
    const bound = { relative_margin_error: line.theory.error, normalized_margin: line.theory.floor }[curves.quantity];
    const promises = [cell(bound ? shown(bound[place]) : "–", "number"), cell(shown(line.theory.share), "number"), cell(line.theory.says, "wide")];
    return element("tr", {},
      cell(DIMENSIONS.batch_size(line.batch_size, curves.group), "number"), cell(String(line.momentum), "number"),
      cell(line.signal), cell(line.seeds.join(", "), "number"),
      cell(shown(middle[place]), "number"), cell(low ? `${shown(low[place])} to ${shown(high[place])}` : "–"),
      ...(withTheory ? promises : []));
  }));
};

const drawCurves = () => {
  const quantity = charts.quantities[curves.quantity];
  const lines = chosenLines();
  const withTheory = byId("show-theory").checked && ["relative_margin_error", "normalized_margin"].includes(curves.quantity);
  const traces = [
    ...(withTheory ? lines.flatMap(theoryTracesOf) : []), ...marginTraces(), ...lines.flatMap(predictedTracesOf), ...lines.flatMap(tracesOf),
  ];
  Plotly.react("chart", traces, layoutOf(quantity, traces), { displayModeBar: false, responsive: true });
  const { data, norm, loss, seeds } = curves.group;
  const over = seeds.length > 1 ? `medians and ranges over seeds ${seeds.join(", ")}` : `seed ${seeds[0]}`;
  const line = marginTraces().length ? " The grey dashed line is the certified max margin γ." : "";
  const predicted = lines.some((each) => predictedTracesOf(each).length)
    ? " Dashed in the colours of the lines is what the mean field predicts from the data and the step sizes alone." : "";
  byId("chart-caption").textContent = lines.length
    ? `${quantity.title} against steps: ${data}, ${norm} norm, ${loss}; ${over}. It is the ${quantity.meaning || quantity.title}.${line}${predicted} The values are in the table below.`
    : "No lines: choose at least one batch size, one momentum and one signal.";
  byId("legend").replaceChildren(...lines.map(legendItem));
  byId("theory-text").hidden = !withTheory;
  drawTable(lines, withTheory);
};

// Called when a selector changed; a quantity brings its own kind of axis with it.
const chooseCurves = () => {
  const [group] = chosenGroups("curve", ["data", "norm", "loss"]);
  const before = curves.quantity;
  curves.group = group;
  curves.quantity = byId("curve-quantity").value;
  const logarithmic = byId("log-values");
  const positive = group.lines.some((line) => line.values[curves.quantity]?.middle.some((value) => value > 0));
  if (curves.quantity !== before) logarithmic.checked = charts.quantities[curves.quantity].logarithmic;
  logarithmic.disabled = !positive;
  logarithmic.checked &&= positive;
  const theory = byId("show-theory");
  theory.disabled = !["relative_margin_error", "normalized_margin"].includes(curves.quantity);
  pickBoxes();
  const slider = byId("value-step");
  slider.max = group.steps.length - 1;
  slider.value = group.steps.length - 1;
  drawCurves();
};
