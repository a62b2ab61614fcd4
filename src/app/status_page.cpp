#include <openssl/evp.h>

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "app/http_pages.hpp"
#include "app/status_script.hpp"

namespace forebay::app {
namespace {

constexpr std::string_view kStyle = R"css(
:root { color-scheme: light dark; --line: #dde2e9; --soft: #5b6572; --bad: #b3261e;
  --warn: #9a5b00; --page: #f4f6f8; --card: #fff; --text: #1a2027; --wait: #e08a00;
  --server: #2563eb; --transfer: #8b5cf6; --login: #94a3b8; --idle: #b7cbf5; --good: #1b7f3b;
  --good-soft: #dff3e4; --bad-soft: #fbe3e1; --warn-soft: #fdf0d5; --dull-soft: #e8ecf1; }
@media (prefers-color-scheme: dark) { :root { --line: #2d343e; --soft: #9aa4b2; --bad: #ff8a80;
  --warn: #f2b45c; --page: #0f1216; --card: #181c22; --text: #e6e9ee; --wait: #f0a03c;
  --server: #5b8df6; --transfer: #a78bfa; --login: #64748b; --idle: #2b4478; --good: #6fd08c;
  --good-soft: #16321f; --bad-soft: #401d1b; --warn-soft: #3a2c12; --dull-soft: #262c35; } }
* { box-sizing: border-box; } [hidden] { display: none !important; }
body { margin: 0 auto; max-width: 110rem; background: var(--page); color: var(--text);
  font: 14px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
header { display: flex; flex-wrap: wrap; gap: .2rem .9rem; align-items: center;
  padding: 1rem 1rem .8rem; }
h1 { font-size: 1.3rem; margin: 0; letter-spacing: -.01em; }
h2 { font-size: 1rem; margin: 0 0 .5rem; display: flex; flex-wrap: wrap; gap: .1rem .6rem;
  align-items: baseline; }
h2 span { font-weight: 400; font-size: 13px; color: var(--soft); }
.soft, .none { color: var(--soft); } .bad { color: var(--bad); font-weight: 600; }
.warn { color: var(--warn); }
#live { margin-left: auto; color: var(--soft); font-variant-numeric: tabular-nums;
  white-space: nowrap; overflow-wrap: anywhere; }
#live::before { content: ""; display: inline-block; width: .55rem; height: .55rem;
  border-radius: 50%; margin-right: .4rem; background: var(--login); }
#live.on::before { background: var(--good); } #live.off { color: var(--bad); white-space: normal; }
#live.off::before { background: var(--bad); }
main { padding: 0 1rem 2rem; display: grid; gap: 1rem; grid-template-columns: minmax(0, 1fr); }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: .9rem 1rem; overflow-x: auto; }
#troubles { list-style: none; margin: 0; padding: 0; display: grid; gap: .4rem; }
#troubles:empty { display: none; }
#troubles li { border-radius: 8px; padding: .45rem .8rem; overflow-wrap: anywhere; }
.badge { border-radius: 99px; padding: .05rem .55rem; font-size: 12px; font-weight: 600;
  white-space: nowrap; }
.good { background: var(--good-soft); color: var(--good); }
.ill { background: var(--bad-soft); color: var(--bad); }
.odd { background: var(--warn-soft); color: var(--warn); }
.dull { background: var(--dull-soft); color: var(--soft); }
#tiles { display: grid; gap: .8rem; grid-template-columns: repeat(8, minmax(0, 1fr)); }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: .6rem .8rem 1.9rem; position: relative; overflow: hidden; }
.tile .name, .tile .note { color: var(--soft); font-size: 12px; }
.tile .value { font-size: 1.45rem; font-weight: 650; line-height: 1.3;
  font-variant-numeric: tabular-nums; }
.tile svg { position: absolute; left: 0; right: 0; bottom: 0; width: 100%; height: 1.6rem; }
polyline { fill: none; stroke: var(--server); stroke-width: 1.5;
  vector-effect: non-scaling-stroke; }
polygon { fill: var(--server); opacity: .12; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .55rem; text-align: right; white-space: nowrap; }
th:first-child, td:first-child { padding-left: 0; } th:last-child, td:last-child {
  padding-right: 0; }
th { color: var(--soft); font-weight: 600; font-size: 12px; border-bottom: 1px solid var(--line); }
tbody tr + tr td { border-top: 1px solid var(--line); }
.t, .q { text-align: left; }
td.clip { max-width: 13rem; overflow: hidden; text-overflow: ellipsis; }
td.why { max-width: 20rem; overflow: hidden; text-overflow: ellipsis; }
td.q { font-family: ui-monospace, "SF Mono", Menlo, Consolas, monospace; font-size: 12px;
  max-width: min(36rem, 24vw); overflow: hidden; text-overflow: ellipsis; }
td.none { white-space: normal; }
.bar { display: flex; width: 6rem; height: .6rem; border-radius: 3px; overflow: hidden;
  background: var(--dull-soft); }
.bar i { display: block; height: 100%; } .w { background: var(--wait); }
.s { background: var(--server); } .x { background: var(--transfer); }
.l { background: var(--login); } .f { background: var(--idle); }
.use { display: flex; gap: .5rem; align-items: center; } .use span { white-space: nowrap; }
.key { display: inline-block; width: .65rem; height: .65rem; border-radius: 3px;
  margin: 0 .25rem 0 .5rem; }
#ask { max-width: 24rem; margin: 3rem auto; padding: 0 1rem; display: grid; gap: .6rem; }
#ask input, #ask button { font: inherit; padding: .5rem .7rem; border-radius: 8px; width: 100%;
  border: 1px solid var(--line); background: var(--card); color: var(--text); }
#ask button { background: var(--server); border: 0; color: #fff; font-weight: 600; }
@media (max-width: 1200px) { #tiles { grid-template-columns: repeat(4, minmax(0, 1fr)); } }
@media (max-width: 1000px) { /* each row is a card */
  #tiles { gap: .6rem; }
  header { padding-bottom: .6rem; } main { padding: 0 .7rem 2rem; gap: .7rem; }
  section { padding: .8rem; }
  thead { display: none; } table, tbody { display: block; }
  tbody tr { display: grid; grid-template-columns: repeat(auto-fill, minmax(4.6rem, 1fr));
    gap: .35rem .6rem; padding: .7rem 0; }
  tbody tr + tr { border-top: 1px solid var(--line); } tbody tr:first-child { padding-top: 0; }
  tbody tr:last-child { padding-bottom: 0; }
  tbody tr + tr td { border: 0; }
  td, td:first-child, td:last-child { padding: 0; text-align: left; overflow-wrap: anywhere;
    white-space: normal; min-width: 0; }
  td::before { content: attr(data-label); display: block; color: var(--soft); font-size: 11px;
    font-weight: 400; font-family: system-ui, sans-serif; }
  td.empty { display: none; } td.none::before { content: none; }
  td.q, td.why, td.none, td.clip { grid-column: 1 / -1; max-width: none; }
  #hosts td:first-child { grid-column: 1 / -1; font-weight: 600; }
  td.q { display: -webkit-box; -webkit-line-clamp: 4; -webkit-box-orient: vertical;
    order: -1; } td.q::before, #hosts td:first-child::before { content: none; }
  #slow td:nth-child(5), #slow td:nth-child(7), #pools td:nth-child(-n + 2),
  #pools td:nth-child(8) { grid-column: span 2; }
  .bar { width: 100%; max-width: 6rem; margin-top: .35rem; } .use .bar { margin-top: 0; } }
@media (max-width: 560px) { #tiles { grid-template-columns: repeat(2, minmax(0, 1fr)); } }
)css";

constexpr std::string_view kBody = R"html(
<header><h1>Forebay</h1><span id="version" class="soft"></span>
<span id="health" class="badge dull">looking</span><span id="up" class="soft"></span>
<span id="live"><span id="state">...</span></span></header>
<form id="ask" hidden><label for="token">The token of this Forebay
(<code>http_token_file</code>)</label>
<input id="token" type="password" autocomplete="current-password" required>
<span id="wrong" class="bad"></span><button>Show</button></form>
<main id="main"><ul id="troubles"></ul><div id="tiles"></div>
<section><h2>Hosts <span id="hosts-count"></span></h2><table id="hosts"></table></section>
<section><h2>Pools <span id="pools-count"></span>
<span><i class="key s"></i>active<i class="key l"></i>logging in<i class="key f"></i>idle</span>
</h2><table id="pools"></table></section>
<section><h2>Statements that take most time <span id="statements-count"></span>
<span><i class="key w"></i>waiting<i class="key s"></i>PostgreSQL<i class="key x"></i>transfer
</span></h2><table id="statements"></table></section>
<section><h2>Slow statements <span id="slow-count"></span></h2><table id="slow"></table></section>
</main>
)html";

// As a policy names what may stand in the page.
std::string source_of(std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha256(), nullptr);
  std::array<unsigned char, 2 * EVP_MAX_MD_SIZE> base64{};
  const int length = EVP_EncodeBlock(base64.data(), digest.data(), static_cast<int>(size));
  return "'sha256-" + std::string(base64.begin(), base64.begin() + length) + "'";
}

std::string text_of_page() {
  std::string page =
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<title>Forebay</title><link rel=\"icon\" href=\"data:,\">\n<style>";
  page.append(kStyle).append("</style></head><body>").append(kBody);
  return page.append("<script>").append(kStatusScript).append("</script></body></html>\n");
}

}  // namespace

HttpPage status_page() {
  static const HttpPage page{
      "text/html; charset=utf-8", text_of_page(),
      // Only what is written here runs, whatever somebody gets into the page.
      "default-src 'none'; script-src " + source_of(kStatusScript) + "; style-src " +
          source_of(kStyle) +
          "; img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
          "frame-ancestors 'none'"};
  return page;
}

}  // namespace forebay::app
