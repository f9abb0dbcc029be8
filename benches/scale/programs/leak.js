// Keeps a typed array of 1,250 numbers for each unit: 10,000 bytes in a chunk of 10,016, and objects in V8's
// heap, of which it depends on the collector how much they take.
const kept = [];
const n = Number(process.argv[2]);
for (let i = 0; i < n; i++) {
  const row = new Float64Array(1250);
  row.fill(i + 0.5);
  kept.push(row);
}
