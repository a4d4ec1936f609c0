"use strict";
// Nothing here makes markup out of text: every value becomes a text node.
const data = JSON.parse(document.getElementById("data").textContent);
const cases = new Map(data.results.map((result) => [result.case_id, result]));
const filters = document.querySelector("form.filters");
const dialog = document.querySelector("dialog");
const tiles = [...document.querySelectorAll(".matrix button.tile")];

function make(name, text, attributes = {}) {
  const node = document.createElement(name);
  if (text !== undefined && text !== null) node.textContent = String(text);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}

function matches(tile, wanted) {
  return Object.entries(wanted).every(([name, value]) => value === "*" || tile.dataset[name] === value);
}

function filter() {
  const wanted = Object.fromEntries(new FormData(filters));
  let shown = 0;
  for (const tile of tiles) {
    const is = matches(tile, wanted);
    tile.closest("td").classList.toggle("off", !is);
    tile.disabled = !is;
    shown += is ? 1 : 0;
  }
  for (const row of document.querySelectorAll(".matrix tbody tr")) {
    row.hidden = !row.querySelector("td:not(.off) button.tile");
  }
  document.getElementById("shown").textContent = `${shown} of ${tiles.length} cases shown`;
  const first = tiles.find((tile) => !tile.disabled);
  for (const tile of tiles) tile.tabIndex = tile === first ? 0 : -1;
}

function table(titles, rows) {
  const node = make("table", null, { class: "listed" });
  const head = node.createTHead().insertRow();
  for (const title of titles) head.append(make("th", title, { scope: "col" }));
  const body = node.createTBody();
  for (const row of rows) {
    const line = body.insertRow();
    for (const cell of row) line.insertCell().textContent = cell === null || cell === undefined ? "" : String(cell);
  }
  const wrap = make("div", null, { class: "scroll" });
  wrap.append(node);
  return wrap;
}

function short(hash) { return hash ? hash.slice(0, 12) : ""; }
function told(row) { return row ? Object.entries(row).map(([k, v]) => `${k}: ${v}`).join(", ") : "not there"; }

function open(tile) {
  const one = cases.get(tile.dataset.case);
  const parts = [];
  parts.push(make("p", `${one.state}${one.reason ? `: ${one.reason}` : ""}. Source ${one.fidelity.source} (${one.provider.source}), sink ${one.fidelity.sink} (${one.provider.sink}). ${one.duration_seconds.toFixed(2)} s.`));
  parts.push(make("h3", "What was compared"));
  parts.push(table(["check", "state", "rows expected", "rows found", "checksum expected", "checksum found", "seconds", ""],
    one.checks.map((c) => [c.name, c.state, c.expected_row_count, c.actual_row_count, short(c.expected_checksum), short(c.actual_checksum), c.duration_seconds.toFixed(2), c.detail])));
  if (one.blockers.length) {
    parts.push(make("h3", "Blockers"));
    parts.push(table(["blocker", "what was found", "what to do"], one.blockers.map((b) => [b.code, b.message, b.action])));
  }
  const differing = data.differing[one.case_id] || [];
  if (differing.length) {
    parts.push(make("h3", "Differing rows"));
    parts.push(table(["check", "kind", "key", "expected", "found"],
      differing.map((d) => [d.check, d.kind, d.key.join(", "), told(d.expected), told(d.found)])));
  }
  parts.push(make("h3", "Run it again"));
  parts.push(make("pre", one.repro, { tabindex: "0" }));
  if (one.artifact_path) parts.push(make("p", `Artifact: ${one.artifact_path}`, { class: "dim" }));
  dialog.querySelector("h2").textContent = one.case_id;
  dialog.querySelector(".body").replaceChildren(...parts);
  dialog.showModal();
  dialog.addEventListener("close", () => tile.focus(), { once: true });
}

function move(tile, key) {
  const cell = tile.closest("td"), row = cell.parentElement;
  const rows = [...document.querySelectorAll(".matrix tbody tr:not([hidden])")];
  const column = [...row.cells].indexOf(cell);
  const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[key];
  let y = rows.indexOf(row), x = column;
  for (;;) {
    y += step[0]; x += step[1];
    const next = rows[y]?.cells[x];
    if (!next || next.tagName === "TH") return;
    const button = next.querySelector("button.tile:not(:disabled)");
    if (button) {
      tile.tabIndex = -1; button.tabIndex = 0; button.focus();
      return;
    }
  }
}

for (const tile of tiles) {
  tile.addEventListener("click", () => open(tile));
  tile.addEventListener("keydown", (event) => {
    if (event.key.startsWith("Arrow")) { event.preventDefault(); move(tile, event.key); }
  });
}
if (filters) {
  filters.hidden = false;
  filters.addEventListener("change", filter);
  filters.addEventListener("reset", () => setTimeout(filter));
  filter();
}
dialog?.querySelector("button.close").addEventListener("click", () => dialog.close());
