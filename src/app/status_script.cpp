#include "app/status_script.hpp"

namespace forebay::app {

// It fetches /pools, /hosts, /statements and /slow, and asks for the token where one is needed.
// Everything that comes from there is put in as text, never as HTML.
const std::string_view kStatusScript = R"js(
"use strict";
const rowsMax = 100, pause = 2000, points = 60;
let token = sessionStorage.getItem("token"), before = null, timer = 0;
const past = new Map();
const $ = id => document.getElementById(id);
const number = new Intl.NumberFormat("en", {maximumFractionDigits: 1});
const whole = new Intl.NumberFormat("en", {maximumFractionDigits: 0});
const short = n => n < 1e4 ? (n < 100 ? number : whole).format(n)
  : n < 1e6 ? number.format(n / 1e3) + "k" : number.format(n / 1e6) + "M";
const time = s => s >= 1 ? number.format(s) + " s" : s >= 1e-3 ? number.format(s * 1e3) + " ms"
  : Math.round(s * 1e6) + " µs";
const bytes = n => n < 1e3 ? whole.format(n) + " B" : n < 1e6 ? number.format(n / 1e3) + " kB"
  : n < 1e9 ? number.format(n / 1e6) + " MB" : number.format(n / 1e9) + " GB";
const span = s => s < 60 ? Math.floor(s) + " s" : s < 3600 ? Math.floor(s / 60) + " min"
  : s < 172800 ? Math.floor(s / 3600) + " h " + Math.floor(s / 60) % 60 + " min"
  : Math.floor(s / 86400) + " d";
const count = (n, one) => whole.format(n) + " " + one + (n === 1 ? "" : "s");
const key = p => [p.database, p.user, p.replica].join("\0");

function make(name, kind, ...content) {
  const made = document.createElement(name);
  if (kind) made.className = kind;
  made.append(...content);
  return made;
}
function svg(name, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [each, value] of Object.entries(attributes)) made.setAttribute(each, value);
  return made;
}
function parts(box, list, all, title) {
  for (const [kind, part] of list) {
    const i = make("i", kind);
    i.style.width = Math.min(100, 100 * part / (all || 1)) + "%";
    box.append(i);
  }
  box.title = title;
  return box;
}
const split = v => parts(make("div", "bar"), [["w", v.wait_seconds], ["s", v.server_seconds],
  ["x", v.transfer_seconds]], v.total_seconds, "waiting " + time(v.wait_seconds) +
  ", PostgreSQL " + time(v.server_seconds) + ", transfer " + time(v.transfer_seconds));
function used(p) {
  const box = make("div", "use"), bar = make("div", "bar");
  parts(bar, [["s", p.active], ["l", p.login], ["f", p.idle]], p.pool_size, p.active +
    " active, " + p.login + " logging in, " + p.idle + " idle, " + p.pool_size + " at most");
  box.append(bar, make("span", p.active + p.login >= p.pool_size ? "warn" : "",
    (p.active + p.login + p.idle) + " / " + p.pool_size));
  return box;
}
const badge = (text, kind) => make("span", "badge " + kind, text);

// A column is [name, class, what to show of a row, its class, its tooltip].
function fill(id, columns, rows, none) {
  const head = document.createElement("thead"), body = document.createElement("tbody");
  const names = head.insertRow();
  for (const [name, kind] of columns) {
    const th = make("th", kind, name);
    th.scope = "col";
    names.append(th);
  }
  for (const row of rows.slice(0, rowsMax)) {
    const tr = body.insertRow();
    for (const [name, kind, show, more, title] of columns) {
      const td = tr.insertCell(), what = show(row);
      td.className = [kind, more ? more(row) : ""].join(" ").trim();
      td.dataset.label = name;
      if (what === "–" || what === "") td.classList.add("empty");
      td.append(what);
      if (title) td.title = title(row);
    }
  }
  if (!rows.length) {
    const td = body.insertRow().insertCell();
    td.colSpan = columns.length;
    td.className = "t none";
    td.append(none);
  }
  if (rows.length > rowsMax) {
    const td = body.insertRow().insertCell();
    td.colSpan = columns.length;
    td.className = "t none";
    td.append("and " + whole.format(rows.length - rowsMax) + " more");
  }
  $(id).replaceChildren(head, body);
  $(id + "-count").textContent = rows.length ? whole.format(rows.length) : "";
}

function spark(name, value) {
  const values = past.get(name) || [];
  values.push(value);
  if (values.length > points) values.shift();
  past.set(name, values);
  const top = Math.max(...values, 1e-9), picture = svg("svg",
    {viewBox: "0 0 " + (points - 1) + " 20", preserveAspectRatio: "none", "aria-hidden": "true"});
  const line = values.map((v, i) => (points - values.length + i) + "," +
    (19 - 17 * v / top).toFixed(2));
  if (line.length > 1) {
    const first = points - values.length;
    picture.append(svg("polygon", {points: first + ",20 " + line.join(" ") + " " + (points - 1) +
      ",20"}), svg("polyline", {points: line.join(" ")}));
  }
  return picture;
}
function tile(name, text, note, value, kind) {
  const box = make("div", "tile", make("div", "name", name), make("div", "value " + (kind || ""),
    text), make("div", "note", note));
  box.dataset.name = name;
  if (value !== undefined) box.append(spark(name, value));
  return box;
}

function rates(all) {
  const now = performance.now() / 1e3, was = before;
  before = {now, at: new Map(all.pools.map(p => [key(p), p]))};
  const d = was ? now - was.now : 0;
  const names = ["transactions", "statements", "errors", "received_bytes", "sent_bytes",
    "wait_seconds", "server_seconds", "transfer_seconds"];
  for (const p of all.pools) {
    const old = was && was.at.get(key(p));
    p.rate = {};
    for (const name of names) {
      p.rate[name] = d && old ? Math.max(0, (p[name] - old[name]) / d) : null;
    }
  }
  return d > 0;
}
const rate = (p, name, show) => p.rate[name] === null ? "" : show(p.rate[name]);
const sum = (list, value) => list.reduce((n, each) => n + value(each), 0);

function tiles(all, rated) {
  const waiting = sum(all.pools, p => p.waiting);
  const oldest = Math.max(0, ...all.pools.map(p => p.oldest_wait_seconds));
  const links = n => sum(all.pools, p => p[n]), per = n => sum(all.pools, p => p.rate[n] || 0);
  const mean = rated && per("statements") ? (per("wait_seconds") + per("server_seconds") +
    per("transfer_seconds")) / per("statements") : 0;
  const most = all.max_client_conn, s = n => rated ? short(per(n)) : "–";
  $("tiles").replaceChildren(
    tile("Clients", whole.format(all.clients), most ? "of " + whole.format(most) + " at most" : "",
      all.clients, most && all.clients > .8 * most ? "bad" : ""),
    tile("Waiting", whole.format(waiting), waiting ? "the longest for " + time(oldest) : "nobody",
      waiting, oldest > 1 ? "bad" : waiting ? "warn" : ""),
    tile("Server connections", whole.format(links("active") + links("idle") + links("login")),
      links("active") + " active, " + links("idle") + " idle, " + links("login") + " logging in",
      links("active")),
    tile("Transactions / s", s("transactions"), whole.format(sum(all.pools, p => p.transactions)) +
      " in all", per("transactions")),
    tile("Statements / s", s("statements"), rated && per("statements") ? time(mean) + " each" : "",
      per("statements")),
    tile("Errors / s", s("errors"), whole.format(sum(all.pools, p => p.errors)) + " in all",
      per("errors"), per("errors") > 0 ? "bad" : ""),
    tile("Received / s", rated ? bytes(per("received_bytes")) : "–",
      bytes(sum(all.pools, p => p.received_bytes)) + " from clients", per("received_bytes")),
    tile("Sent / s", rated ? bytes(per("sent_bytes")) : "–",
      bytes(sum(all.pools, p => p.sent_bytes)) + " from servers", per("sent_bytes")));
}

const kinds = {up: "good", down: "ill", fenced: "ill", banned: "ill", drained: "odd",
  unfit: "odd", unknown: "dull"};
function hosts(all) {
  fill("hosts", [["host", "t", h => h.host], ["databases", "t clip", h => h.databases, null,
      h => h.databases],
    ["role", "t", h => h.role || "–"],
    ["state", "t", h => badge(h.state, kinds[h.state] || "dull"), null, h => h.why],
    ["for", "", h => h.since_seconds === null ? "–" : span(h.since_seconds)],
    ["connections", "", h => whole.format(h.links)],
    ["lag", "", h => h.lag_seconds === null ? "–" : time(h.lag_seconds),
      h => h.lag_seconds > 10 ? "bad" : ""],
    ["behind", "", h => h.behind_bytes === null ? "–" : bytes(h.behind_bytes)],
    ["opened", "", h => whole.format(h.opened)],
    ["failed", "", h => whole.format(h.failed), h => h.failed ? "warn" : ""],
    ["lost", "", h => whole.format(h.lost), h => h.lost ? "warn" : ""],
    ["checks failed", "", h => h.probes ? whole.format(h.failed_probes) + " / " +
      whole.format(h.probes) : "–"],
    ["downs", "", h => h.probes ? whole.format(h.downs) : "–", h => h.downs ? "warn" : ""],
    ["remark", "t why", h => h.why || (h.last_error ? h.last_error_time.slice(11, 19) + " UTC: " +
      h.last_error : ""), h => h.why ? "" : "soft", h => h.why || h.last_error]], all,
    "No host is configured.");
}
function pools(all) {
  const busy = p => p.waiting * 1e9 + (p.rate.transactions || 0) * 1e3 + p.active;
  fill("pools", [["database", "t", p => p.database], ["user", "t", p => p.user],
    ["leads to", "t clip soft", p => (p.replica ? "reads: " : "") + p.hosts, null, p => p.hosts],
    ["state", "t", p => p.trouble ? badge(/^(paused|disabled)$/.test(p.trouble) ? p.trouble
      : "down", "ill") : p.waiting ? badge("full", "odd") : badge("open", "good"), null,
      p => p.trouble],
    ["clients", "", p => whole.format(p.clients)],
    ["waiting", "", p => whole.format(p.waiting), p => p.waiting ? "bad" : ""],
    ["longest", "", p => p.waiting ? time(p.oldest_wait_seconds) : "–",
      p => p.oldest_wait_seconds > 1 ? "bad" : ""],
    ["connections", "t", used],
    ["tx / s", "", p => rate(p, "transactions", short)],
    ["stmt / s", "", p => rate(p, "statements", short)],
    ["in / s", "", p => rate(p, "received_bytes", bytes)],
    ["out / s", "", p => rate(p, "sent_bytes", bytes)],
    ["errors", "", p => whole.format(p.errors), p => p.rate.errors ? "bad" : ""],
    ["mean", "", p => p.statements ? time((p.wait_seconds + p.server_seconds +
      p.transfer_seconds) / p.statements) : "–"]],
    all.pools.sort((a, b) => busy(b) - busy(a)), "No client has come yet.");
}
function statements(all) {
  fill("statements", [["text", "q", s => s.text || "(not known)", null, s => s.text],
    ["database", "t", s => s.database],
    ["user", "t", s => s.user], ["calls", "", s => whole.format(s.calls)],
    ["errors", "", s => whole.format(s.errors), s => s.errors ? "bad" : ""],
    ["time", "", s => time(s.total_seconds)], ["split", "t", split],
    ["p50", "", s => time(s.p50_seconds)], ["p99", "", s => time(s.p99_seconds)],
    ["rows", "", s => whole.format(s.rows)],
    ["on replicas", "", s => s.calls ? Math.round(100 * s.replica_calls / s.calls) + " %" : "–"]],
    all.statements, "None yet. Set statement_statistics to have all of them counted.");
}
function slow(all) {
  fill("slow", [["when (UTC)", "t", s => s.time.slice(11, 19), null, s => s.time],
    ["text", "q", s => s.text, null, s => s.text], ["database", "t", s => s.database],
    ["user", "t", s => s.user], ["client", "t", s => s.client],
    ["application", "t clip", s => s.application_name || "–", null, s => s.application_name],
    ["host", "t", s => s.host || "–"],
    ["time", "", s => time(s.total_seconds)], ["split", "t", split],
    ["rows", "", s => whole.format(s.rows)], ["error", "t", s => s.sqlstate || "", () => "bad"]],
    all, "None. slow_query_threshold says what is slow.");
}
function troubles(all, its) {
  const list = [], clusters = new Map();
  for (const h of its) {
    if (h.state === "down" || h.state === "fenced") {
      list.push(["ill", h.host + " is " + h.state + (h.why ? ": " + h.why : "")]);
    }
    if (h.state === "drained" || h.state === "banned") list.push(["odd", h.host + ": " + h.why]);
    if (h.lag_seconds > 10) list.push(["odd", h.host + " lags by " + time(h.lag_seconds)]);
    if (h.cluster) {
      const primary = h.role === "primary" && h.state === "up";
      clusters.set(h.cluster, clusters.get(h.cluster) || primary || !h.probes);
    }
  }
  for (const [name, primary] of clusters) {
    if (!primary) list.unshift(["ill", "no primary among " + name]);
  }
  for (const p of all.pools) {
    const name = p.user + " in " + p.database;
    if (p.trouble) list.push(["ill", name + ": " + p.trouble]);
    if (p.oldest_wait_seconds > 1) {
      list.push(["odd", name + ": " + count(p.waiting, "client") + " waiting, the longest for " +
        time(p.oldest_wait_seconds)]);
    }
  }
  if (!all.reloaded) list.push(["ill", "the last reload of the configuration failed"]);
  if (all.lost_log_lines) list.push(["odd", count(all.lost_log_lines, "log line") + " lost"]);
  const shown = list.slice(0, 8).map(([kind, text]) => make("li", kind, text));
  if (list.length > 8) shown.push(make("li", "odd", "and " + (list.length - 8) + " more"));
  $("troubles").replaceChildren(...shown);
  $("health").className = "badge " + (list.some(([kind]) => kind === "ill") ? "ill"
    : list.length ? "odd" : "good");
  $("health").textContent = list.length ? count(list.length, "remark") : "all well";
}

class Denied extends Error {}
async function get(path) {
  const headers = token ? {Authorization: "Bearer " + token} : {};
  const answer = await fetch(path, {headers, cache: "no-store"});
  if (answer.status === 401) throw new Denied("a token is needed");
  if (!answer.ok) throw new Error(path + ": " + answer.status);
  return answer.json();
}
function state(text, kind) {
  $("state").textContent = text;
  $("live").className = kind;
}
async function look() {
  clearTimeout(timer);
  try {
    const [all, its, top, late] = await Promise.all([get("/pools"), get("/hosts"),
      get("/statements?order=total_time&limit=20"), get("/slow?limit=20")]);
    $("ask").hidden = true;
    $("main").hidden = false;
    const rated = rates(all);
    $("version").textContent = all.version;
    $("up").textContent = "up for " + span(all.uptime_seconds) + ", " +
      count(all.workers, "worker") + (all.failovers ? ", " + count(all.failovers, "failover")
      : "") + (all.failed_logins ? ", " + count(all.failed_logins, "login") + " failed" : "");
    troubles(all, its.hosts);
    tiles(all, rated);
    hosts(its.hosts);
    pools(all);
    statements(top);
    slow(late.slow);
    state(new Date().toLocaleTimeString(), "on");
    document.body.dataset.looks = Number(document.body.dataset.looks || 0) + 1;
    timer = setTimeout(look, rated ? pause : pause / 2);
  } catch (error) {
    if (error instanceof Denied) {
      $("ask").hidden = false;
      $("main").hidden = true;
      $("wrong").textContent = token ? "This is not the token." : "";
      $("token").focus();
      state(error.message, "off");
    } else {
      state("no answer: " + error.message, "off");
      timer = setTimeout(look, 5000);
    }
  }
}
$("ask").addEventListener("submit", event => {
  event.preventDefault();
  token = $("token").value.trim();
  sessionStorage.setItem("token", token);
  look();
});
look();
)js";

}  // namespace forebay::app
