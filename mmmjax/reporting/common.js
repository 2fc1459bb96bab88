/* What every page of the house needs: elements, messages, tables, and data that leave it. */
const $ = (id) => document.getElementById(id);
const all = (root, selector) => Array.from(root.querySelectorAll(selector));
const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const settings = JSON.parse($("settings").textContent);

/* A new element; its content is text, an element, or a list of both. */
function made(tag, content = [], attributes = {}) {
  const element = document.createElement(tag);
  element.append(...[content].flat());
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

/* Rows into a table like those of the templates. A cell is text, or a list of its text, texts
   in small print, and elements; the first of a row is its name. */
function filled(table, heads, rows) {
  const cell = (content, k) => {
    const [main, ...more] = [content].flat();
    if (!k) return made("th", main, { scope: "row", class: "name" });
    const below = more.map((part) => (typeof part === "string" ? made("small", part) : part));
    return made("td", made("span", [main, ...below]), { "data-head": heads[k] });
  };
  const head = heads.map((text, k) => made("th", text, { scope: "col", class: k ? "" : "name" }));
  table.replaceChildren(
    made("thead", made("tr", head)),
    made("tbody", rows.map((row) => made("tr", row.map(cell)))));
  return table;
}

function say(text) {
  $("said").textContent = text;
  clearTimeout(say.timer);
  say.timer = setTimeout(() => { $("said").textContent = ""; }, 5000);
}

function save(name, blob) {
  const link = made("a", [], { href: URL.createObjectURL(blob), download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

function saveTable(name, rows) {
  const quoted = (value) => {
    const text = value === null || value === undefined || Number.isNaN(value) ? "" : String(value);
    return /[",\n\r]/.test(text) ? '"' + text.replace(/"/g, '""') + '"' : text;
  };
  const text = rows.map((row) => row.map(quoted).join(",") + "\n").join("");
  save(name + ".csv", new Blob(["\ufeff" + text], { type: "text/csv;charset=utf-8" }));
}

/* In the way that also works in a page from a disk or an intranet. */
function copy(text, done = "Copied") {
  const focused = document.activeElement;
  const area = made("textarea", text, { style: "position: fixed" });
  document.body.append(area);
  area.select();
  say(document.execCommand("copy") ? done : "The browser does not allow copying: mark the text, press Ctrl+C");
  area.remove();
  focused.focus();
}
