/* The table of markets in a fleet's report: sorts, filters, and opens the channels of each. */
(function () {
  "use strict";
  const table = document.getElementById("fleet");
  const body = table.tBodies[0];
  const found = JSON.parse(document.getElementById("opened").textContent);
  const rows = Array.from(body.rows); // in the order of `found.markets`
  const texts = rows.map((row) => Array.from(row.cells, (cell) => cell.textContent.trim()));
  const index = new Map(rows.map((row, i) => [row, i]));
  const details = new Map(); // row -> the row below it
  const find = document.getElementById("find");
  const kind = document.getElementById("kind");
  const counted = document.getElementById("counted");

  const made = (tag, text, name) => {
    const element = document.createElement(tag);
    if (text !== undefined) element.textContent = text;
    if (name) element.className = name;
    return element;
  };

  function channels(list) {
    const inner = made("table");
    const head = inner.createTHead().insertRow();
    found.heads.forEach((text, k) => head.appendChild(made("th", text, k ? "" : "name")));
    const rest = inner.createTBody();
    for (const cells of list) {
      const row = rest.insertRow();
      cells.forEach((cell, k) => {
        const [text, small] = k ? cell.split("|") : [cell];
        const place = made(k ? "td" : "th", text, k ? "" : "name");
        if (small) place.appendChild(made("small", small));
        row.appendChild(place);
      });
    }
    return inner;
  }

  function opened(row) {
    if (details.has(row)) return details.get(row);
    const [why, next, list] = found.markets[index.get(row)];
    const more = made("tr", undefined, "more");
    const cell = made("td");
    cell.colSpan = row.cells.length;
    if (why) cell.appendChild(made("p", "Why: " + why));
    if (next) cell.appendChild(made("p", "Next: " + next));
    cell.appendChild(list.length ? channels(list) : made("p", "No channels: it has no fit."));
    more.appendChild(cell);
    details.set(row, more);
    return more;
  }

  function toggle(button) {
    const row = button.closest("tr");
    const open = button.getAttribute("aria-expanded") !== "true";
    button.setAttribute("aria-expanded", String(open));
    if (open) row.after(opened(row));
    else opened(row).remove();
  }

  function number(text) {
    const plain = text.replace(/[,%]/g, "");
    return plain !== "" && Number.isFinite(Number(plain)) ? Number(plain) : null;
  }

  /* Empty cells stay last; "attention" sorts by urgency, other words by the alphabet. */
  function sort(button) {
    const head = button.closest("th");
    const k = head.cellIndex;
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const key = (i) => (k === 1 ? Number(rows[i].dataset.place) : k ? number(texts[i][k]) : texts[i][0]);
    const keys = rows.map((_, i) => key(i));
    const order = rows.map((_, i) => i).sort((a, b) => {
      const [x, y] = [keys[a], keys[b]];
      if (x === null || y === null) return (x === null) - (y === null) || a - b;
      const less = typeof x === "number" ? x - y : x.localeCompare(y, undefined, { numeric: true });
      return (down ? -less : less) || a - b;
    });
    const all = document.createDocumentFragment();
    for (const i of order) {
      all.appendChild(rows[i]);
      if (details.has(rows[i]) && expanded(rows[i])) all.appendChild(details.get(rows[i]));
    }
    body.appendChild(all);
  }

  const expanded = (row) => row.querySelector(".open").getAttribute("aria-expanded") === "true";

  function filter() {
    const wanted = find.value.trim().toLowerCase();
    let shown = 0;
    rows.forEach((row, i) => {
      const there = texts[i][0].toLowerCase().includes(wanted)
        && (kind.value === "" || texts[i][1] === kind.value);
      row.hidden = !there;
      if (details.has(row)) details.get(row).hidden = !there;
      shown += there;
    });
    counted.textContent = shown.toLocaleString("en") + " of " + rows.length.toLocaleString("en") + " shown";
  }

  table.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button && button.classList.contains("sort")) sort(button);
    else if (button && button.classList.contains("open")) toggle(button);
  });
  find.addEventListener("input", filter);
  kind.addEventListener("change", filter);
  filter();
})();
