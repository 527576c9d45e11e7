// Final values as tables whose cells are coloured: a map for each norm and signal.

const finalOf = (line, quantity) => {
  const { middle, low, high } = line.values[quantity] ?? {};
  return middle ? { value: middle.at(-1), range: low ? `${shown(low.at(-1), 3)} to ${shown(high.at(-1), 3)}` : "" } : null;
};

const mapCell = (line, quantity, share) => {
  const final = line && finalOf(line, quantity);
  if (!final || final.value === null) return element("td", { textContent: "–" });
  const cell = element("td", { textContent: shown(final.value, 3) });
  if (final.range) cell.append(element("small", { textContent: final.range }));
  const colour = viridis(share(final.value));
  cell.style.background = css(colour);
  cell.style.color = textOn(colour);
  return cell;
};

const mapOf = (group, signal, quantity, share) => {
  const lines = group.lines.filter((line) => line.signal === signal);
  const momenta = distinct(lines.map(({ momentum }) => momentum)).sort((a, b) => a - b);
  const sizes = distinct(lines.map(({ batch_size }) => batch_size)).sort((a, b) => a - b);
  const head = element("tr", {}, element("td"), ...momenta.map((momentum) => element("th", { scope: "col", textContent: `β = ${momentum}` })));
  head.firstChild.style.background = "none";
  const rows = sizes.map((size) => element("tr", {},
    element("th", { scope: "row", textContent: `b = ${DIMENSIONS.batch_size(size, group)}` }),
    ...momenta.map((momentum) => mapCell(lines.find((line) => line.batch_size === size && line.momentum === momentum), quantity, share))));
  const title = `${group.norm} norm, signal ${signal}`;
  const table = element("table", { className: "map" }, element("caption", { textContent: title }), element("thead", {}, head), element("tbody", {}, ...rows));
  const scroll = element("div", { className: "scroll", tabIndex: 0 }, table);
  scroll.setAttribute("role", "region");
  scroll.setAttribute("aria-label", title);
  return element("figure", {}, scroll);
};

const scaleOf = (low, high, logarithmic) => {
  const ramp = element("span", { className: "ramp" });
  ramp.style.background = `linear-gradient(to right, ${VIRIDIS.join(",")})`;
  ramp.setAttribute("aria-hidden", "true");
  return element("p", { className: "scale" }, `Scale (${logarithmic ? "logarithmic" : "linear"}): ${shown(low, 3)}`, ramp, shown(high, 3));
};

const drawMaps = () => {
  const groups = chosenGroups("map", ["data", "loss"]);
  const quantity = byId("map-quantity").value;
  const values = groups
    .flatMap((group) => group.lines.map((line) => finalOf(line, quantity)?.value ?? null))
    .filter((value) => value !== null);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const logarithmic = charts.quantities[quantity].logarithmic && low > 0;
  const place = logarithmic ? Math.log : (value) => value;
  const share = (value) => (high > low ? (place(value) - place(low)) / (place(high) - place(low)) : 0.5);
  const maps = groups.flatMap((group) =>
    distinct(group.lines.map((line) => line.signal)).map((signal) => mapOf(group, signal, quantity, share)));
  byId("maps").replaceChildren(...(values.length ? [scaleOf(low, high, logarithmic)] : []), ...maps);
};
