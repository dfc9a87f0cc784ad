"""The report's style sheet: light and dark by the reader's setting, printable, no outside resources."""

CSS = """
:root {
  --paper: #fbfbf9; --card: #ffffff; --ink: #1c2024; --muted: #6a7178; --line: #e2e3de; --accent: #0b7285;
  --good: #2b8a3e; --bad: #c92a2a; --idle: #868e96; --warm: #e8590c; --wash: #e6f3f5;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171a; --card: #1b1f23; --ink: #e8eaec; --muted: #99a1a9; --line: #31373d; --accent: #3bc9db;
    --good: #69db7c; --bad: #ff8787; --idle: #868e96; --warm: #ffa94d; --wash: #12303a;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; padding: 3rem 1.5rem 4rem; background: var(--paper); color: var(--ink);
  font: 16px/1.55 "Inter", "Segoe UI", "Helvetica Neue", "DejaVu Sans", Arial, sans-serif;
}
main { max-width: 62rem; margin: 0 auto; }
.name { color: var(--accent); font-weight: 600; letter-spacing: .01em; margin: 0 0 .4rem; }
h1 { font-size: 1.75rem; line-height: 1.3; font-weight: 650; margin: 0 0 1.6rem; text-wrap: balance; }
h2 { font-size: 1.15rem; font-weight: 650; margin: 2.6rem 0 .7rem; }
p { margin: .4rem 0 .8rem; max-width: 48rem; }
.muted, figcaption, footer { color: var(--muted); font-size: .9rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(10.5rem, 1fr)); gap: .8rem; margin: 0 0 1rem; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: .7rem; padding: .9rem 1.1rem; }
.tile b { display: block; font-size: 1.7rem; line-height: 1.2; font-weight: 650; font-variant-numeric: tabular-nums; }
.tile span { color: var(--muted); font-size: .88rem; }
.scroll { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: .7rem; }
table { border-collapse: collapse; width: 100%; font-size: .93rem; }
th, td { text-align: left; padding: .55rem .9rem; border-top: 1px solid var(--line); vertical-align: top; }
thead th { border-top: 0; color: var(--muted); font-weight: 600; font-size: .84rem; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
tr.chosen td, tr.chosen th { background: var(--wash); }
tbody th { font-weight: 600; white-space: nowrap; }
td small, th small { display: block; color: var(--muted); font-weight: 400; white-space: normal; }
tbody th { min-width: 11rem; }
td small { line-height: 1.4; } td.why { width: 46%; min-width: 19rem; } td.why b { font-weight: 600; }
.good { color: var(--good); } .bad { color: var(--bad); } .idle { color: var(--idle); }
.badge { font-weight: 600; white-space: nowrap; }
table.operators th { min-width: 6rem; } td.bar { width: 55%; vertical-align: middle; }
td.bar span { display: block; height: .65rem; border-radius: .35rem; background: var(--accent); }
ul { margin: .4rem 0 .8rem; padding-left: 1.2rem; max-width: 48rem; } li { margin: .2rem 0; }
figure {
  margin: 0 0 1.4rem; padding: 1rem;
  background: var(--card); border: 1px solid var(--line); border-radius: .7rem;
}
figure svg { display: block; width: 100%; height: auto; }
figcaption { padding: .4rem .4rem 0; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(26rem, 1fr)); gap: 1rem; }
.pair figure { margin: 0; }
ol.events { padding-left: 0; list-style: none; } ol.events li { margin: .2rem 0; }
footer { margin-top: 3rem; border-top: 1px solid var(--line); padding-top: 1rem; overflow-wrap: anywhere; }
@media (max-width: 40rem) { .pair { grid-template-columns: 1fr; } body { padding: 1.5rem .8rem; } }
@media print {
  :root { --paper: #fff; --card: #fff; --ink: #000; --muted: #555; --line: #ccc; --wash: #eef6f8; --accent: #0b7285;
          --good: #2b8a3e; --bad: #c92a2a; --warm: #e8590c; }
  body { padding: 0; font-size: 10pt; } td.why { min-width: 0; }
  figure, .tile, .scroll { break-inside: avoid; } h2 { break-after: avoid; }
}
"""
