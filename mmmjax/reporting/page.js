/* The page of a report: draws charts when they come into view, and serves their buttons.
   Vega is the copy that stands in the page before this script; nothing is fetched. */
(async function () {
  "use strict";
  const settings = JSON.parse(document.getElementById("settings").textContent);
  if (!window.DecompressionStream) {
    document.querySelector("main").insertAdjacentHTML("afterbegin",
      '<p class="mark bad">The figures need a browser of 2023 or later. Texts and tables do not.</p>');
    return;
  }
  const packed = Uint8Array.from(atob(document.getElementById("tables").textContent), (c) => c.charCodeAt(0));
  const stored = await new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
  const printWidth = 660;
  const drawn = new Map(); // figure element -> {plot, spec, params, hidden, view, ready}

  const copied = (value) => JSON.parse(JSON.stringify(value));
  const all = (root, selector) => Array.from(root.querySelectorAll(selector));
  const inside = (root, tag) => all(root, tag).find((e) => e.closest("[data-name]") === root);
  const content = (root) => JSON.parse(inside(root, 'script[type="application/json"]').textContent);

  /* ---- tables, which charts share ---- */

  const decoded = new Map();
  function rowsOf(name) {
    if (!decoded.has(name)) {
      const columns = Object.entries(stored[name]);
      const size = Math.max(0, ...columns.map(([, c]) => (c.levels ? c.at : c).length));
      decoded.set(name, Array.from({ length: size }, (_, i) => Object.fromEntries(
        columns.map(([key, c]) => [key, c.levels ? (c.at[i] < 0 ? null : c.levels[c.at[i]]) : c[i]]))));
    }
    return decoded.get(name);
  }

  function parts(value, found) { // every object inside a specification
    if (Array.isArray(value)) value.forEach((v) => parts(v, found));
    else if (value && typeof value === "object") {
      found(value);
      Object.values(value).forEach((v) => parts(v, found));
    }
  }

  function tablesOf(spec) {
    const names = new Set();
    parts(spec, (x) => { if (x.data && x.data.name) names.add(x.data.name); });
    return Array.from(names);
  }

  /* ---- charts ---- */

  /* The specification as it is drawn: as wide as its place, with the choices made. */
  function fitted(state, width, whole) {
    const spec = copied(state.spec);
    spec.config = Object.assign({}, settings.config, spec.config);
    spec.datasets = Object.fromEntries(tablesOf(spec).map((name) => [name, copied(rowsOf(name))]));
    for (const param of spec.params || []) {
      if (param.name in state.params) param.value = state.params[param.name];
    }
    if (!whole && state.keyed) {
      parts(spec, (x) => {
        for (const by of ["color", "fill", "stroke", "shape"]) {
          if (x.encoding && x.encoding[by] && x.encoding[by].scale) x.encoding[by].legend = null;
        }
      });
    }
    const names = 110; // pixels that axes take
    if (width < 480) {
      parts(spec, (x) => { if (x.axis && x.axis.labelLimit) x.axis.labelLimit = 84; });
    }
    if (spec.facet) {
      spec.columns = Math.max(1, Math.min(Math.floor(width / 230), (spec.facet.sort || []).length || 4));
      spec.spec.width = Math.floor(width / spec.columns) - 66;
    } else if (spec.hconcat) {
      if (width < 620) { spec.vconcat = spec.hconcat; delete spec.hconcat; }
      const parts = spec.vconcat || spec.hconcat;
      const sum = parts.reduce((all, part) => all + part.width, 0);
      for (const part of parts) part.width = Math.max(140, Math.floor(spec.vconcat ? width - names : (width - names) * part.width / sum));
    } else if (spec.vconcat) {
      for (const part of spec.vconcat) part.width = Math.max(140, width - names);
    } else {
      spec.width = width;
      spec.autosize = { type: "fit-x", contains: "padding" };
    }
    return spec;
  }

  /* Without code made from text (ast); Vega's remarks on layouts are not the reader's. */
  const warn = console.warn;
  console.warn = (first, ...rest) => { if (first !== "WARN") warn.call(console, first, ...rest); };
  const embedded = (place, spec, renderer) =>
    vegaEmbed(place, spec, { ast: true, actions: false, renderer, logLevel: 1, tooltip: { theme: "custom" } });

  function draw(figure) {
    if (drawn.has(figure)) return drawn.get(figure);
    const keyed = all(figure, ".key").length > 0;
    const state = { plot: inside(figure, ".plot"), spec: content(figure), params: {}, hidden: new Set(), keyed };
    drawn.set(figure, state);
    redraw(state);
    return state;
  }

  function redraw(state, width) {
    state.width = width || state.plot.clientWidth;
    const before = state.ready || Promise.resolve();
    state.ready = before
      .then(() => embedded(state.plot, fitted(state, state.width), "svg"))
      .then((result) => {
        if (state.view) state.view.finalize();
        state.view = state.plot.view = result.view;
        state.plot.dataset.drawn = "yes";
      });
    return state.ready;
  }

  function set(figure, name, value) {
    const state = draw(figure);
    state.params[name] = value;
    return state.ready.then(() => state.view.signal(name, value).runAsync());
  }

  const choose = (figure, control) => set(figure, control.dataset.param, JSON.parse(control.value));

  function span(figure, months) {
    const day = figure.dataset.date;
    const ends = tablesOf(draw(figure).spec).flatMap((name) => (stored[name][day] || { levels: [] }).levels);
    const first = new Date(ends.reduce((a, b) => (a > b ? a : b)));
    first.setMonth(first.getMonth() - months);
    set(figure, "since", months ? first.getTime() : -1e15);
  }

  function toggle(figure, key, alone) {
    const { hidden } = draw(figure);
    const keys = all(figure, "button.key");
    const only = alone && keys.some((k) => k !== key && !hidden.has(k.dataset.value));
    for (const each of keys) {
      const name = each.dataset.value;
      if (alone ? only && each !== key : (each === key) !== hidden.has(name)) hidden.add(name);
      else hidden.delete(name);
      each.setAttribute("aria-pressed", String(!hidden.has(name)));
    }
    set(figure, "hidden", Array.from(hidden));
  }

  /* ---- data out ---- */

  const quoted = (value) => {
    const text = value === null || value === undefined ? "" : String(value);
    return /[",\n\r]/.test(text) ? '"' + text.replace(/"/g, '""') + '"' : text;
  };
  const csv = (table) => [table.heads, ...table.rows].map((row) => row.map(quoted).join(",")).join("\n") + "\n";
  const tsv = (table) => [table.heads, ...table.rows]
    .map((row) => row.map((v) => (v === null ? "" : String(v).replace(/[\t\n\r]/g, " "))).join("\t")).join("\n");
  /* The rows behind a chart, as it shows them now. */
  function seriesTable(figure) {
    const { spec, params, hidden } = draw(figure);
    const name = tablesOf(spec)[0];
    const chosen = Object.fromEntries((spec.params || []).map((p) => [p.name, params[p.name] === undefined ? p.value : params[p.name]]));
    const heads = Object.keys(stored[name]);
    const rows = rowsOf(name).filter((row) => !hidden.has(row[figure.dataset.hides])
      && heads.every((h) => !(h in chosen) || row[h] === chosen[h])
      && !(Date.parse(row[figure.dataset.date]) < chosen.since));
    const place = inside(figure, ".unit");
    const unit = place ? [place.textContent] : [];
    return { heads: [...heads, ...unit.map(() => "unit")], rows: rows.map((row) => [...heads.map((h) => row[h]), ...unit]) };
  }

  function save(name, blob) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    document.body.appendChild(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  let silence = 0;
  function say(text) {
    const place = document.getElementById("said");
    place.textContent = text;
    clearTimeout(silence);
    silence = setTimeout(() => { place.textContent = ""; }, 2500);
  }

  function copy(text) {
    const old = () => {
      const area = document.createElement("textarea");
      area.value = text;
      area.style.position = "fixed";
      document.body.appendChild(area);
      area.select();
      const done = document.execCommand("copy");
      area.remove();
      return done ? Promise.resolve() : Promise.reject(new Error("refused"));
    };
    const done = navigator.clipboard && window.isSecureContext
      ? navigator.clipboard.writeText(text).catch(old) : old();
    done.then(() => say("Copied: paste it into a spreadsheet"), () => say("The browser does not allow copying: use CSV"));
  }

  function picture(figure) {
    const state = draw(figure);
    const place = document.createElement("div");
    const unit = inside(figure, ".unit");
    const spec = fitted(state, 1000, true);
    spec.title = { text: figure.dataset.title, subtitle: unit ? unit.textContent : "" };
    embedded(place, spec, "canvas")
      .then((result) => result.view.toImageURL("png", 2))
      .then((uri) => {
        const bytes = Uint8Array.from(atob(uri.split(",")[1]), (c) => c.charCodeAt(0));
        save(figure.dataset.name + ".png", new Blob([bytes], { type: "image/png" }));
      });
  }

  /* ---- buttons ---- */

  function press(event) {
    const button = event.target.closest("button");
    if (!button) return;
    const place = button.closest("[data-name]");
    if (button.dataset.value !== undefined) {
      toggle(place, button, event.detail === 2);
      return;
    }
    const isFigure = place && place.tagName === "FIGURE";
    const table = () => (isFigure ? seriesTable(place) : content(place));
    const done = {
      csv: () => save(place.dataset.name + ".csv", new Blob(["\ufeff" + csv(table())], { type: "text/csv;charset=utf-8" })),
      copy: () => copy(tsv(table())),
      png: () => picture(place),
      choose: () => choose(place, button),
      span: () => span(place, Number(button.value)),
    }[button.dataset.do];
    if (!done) return;
    done();
    const segments = button.closest(".segments");
    if (segments) {
      for (const each of all(segments, "button")) each.setAttribute("aria-pressed", String(each === button));
    }
  }

  document.addEventListener("click", press);
  document.addEventListener("change", (event) => {
    const select = event.target.closest('select[data-do="choose"]');
    if (select) choose(select.closest("[data-name]"), select);
  });

  /* ---- when to draw: what is seen first, then the rest, so that paper has everything ---- */

  const figures = all(document, "figure[data-name]");
  const watch = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      watch.unobserve(entry.target);
      draw(entry.target);
    }
  }, { rootMargin: "600px 0px" });
  figures.forEach((figure) => watch.observe(figure));

  const idle = window.requestIdleCallback || ((f) => setTimeout(f, 50));
  const open = (figure) => inside(figure, ".plot").clientWidth > 0;
  (function next() {
    const one = figures.find((figure) => !drawn.has(figure) && open(figure));
    if (one) draw(one).ready.then(() => idle(next));
    else document.documentElement.dataset.complete = "yes";
  })();

  let waiting = 0;
  window.addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      for (const state of drawn.values()) {
        if (state.plot.clientWidth && Math.abs(state.plot.clientWidth - state.width) > 4) redraw(state);
      }
    }, 150);
  });

  let opened = [];
  window.addEventListener("beforeprint", () => {
    opened = all(document, "details:not([open])");
    opened.forEach((each) => { each.open = true; });
    for (const figure of figures) {
      const { view, spec } = draw(figure);
      const columns = figure.classList.contains("wide") ? 1 : 2;
      if (view && !spec.facet && !spec.hconcat) view.width(Math.floor(printWidth / columns) - (columns - 1) * 10).run();
    }
  });
  window.addEventListener("afterprint", () => {
    opened.forEach((each) => { each.open = false; });
    for (const state of drawn.values()) redraw(state);
  });
  document.documentElement.dataset.ready = "yes";
})();
