/* The planner: what a split of spend brings, from the curves of every draw that stand in the page. */
(function () {
  const { cells, nodes, draws, geos, channels } = settings;
  const means = new Float32Array(bytes(settings.means).buffer);
  const forms = new Float32Array(bytes(settings.forms).buffer);
  const numbers = new Int16Array(bytes(settings.numbers).buffer);
  const sum = (list) => list.reduce((a, b) => a + b, 0);
  const over = (list, values) => sum(list.map((i) => values[i])); // of some cells, by their numbers
  const column = (name) => cells.map((cell) => cell[name] ?? Infinity);
  const [top, seen, owner, share, reference] = ["top", "seen", "owner", "share", "reference"].map(column);
  const first = column("shapes").map((_, i, counts) => sum(counts.slice(0, i)));
  const everything = [...cells.keys()];
  const of = (channel, geo) =>
    everything.filter((i) => cells[i].channel === channel && (geo < 0 || cells[i].geo === geo));

  /* ---- what spend brings ---- */

  function piece(table, row, u) { // value and slope in u, the root of spend as a share of the top
    const i = Math.min(Math.floor(u * nodes), nodes - 1), t = u * nodes - i;
    const at = row * 2 * (nodes + 1) + i, slopes = at + nodes + 1;
    const rise = table[at + 1] - table[at], one = table[slopes] / nodes, last = table[slopes + 1] / nodes;
    const two = 3 * rise - 2 * one - last, three = one + last - 2 * rise;
    return [table[at] + t * (one + t * (two + t * three)), (one + t * (2 * two + 3 * t * three)) * nodes, two];
  }
  const root = (i, money) => Math.sqrt(Math.min(Math.max(money / top[i], 0), 1));

  function mean(i, money) { // of one cell, and what the next unit of money brings
    const u = root(i, money), [value, slope, two] = piece(means, i, u);
    if (u > 1e-9) return [value, slope / (2 * u * top[i])];
    return [value, slope > 0 ? Infinity : two * nodes * nodes / top[i]];
  }

  function brings(list, spend) { // of some cells together, with its interval, and per money
    const each = new Float64Array(draws), money = over(list, spend);
    let whole = 0, next = 0, weight = 0;
    for (const i of list) {
      const [value, slope] = mean(i, spend[i]), part = money > 0 ? spend[i] : reference[i] || 1;
      whole += value;
      weight += part;
      if (part > 0) next += part * slope;
      for (let k = first[i]; k < first[i] + cells[i].shapes; k++) {
        const size = piece(forms, k, root(i, spend[i]))[0];
        for (let d = 0; d < draws; d++) each[d] += size * numbers[k * draws + d];
      }
    }
    return { ...told(each.map((x) => x + whole), whole, money), next: next / weight };
  }

  function interval(each) { // the narrowest that holds so much
    const rows = Float64Array.from(each).sort(), inside = Math.floor(settings.prob * draws);
    if (inside < 1 || inside >= draws) return [rows[0], rows[draws - 1]];
    let best = 0;
    for (let i = 1; i + inside < draws; i++) {
      if (rows[i + inside] - rows[i] < rows[best + inside] - rows[best]) best = i;
    }
    return [rows[best], rows[best + inside]];
  }

  function told(each, mean, spend) {
    const [lo, hi] = interval(each), per = (x) => (spend > 0 ? x / spend : NaN);
    return { each, mean, lo, hi, spend, roas: per(mean), roas_lo: per(lo), roas_hi: per(hi) };
  }

  function look(spend, against) { // a whole split: each channel, all of them, and more than another
    const each = channels.map((_, c) => brings(of(c, -1), spend));
    const whole = Float64Array.from({ length: draws }, (_, d) => sum(each.map((one) => one.each[d])));
    const total = told(whole, sum(each.map((one) => one.mean)), sum(each.map((one) => one.spend)));
    const won = (gains, mean) => {
      const [lo, hi] = interval(gains);
      return { mean, lo, hi, better: gains.filter((x) => x > 0).length / draws };
    };
    if (against) {
      const gains = whole.map((x, d) => x - against.total.each[d]);
      const worth = (x) => settings.value * x - (total.spend - against.total.spend);
      total.gain = won(gains, total.mean - against.total.mean);
      if (settings.value !== null) total.net = won(gains.map(worth), worth(total.gain.mean));
    }
    return { channels: each, total };
  }

  /* ---- moving money ---- */

  function spread(list, money, spend) { // over cells as it is spread now, none above its top
    const weights = [spend, reference, share].find((x) => over(list, x) > 0) || [];
    const weight = (i) => weights[i] ?? 1;
    const out = new Map(list.map((i) => [i, 0]));
    let left = money, open = list.filter((i) => weight(i) > 0);
    while (open.length && left > 1e-9 * (sum(reference) + money)) {
      const whole = sum(open.map(weight)), given = left;
      for (const i of open) {
        const more = Math.min(given * weight(i) / whole, top[i] - out.get(i));
        out.set(i, out.get(i) + more);
        left -= more;
      }
      open = open.filter((i) => out.get(i) < top[i] * (1 - 1e-12));
    }
    return out;
  }

  /* The best split of a budget: the mean curve of every variable in steps that bring ever less
     (what first rises is one long step), the best steps until the money is spent. No split
     where limits and what is held do not allow it. */
  function best(budget, spend, lower, upper, held) {
    const count = 1000, slope = (a, b) => (b.value - a.value) / (b.money - a.money);
    const ways = [...new Set(owner)].map((own) => {
      const every = everything.filter((i) => owner[i] === own), list = every.filter((i) => share[i] > 0);
      const fixed = every.some((i) => held[i]), now = over(every, spend);
      const high = fixed ? now : Math.min(...list.map((i) => Math.min(upper[i], top[i]) / share[i]));
      const low = fixed ? now : Math.min(Math.max(0, ...list.map((i) => lower[i] / share[i])), high);
      return { list, low, high, money: low };
    });
    const ends = ["low", "high"].map((end) => sum(ways.map((way) => way[end])));
    if (budget < ends[0] * (1 - 1e-9) || budget > ends[1] * (1 + 1e-9)) return { ends };
    const steps = ways.filter((way) => way.high > way.low).flatMap((way) => {
      const corners = [];
      for (let j = 0; j <= count; j++) {
        const money = way.low + (way.high - way.low) * (j / count) ** 2;
        const point = { money, value: sum(way.list.map((i) => mean(i, share[i] * money)[0])) };
        const bends = () => slope(corners.at(-2), corners.at(-1)) <= slope(corners.at(-1), point);
        while (corners.length > 1 && bends()) corners.pop();
        corners.push(point);
      }
      const step = (to, from) => ({ way, size: to.money - from.money, brings: slope(from, to) });
      return corners.slice(1).map((to, j) => step(to, corners[j]));
    });
    let left = budget - ends[0];
    for (const { way, size } of steps.sort((a, b) => b.brings - a.brings)) {
      way.money += Math.min(size, left);
      left -= Math.min(size, left);
    }
    const out = Array(cells.length).fill(0);
    for (const way of ways) way.list.forEach((i) => { out[i] = share[i] * way.money; });
    return { spend: out };
  }

  /* ---- numbers as the report writes them ---- */

  const digits = (x) => Math.min(Math.max(2 - Math.floor(Math.log10(Math.abs(x) || 1) + 1e-9), 0), 8);
  function fixed(x, n) {
    const so = { minimumFractionDigits: n, maximumFractionDigits: n };
    return Number.isFinite(x) ? (x + 0).toLocaleString("en-US", so) : "";
  }
  const three = (x) => fixed(x, digits(x));
  const amount = (x) => (x === Math.round(x) ? fixed(x, 0) : three(x));
  const money = (x) => (x >= 1000 ? fixed(x, 0) : amount(x));
  const sizes = [[1e12, "trillion"], [1e9, "billion"], [1e6, "million"]];
  const size = (x) => sizes.find(([s]) => Math.abs(x) >= 0.9995 * s) || [1, ""];
  function large(x) {
    const [s, word] = size(x);
    return word ? three(x / s) + " " + word : amount(x);
  }
  function span({ mean, lo, hi }) {
    const [s, word] = size(mean), n = digits(Math.max(Math.abs(mean), (hi - lo) / 20) / s);
    return (fixed(lo / s, n) + " to " + fixed(hi / s, n) + " " + word).trim();
  }
  const signed = (x) => (x < 0 ? "-" : "+") + large(Math.abs(x));
  const chance = (p) => (p > 0.995 ? "over 99%" : p < 0.005 ? "under 1%" : fixed(100 * p, 0) + "%");
  const percent = (x) => (x < 0 ? "-" : "+") + fixed(Math.abs(100 * x), Math.abs(x) < 0.0995 ? 1 : 0) + "%";
  const returned = ({ roas, roas_lo, roas_hi }) => {
    const [mean, lo, hi] = [roas, roas_lo, roas_hi].map((x) => settings.times * x);
    return { mean, lo, hi };
  };
  const currency = settings.currency || "", unit = currency || "units of money", one = currency || "money";

  function read(text) { // "1,200,000", "1.2m" or "300k"; not a number for what is none
    const parts = /^([\d.]+(?:e\d+)?)([km]?)$/i.exec(text.replace(/[\s,]/g, ""));
    const found = parts ? Number(parts[1]) * ({ k: 1e3, m: 1e6 }[parts[2].toLowerCase()] || 1) : NaN;
    if (!Number.isFinite(found)) say("Write an amount, such as 250,000 or 1.2m");
    return Number.isFinite(found) ? found : NaN;
  }

  /* ---- what the page knows ---- */

  const state = {
    spend: column("reference"), lower: column("lower"), upper: column("upper"), held: column("held"),
    budget: settings.budget, geo: geos.length > 1 ? -1 : 0, against: 0,
  };
  const given = [
    { name: settings.before, spend: column("reference") },
    { name: "Best plan", spend: column("optimized") },
    ...settings.scenarios,
  ];
  const key = "mmmjax planner " + settings.key;
  let kept = []; // scenarios of the user, where the browser can keep them
  try {
    kept = JSON.parse(localStorage.getItem(key) || "[]").filter(({ spend }) => spend.length === cells.length);
  } catch (error) {
    kept = [];
  }
  function remember() {
    try {
      localStorage.setItem(key, JSON.stringify(kept));
      return true;
    } catch (error) {
      return false;
    }
  }
  const plans = () => [...given, ...kept];

  /* ---- a channel: a row with slider and boxes, and a curve ---- */

  function show(place, texts) { // by their classes; a second one is small print
    for (const [name, content] of Object.entries(texts)) {
      const [main, small] = [content].flat();
      place.querySelector("." + name).replaceChildren(main, small ? made("small", small) : "");
    }
  }

  const copied = (id) => $(id).content.firstElementChild.cloneNode(true);
  const rows = channels.map((name, c) => {
    const row = copied("row"), figure = copied("shape");
    const part = (key) => row.querySelector("." + key), list = () => of(c, state.geo);
    row.setAttribute("aria-label", name);
    show(row, { name });
    show(figure, { name });
    const boxes = all(row, "input");
    for (const box of boxes) box.setAttribute("aria-label", name + ": " + box.getAttribute("aria-label"));
    const on = (key, event, act) => part(key).addEventListener(event, ({ target }) => {
      act(target, list());
      update();
    });
    const move = (list, money) => spread(list, money, state.spend).forEach((x, i) => { state.spend[i] = x; });
    on("slide", "input", ({ value }, list) => move(list, value / 1000 * over(list, top)));
    on("amount", "change", ({ value }, list) => {
      const x = read(value), most = over(list, top);
      if (x > most) say("The curve of " + name + " ends at " + money(most) + " " + unit);
      if (x >= 0) move(list, x);
    });
    const limit = (key, limits, none) => on(key, "change", ({ value }, list) => {
      const x = value.trim() ? read(value) : none, base = over(list, reference);
      const part = (i) => (base > 0 ? reference[i] / base : 1 / list.length);
      if (!Number.isNaN(x)) list.forEach((i) => { limits[i] = x === Infinity ? x : x * part(i); });
    });
    limit("least", state.lower, 0);
    limit("most", state.upper, Infinity);
    on("hold", "change", ({ checked }, list) => list.forEach((i) => { state.held[i] = checked; }));
    $("rows").append(row);
    $("shapes").append(figure);
    return { name, list, row, figure, part, boxes };
  });

  function fill({ list, row, part, boxes }, found, rival) {
    const now = found.spend, rest = rival.spend, most = over(list, top), slack = 1e-6 * (most + 1);
    const [low, high] = [state.lower, state.upper].map((limits) => over(list, limits));
    part("slide").value = Math.round(1000 * now / most);
    part("slide").setAttribute("aria-valuetext", money(now) + " " + unit);
    part("slide").style.setProperty("--from", 100 * Math.min(low / most, 1) + "%");
    part("slide").style.setProperty("--to", 100 * Math.min(high / most, 1) + "%");
    part("amount").value = money(now);
    part("least").value = money(low);
    part("most").value = high < Infinity ? money(high) : "";
    part("hold").checked = list.every((i) => state.held[i]);
    const apart = state.geo >= 0 && list.some((i) => owner.indexOf(owner[i]) < owner.lastIndexOf(owner[i]));
    for (const box of boxes) box.disabled = apart;
    const beyond = list.filter((i) => state.spend[i] > seen[i] * (1 + 1e-9)).length;
    const where = geos.length > 1 && state.geo < 0 ? "In " + beyond + " of " + list.length + " geos " : "";
    const same = Math.abs(now - rest) <= 1e-6 * (now + rest);
    show(row, {
      range: high < Infinity ? money(low) + " to " + money(high) : "at least " + money(low),
      moved: same ? "no change" : rest > 0 ? percent(now / rest - 1) : "new",
      brought: [large(found.mean), span(found)],
      roas: now > 0 ? [three(returned(found).mean), span(returned(found))] : "none",
      next: Number.isFinite(found.next) ? three(settings.times * found.next) : "very much",
      warn: [
        apart && "One decision for all geos: move it under All geos.",
        (now < low - slack || now > high + slack) && "Outside its limits.",
        beyond && where + "more than in any " + settings.noun + " so far: a guess by the curve's shape.",
      ].filter(Boolean).join(" "),
    });
  }

  function curve({ name, list, figure }, found, rival) {
    const most = over(list, top);
    const at = (share) => Object.fromEntries(spread(list, share * most, state.spend));
    const points = Array.from({ length: 25 }, (_, j) => brings(list, at((j / 24) ** 2)));
    const high = Math.max(...points.map((p) => p.hi)), low = Math.min(0, ...points.map((p) => p.lo));
    const x = (spend) => (4 + 292 * Math.min(spend / most, 1)).toFixed(1);
    const y = (value) => (146 - 140 * (value - low) / (high - low || 1)).toFixed(1);
    const path = (key, points) => points.map((p) => x(p.spend) + "," + y(p[key])).join(" L");
    const svg = figure.querySelector("svg");
    svg.innerHTML = `
      <rect class="unseen" x="4" y="0" width="${x(over(list, seen)) - 4}" height="150"/>
      <path class="band" d="M${path("hi", points)} L${path("lo", [...points].reverse())}Z"/>
      <path class="line" d="M${path("mean", points)}"/>
      <line class="now" x1="${x(found.spend)}" x2="${x(found.spend)}" y1="${y(found.lo)}" y2="${y(found.hi)}"/>
      <circle class="other" cx="${x(rival.spend)}" cy="${y(rival.mean)}" r="5"/>
      <circle class="mine" cx="${x(found.spend)}" cy="${y(found.mean)}" r="5"/>`;
    const said = `${money(found.spend)} ${unit} bring ${large(found.mean)} ${settings.outcome}`;
    svg.setAttribute("aria-label", `${name}: ${said}, ${span(found)}`);
    show(figure, { high: `up to ${large(high)} ${settings.outcome}`, far: `${large(most)} ${currency}` });
  }

  /* ---- the whole page ---- */

  function tile(key, answer, text, tone = "") {
    $(key).className = "tile " + tone;
    show($(key), { answer, text });
  }

  function answer(mine, rival, best) {
    const { gain, net } = mine, won = net || gain, more = mine.spend - state.budget;
    const exact = (x, whole) => Math.abs(x) <= 0.5 + 1e-6 * whole;
    const apart = (x, whole) => (exact(x, whole) ? "for the same money"
      : `for ${large(Math.abs(x))} ${unit} ${x > 0 ? "more" : "less"}`);
    const inside = (found) => "94% range " + span(found);
    const off = `${large(Math.abs(more))} ${more > 0 ? "more" : "less"} than the budget of ${large(state.budget)}`;
    const met = exact(more, state.budget), each = three(returned(mine).mean);
    tile("spent", large(mine.spend) + " " + currency, met ? "exactly the budget" : off, met ? "" : "care");
    tile("brought", large(mine.mean) + " " + settings.outcome, `${inside(mine)}; ${each} for each ${one}`);
    if (mine.spend === rival.spend && Math.abs(gain.mean) < 1e-9 * Math.abs(mine.mean)) {
      tile("gained", "the same", "move a slider");
    } else {
      const cost = net ? "after the cost of media" : apart(mine.spend - rival.spend, rival.spend);
      const text = [cost, inside(won), "better with probability " + chance(won.better)].join("; ");
      const tone = won.better > 0.75 ? "good" : won.better < 0.25 ? "bad" : "care";
      tile("gained", signed(won.mean) + " " + (net ? one : settings.outcome), text, tone);
    }
    const short = best.mean - mine.mean, there = Math.abs(short) <= 1e-6 * Math.abs(best.mean);
    tile("short", there ? "you are there" : percent(short / mine.mean) + " of what media bring",
      "It brings " + large(best.mean) + " " + apart(best.spend - mine.spend, best.spend));
  }

  function update() {
    state.against = Math.min(state.against, plans().length - 1);
    const against = plans()[state.against];
    $("against").replaceChildren(...plans().map(({ name }, n) => made("option", name, { value: n })));
    $("against").value = state.against;
    const rival = look(against.spend);
    answer(look(state.spend, rival).total, rival.total, look(given[1].spend).total);
    for (const place of all(document, ".rival")) place.textContent = against.name.toLowerCase();
    $("place").textContent = state.geo < 0 || geos.length < 2 ? ""
      : "Sliders and curves are of " + geos[state.geo] + "; budget, the answers on top and scenarios of all geos.";
    const shown = rows.map((row) => ({ ...row, list: row.list() }));
    for (const { row, figure, list } of shown) row.hidden = figure.hidden = !list.length;
    const told = shown.filter(({ list }) => list.length)
      .map((row) => [row, brings(row.list, state.spend), brings(row.list, against.spend)]);
    for (const each of told) fill(...each);
    clearTimeout(update.timer);
    update.timer = setTimeout(() => { // what takes longer than a slider may wait
      for (const each of told) curve(...each);
      compare();
      command();
      document.documentElement.dataset.ready = Number(document.documentElement.dataset.ready || 0) + 1;
    }, 150);
  }

  function scenarios() { // every plan and the split, beside the first
    const before = look(given[0].spend);
    const every = [...plans(), { name: "Your split now", spend: state.spend }];
    return every.map((plan, n) => ({ ...plan, ...look(plan.spend, n ? before : null) }));
  }

  function button(text, name, act) {
    const element = made("button", text, { type: "button", "aria-label": text + " " + name });
    element.addEventListener("click", act);
    return element;
  }

  function compare() {
    const found = scenarios();
    const before = given[0].name.toLowerCase();
    const heads = ["scenario", "spend", settings.outcome, "per " + one];
    heads.push("more than " + before, "better with probability", "");
    filled($("scenarios"), heads, found.map(({ name, spend, total: { gain, ...total } }, n) => {
      const load = button("Load", name, () => {
        state.spend = [...spend];
        update();
        say(name + " is on the sliders");
      });
      const remove = button("Remove", name, () => {
        kept.splice(n - given.length, 1);
        remember();
        update();
      });
      return [
        name,
        large(total.spend),
        [large(total.mean), span(total)],
        three(returned(total).mean),
        gain ? [signed(gain.mean), span(gain)] : "",
        gain && (gain.lo || gain.hi) ? chance(gain.better) : "",
        n === found.length - 1 ? "" : n < given.length ? ["", load] : ["", load, remove],
      ];
    }));
    filled($("splits"), ["spend, " + unit, ...found.map(({ name }) => name)],
      channels.map((name, c) => [name, ...found.map((each) => money(each.channels[c].spend))]));
  }

  function command() { // what plans this for whoever runs the model
    const quoted = (text) => "'" + text.replace(/'/g, "'\\''") + "'";
    const plain = (x) => (x === Infinity ? "inf" : String(Number(x.toPrecision(10))));
    const flags = channels.flatMap((name, c) => {
      const list = of(c, -1), held = list.every((i) => state.held[i]);
      const [spend, low, high] = [state.spend, state.lower, state.upper].map((x) => plain(over(list, x)));
      const limits = held ? "--fix " + quoted(`${name}=${spend}`) : "--bounds " + quoted(`${name}=${low}:${high}`);
      return ["--reference " + quoted(`${name}=${spend}`), limits];
    });
    const budget = plain(sum(state.spend));
    $("flags").textContent = [settings.flags + " --budget " + budget, ...flags].join(" \\\n  ");
  }

  const actions = {
    "to-before": () => { state.spend = column("reference"); },
    "to-best": () => { state.spend = column("optimized"); },
    fill: () => {
      const { spend, ends } = best(state.budget, state.spend, state.lower, state.upper, state.held);
      if (!spend) {
        const allowed = `${money(ends[0])} to ${money(ends[1])} ${unit}`;
        return say(`Limits and held channels allow ${allowed}: change the budget, or the limits`);
      }
      state.spend = spend;
      return say(settings.concave ? "The split that brings most on average within the limits"
        : "A good split; with curves that first rise, a better one may exist");
    },
    keep: () => {
      const name = $("named").value.trim() || "Scenario " + (kept.length + 1);
      if (scenarios().some((plan) => plan.name === name)) return say("There is one of this name: choose another");
      kept.push({ name, spend: [...state.spend] });
      $("named").value = "";
      return say(name + (remember() ? " is kept in this browser" : " is kept until this page is closed"));
    },
    "save-split": () => saveTable("split", [
      ["geo", "channel", "reference", "optimized", "lower", "upper"],
      ...cells.map(({ geo, channel }, i) => [geos[geo], channels[channel], reference[i],
        ...[state.spend[i], state.lower[i], state.upper[i]].map((x) => (x === Infinity ? "inf" : x))]),
    ]),
    "save-all": () => {
      const ends = ["mean", "lo", "hi"], each = ["spend", ...ends, "roas", "roas_lo", "roas_hi", "next"];
      const row = (found) => [...each.map((key) => found[key]), ...[...ends, "better"].map((key) => (found.gain || {})[key])];
      saveTable("scenarios", [
        ["plan", "channel", "spend", "response_mean", "response_lo", "response_hi", "roas", "roas_lo", "roas_hi", "mroas",
          "gain_mean", "gain_lo", "gain_hi", "probability_better"],
        ...scenarios().flatMap((plan) => [[plan.name, "ALL", ...row(plan.total)],
          ...channels.map((name, c) => [plan.name, name, ...row(plan.channels[c])])]),
      ]);
    },
    copy: () => copy($("flags").textContent),
  };
  document.addEventListener("click", ({ target }) => {
    const pressed = target.closest("button[data-do]");
    if (!pressed) return;
    actions[pressed.dataset.do]();
    update();
  });
  const chosen = (id, act) => $(id).addEventListener("change", ({ target }) => { act(target.value); update(); });
  chosen("against", (value) => { state.against = Number(value); });
  chosen("budget", (value) => {
    state.budget = read(value) || state.budget;
    $("budget").value = money(state.budget);
  });
  if (geos.length > 1) {
    $("geo").append(...["All geos", ...geos].map((name, g) => made("option", name, { value: g - 1 })));
    chosen("geo", (value) => { state.geo = Number(value); });
  }
  window.planner = { look, best, state, update, plans };
  $("budget").value = money(settings.budget);
  update();
})();
