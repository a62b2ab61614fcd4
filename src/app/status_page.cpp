#include "app/http_pages.hpp"

namespace forebay::app {

// It fetches /pools, /statements and /slow, and asks for the token where one is needed. Everything
// that comes from there is put in as text, never as HTML.
const std::string_view kStatusPage = R"html(<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Forebay</title>
<style>
:root { color-scheme: light dark; --line: #d5dae1; --soft: #5c6673; --bad: #b3261e;
  --page: #f6f7f9; --card: #fff; --text: #1b2027; --wait: #d97706; --server: #2563eb;
  --transfer: #7c3aed; }
@media (prefers-color-scheme: dark) { :root { --line: #333a44; --soft: #98a2b0; --bad: #ff8a80;
  --page: #14171c; --card: #1c2027; --text: #e6e9ee; --wait: #f0a03c; --server: #6b9bff;
  --transfer: #b08cff; } }
body { margin: 0; background: var(--page); color: var(--text);
  font: 14px/1.45 system-ui, sans-serif; }
header { display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; align-items: baseline;
  padding: .8rem 1rem; }
h1 { font-size: 1.2rem; margin: 0; } h2 { font-size: 1rem; margin: 0 0 .5rem; }
main { padding: 0 1rem 2rem; display: grid; gap: 1rem; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: .8rem; overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .6rem; text-align: right; white-space: nowrap; }
th { color: var(--soft); font-weight: 600; border-bottom: 1px solid var(--line); }
tr + tr td { border-top: 1px solid var(--line); }
.t { text-align: left; } .bad { color: var(--bad); font-weight: 600; }
.q { text-align: left; font-family: ui-monospace, monospace; font-size: 12px;
  max-width: min(32rem, 26vw);
  overflow: hidden; text-overflow: ellipsis; }
.soft { color: var(--soft); }
.bar { display: flex; width: 7rem; height: .7rem; border-radius: 3px; overflow: hidden;
  background: var(--line); }
.bar i { display: block; height: 100%; } .w { background: var(--wait); }
.s { background: var(--server); } .x { background: var(--transfer); }
.key { display: inline-block; width: .7rem; height: .7rem; border-radius: 3px;
  vertical-align: -1px; margin: 0 .25rem 0 .7rem; }
h2 span { font-weight: 400; font-size: 13px; white-space: nowrap; }
@media (max-width: 700px) { /* each row is a card */
  .head { display: none; } table, tbody { display: block; }
  tr { display: flex; flex-wrap: wrap; gap: .15rem .9rem; padding: .5rem 0; }
  tr + tr td { border: 0; } tr + tr + tr { border-top: 1px solid var(--line); }
  td { padding: 0; } td:empty { display: none; }
  td::before { content: attr(data-label) " "; color: var(--soft); font-weight: 400; }
  .q, .soft.t { flex-basis: 100%; max-width: none; white-space: normal; overflow-wrap: anywhere; }
  .q::before, .bar::before, td:only-child::before { content: none; }
  .bar { display: inline-flex; } }
</style></head><body>
<header><h1>Forebay</h1><span id="version" class="soft"></span><span id="sum"></span>
<span id="state" class="soft">...</span></header>
<main>
<section><h2>Pools</h2><table id="pools"></table></section>
<section><h2>Statements that take most time
<span class="soft"><i class="key w"></i>waiting<i class="key s"></i>PostgreSQL<i
class="key x"></i>transfer</span></h2><table id="statements"></table></section>
<section><h2>Slow statements</h2><table id="slow"></table></section>
</main>
<script>
"use strict";
let token = sessionStorage.getItem("token"), before = null;
const number = new Intl.NumberFormat("en", {maximumFractionDigits: 1});
const time = s => s >= 1 ? number.format(s) + " s" : s >= 1e-3 ? number.format(s * 1e3) + " ms"
  : Math.round(s * 1e6) + " µs";
const key = p => [p.database, p.user, p.replica].join("\0");
function cell(row, content, kind) {
  const td = row.insertCell();
  if (kind) td.className = kind;
  if (content instanceof Node) td.append(content); else td.textContent = content;
  if (kind === "q") td.title = content;
}
function bar(v) {
  const box = document.createElement("div"), sum = v.total_seconds || 1;
  box.className = "bar";
  for (const [name, part] of [["w", v.wait_seconds], ["s", v.server_seconds],
                              ["x", v.transfer_seconds]]) {
    const i = document.createElement("i");
    i.className = name; i.style.width = 100 * part / sum + "%"; box.append(i);
  }
  box.title = "waiting " + time(v.wait_seconds) + ", PostgreSQL " + time(v.server_seconds) +
    ", transfer " + time(v.transfer_seconds);
  return box;
}
function fill(id, heads, values, put) {
  const table = document.getElementById(id), body = document.createElement("tbody");
  const head = body.insertRow();
  head.className = "head";
  for (const [name, kind] of heads) {
    const th = document.createElement("th");
    th.textContent = name; th.className = kind || ""; head.append(th);
  }
  for (const value of values) {
    const row = body.insertRow();
    put(row, value);
    heads.forEach(([name], i) => { row.cells[i].dataset.label = name; });
  }
  if (!values.length) cell(body.insertRow(), "none yet", "t soft");
  table.replaceChildren(body);
}
async function get(path) {
  const headers = token ? {Authorization: "Bearer " + token} : {};
  const answer = await fetch(path, {headers, cache: "no-store"});
  if (answer.status === 401) {
    token = prompt("The token of this Forebay (http_token_file)") || "";
    sessionStorage.setItem("token", token);
    throw new Error("a token is needed: reload to be asked again");
  }
  if (!answer.ok) throw new Error(path + ": " + answer.status);
  return answer.json();
}
function pools(all) {
  const now = performance.now() / 1e3, was = before;
  before = {now, at: new Map(all.pools.map(p => [key(p), p]))};
  document.getElementById("version").textContent = all.version;
  document.getElementById("sum").textContent = all.clients + " clients, " +
    all.pools.reduce((n, p) => n + p.waiting, 0) + " waiting";
  fill("pools", [["database", "t"], ["user", "t"], ["hosts", "t"], ["clients"], ["waiting"],
    ["oldest"], ["active"], ["idle"], ["login"], ["size"], ["tx/s"], ["mean"]],
    all.pools, (r, p) => {
    const old = was && was.at.get(key(p)), d = old ? now - was.now : 0;
    const full = p.active + p.login >= p.pool_size;
    cell(r, p.database, "t"); cell(r, p.user, "t"); cell(r, p.hosts, "t soft");
    cell(r, p.clients); cell(r, p.waiting, p.waiting ? "bad" : "");
    cell(r, p.waiting ? time(p.oldest_wait_seconds) : "", p.oldest_wait_seconds > 1 ? "bad" : "");
    cell(r, p.active, full ? "bad" : ""); cell(r, p.idle); cell(r, p.login); cell(r, p.pool_size);
    cell(r, d ? number.format((p.transactions - old.transactions) / d) : "");
    cell(r, p.statements ? time((p.wait_seconds + p.server_seconds + p.transfer_seconds) /
      p.statements) : "");
  });
}
async function look() {
  try {
    const [all, top, slow] = await Promise.all([get("/pools"),
      get("/statements?order=total_time&limit=20"), get("/slow?limit=20")]);
    pools(all);
    fill("statements", [["text", "t"], ["database", "t"], ["user", "t"], ["calls"], ["errors"],
      ["time"], ["split", "t"], ["p50"], ["p99"], ["rows"]], top.statements, (r, s) => {
      cell(r, s.text, "q"); cell(r, s.database, "t"); cell(r, s.user, "t");
      cell(r, number.format(s.calls));
      cell(r, s.errors, s.errors ? "bad" : ""); cell(r, time(s.total_seconds)); cell(r, bar(s));
      cell(r, time(s.p50_seconds)); cell(r, time(s.p99_seconds)); cell(r, number.format(s.rows));
    });
    fill("slow", [["when (UTC)", "t"], ["text", "t"], ["database", "t"], ["user", "t"],
      ["client", "t"], ["application", "t"], ["time"], ["split", "t"], ["rows"], ["error", "t"]],
      slow.slow, (r, s) => {
      cell(r, s.time.slice(11, 19), "t"); r.cells[0].title = s.time;
      cell(r, s.text, "q"); cell(r, s.database, "t");
      cell(r, s.user, "t"); cell(r, s.client, "t"); cell(r, s.application_name, "t");
      cell(r, time(s.total_seconds)); cell(r, bar(s)); cell(r, number.format(s.rows));
      cell(r, s.sqlstate, "t bad");
    });
    document.getElementById("state").textContent = new Date().toLocaleTimeString();
    document.getElementById("state").className = "soft";
    setTimeout(look, 2000);
  } catch (error) {
    document.getElementById("state").textContent = error.message;
    document.getElementById("state").className = "bad";
    if (!/token/.test(error.message)) setTimeout(look, 5000);
  }
}
look();
</script></body></html>
)html";

}  // namespace forebay::app
