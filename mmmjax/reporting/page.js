/* The page of a report: draws charts when they come into view, and serves their buttons.
   Vega is the copy that stands in the page before this script; nothing is fetched. */
(async function () {
  if (!window.DecompressionStream) {
    const why = "The figures need a browser of 2023 or later. Texts and tables do not.";
    document.querySelector("main").prepend(made("p", why, { class: "mark bad" }));
    return;
  }
  const packed = new Blob([bytes($("tables").textContent)]).stream();
  const unpacked = new Response(packed.pipeThrough(new DecompressionStream("gzip")));
  const stored = await unpacked.json(); // table, which charts share -> column -> values
  const figures = all(document, "figure[data-name]");
  const drawn = new Map(); // figure -> {plot, spec, keyed, params, width, view, ready}
  const content = (root) => JSON.parse(root.querySelector('script[type="application/json"]').textContent);

  function rowsOf(name) {
    const columns = Object.entries(stored[name]);
    const size = columns.length && columns[0][1].length;
    return Array.from({ length: size }, (_, i) => Object.fromEntries(columns.map(([head, values]) => [head, values[i]])));
  }

  /* ---- charts ---- */

  /* The specification as it is drawn: as wide as its place, with the choices made. */
  function fitted({ spec, keyed, params }, width, whole) {
    const adapted = (key, part) => {
      const legend = part && part.scale && ["color", "fill", "stroke", "shape"].includes(key);
      if (legend && keyed && !whole) return { ...part, legend: null };
      if (key === "axis" && part && part.labelLimit && width < 480) return { ...part, labelLimit: 84 };
      return part;
    };
    const config = { ...settings.config, ...spec.config };
    const out = JSON.parse(JSON.stringify({ ...spec, config }), adapted);
    for (const name of Object.keys(out.datasets)) out.datasets[name] = rowsOf(name);
    for (const param of out.params || []) {
      if (param.name in params) param.value = params[param.name];
    }
    const parts = out.hconcat || out.vconcat;
    if (out.facet) {
      out.columns = Math.max(1, Math.min(Math.floor(width / 230), (out.facet.sort || []).length || 4));
      out.spec.width = Math.floor(width / out.columns) - 66;
    } else if (parts) {
      const beside = out.hconcat && width >= 620;
      const asked = parts.reduce((sum, part) => sum + part.width, 0);
      for (const part of parts) { // axes take 110 pixels
        part.width = Math.max(140, Math.floor((width - 110) * (beside ? part.width / asked : 1)));
      }
      delete out.hconcat;
      out[beside ? "hconcat" : "vconcat"] = parts;
    } else {
      out.width = width;
      out.autosize = { type: "fit-x", contains: "padding" };
    }
    return out;
  }

  /* Without code made from text (ast); Vega's remarks on layouts are not the reader's. */
  const warn = console.warn;
  console.warn = (first, ...rest) => { if (first !== "WARN") warn.call(console, first, ...rest); };
  const embedded = (place, spec, renderer) =>
    vegaEmbed(place, spec, { ast: true, actions: false, renderer, logLevel: 1, tooltip: { theme: "custom" } });

  function draw(figure) {
    if (!drawn.has(figure)) {
      const keyed = figure.querySelector(".key") !== null;
      drawn.set(figure, { plot: figure.querySelector(".plot"), spec: content(figure), keyed, params: {} });
      redraw(drawn.get(figure));
    }
    return drawn.get(figure);
  }

  function redraw(state) {
    state.width = state.plot.clientWidth;
    state.ready = Promise.resolve(state.ready)
      .then(() => embedded(state.plot, fitted(state, state.width), "svg"))
      .then(({ view }) => {
        if (state.view) state.view.finalize();
        state.view = state.plot.view = view;
        state.plot.dataset.drawn = "yes";
      });
  }

  function set(figure, name, value) {
    const state = draw(figure);
    state.params[name] = value;
    state.ready.then(() => state.view.signal(name, value).runAsync());
  }

  const choose = (figure, control) => set(figure, control.dataset.param, JSON.parse(control.value));

  function span(figure, months) {
    const days = Object.keys(draw(figure).spec.datasets).flatMap((name) => stored[name][figure.dataset.date] || []);
    const first = new Date(days.filter(Boolean).sort().pop());
    first.setMonth(first.getMonth() - months);
    set(figure, "since", months ? first.getTime() : -1e15);
  }

  /* A key shows or hides its own; twice, it leaves its own alone, or brings all back. */
  function toggle(figure, key, twice) {
    const keys = all(figure, "button.key");
    const shown = (each) => each.getAttribute("aria-pressed") === "true";
    const alone = twice && keys.some((each) => each !== key && shown(each));
    const wanted = (each) => (twice ? !alone || each === key : shown(each) !== (each === key));
    for (const each of keys) each.setAttribute("aria-pressed", wanted(each));
    set(figure, "hidden", keys.filter((each) => !shown(each)).map((each) => each.dataset.value));
  }

  /* ---- data out ---- */

  /* The rows behind a chart, as it shows them now. */
  function series(figure) {
    const { spec, params } = draw(figure);
    const unit = all(figure, ".unit").map((place) => place.textContent);
    const first = Object.fromEntries((spec.params || []).map((param) => [param.name, param.value]));
    const chosen = { hidden: [], ...first, ...params };
    const [name] = Object.keys(spec.datasets);
    const heads = Object.keys(stored[name]);
    const rows = rowsOf(name).filter((row) => !chosen.hidden.includes(row[figure.dataset.hides])
      && heads.every((head) => !(head in chosen) || row[head] === chosen[head])
      && !(Date.parse(row[figure.dataset.date]) < chosen.since));
    return [[...heads, ...unit.map(() => "unit")], ...rows.map((row) => [...heads.map((head) => row[head]), ...unit])];
  }

  async function picture(figure) {
    const spec = fitted(draw(figure), 1000, true);
    const unit = all(figure, ".unit").map((place) => place.textContent);
    spec.title = { text: figure.querySelector("h3").textContent, subtitle: unit.join() };
    const { view } = await embedded(made("div"), spec, "canvas");
    const canvas = await view.toCanvas(2);
    canvas.toBlob((blob) => save(figure.dataset.name + ".png", blob));
  }

  /* ---- buttons ---- */

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    const place = button && button.closest("[data-name]");
    if (!place) return;
    if (button.matches(".key")) toggle(place, button, event.detail === 2);
    const table = () => {
      if (place.matches("figure")) return series(place);
      const { heads, rows } = content(place);
      return [heads, ...rows];
    };
    const tabbed = (row) => row.map((x) => String(x ?? "").replace(/[\t\n\r]/g, " ")).join("\t");
    const actions = {
      csv: () => saveTable(place.dataset.name, table()),
      copy: () => copy(table().map(tabbed).join("\n"), "Copied: paste it into a spreadsheet"),
      png: () => picture(place),
      choose: () => choose(place, button),
      span: () => span(place, Number(button.value)),
    };
    if (button.dataset.do in actions) actions[button.dataset.do]();
    for (const each of all(button.parentNode, ".segments > button")) each.setAttribute("aria-pressed", each === button);
  });
  document.addEventListener("change", ({ target }) => {
    if (target.matches('select[data-do="choose"]')) choose(target.closest("figure"), target);
  });

  /* ---- when to draw: what is seen first, then the rest, so that paper has everything ---- */

  const watch = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) if (isIntersecting) draw(target);
  }, { rootMargin: "600px 0px" });
  figures.forEach((figure) => watch.observe(figure));

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
    for (const each of opened) each.open = true;
    for (const figure of figures) {
      const { view, spec } = draw(figure);
      if (view && !spec.facet && !spec.hconcat) view.width(figure.matches(".half") ? 320 : 660).run();
    }
  });
  window.addEventListener("afterprint", () => {
    for (const each of opened) each.open = false;
    for (const state of drawn.values()) redraw(state);
  });
  document.documentElement.dataset.ready = "yes";

  const idle = window.requestIdleCallback || ((f) => setTimeout(f, 50));
  for (const figure of figures) {
    await draw(figure).ready;
    await new Promise((next) => idle(next));
  }
  document.documentElement.dataset.complete = "yes";
})();
