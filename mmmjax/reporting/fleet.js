/* The table of markets in a fleet's report: sorts, filters, and opens the channels of each. */
(function () {
  const found = JSON.parse($("opened").textContent);
  const table = document.querySelector('[data-name="fleet"] table');
  const pressed = (place, attributes) =>
    place.replaceChildren(made("button", place.textContent, { type: "button", ...attributes }));
  const markets = Array.from(table.tBodies[0].rows, (row, i) => ({
    row,
    texts: Array.from(row.cells, (cell) => cell.textContent.trim()),
    told: found.markets[i],
    more: null, // the row below it, once it was opened
  }));

  function opened([why, next, channels]) {
    const rows = channels.map(([name, ...cells]) => [name, ...cells.map((cell) => cell.split("|"))]);
    const none = "No channels: it has no fit.";
    const parts = [
      ...(why ? [made("p", "Why: " + why)] : []),
      ...(next ? [made("p", "Next: " + next)] : []),
      rows.length ? filled(made("table"), found.heads, rows) : made("p", none),
    ];
    const whole = { colspan: table.tHead.rows[0].cells.length };
    return made("tr", made("td", parts, whole), { class: "more" });
  }

  function toggle(button) {
    const market = markets.find(({ row }) => row.contains(button));
    const open = button.getAttribute("aria-expanded") !== "true";
    button.setAttribute("aria-expanded", open);
    market.more = market.more || opened(market.told);
    if (open) market.row.after(market.more);
    else market.more.remove();
  }

  /* Empty cells stay last; "attention" sorts by urgency, other words by the alphabet. */
  function sort(head) {
    const k = head.cellIndex;
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const key = ({ texts }) => {
      if (k < 2) return k ? found.order.indexOf(texts[1]) : texts[0];
      const plain = texts[k].replace(/[,%]/g, "");
      return plain !== "" && Number.isFinite(Number(plain)) ? Number(plain) : null;
    };
    const order = [...markets].sort((a, b) => {
      const [x, y] = [key(a), key(b)];
      if (x === null || y === null) return (x === null) - (y === null);
      return (down ? -1 : 1) * (k ? x - y : x.localeCompare(y, undefined, { numeric: true }));
    });
    table.tBodies[0].append(...order.flatMap(({ row, more }) => (more && more.isConnected ? [row, more] : [row])));
  }

  function filter() {
    const wanted = $("find").value.trim().toLowerCase();
    const kind = $("kind").value;
    for (const { row, texts, more } of markets) {
      row.hidden = !texts[0].toLowerCase().includes(wanted) || (kind !== "" && texts[1] !== kind);
      if (more) more.hidden = row.hidden;
    }
    const shown = markets.filter(({ row }) => !row.hidden).length;
    $("counted").textContent = shown.toLocaleString("en") + " of " + markets.length.toLocaleString("en") + " shown";
  }

  table.id = "fleet";
  for (const head of table.tHead.rows[0].cells) pressed(head, { class: "sort" });
  for (const { row } of markets) pressed(row.cells[0], { class: "open", "aria-expanded": false });
  table.addEventListener("click", ({ target }) => {
    if (target.matches(".sort")) sort(target.closest("th"));
    if (target.matches(".open")) toggle(target);
  });
  $("find").addEventListener("input", filter);
  $("kind").addEventListener("change", filter);
  filter();
})();
