/* The page of a report: draws figures when they come into view, and serves their buttons.
   Plotly is the copy that stands in the page before this script; nothing is fetched. */
(function () {
  "use strict";
  const settings = JSON.parse(document.getElementById("settings").textContent);
  const small = window.innerWidth <= 480;
  const touch = small || window.matchMedia("(pointer: coarse)").matches;
  const printWidth = 660;
  const drawn = new Map(); // figure element -> {plot, spec, view}

  const copied = (value) => JSON.parse(JSON.stringify(value)); // Plotly writes into what it is given
  const all = (root, selector) => Array.from(root.querySelectorAll(selector));
  const inside = (root, tag) => all(root, tag).find((e) => e.closest("[data-name]") === root);
  const content = (root) => JSON.parse(inside(root, 'script[type="application/json"]').textContent);

  /* ---- figures ---- */

  function draw(figure) {
    if (drawn.has(figure)) return drawn.get(figure);
    const plot = inside(figure, ".plot");
    const spec = content(figure);
    const state = { plot, spec, view: 0, hidden: new Set() };
    drawn.set(figure, state);
    const layout = Object.assign({ autosize: true }, copied(spec.layout), { template: settings.template });
    layout.dragmode = touch || (layout.xaxis && layout.xaxis.fixedrange) ? false : "zoom";
    if (small) {
      layout.font = { size: 12 };
      layout.hoverlabel = { font: { size: 11 } };
    }
    Plotly.newPlot(plot, viewed(state), layout, settings.config);
    plot.dataset.drawn = "yes";
    return state;
  }

  /* The traces as they are to be drawn: this view, without what was hidden. Intervals that
     are marked "few" would only blur where many series are on show. */
  function viewed(state) {
    const view = state.spec.views && state.spec.views[state.view];
    const groups = new Set(state.spec.data.map((trace) => trace.legendgroup));
    const few = groups.size - state.hidden.size <= 3;
    return state.spec.data.map((trace, i) => {
      const shown = Object.assign({}, trace, view ? view.data[i] : {});
      shown.visible = !state.hidden.has(trace.legendgroup) && (few || trace.meta !== "few");
      return small ? thinner(shown) : shown;
    });
  }

  function thinner(trace) {
    const part = (style, key, factor) => {
      if (style[key] === undefined) return style;
      const value = style[key];
      const less = Array.isArray(value) ? value.map((v) => v * factor) : value * factor;
      return Object.assign({}, style, { [key]: less });
    };
    if (trace.line) trace.line = part(trace.line, "width", 0.7);
    if (trace.marker) trace.marker = part(trace.marker, "size", 0.8);
    return trace;
  }

  function redraw(figure) {
    const state = draw(figure);
    const view = state.spec.views && state.spec.views[state.view];
    const layout = Object.assign({}, state.plot.layout, view ? view.layout : {});
    Plotly.react(state.plot, viewed(state), layout, settings.config);
    return state;
  }

  function choose(figure, index) {
    const state = draw(figure);
    state.view = index;
    const unit = inside(figure, ".unit");
    if (unit) unit.textContent = state.spec.views[index].unit;
    for (const axis of ["xaxis", "yaxis"]) {
      const range = state.spec.layout[axis].range;
      state.plot.layout[axis] = Object.assign({}, state.plot.layout[axis],
        range ? { range: copied(range) } : { autorange: true });
    }
    redraw(figure);
  }

  function span(figure, months) {
    const state = draw(figure);
    const ends = state.spec.data.flatMap((t) => (t.x && t.x.length ? [t.x[0], t.x[t.x.length - 1]] : []));
    ends.sort();
    const last = ends[ends.length - 1];
    if (!months) {
      const range = state.spec.layout.xaxis.range;
      Plotly.relayout(state.plot, range ? { "xaxis.range": copied(range) } : { "xaxis.autorange": true });
      return;
    }
    const first = new Date(last);
    first.setUTCMonth(first.getUTCMonth() - months);
    const from = first.toISOString().slice(0, 10);
    Plotly.relayout(state.plot, { "xaxis.range": [from > ends[0] ? from : ends[0], last] });
  }

  function toggle(figure, key, alone) {
    const state = draw(figure);
    const keys = all(figure, ".key[data-traces]");
    const only = alone && keys.some((k) => k !== key && !state.hidden.has(k.dataset.traces));
    for (const each of keys) {
      const name = each.dataset.traces;
      if (alone) {
        if (only && each !== key) state.hidden.add(name);
        else state.hidden.delete(name);
      } else if (each === key) {
        if (state.hidden.has(name)) state.hidden.delete(name);
        else state.hidden.add(name);
      }
      each.setAttribute("aria-pressed", String(!state.hidden.has(name)));
    }
    redraw(figure);
  }

  /* ---- data out ---- */

  const quoted = (value) => {
    const text = value === null || value === undefined ? "" : String(value);
    return /[",\n\r]/.test(text) ? '"' + text.replace(/"/g, '""') + '"' : text;
  };
  const csv = (table) => [table.heads, ...table.rows].map((row) => row.map(quoted).join(",")).join("\n") + "\n";
  const tsv = (table) => [table.heads, ...table.rows]
    .map((row) => row.map((v) => (v === null ? "" : String(v).replace(/[\t\n\r]/g, " "))).join("\t")).join("\n");
  const decoded = (text) => new DOMParser().parseFromString(String(text || ""), "text/html").documentElement.textContent;

  function seriesTable(figure) {
    const state = draw(figure);
    const ticks = (state.spec.layout.yaxis || {}).ticktext;
    const place = inside(figure, ".unit");
    const unit = place ? [place.textContent] : [];
    const rows = [];
    for (const trace of viewed(state)) {
      if (!trace.visible || !trace.x) continue;
      trace.x.forEach((x, i) => {
        if (x === null) return; // between two lines
        const y = trace.y[i];
        const named = ticks && y !== null ? decoded(ticks[Math.round(y)]) : y;
        rows.push([decoded(trace.name), x, named, ...unit]);
      });
    }
    return { heads: ["series", "x", "y", ...(place ? ["unit"] : [])], rows };
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
    const names = new Map(all(figure, ".key[data-traces]").map((k) => [k.dataset.traces, k.textContent.trim()]));
    const told = new Set();
    const data = viewed(state).map((trace) => {
      const first = names.has(trace.legendgroup) && !told.has(trace.legendgroup) && trace.hoverinfo !== "skip";
      if (first) told.add(trace.legendgroup);
      return Object.assign({}, trace, { showlegend: first });
    });
    const unit = inside(figure, ".unit");
    const title = figure.dataset.title + (unit ? "<br><sub>" + unit.innerHTML + "</sub>" : "");
    const height = Math.round(state.plot.clientHeight) + 130;
    const layout = Object.assign({}, state.plot.layout, {
      autosize: false, width: 1000, height, showlegend: told.size > 0,
      title: { text: title, x: 0.01, xanchor: "left", font: { size: 17 } },
      legend: { orientation: "h", yref: "container", y: 0.01, yanchor: "bottom" },
      margin: Object.assign({}, state.plot.layout.margin, { t: 70, b: 90 }),
    });
    Plotly.toImage({ data, layout, config: settings.config }, { format: "png", width: 1000, height, scale: 2 })
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
    if (button.dataset.traces !== undefined) {
      toggle(place, button, event.detail === 2);
      return;
    }
    const isFigure = place && place.tagName === "FIGURE";
    const table = () => (isFigure ? seriesTable(place) : content(place));
    const done = {
      csv: () => save(place.dataset.name + ".csv", new Blob(["\ufeff" + csv(table())], { type: "text/csv;charset=utf-8" })),
      copy: () => copy(tsv(table())),
      png: () => picture(place),
      view: () => choose(place, Number(button.value)),
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
    const select = event.target.closest('select[data-do="view"]');
    if (select) choose(select.closest("[data-name]"), Number(select.value));
  });

  /* ---- when to draw ---- */

  const figures = all(document, "figure[data-name]");
  const watch = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      watch.unobserve(entry.target);
      draw(entry.target);
    }
  }, { rootMargin: "600px 0px" });
  figures.forEach((figure) => watch.observe(figure));

  let opened = [];
  window.addEventListener("beforeprint", () => {
    opened = all(document, "details:not([open])");
    opened.forEach((each) => { each.open = true; });
    for (const figure of figures) {
      const state = draw(figure);
      const columns = figure.classList.contains("wide") ? 1 : 2;
      Plotly.relayout(state.plot, { width: Math.floor(printWidth / columns) - (columns - 1) * 10 });
    }
  });
  window.addEventListener("afterprint", () => {
    opened.forEach((each) => { each.open = false; });
    for (const { plot } of drawn.values()) Plotly.relayout(plot, { width: null, autosize: true });
  });
  document.documentElement.dataset.ready = "yes";
})();
