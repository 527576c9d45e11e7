// What the page carries compressed: text, numbers of four bytes each, and Plotly.

const unpacked = async (identifier) => {
  const compressed = Uint8Array.from(atob(byId(identifier).textContent), (letter) => letter.charCodeAt(0));
  const stream = new Blob([compressed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
};
const textOf = (bytes) => new TextDecoder().decode(bytes);

// Bytes come sorted by their place in a number, lowest first.
const numbersOf = (bytes) => {
  const count = bytes.length / 4;
  const view = new DataView(new ArrayBuffer(bytes.length));
  for (let place = 0; place < bytes.length; place += 1) view.setUint8(4 * (place % count) + Math.floor(place / count), bytes[place]);
  return Array.from({ length: count }, (_, place) => view.getFloat32(4 * place, true));
};

// The charts as they were packed: NaN is what is missing.
const withNumbers = (value, numbers) => {
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map((each) => withNumbers(each, numbers));
  if (value.packed) {
    const [first, count] = value.packed;
    return numbers.slice(first, first + count).map((each) => (Number.isNaN(each) ? null : each));
  }
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, withNumbers(each, numbers)]));
};
