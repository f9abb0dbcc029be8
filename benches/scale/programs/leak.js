// Keeps an array of 100 numbers that are no small integers for each unit: 800 bytes and some headers.
const kept = [];
const n = Number(process.argv[2]);
for (let i = 0; i < n; i++) {
  const row = new Float64Array(1250);
  row.fill(i + 0.5);
  kept.push(row);
}
