"use strict";
// What the curves and the heat maps share: the data, dependent selectors, numbers and colours.

let charts = null;
const byId = (id) => document.getElementById(id);
const dark = window.matchMedia("(prefers-color-scheme: dark)");

const element = (tag, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
};

const distinct = (values) => [...new Set(values)];

// Seven digits where they say something, no trailing zeros; powers of ten for what is very small or large.
const shown = (value, digits = 4) => {
  if (value === null || value === undefined) return "–";
  if (value !== 0 && (Math.abs(value) < 1e-3 || Math.abs(value) >= 1e6)) {
    return value.toExponential(digits - 1).replace(/\.?0+e/, "e").replace("e+", "e");
  }
  return String(Number(value.toPrecision(digits)));
};
const counted = (value) => value.toLocaleString("en-US");

// Offers options in a select, keeps what was chosen if it is still there, and returns what is chosen now.
const offer = (select, options) => {
  const before = select.value;
  select.replaceChildren(...options.map(({ value, text }) => element("option", { value, textContent: text })));
  if (options.some(({ value }) => String(value) === before)) select.value = before;
  return select.value;
};
const plainOptions = (values) => values.map((value) => ({ value, text: value }));

// Fills the selectors of a section from the experiment down, and returns the groups that are left.
const chosenGroups = (prefix, levels) => {
  const experiments = charts.experiments.map(({ name }, place) => ({ value: place, text: name }));
  let groups = charts.experiments[offer(byId(`${prefix}-experiment`), experiments)].groups;
  for (const level of levels) {
    const chosen = offer(byId(`${prefix}-${level}`), plainOptions(distinct(groups.map((group) => group[level]))));
    groups = groups.filter((group) => group[level] === chosen);
  }
  const names = distinct(groups.flatMap((group) => group.lines.flatMap((line) => Object.keys(line.values))));
  const known = Object.keys(charts.quantities).filter((name) => names.includes(name));
  offer(byId(`${prefix}-quantity`), known.map((name) => ({ value: name, text: charts.quantities[name].title })));
  return groups;
};

// Viridis: its order survives every common colour blindness, and grey.
const VIRIDIS = ["#440154", "#482878", "#3e4a89", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6dcd59", "#b4de2c", "#fde725"];
const channels = (colour) => [1, 3, 5].map((place) => parseInt(colour.slice(place, place + 2), 16));
const viridis = (share) => {
  const place = Math.min(Math.max(share, 0), 1) * (VIRIDIS.length - 1);
  const [low, high] = [channels(VIRIDIS[Math.floor(place)]), channels(VIRIDIS[Math.ceil(place)])];
  return low.map((each, channel) => Math.round(each + (high[channel] - each) * (place % 1)));
};
const css = (colour, opacity = 1) => `rgba(${colour.join(",")},${opacity})`;
const luminance = (colour) => {
  const [red, green, blue] = colour.map((each) => {
    const share = each / 255;
    return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
};
// Whichever of black and white stands out more.
const textOn = (colour) => (luminance(colour) > 0.179 ? "#000000" : "#ffffff");
