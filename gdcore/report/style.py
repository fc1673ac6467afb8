"""How the report looks: the same few colours for page and pictures, in light and in dark, on paper too.

Blue is always the pretrained model, orange the adversarial one, green real text.
"""

COLOURS = """
:root { color-scheme: light dark; --paper: #fdfdfb; --card: #ffffff; --ink: #1d2125; --soft: #5c646c; --line:
  #dfe2e4; --mle: #1f6fb4; --adv: #c2570c; --real: #2c7d4f; --good: #2c7d4f; --bad: #b3261e; --tint: #f3f5f6;
  }
@media (prefers-color-scheme: dark) {
  :root { --paper: #14171a; --card: #1b1f23; --ink: #e7e9ea; --soft: #9aa3ab; --line: #333a40; --mle: #6cb2ee;
    --adv: #f29a56; --real: #6fc796; --good: #6fc796; --bad: #f2857c; --tint: #22272c; }
}
@media print {
  :root { color-scheme: light; --paper: #fff; --card: #fff; --ink: #000; --soft: #444; --line: #bbb; --mle:
    #1f6fb4; --adv: #c2570c; --real: #2c7d4f; --good: #2c7d4f; --bad: #b3261e; --tint: #fff; }
}
"""

CHART = """
svg.chart { font: 12px system-ui, sans-serif; fill: var(--ink); display: block; width: 100%; height: auto; }
svg.chart .grid { stroke: var(--line); stroke-width: 1; }
svg.chart .tick, svg.chart .axis { fill: var(--soft); }
svg.chart .title { font-weight: 600; }
svg.chart .line { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
svg.chart .range { stroke-width: 1.2; opacity: .45; }
svg.chart .mark { stroke: var(--card); stroke-width: 1.5; }
svg.chart .mle { stroke: var(--mle); }
svg.chart .adv { stroke: var(--adv); }
svg.chart .real { stroke: var(--real); }
svg.chart .mark.mle, svg.chart text.mle { fill: var(--mle); }
svg.chart .mark.adv, svg.chart text.adv { fill: var(--adv); }
svg.chart .mark.real, svg.chart text.real { fill: var(--real); }
svg.chart .mark.mle, svg.chart .mark.adv, svg.chart .mark.real { stroke: var(--card); }
svg.chart text.mle, svg.chart text.adv, svg.chart text.real { stroke: var(--card); stroke-width: 3;
  paint-order: stroke; }
"""

PAGE = """
* { box-sizing: border-box; }
html { background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, -apple-system, "Segoe UI",
  sans-serif; }
body { margin: 0 auto; max-width: 68rem; padding: 2.5rem 1.5rem 4rem; }
h1 { font-size: 1.05rem; font-weight: 600; margin: 0; }
h2 { font-size: 1.25rem; margin: 3rem 0 .4rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 .4rem; }
p { margin: .4rem 0; max-width: 46rem; }
.soft, .note, figcaption { color: var(--soft); }
.note, figcaption, small { font-size: .86rem; }
.verdict { background: var(--card); border: 1px solid var(--line); border-left: 6px solid var(--chosen);
  border-radius: 10px; padding: 1.4rem 1.6rem; margin: 1.2rem 0; }
.verdict h2 { margin: 0 0 .5rem; font-size: 1.7rem; line-height: 1.2; letter-spacing: -.01em; }
.verdict p { font-size: 1.05rem; }
.pretrained { --chosen: var(--mle); }
.finetuned { --chosen: var(--adv); }
.mle { color: var(--mle); }
.adv { color: var(--adv); }
.real { color: var(--real); }
.good { color: var(--good); }
.bad { color: var(--bad); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .42rem .7rem; border-bottom: 1px solid var(--line); vertical-align:
  baseline; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
td.words, th.words { text-align: left; }
thead th { font-weight: 600; border-bottom: 2px solid var(--line); }
tbody th { font-weight: 500; }
td .pm { color: var(--soft); font-size: .82em; white-space: nowrap; display: inline-block; min-width: 5.4em;
  margin-left: .4em; text-align: left; }
tbody tr:hover { background: var(--tint); }
td.number { white-space: nowrap; }
th .about { display: block; color: var(--soft); font-weight: 400; font-size: .82rem; }
.cards { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 19rem), 1fr)); }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 1rem 1.1rem;
  margin: 0; }
.charts { grid-template-columns: repeat(auto-fit, minmax(min(100%, 27rem), 1fr)); }
.wide svg { min-width: 38rem; }
.wide { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 1.2rem; margin:
  1rem 0 .6rem; }
.card h3 { margin-top: 0; }
figure { margin: 1rem 0; }
ol.texts { margin: 0; padding: 0; list-style: none; }
ol.texts li { padding: .5rem 0; border-top: 1px solid var(--line); overflow-wrap: anywhere; }
ol.texts li:first-child { border-top: 0; }
dl.counts { display: flex; flex-wrap: wrap; gap: .6rem 2.4rem; margin: .8rem 0; }
dl.counts dt { color: var(--soft); font-size: .86rem; }
dl.counts dd { margin: 0; font-size: 1.3rem; font-variant-numeric: tabular-nums; }
details { margin: .8rem 0; }
summary { cursor: pointer; color: var(--soft); }
details[open] > summary { margin-bottom: .5rem; }
pre { background: var(--tint); border-radius: 8px; padding: 1rem; overflow-x: auto; font-size: .82rem;
  line-height: 1.45; }
code { font-size: .86em; overflow-wrap: anywhere; }
ul.warnings { padding-left: 1.2rem; margin: .4rem 0; }
@media (max-width: 40rem) {
  body { padding: 1.2rem 1rem 3rem; }
  th, td { padding: .4rem .4rem; font-size: .9rem; }
  td .pm { display: block; margin: 0; min-width: 0; text-align: right; }
  .verdict { padding: 1.1rem 1.1rem; }
  .verdict h2 { font-size: 1.35rem; }
}
@media print {
  html { font-size: 9.5pt; background: #fff; }
  body { max-width: none; padding: 0; }
  .cards { grid-template-columns: repeat(3, 1fr); }
  .charts { grid-template-columns: repeat(2, 1fr); }
  .wide svg { min-width: 0; }
  th, td { padding-top: .25rem; padding-bottom: .25rem; }
  h2 { break-after: avoid; }
  figure, .verdict, tr { break-inside: avoid; }
  details > summary { list-style: none; }
}
"""
