"""Random concave problems (17 kinds, degenerate ones too): plan and claimed gap against water-filling."""
import sys, warnings
from pathlib import Path
import numpy as np
warnings.filterwarnings("ignore")
sys.path.insert(0, str(Path(__file__).resolve().parent))
import mmmjax as mm
from own import *
rng = np.random.default_rng(int(sys.argv[1]) if len(sys.argv) > 1 else 0); N = int(sys.argv[2]) if len(sys.argv) > 2 else 51
rows, bad = [], []
kinds = ["plain", "zero_beta", "identical", "pin_all", "sum_lower", "sum_upper", "linear", "saturated", "alpha0", "alpha1", "tiny_money", "huge_money", "fixed", "wide", "mixed", "huge_ts", "zero_ref"]
C, S, L, T = 6, 40, 4, 9
ch = [f"c{i}" for i in range(C)]
for i in range(N):
    kind = kinds[i % len(kinds)]
    be = np.abs(rng.normal(0, .3, (S, C))) * rng.uniform(.01, 1, C); la = rng.gamma(3, 1, (S, C)); al = rng.beta(1, 3, (S, C))
    cs = np.exp(rng.normal(0, 1.5, C)) * 1e4; ts = 1e6
    if kind == "zero_beta": be[:, :3] = 0
    if kind == "identical": be[:] = be[:, :1]; la[:] = la[:, :1]; al[:] = al[:, :1]; cs[:] = cs[0]
    if kind == "linear": la *= 1e-7
    if kind == "saturated": la *= 300
    if kind == "alpha0": al[:] = rng.choice([0, 1e-12], al.shape)
    if kind == "alpha1": al[:] = .999
    if kind == "tiny_money": cs *= 1e-10
    if kind == "huge_money": cs *= 1e8
    if kind == "huge_ts": ts = 1e15
    if kind == "mixed": la *= np.exp(rng.normal(0, 4, C)); be *= np.exp(rng.normal(0, 4, C))
    ref = cs * T * rng.uniform(.1, .6, C)
    if kind == "zero_ref": ref[:4] = 0
    lo, hi = ref * rng.uniform(0, .9, C), ref * rng.uniform(1.05, 4, C)
    if kind in ("wide", "mixed", "zero_ref"): lo, hi = np.zeros(C), np.full(C, ref.sum())
    if kind == "pin_all": lo = hi = ref.copy()
    B = lo.sum() + rng.uniform(.05, .95) * (hi.sum() - lo.sum())
    if kind == "wide": B = ref.sum()
    if kind == "sum_lower": B = lo.sum()
    if kind == "sum_upper": B = hi.sum()
    kw = {}
    bounds = {c: (l, h) for c, l, h in zip(ch, lo, hi)}
    if kind == "fixed":
        for c in (1, 4): kw.setdefault("fixed", {})[ch[c]] = float(ref[c]); bounds.pop(ch[c]); lo[c] = hi[c] = ref[c]
        B = lo.sum() + .4 * (hi.sum() - lo.sum())
    fit = fit_of(mm, be, la, al, L, cs, ts, ch)
    try:
        p = mm.optimize(fit, budget=float(B), periods=T, bounds=bounds, reference=dict(zip(ch, ref)), **kw)
    except mm.InputError as e:
        print(kind, "REFUSED", str(e).replace("\n", " | ")); bad.append((kind, str(e))); continue
    m = Mean(be, la, al, L, cs, ts, T)
    x, best, dual = m.solve(lo, hi, B)
    b = p.optimized.values[0]; v = m.f(b).sum()
    tg, tu = (best - v), (dual - v)
    # independence check of Mean against slow response
    chk = response(be, la, al, L, cs, ts, np.repeat(b[:, None] / T, T, 1)).mean() / v - 1 if v else 0
    over = max(0, (lo - b).max() / B, (b - hi).max() / B)
    sumerr = abs(b.sum() - B) / B
    refv = m.f(ref).sum(); reff = (ref >= lo * (1 - 1e-12)).all() and (ref <= hi * (1 + 1e-12)).all() and abs(ref.sum() - B) < 1e-12 * B
    sc = max(abs(v), 1e-300)
    viol = tg > p.gap_bound + 4e-15 * sc
    r = dict(kind=kind, true=tg / sc, dual=tu / sc, claimed=p.relative_gap, cert=p.certified, status=p.status, sumerr=sumerr, over=over, objerr=p.objective / sc - 1, chk=chk, ev=p.evaluations)
    rows.append(r)
    flag = ("VIOLATION " if viol else "") + ("NOTCERT " if not p.certified else "") + ("INFEAS " if sumerr > 1e-12 or over > 1e-12 else "") + ("REF " if reff and refv > v * (1 + 1e-14) else "") + ("OBJ " if abs(r["objerr"]) > 1e-12 else "")
    if flag: bad.append((kind, flag))
    if flag: print(f"{kind:11s} true {r['true']:+.1e} dual {r['dual']:+.1e} claimed {r['claimed']:.1e} ev {p.evaluations} sum {sumerr:.0e} over {over:.0e} obj {r['objerr']:+.0e} chk {chk:+.0e} {p.status} {flag}", flush=True)

# certified must not be said where the response is not concave, nor at objective 0 before the search ended
r = np.random.default_rng(1); ch = list("abc"); S, C = 20, 3; b = np.abs(r.normal(0, .3, (S, C))); l = r.gamma(3, 1, (S, C)); a = r.beta(1, 3, (S, C))
ask = dict(budget=1e5, periods=8, bounds=(0, 3), reference=dict.fromkeys(ch, 1e5 / 3), starts=4)
for tag, f in (("negative beta", fit_of(mm, np.where(np.arange(S)[:, None] == 7, -b, b), l, a, 4, np.ones(C) * 1e4, 1e6, ch)), ("negative lam", fit_of(mm, b, -l, a, 4, np.ones(C) * 1e4, 1e6, ch))):
    try:
        if mm.optimize(f, **ask).certified: bad.append((tag, "certified"))
    except mm.InputError: pass
b[:, 0] = 0
p = mm.optimize(fit_of(mm, b, l, a, 4, np.ones(C) * 1e4, 1e6, ch), budget=1e5, periods=8, reference={"a": 1e5, "b": 0., "c": 0.}, bounds={c: (0, 1e5) for c in ch}, max_evaluations=1)
if p.certified and p.gap_bound > 0 and p.objective == 0: bad.append(("objective 0", "certified with a gap bound of %g" % p.gap_bound))
print(f"{'FAIL' if bad else 'PASS'} {len(rows)} plans, largest true gap {max(x['true'] for x in rows):.1e}, largest true - claimed {max(x['true'] - x['claimed'] for x in rows):.1e}, wrong: {bad}")
sys.exit(bool(bad))
