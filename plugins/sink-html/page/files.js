"use strict";
// The data of the page as files. They are made when they are asked for.

// A cell that a spreadsheet could take for a formula is text: its name may come from the target.
function csvCell(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return String(value);
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function csv(rows) {
  return rows.map((row) => `${row.map(csvCell).join(",")}\n`).join("");
}

function curveCsv({ curve }) {
  const rows = curve.mean.map((mean, i) => [curve.start + i * curve.width, curve.min[i], mean, curve.max[i]]);
  return csv([["elapsed_s", "lowest", "mean", "highest"], ...rows]);
}

function growthCsv({ growth }) {
  const heading = ["part", "what", "of", "last", "peak", "gained", "rate_low", "rate", "rate_high", "share", "note"];
  const row = (it) => [...it.slice(NAME, RATE), ...(growth.hasRates ? it[RATE] : ["", "", ""]), it[SHARE], it[NOTE]];
  return csv([heading, ...growth.rows.map(row)]);
}

function offerFile(id, type, text) {
  const link = document.getElementById(id);
  link.addEventListener("click", () => {
    if (!link.href.startsWith("blob:")) link.href = URL.createObjectURL(new Blob([text()], { type }));
  });
}

function offerFiles(data, flame) {
  offerFile("file-curve", "text/csv", () => curveCsv(data));
  document.getElementById("file-growth").parentElement.hidden = data.growth.rows.length === 0;
  offerFile("file-growth", "text/csv", () => growthCsv(data));
  document.getElementById("file-stacks").parentElement.hidden = flame === null;
  offerFile("file-stacks", "text/plain", () => foldedStacks(flame.weights));
  offerFile("file-verdict", "application/json", () => document.getElementById("verdict-json").textContent + "\n");
}
