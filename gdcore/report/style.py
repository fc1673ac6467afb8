"""How the report looks: the same few colours for page and pictures, in light and in dark, on paper too.

Blue is always the pretrained model, orange the adversarial one, green real text.
"""

COLOURS = """
:root { color-scheme: light dark; --paper: #fdfdfb; --card: #ffffff; --ink: #1d2125; --soft: #5c646c; --line:
  #dfe2e4; --mle: #1f6fb4; --adv: #b4500a; --real: #2c7d4f; --good: #2c7d4f; --bad: #b3261e; --tint: #f3f5f6;
  --changed: #fbe3b3; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #14171a; --card: #1b1f23; --ink: #e7e9ea; --soft: #9aa3ab; --line: #333a40; --mle: #6cb2ee;
    --adv: #f29a56; --real: #6fc796; --good: #6fc796; --bad: #f2857c; --tint: #22272c;
    --changed: #5c4714; }
}
@media print {
  :root { color-scheme: light; --paper: #fff; --card: #fff; --ink: #000; --soft: #444; --line: #bbb; --mle:
    #1f6fb4; --adv: #b4500a; --real: #2c7d4f; --good: #2c7d4f; --bad: #b3261e; --tint: #fff;
    --changed: #fbe3b3; }
}
"""

CHART = """
svg.chart { font: 12px system-ui, sans-serif; fill: var(--ink); display: block; width: 100%; height: auto; }
svg.chart .grid { stroke: var(--line); stroke-width: 1; }
svg.chart .tick, svg.chart .axis { fill: var(--soft); }
svg.chart .title { font-weight: 600; }
svg.chart .line { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
svg.chart .dash1 { stroke-dasharray: 7 5; }
svg.chart .dash2 { stroke-dasharray: 1 5; }
svg.chart .dash3 { stroke-dasharray: 10 4 1 4; }
svg.chart .dash4 { stroke-dasharray: 3 3; }
svg.chart .dash5 { stroke-dasharray: 12 3 3 3 3 3; }
svg.chart .range { stroke-width: 1.2; opacity: .45; }
svg.chart .whisker { stroke-width: 2; opacity: .55; }
svg.chart .zero { stroke: var(--soft); stroke-width: 1; stroke-dasharray: 2 2; }
svg.chart .mle { stroke: var(--mle); }
svg.chart .adv { stroke: var(--adv); }
svg.chart .real { stroke: var(--real); }
svg.chart .plain, svg.chart .soft { stroke: var(--soft); }
svg.chart .good { stroke: var(--good); }
svg.chart .bad { stroke: var(--bad); }
svg.chart .mark.mle, svg.chart text.mle { fill: var(--mle); }
svg.chart .mark.adv, svg.chart text.adv { fill: var(--adv); }
svg.chart .mark.real, svg.chart text.real { fill: var(--real); }
svg.chart .dot.good { fill: var(--good); }
svg.chart .dot.bad { fill: var(--bad); }
svg.chart .dot.soft { fill: var(--soft); }
svg.chart .mark.mle, svg.chart .mark.adv, svg.chart .mark.real { stroke: var(--card); stroke-width: 1.5; }
svg.chart.strip .mark { stroke-width: .8; }
svg.chart text.mle, svg.chart text.adv, svg.chart text.real { stroke: var(--card); stroke-width: 3;
  paint-order: stroke; }
"""

PAGE = """
* { box-sizing: border-box; }
html { background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, -apple-system, "Segoe UI",
  sans-serif; }
body { margin: 0 auto; max-width: 72rem; padding: 2.5rem 1.5rem 4rem; }
h1 { font-size: 1rem; font-weight: 600; margin: 0; color: var(--soft); overflow-wrap: anywhere; }
h2 { font-size: 1.3rem; margin: 3.2rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1.6rem 0 .4rem; }
p { margin: .4rem 0; max-width: 50rem; }
a { color: var(--mle); }
:focus-visible { outline: 2px solid var(--mle); outline-offset: 2px; border-radius: 3px; }
.soft, .note, figcaption { color: var(--soft); }
.note, figcaption, small { font-size: .88rem; }
.verdict { background: var(--card); border: 1px solid var(--line); border-left: 6px solid var(--chosen);
  border-radius: 10px; padding: 1.4rem 1.6rem; margin: .9rem 0 1.4rem; }
.verdict h2 { margin: 0 0 .5rem; font-size: 1.75rem; line-height: 1.2; letter-spacing: -.01em; }
.verdict p { font-size: 1.05rem; }
.pretrained { --chosen: var(--mle); }
.finetuned { --chosen: var(--adv); }
.mle { color: var(--mle); }
.adv { color: var(--adv); }
.real { color: var(--real); }
.good { color: var(--good); }
.bad { color: var(--bad); }
nav { display: flex; flex-wrap: wrap; gap: .3rem 1.3rem; margin-top: 1.6rem; padding: .6rem 0; font-size: .92rem;
  border-block: 1px solid var(--line); }
nav a { text-decoration: none; }
nav a:hover { text-decoration: underline; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .42rem .7rem; border-bottom: 1px solid var(--line); vertical-align:
  baseline; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
table.words th, table.words td { text-align: left; overflow-wrap: anywhere; }
thead th { font-weight: 600; border-bottom: 2px solid var(--line); }
thead td { border-bottom: 2px solid var(--line); }
tbody th { font-weight: 500; }
td .pm { color: var(--soft); font-size: .82em; white-space: nowrap; display: inline-block; min-width: 5.4em;
  margin-left: .4em; text-align: left; }
tbody tr:hover { background: var(--tint); }
table.figures { table-layout: fixed; min-width: 52rem; }
table.figures th:first-child, table.figures td:first-child { width: 26%; }
table.figures td:last-child { line-height: 1.25; }
table.figures td:has(svg) { padding-block: .3rem; }
table.figures td svg, table.criteria td svg { display: inline-block; width: 150px; vertical-align: middle; }
table.every { width: auto; font-size: .86rem; }
table.every tbody th { position: sticky; left: 0; background: var(--paper); white-space: nowrap; }
table.every thead th { white-space: nowrap; }
table.criteria td .pm { min-width: 9.5em; }
table.examined td .pm { min-width: 8.5em; }
table.figures thead th:first-child { padding-top: 1.5rem; }
table.figures thead .soft { font-weight: 400; margin-left: .35em; }
.about { display: block; color: var(--soft); font-weight: 400; font-size: .84rem; line-height: 1.35; }
.cards { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 19rem), 1fr)); }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 1rem 1.1rem;
  margin: 0; min-width: 0; }
.charts, .planes { margin: 1rem 0; }
.charts { grid-template-columns: repeat(auto-fit, minmax(min(100%, 27rem), 1fr)); }
.planes { grid-template-columns: repeat(auto-fit, minmax(min(100%, 32rem), 1fr)); }
.one { margin: 1rem auto; max-width: 56rem; }
.card > h3 { margin-top: 0; }
figcaption { margin-top: .6rem; }
.tools { display: flex; flex-wrap: wrap; align-items: center; gap: .6rem 1.4rem; margin: 1rem 0; }
.tools[hidden] { display: none; }
.tools input[type=search], .tools select { font: inherit; color: inherit; background: var(--card); border: 1px solid
  var(--line); border-radius: 6px; padding: .3rem .5rem; }
.columns { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 19rem), 1fr));
  margin-top: 1rem; }
.column { padding: 1rem 0 0; }
.column > h3 { padding: 0 1.1rem .6rem; margin: 0; border-bottom: 1px solid var(--line); }
ol.texts { margin: 0; padding: 0 1.1rem; list-style: none; max-height: 42rem; overflow-y: auto; }
ol.texts li { padding: .65rem 0; border-top: 1px solid var(--line); overflow-wrap: anywhere; }
ol.texts li:first-child { border-top: 0; }
ol.texts p { margin: 0; }
.prompt { color: var(--soft); }
.prompt::after { content: " →"; }
.facts { color: var(--soft); font-size: .82rem; line-height: 1.45; margin-top: .2rem !important; }
.bar { display: inline-block; width: 3rem; height: .5rem; margin-right: .4rem; border-radius: 3px; background:
  linear-gradient(to right, var(--real) var(--share), var(--line) var(--share)); print-color-adjust: exact; }
.near { display: block; }
.brief .near { display: none; }
mark { color: var(--ink); background: var(--changed); border-radius: 3px; padding: 0 .1em; print-color-adjust: exact; }
mark.span { background: color-mix(in srgb, var(--bad) calc(var(--sure) * .45), transparent); }
dl { margin: .8rem 0; }
dl.counts { display: flex; flex-wrap: wrap; gap: .6rem 2.4rem; }
dl dt { color: var(--soft); font-size: .86rem; }
dl dd { margin: 0; overflow-wrap: anywhere; }
dl.counts dd { font-size: 1.3rem; font-variant-numeric: tabular-nums; }
dl.pairs > div { display: grid; grid-template-columns: minmax(8rem, 11rem) 1fr; gap: 1rem; padding: .2rem 0; }
details { margin: .5rem 0; }
summary { cursor: pointer; color: var(--soft); width: fit-content; font-size: .92rem; }
summary:hover { color: var(--ink); }
details[open] > summary { margin-bottom: .5rem; }
pre { background: var(--tint); border-radius: 8px; padding: 1rem; overflow-x: auto; font-size: .82rem;
  line-height: 1.45; }
code { font-size: .86em; overflow-wrap: anywhere; }
ul.warnings { padding-left: 1.2rem; margin: .8rem 0; }
@media (max-width: 40rem) {
  body { padding: 1.2rem 1rem 3rem; }
  th, td { padding: .4rem .4rem; font-size: .9rem; }
  td .pm { display: block; margin: 0; min-width: 0; text-align: right; }
  table.figures { min-width: 0; }
  table.figures thead { font-size: .74em; }
  table.figures td .pm { white-space: normal; }
  table.figures th:first-child, table.figures td:first-child { width: 28%; }
  table.figures th { overflow-wrap: anywhere; }
  td .about { display: none; }
  .one .card, .planes .card { overflow-x: auto; }
  .one .card::before, .planes .card::before, table.criteria::before { content: "wider than the screen: scroll →";
    display: block; font-size: .74rem; color: var(--soft); }
  table.criteria { display: block; overflow-x: auto; }
  table.criteria th, table.criteria td { white-space: nowrap; }
  .one svg, .planes svg { min-width: 34rem; }
  table.figures td:has(svg), table.figures thead td, table.figures td.screen, table.criteria td:nth-child(5),
    table.criteria th:nth-child(5) { display: none; }
  .about { font-size: .78rem; }
  .verdict { padding: 1.1rem 1.1rem; }
  .verdict h2 { font-size: 1.35rem; }
  .card { padding: .8rem .7rem; }
  .column { padding: .8rem 0 0; }
  ol.texts { max-height: 30rem; padding: 0 .8rem; }
  dl.pairs > div { grid-template-columns: 1fr; gap: 0; }
}
@media print {
  html { font-size: 9.5pt; background: #fff; }
  body { max-width: none; padding: 0; }
  .screen { display: none !important; }
  .columns { grid-template-columns: repeat(3, 1fr); gap: .6rem; }
  ol.texts { max-height: none; overflow: visible; }
  ol.texts li:nth-child(n+13) { display: none; }
  .charts, .planes { grid-template-columns: repeat(2, 1fr); }
  table.figures { min-width: 0; }
  table.figures td svg { width: 90px; }
  .note { break-after: avoid; }
  th, td { padding-top: .25rem; padding-bottom: .25rem; }
  .scroll { overflow: visible; }
  h2, h3 { break-after: avoid; }
  figure, .verdict, tr, li, p { break-inside: avoid; }
  details::details-content { content-visibility: visible; block-size: auto; }
  summary { list-style: none; }
  pre { white-space: pre-wrap; overflow-wrap: anywhere; }
}
"""
