/* The planner: what a split of spend brings, from the curves of every draw that stand in the page. */
(function () {
  "use strict";
  const data = JSON.parse(document.getElementById("settings").textContent);
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;
  const means = new Float32Array(bytes(data.means)), forms = new Float32Array(bytes(data.forms));
  const numbers = new Int16Array(bytes(data.numbers));
  const { cells, nodes, draws, geos, channels } = data, wide = 2 * (nodes + 1);
  const $ = (id) => document.getElementById(id), sum = (list) => list.reduce((a, b) => a + b, 0);
  const column = (name) => cells.map((cell) => cell[name]);
  for (const cell of cells) for (const key of ["upper", "seen"]) if (cell[key] === null) cell[key] = Infinity;
  cells.reduce((from, cell) => { cell.from = from; return from + cell.shapes; }, 0);

  /* ---- what spend brings ---- */

  function piece(table, from, u) { // value and slope in u, the root of spend as a share of the top
    const at = u * nodes, i = Math.min(Math.floor(at), nodes - 1), t = at - i, o = from + i;
    const first = table[o + nodes + 1] / nodes, last = table[o + nodes + 2] / nodes, rise = table[o + 1] - table[o];
    const two = 3 * rise - 2 * first - last, three = first + last - 2 * rise;
    return [table[o] + t * (first + t * (two + t * three)), (first + t * (2 * two + 3 * t * three)) * nodes, two];
  }
  const root = (cell, money) => Math.sqrt(Math.min(Math.max(money / cell.top, 0), 1));
  function mean(i, money) { // of one cell, and what the next unit of money brings
    const u = root(cells[i], money), [value, slope, two] = piece(means, i * wide, u);
    return [value, u > 1e-9 ? slope / (2 * u * cells[i].top) : slope > 0 ? Infinity : two * nodes * nodes / cells[i].top];
  }
  function brings(list, spend) { // of some cells together
    const each = new Float64Array(draws), before = sum(list.map((i) => spend[i]));
    let whole = 0, next = 0, weight = 0;
    for (const i of list) {
      const cell = cells[i], u = root(cell, spend[i]), [value, slope] = mean(i, spend[i]);
      const part = before > 0 ? spend[i] : cell.reference || 1;
      whole += value; weight += part; if (part > 0) next += part * slope;
      for (let d = 0; d < draws; d++) each[d] += value;
      for (let k = cell.from; k < cell.from + cell.shapes; k++) {
        const size = piece(forms, k * wide, u)[0], o = k * draws;
        for (let d = 0; d < draws; d++) each[d] += size * numbers[o + d];
      }
    }
    return { mean: whole, each, next: next / weight, spend: before };
  }
  function interval(each) { // the narrowest that holds so much
    const rows = Float64Array.from(each).sort(), inside = Math.floor(data.prob * draws);
    if (inside < 1 || inside >= draws) return [rows[0], rows[draws - 1]];
    let best = 0;
    for (let i = 1; i + inside < draws; i++) if (rows[i + inside] - rows[i] < rows[best + inside] - rows[best]) best = i;
    return [rows[best], rows[best + inside]];
  }
  function told(found) { // with its interval, and per money
    const [lo, hi] = interval(found.each), per = (x) => found.spend > 0 ? x / found.spend : NaN;
    return Object.assign(found, { lo, hi, roas: per(found.mean), roas_lo: per(lo), roas_hi: per(hi) });
  }
  const everything = cells.map((_, i) => i);
  const of = (channel, geo) => everything.filter((i) => cells[i].channel === channel && (geo < 0 || cells[i].geo === geo));
  function look(spend, against) { // a whole split: each channel, all of them, and more than another
    const each = channels.map((_, c) => told(brings(of(c, -1), spend)));
    const total = { each: new Float64Array(draws), mean: 0, spend: 0 };
    for (const one of each) { total.mean += one.mean; total.spend += one.spend; one.each.forEach((x, d) => { total.each[d] += x; }); }
    told(total);
    if (against) {
      const gains = total.each.map((x, d) => x - against.total.each[d]), [lo, hi] = interval(gains);
      const cost = total.spend - against.total.spend, worth = gains.map((x) => data.value * x - cost);
      const chance = (x) => x.filter((v) => v > 0).length / draws;
      total.gain = { mean: total.mean - against.total.mean, lo, hi, better: chance(gains) };
      const net = interval(worth);
      if (data.value !== null) total.net = { mean: data.value * total.gain.mean - cost, lo: net[0], hi: net[1], better: chance(worth) };
    }
    return { channels: each, total };
  }

  /* ---- moving money ---- */

  function spread(list, money, spend) { // over cells as it is spread now, none above its top
    const out = new Map(list.map((i) => [i, 0])), now = sum(list.map((i) => spend[i])), base = sum(column("reference"));
    const weight = (i) => now > 0 ? spend[i] : sum(list.map((j) => cells[j].reference)) > 0 ? cells[i].reference : cells[i].share || 1;
    let left = money, open = list.filter((i) => weight(i) > 0);
    while (open.length && left > 1e-9 * (base + money)) {
      const whole = sum(open.map(weight)), given = left;
      for (const i of open) {
        const more = Math.min(given * weight(i) / whole, cells[i].top - out.get(i));
        out.set(i, out.get(i) + more); left -= more;
      }
      open = open.filter((i) => out.get(i) < cells[i].top * (1 - 1e-12));
    }
    return out;
  }
  function best(budget, spend, lower, upper, held) { // null where bounds and what is held do not allow it
    const owners = [...new Set(column("owner"))].map((o) => everything.filter((i) => cells[i].owner === o));
    const ways = owners.map((list) => {
      const fixed = list.some((i) => held[i]), share = list.length > 1 ? list.map((i) => cells[i].share) : [1];
      const ends = (limit, pick, start) => list.reduce((x, i, k) => share[k] > 0 ? pick(x, limit[i] / share[k]) : x, start);
      const now = sum(list.map((i) => spend[i]));
      const high = fixed ? now : ends(upper.map((x, i) => Math.min(x, cells[i].top)), Math.min, Infinity);
      const low = fixed ? now : Math.min(ends(lower, Math.max, 0), high);
      const f = (x) => list.reduce((t, i, k) => { const [v, s] = mean(i, share[k] * x); return [t[0] + v, t[1] + share[k] * s]; }, [0, 0]);
      const steps = Array.from({ length: 33 }, (_, j) => { const x = low + (high - low) * (j / 32) ** 2; return [x, f(x)]; });
      return { list, share, low, high, f, steps };
    });
    const ends = ["low", "high"].map((end) => sum(ways.map((way) => way[end])));
    if (budget < ends[0] * (1 - 1e-9) || budget > ends[1] * (1 + 1e-9)) return { ends };
    const at = (way, price) => { // where the next money brings its price
      let top = 0;
      way.steps.forEach(([x, [v]], j) => { if (v - price * x > way.steps[top][1][0] - price * way.steps[top][0]) top = j; });
      let [a, b] = [way.steps[Math.max(top - 1, 0)][0], way.steps[Math.min(top + 1, 32)][0]];
      for (let n = 0; n < 45; n++) { const x = (a + b) / 2; if (way.f(x)[1] > price) a = x; else b = x; }
      return b >= way.high * (1 - 1e-12) ? way.high : a <= way.low + 1e-12 * way.high ? way.low : (a + b) / 2;
    };
    const steepest = 2 * Math.max(...ways.flatMap((way) => way.steps.map(([, [, s]]) => Number.isFinite(s) ? Math.abs(s) : 0))) + 1e-300;
    let [cheap, dear] = [-steepest, steepest];
    for (let n = 0; n < 55; n++) {
      const price = (cheap + dear) / 2;
      if (sum(ways.map((way) => at(way, price))) > budget) cheap = price; else dear = price;
    }
    const found = ways.map((way) => at(way, dear));
    for (let n = 0, left = budget - sum(found); n < 99 && left > 1e-9 * budget; n++) { // jumps of curves that first rise
      const rise = ways.map((way, v) => { const more = Math.min(left, way.high - found[v]); return more > 0 ? (way.f(found[v] + more)[0] - way.f(found[v])[0]) / more : -Infinity; });
      const v = rise.indexOf(Math.max(...rise)), more = Math.min(left, ways[v].high - found[v]);
      found[v] += more; left -= more;
    }
    const out = Array(cells.length).fill(0);
    ways.forEach((way, v) => way.list.forEach((i, k) => { out[i] = way.share[k] * found[v]; }));
    return { spend: out };
  }

  /* ---- numbers as the report writes them ---- */

  const digits = (x) => Math.min(Math.max(2 - Math.floor(Math.log10(Math.abs(x) || 1) + 1e-9), 0), 8);
  const fixed = (x, n) => Number.isFinite(x) ? (x + 0).toLocaleString("en-US", { minimumFractionDigits: n, maximumFractionDigits: n }) : "";
  const amount = (x) => fixed(x, x === Math.round(x) ? 0 : digits(x));
  const money = (x) => x >= 1000 ? fixed(x, 0) : amount(x);
  const sizes = [[1e12, "trillion"], [1e9, "billion"], [1e6, "million"]];
  const size = (x) => sizes.find(([s]) => Math.abs(x) >= 0.9995 * s) || [1, ""];
  const large = (x) => { const [s, word] = size(x); return word ? fixed(x / s, digits(x / s)) + " " + word : amount(x); };
  function span(m, lo, hi) {
    const [s, word] = size(m), n = digits(Math.max(Math.abs(m), (hi - lo) / 20) / s);
    return (fixed(lo / s, n) + " to " + fixed(hi / s, n) + " " + word).trim();
  }
  const signed = (x) => (x < 0 ? "-" : "+") + large(Math.abs(x)), three = (x) => fixed(x, digits(x));
  const chance = (p) => p > 0.995 ? "over 99%" : p < 0.005 ? "under 1%" : fixed(100 * p, 0) + "%";
  const percent = (x) => (x < 0 ? "-" : "+") + fixed(Math.abs(100 * x), Math.abs(x) < 0.0995 ? 1 : 0) + "%";
  const units = data.currency || "money", unit = data.currency || "units of money";
  function read(text) { // "1,200,000", "1.2m" or "300k"
    const parts = /^([\d.]+(?:e\d+)?)([km]?)$/i.exec(text.replace(/[\s,]/g, ""));
    return parts ? Number(parts[1]) * { k: 1e3, m: 1e6 }[parts[2].toLowerCase()] || Number(parts[1]) : NaN;
  }

  /* ---- what the page knows ---- */

  const fixedNames = [data.before, "Best plan"];
  let store = null;
  try { store = window.localStorage; store.getItem("x"); } catch (error) { store = null; }
  const keep = "mmmjax planner " + data.key;
  let kept = [];
  try { kept = JSON.parse((store && store.getItem(keep)) || "[]").filter((s) => s.spend.length === cells.length); } catch (error) { kept = []; }
  const remember = () => { try { if (store) store.setItem(keep, JSON.stringify(kept)); } catch (error) { store = null; } };
  const state = { spend: column("reference"), lower: column("lower"), upper: column("upper"), budget: data.budget,
    held: column("held"), geo: geos.length > 1 ? -1 : 0, against: 0 };
  const given = [{ name: fixedNames[0], spend: column("reference") }, { name: fixedNames[1], spend: column("optimized") }, ...data.scenarios];
  const plans = () => [...given, ...kept], known = new WeakMap();
  const seen = (plan) => { if (!known.has(plan.spend)) known.set(plan.spend, look(plan.spend)); return known.get(plan.spend); };
  const say = (text) => { $("said").textContent = text; clearTimeout(say.timer); say.timer = setTimeout(() => { $("said").textContent = ""; }, 5000); };
  const made = (tag, text, attributes) => { const e = document.createElement(tag); e.textContent = text || ""; for (const [k, v] of Object.entries(attributes || {})) e.setAttribute(k, v); return e; };

  /* ---- rows: a slider and boxes a channel ---- */

  const shared = (list) => state.geo >= 0 && geos.length > 1 && list.some((i) => cells.filter((c) => c.owner === cells[i].owner).length > 1);
  const rows = channels.map((name, c) => {
    const row = $("row").content.firstElementChild.cloneNode(true), part = (key) => row.querySelector("." + key);
    row.setAttribute("aria-label", name); part("name").textContent = name;
    const named = { slide: "spend, slider", amount: "spend, " + unit, least: "at least, " + unit, most: "at most, " + unit, hold: "hold as it is" };
    for (const key of Object.keys(named)) part(key).setAttribute("aria-label", name + ": " + named[key]);
    const list = () => of(c, state.geo), set = (x) => { spread(list(), Math.max(x, 0), state.spend).forEach((v, i) => { state.spend[i] = v; }); update(); };
    part("slide").addEventListener("input", (e) => set(Number(e.target.value) / 1000 * sum(list().map((i) => cells[i].top))));
    part("amount").addEventListener("change", (e) => {
      const x = read(e.target.value), top = sum(list().map((i) => cells[i].top));
      if (!Number.isFinite(x)) say("Write an amount, such as 250,000 or 1.2m"); else if (x > top) say("The curve of " + name + " ends at " + money(top) + " " + unit);
      if (Number.isFinite(x)) set(x); else update();
    });
    for (const [key, limit] of [["least", state.lower], ["most", state.upper]]) part(key).addEventListener("change", (e) => {
      const x = e.target.value.trim() ? read(e.target.value) : key === "most" ? Infinity : 0, base = sum(list().map((i) => cells[i].reference));
      if (Number.isNaN(x)) say("Write an amount, such as 250,000 or 1.2m");
      else for (const i of list()) limit[i] = x === Infinity ? x : x * (base > 0 ? cells[i].reference / base : 1 / list().length);
      update();
    });
    part("hold").addEventListener("change", (e) => { for (const i of list()) state.held[i] = e.target.checked; update(); });
    $("rows").append(row);
    return { row, part, list, name };
  });
  function fill(row, found, rival) {
    const { part } = row, list = row.list(), of_ = (x) => sum(list.map((i) => x[i])), top = sum(list.map((i) => cells[i].top));
    row.row.hidden = !list.length; if (!list.length) return;
    const now = found.spend, low = of_(state.lower), high = of_(state.upper), off = shared(list), rest = rival.spend;
    part("slide").value = Math.round(1000 * now / top); part("slide").setAttribute("aria-valuetext", money(now) + " " + unit);
    part("slide").style.setProperty("--from", 100 * Math.min(low / top, 1) + "%"); part("slide").style.setProperty("--to", 100 * Math.min(high / top, 1) + "%");
    part("amount").value = money(now); part("least").value = money(low); part("most").value = high < Infinity ? money(high) : "";
    part("hold").checked = list.every((i) => state.held[i]);
    for (const key of ["slide", "amount", "least", "most", "hold"]) part(key).disabled = off;
    part("range").textContent = high < Infinity ? money(low) + " to " + money(high) : "at least " + money(low);
    part("moved").textContent = Math.abs(now - rest) <= 1e-6 * (now + rest) ? "no change" : rest > 0 ? percent(now / rest - 1) : "new";
    const cell = (key, main, small) => { part(key).replaceChildren(main, made("small", small)); };
    cell("brought", large(found.mean), span(found.mean, found.lo, found.hi));
    const r = [found.roas, found.roas_lo, found.roas_hi].map((x) => data.times * x);
    cell("roas", now > 0 ? three(r[0]) : "none", now > 0 ? span(...r) : "");
    cell("next", Number.isFinite(found.next) ? three(data.times * found.next) : "very much", "");
    const slack = 1e-6 * (top + 1), words = [];
    if (off) words.push("One decision for all geos: move it under All geos.");
    if (now < low - slack || now > high + slack) words.push("Outside its limits.");
    const beyond = list.filter((i) => state.spend[i] > cells[i].seen * (1 + 1e-9));
    if (beyond.length) words.push((geos.length > 1 && state.geo < 0 ? "In " + beyond.length + " of " + list.length + " geos " : "") + "more than in any " + data.noun + " so far: a guess by the curve's shape.");
    part("warn").textContent = words.join(" ");
  }

  /* ---- curves ---- */

  function curve(row, found, rival) {
    const list = row.list(), top = sum(list.map((i) => cells[i].top)), box = row.curve, W = 300, H = 150;
    if (!list.length) { box.hidden = true; return; }
    box.hidden = false;
    const points = Array.from({ length: 25 }, (_, j) => {
      const at = spread(list, top * (j / 24) ** 2, state.spend), spend = [];
      at.forEach((x, i) => { spend[i] = x; });
      return told(brings(list, spend));
    });
    const high = Math.max(...points.map((p) => p.hi)), low = Math.min(0, ...points.map((p) => p.lo));
    const x = (m) => (4 + (W - 8) * m / top).toFixed(1), y = (v) => (H - 4 - (H - 10) * (v - low) / (high - low || 1)).toFixed(1);
    const path = (key, rows) => rows.map((p) => x(p.spend) + "," + y(p[key])).join(" L");
    const seen = Math.min(sum(list.map((i) => cells[i].seen)), top);
    const word = `${row.name}: ${money(found.spend)} ${unit} bring ${large(found.mean)} ${data.outcome}, ${span(found.mean, found.lo, found.hi)}`;
    box.querySelector("svg").innerHTML = `<rect class="unseen" x="${x(0)}" y="0" width="${Math.max(x(seen) - x(0), 0)}" height="${H}"/>`
      + `<path class="band" d="M${path("hi", points)} L${path("lo", points.slice().reverse())}Z"/><path class="line" d="M${path("mean", points)}"/>`
      + `<line class="now" x1="${x(found.spend)}" x2="${x(found.spend)}" y1="${y(found.lo)}" y2="${y(found.hi)}"/>`
      + `<circle class="other" cx="${x(Math.min(rival.spend, top))}" cy="${y(rival.mean)}" r="5"/><circle class="mine" cx="${x(found.spend)}" cy="${y(found.mean)}" r="5"/>`;
    box.querySelector("svg").setAttribute("aria-label", word);
    box.querySelector(".ends").replaceChildren(made("span", "0"), made("span", "up to " + large(high) + " " + data.outcome), made("span", large(top) + " " + (data.currency || "")));
  }
  for (const row of rows) {
    row.curve = made("figure"); row.curve.append(made("h3", row.name), document.createElementNS("http://www.w3.org/2000/svg", "svg"), made("p", "", { class: "ends" }));
    row.curve.querySelector("svg").setAttribute("viewBox", "0 0 300 150"); row.curve.querySelector("svg").setAttribute("role", "img");
    $("shapes").append(row.curve);
  }

  /* ---- the whole page ---- */

  function tile(key, answer, text, tone) {
    const box = $(key); box.className = "tile " + (tone || "");
    box.querySelector(".answer").textContent = answer; box.querySelector("p:last-child").textContent = text;
  }
  function table(place, heads, body) {
    const head = made("tr"); heads.forEach((text) => head.append(made("th", text, { scope: "col" })));
    const lines = body.map((cellsOf) => {
      const line = made("tr");
      cellsOf.forEach((value, j) => {
        const cell = made(j ? "td" : "th", typeof value === "string" ? value : "", j ? { "data-head": heads[j] } : { scope: "row" });
        if (typeof value !== "string") cell.append(...value);
        line.append(cell);
      });
      return line;
    });
    const top = made("thead"), rest = made("tbody"); top.append(head); rest.append(...lines);
    $(place).replaceChildren(top, rest);
  }
  const button = (text, label, act) => { const b = made("button", text, { type: "button", "aria-label": label }); b.addEventListener("click", act); return b; };
  function update() {
    const all = plans(), rivalPlan = all[Math.min(state.against, all.length - 1)], rival = seen(rivalPlan);
    const mine = look(state.spend, rival), gain = mine.total.gain, net = mine.total.net, best_ = seen(all[1]).total;
    const budget = state.budget, over = mine.total.spend - budget, name = rivalPlan.name.toLowerCase();
    tile("spent", large(mine.total.spend) + " " + (data.currency || ""), Math.abs(over) <= 0.5 + 1e-6 * budget ? "exactly the budget" : large(Math.abs(over)) + (over > 0 ? " more than" : " less than") + " the budget of " + large(budget), Math.abs(over) <= 0.5 + 1e-6 * budget ? "" : "care");
    tile("brought", large(mine.total.mean) + " " + data.outcome, "94% range " + span(mine.total.mean, mine.total.lo, mine.total.hi) + "; " + three(data.times * mine.total.roas) + " for each " + units);
    const apart = (x, whole) => Math.abs(x) <= 0.5 + 1e-6 * whole ? "for the same money" : "for " + large(Math.abs(x)) + " " + unit + (x > 0 ? " more" : " less");
    const won = net || gain, same = mine.total.spend === rival.total.spend && Math.abs(gain.mean) < 1e-9 * Math.abs(mine.total.mean);
    tile("gained", same ? "the same" : signed(won.mean) + " " + (net ? data.currency || "money" : data.outcome), same ? "move a slider" :
      (net ? "after the cost of media" : apart(mine.total.spend - rival.total.spend, rival.total.spend)) + "; 94% range " + span(won.mean, won.lo, won.hi) + "; " + "better with probability " + chance(won.better), same ? "" : won.better > 0.75 ? "good" : won.better < 0.25 ? "bad" : "care");
    $("gained").querySelector("h2").textContent = "Compared with " + name;
    const short = best_.mean - mine.total.mean, dear = best_.spend - mine.total.spend;
    tile("short", Math.abs(short) <= 1e-6 * Math.abs(best_.mean) ? "you are there" : percent(short / mine.total.mean) + " of what media bring", "It brings " + large(best_.mean) + " " + apart(dear, best_.spend));
    $("place").textContent = state.geo >= 0 && geos.length > 1 ? "Sliders and curves are of " + geos[state.geo] + "; budget, the answers on top and scenarios of all geos." : "";
    const view = (c) => state.geo < 0 || geos.length < 2 ? null : of(c, state.geo);
    rows.forEach((row, c) => {
      const list = view(c), pair = [mine.channels[c], rival.channels[c]];
      row.found = list ? told(brings(list, state.spend)) : pair[0]; row.rival = list ? told(brings(list, rivalPlan.spend)) : pair[1];
      fill(row, row.found, row.rival);
    });
    document.querySelectorAll(".rival").forEach((e) => { e.textContent = name; });
    clearTimeout(update.timer); update.timer = setTimeout(later, 150, all, mine, rival);
  }
  function later(all, mine) { // what takes longer than a slider may wait
    for (const row of rows) curve(row, row.found, row.rival);
    const first = seen(all[0]), each = [...all, { name: "Your split now", spend: state.spend }];
    const found = each.map((plan, n) => n === each.length - 1 ? look(plan.spend, first) : look(plan.spend, n ? first : null));
    table("scenarios", ["scenario", "spend", data.outcome, "per " + units, "more than " + all[0].name.toLowerCase(), "better with probability", ""], found.map(({ total }, n) => [
      each[n].name, large(total.spend), [large(total.mean), made("small", span(total.mean, total.lo, total.hi))], three(data.times * total.roas),
      total.gain ? [signed(total.gain.mean), made("small", span(total.gain.mean, total.gain.lo, total.gain.hi))] : "", total.gain && (total.gain.lo || total.gain.hi) ? chance(total.gain.better) : "",
      n === each.length - 1 ? "" : [button("Load", "Load " + each[n].name, () => { state.spend = each[n].spend.slice(); update(); say(each[n].name + " is on the sliders"); }),
        ...(n >= given.length ? [button("Remove", "Remove " + each[n].name, () => { kept.splice(n - given.length, 1); remember(); choices(); update(); })] : [])],
    ]));
    table("splits", ["spend, " + unit, ...each.map((plan) => plan.name)], channels.map((name, c) => [name, ...found.map((one) => money(one.channels[c].spend))]));
    planner.scenarios = () => each.map((plan, n) => Object.assign({ name: plan.name }, found[n], { money: plan.spend }));
    const quote = (text) => "'" + text.replace(/'/g, "'\\''") + "'", plain = (x) => x === Infinity ? "inf" : String(Number(x.toPrecision(10)));
    const flags = [data.flags + " --budget " + plain(mine.total.spend)];
    channels.forEach((name, c) => {
      const list = of(c, -1), whole = (x) => sum(list.map((i) => x[i]));
      flags.push("--reference " + quote(name + "=" + plain(whole(state.spend))));
      if (list.every((i) => state.held[i])) flags.push("--fix " + quote(name + "=" + plain(whole(state.spend))));
      else flags.push("--bounds " + quote(name + "=" + plain(whole(state.lower)) + ":" + plain(whole(state.upper))));
    });
    $("flags").textContent = flags.join(" \\\n  ");
    document.documentElement.dataset.ready = String(Number(document.documentElement.dataset.ready || 0) + 1);
  }
  function choices() {
    state.against = Math.min(state.against, plans().length - 1);
    $("against").replaceChildren(...plans().map((plan, n) => made("option", plan.name, { value: n })));
    $("against").value = state.against;
  }
  const quoted = (value) => { const text = value === null || value === undefined || Number.isNaN(value) ? "" : String(value); return /[",\n\r]/.test(text) ? '"' + text.replace(/"/g, '""') + '"' : text; };
  function save(name, heads, lines) {
    const text = "\ufeff" + [heads, ...lines].map((line) => line.map(quoted).join(",")).join("\n") + "\n", link = made("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" })); link.download = name;
    document.body.append(link); link.click(); link.remove(); setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }
  const actions = {
    "to-before": () => { state.spend = column("reference"); update(); },
    "to-best": () => { state.spend = column("optimized"); update(); },
    fill: () => {
      const budget = state.budget, found = best(budget, state.spend, state.lower, state.upper, state.held);
      if (!found.spend) return say("Limits and held channels allow " + money(found.ends[0]) + " to " + money(found.ends[1]) + " " + unit + ": change the budget, or the limits");
      state.spend = found.spend; update();
      return say(data.concave ? "The split that brings most on average within the limits" : "A good split; with curves that first rise, a better one may exist");
    },
    keep: () => {
      const name = $("named").value.trim() || "Scenario " + (kept.length + 1);
      if (["Your split now", ...plans().map((k) => k.name)].includes(name)) return say("There is one of this name: choose another");
      kept.push({ name, spend: state.spend.slice() }); $("named").value = ""; remember(); choices(); update();
      return say(name + (store ? " is kept in this browser" : " is kept until this page is closed"));
    },
    "save-split": () => save("split.csv", ["geo", "channel", "reference", "optimized", "lower", "upper"],
      cells.map((c, i) => [geos[c.geo], channels[c.channel], c.reference, state.spend[i], state.lower[i], state.upper[i] === Infinity ? "inf" : state.upper[i]])),
    "save-all": () => save("scenarios.csv", ["plan", "channel", "spend", "response_mean", "response_lo", "response_hi", "roas", "roas_lo", "roas_hi", "mroas", "gain_mean", "gain_lo", "gain_hi", "probability_better"],
      planner.scenarios().flatMap(({ name, total: t, channels: list }) => [[name, "ALL", t.spend, t.mean, t.lo, t.hi, t.roas, t.roas_lo, t.roas_hi, "", ...(t.gain ? [t.gain.mean, t.gain.lo, t.gain.hi, t.gain.better] : ["", "", "", ""])],
        ...list.map((o, c) => [name, channels[c], o.spend, o.mean, o.lo, o.hi, o.roas, o.roas_lo, o.roas_hi, o.next, "", "", "", ""])])),
    copy: () => {
      const range = document.createRange(); range.selectNodeContents($("flags"));
      const chosen = window.getSelection(); chosen.removeAllRanges(); chosen.addRange(range);
      say(document.execCommand("copy") ? "Copied" : "The browser does not allow copying: the text is marked, press Ctrl+C");
    },
  };
  document.addEventListener("click", (event) => { const b = event.target.closest("button[data-do]"); if (b) actions[b.dataset.do](); });
  $("against").addEventListener("change", (e) => { state.against = Number(e.target.value); update(); });
  $("budget").addEventListener("change", () => { const x = read($("budget").value); if (x > 0) state.budget = x; else say("Write an amount, such as 3,000,000 or 3m"); $("budget").value = money(state.budget); update(); });
  if (geos.length > 1) {
    ["All geos", ...geos].forEach((name, g) => $("geo").append(made("option", name, { value: g - 1 })));
    $("geo").addEventListener("change", (e) => { state.geo = Number(e.target.value); update(); });
  }
  const planner = window.planner = { look, best, state, update, plans };
  $("budget").value = money(data.budget);
  choices(); update();
})();
