// Functions that the JIT compiles: outerLoop calls middleStep calls innerSum.
function innerSum(numbers) {
  let sum = 0;
  for (let round = 0; round < 50; round++) {
    for (let i = 0; i < numbers.length; i++) sum = (sum * 31 + numbers[i]) % 1000003;
  }
  return sum;
}

function middleStep(numbers, n) {
  numbers[n % numbers.length] = innerSum(numbers);
  return numbers[0];
}

function outerLoop() {
  const numbers = Array.from({ length: 5000 }, (_, i) => i);
  let last = 0;
  for (let n = 0; ; n++) {
    last += middleStep(numbers, n);
    if (n === 2000) console.log("ready");
  }
}

outerLoop();
