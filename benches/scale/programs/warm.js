// Functions that are compiled when they are hot, and objects that the collector takes.
const n = Number(process.argv[2]);
let sum = 0;
for (let i = 0; i < n; i++) {
  const words = `${i} ${i % 17} ${i % 101}`.split(' ').map(Number);
  sum += words.reduce((a, b) => a + b, 0);
}
if (sum < 0) process.exit(1);
