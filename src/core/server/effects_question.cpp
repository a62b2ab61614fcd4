#include "core/server/effects_question.hpp"

#include <charconv>

#include "forebay/protocol/postgres/backend.hpp"
#include "forebay/protocol/postgres/reader.hpp"

namespace forebay::core {
namespace {

constexpr std::size_t kQuestionHeaderSize = 5;
/// No message of the answer is longer.
constexpr std::size_t kMessageMax = 72 * 1024;
/// More is no answer; one more is asked for. Names have 63 bytes at most.
constexpr std::size_t kRowsMax = 10'000;
constexpr std::size_t kNameMax = 64 * 4;

/// `code` is what functions are made of: their texts without comments, and the trees of those that
/// SQL itself defines. `uses` says what runs what: views their functions, changes of a table its
/// triggers, defaults and constraints, foreign keys those of the tables that they change, parents
/// those of their children, and functions what their texts call, read and write. `found` has an
/// effect by itself, as code_effects judges; `hidden` is that and all that leads there.
/// f: a function; r: a relation, when it is used; w: one, when its rows are changed. In trees,
/// functions stand by their number: set_config is 2078, pg_notify 3036, those of advisory locks
/// 2880 to 2892, currval 1575, lastval 2559. s: that something asks for these, whatever it is. What
/// PostgreSQL's own functions hide is not told; nor what is of one session.
/// Patterns are in dollar quotes: standard_conforming_strings is as the last client left it.
constexpr Bytes kEffectsQuestion = R"sql(/* Forebay asks which code changes sessions */
SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
SET LOCAL search_path TO pg_catalog, pg_temp;
SET LOCAL statement_timeout TO '3s';
SET LOCAL client_min_messages TO error;
SET LOCAL client_encoding TO 'UTF8';
SET LOCAL jit TO off;
WITH RECURSIVE code AS MATERIALIZED (
  SELECT p.oid, p.pronamespace AS namespace, p.proname, lower(p.proname) AS name,
    coalesce(to_jsonb(p)->>'prosqlbody', '') AS tree,
    CASE WHEN strpos(p.prosrc, '--') + strpos(p.prosrc, '/*') = 0 THEN lower(p.prosrc)
    ELSE regexp_replace(lower(p.prosrc), $re$--[^\n]*|/\*.*?\*/$re$, ' ', 'g') END AS body
  FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
  WHERE p.oid >= 16384 AND l.lanname NOT IN ('c', 'internal')),
relation AS MATERIALIZED (
  SELECT oid, relnamespace AS namespace, relname, lower(relname) AS name FROM pg_class
  WHERE oid >= 16384 AND relkind IN ('r', 'p', 'v', 'f') AND relpersistence <> 't'),
word AS MATERIALIZED (
  SELECT DISTINCT c.oid, w.name FROM code c, LATERAL unnest(string_to_array(translate(c.body,
    $re$ "'().,;:=|<>+-*/%[]$re$ || chr(9) || chr(10) || chr(13), repeat(' ', 23)), ' ')) w(name)
  WHERE w.name IN (SELECT name FROM code UNION SELECT name FROM relation)),
part AS MATERIALIZED (
  SELECT d.classid, d.objid, d.refobjid,
    CASE d.refclassid WHEN 'pg_proc'::regclass THEN 'f' ELSE 'r' END AS kind
  FROM pg_depend d WHERE d.refobjid >= 16384
    AND d.refclassid IN ('pg_proc'::regclass, 'pg_class'::regclass)
    AND d.classid IN ('pg_rewrite'::regclass, 'pg_attrdef'::regclass, 'pg_constraint'::regclass,
      'pg_policy'::regclass, 'pg_proc'::regclass)),
uses(kind, oid, of_kind, of_oid) AS MATERIALIZED (
  SELECT k.kind, r.ev_class, CASE p.kind WHEN 'f' THEN 'f' ELSE k.kind END, p.refobjid
    FROM part p JOIN pg_rewrite r ON r.oid = p.objid, (VALUES ('r'), ('w')) k(kind)
    WHERE p.classid = 'pg_rewrite'::regclass AND p.refobjid <> r.ev_class
  UNION ALL SELECT 'w', tgrelid, 'f', tgfoid FROM pg_trigger WHERE NOT tgisinternal
  UNION ALL SELECT 'w', a.adrelid, 'f', p.refobjid
    FROM part p JOIN pg_attrdef a ON a.oid = p.objid
    WHERE p.classid = 'pg_attrdef'::regclass AND p.kind = 'f'
  UNION ALL SELECT 'w', c.conrelid, 'f', p.refobjid
    FROM part p JOIN pg_constraint c ON c.oid = p.objid
    WHERE p.classid = 'pg_constraint'::regclass AND p.kind = 'f'
  UNION ALL SELECT 'r', o.polrelid, 'f', p.refobjid FROM part p JOIN pg_policy o ON o.oid = p.objid
    WHERE p.classid = 'pg_policy'::regclass AND p.kind = 'f'
  UNION ALL SELECT 'f', p.objid, k.kind, p.refobjid
    FROM part p JOIN (VALUES ('f', 'f'), ('r', 'r'), ('r', 'w')) k(what, kind) ON k.what = p.kind
    WHERE p.classid = 'pg_proc'::regclass
  UNION ALL SELECT 'w', confrelid, 'w', conrelid FROM pg_constraint WHERE contype = 'f'
    AND (confdeltype IN ('c', 'n', 'd') OR confupdtype IN ('c', 'n', 'd'))
  UNION ALL SELECT k.kind, inhparent, k.kind, inhrelid
    FROM pg_inherits, (VALUES ('r'), ('w')) k(kind)
  UNION ALL SELECT 'f', w.oid, 'f', f.oid
    FROM word w JOIN code f ON f.name = w.name AND f.oid <> w.oid JOIN code c ON c.oid = w.oid
    WHERE f.name !~ $re$\W$re$ AND c.body ~ ($re$\m$re$ || f.name || $re$\s*\($re$)
  UNION ALL SELECT 'f', w.oid, k.kind, t.oid
    FROM word w JOIN relation t ON t.name = w.name JOIN code c ON c.oid = w.oid,
      (VALUES ('r', $re$(from|join|table)$re$),
        ('w', $re$(into|update|from|copy|truncate)$re$)) k(kind, before)
    WHERE t.name !~ $re$\W$re$
      AND c.body ~ (k.before || $re$\s+(only\s+)?([\w"]+\.)?"?$re$ || t.name || $re$\M$re$)),
found(kind, oid, effect) AS (
  SELECT 'f', oid, 1 FROM code WHERE body LIKE ANY (
      '{%temp%,%advisory%,%hold%,%listen%,%prepare%,%deallocate%,%discard%}')
    AND body ~ ($re$(create|into|replace)\s+((local|global)\s+)?temp(orary)?\M|\mpg_temp|$re$
      || $re$\mwith\s+hold\M|\mpg_(try_)?advisory_(un)?lock|(^|[;$>]|\m(begin|then|else|loop)$re$
      || $re$|(\mexecute|\(|:=)\s*e?')\s*((un)?listen|prepare|deallocate|discard)\M\s+[\w"*]$re$)
    OR tree ~ $re$:funcid (288\d|289[0-2]) $re$
  UNION ALL SELECT 'f', oid, 2 FROM code WHERE strpos(body, 'set') > 0 AND (
    body ~ ($re$(^|[;$>]|\m(begin|then|else|loop)|(\mexecute|\(|:=)\s*e?')\s*(re)?set\M$re$
      || $re$(?!\s+(local|transaction|constraints)\M)\s$re$)
    OR strpos(body, 'set_config') > 0 AND regexp_replace(body,
      $re$\mset_config\s*\(([^()]|\(([^()]|\(([^()]|\([^()]*\))*\))*\))*,$re$
        || $re$\s*(is_local\s*(=>|:=)\s*)?(true|'t'|'true'|1::bool(ean)?)(::bool(ean)?)?\s*\)$re$,
      '', 'g') ~ $re$\mset_config\M$re$)
    OR strpos(tree, ':funcid 2078 ') > 0
  UNION ALL SELECT 'f', oid, 4 FROM code WHERE
    body LIKE ANY ('{%setseed%,%dblink_connect%,%load%}')
    AND body ~ ($re$\m(setseed|dblink_connect(_u)?)\s*\($re$
      || $re$|(^|[;$>]|\m(begin|then|else|loop)|(\mexecute|\(|:=)\s*e?')\s*load\s+'$re$)
  UNION ALL SELECT 'f', oid, 8 FROM code WHERE strpos(body, 'notify') > 0
    AND body ~ ($re$\mpg_notify\s*\(|(^|[;$>]|\m(begin|then|else|loop)$re$
      || $re$|(\mexecute|\(|:=)\s*e?')\s*notify\s$re$)
    OR strpos(tree, ':funcid 3036 ') > 0
  UNION ALL SELECT 'r', ev_class, v.effect FROM (SELECT ev_class, ev_action::text AS tree
      FROM pg_rewrite WHERE ev_class >= 16384 AND pg_column_size(ev_action) < 100000 OFFSET 0) t,
    LATERAL (VALUES (1, $re$:funcid (288\d|289[0-2]) $re$), (2, ':funcid 2078 '),
      (8, ':funcid 3036 ')) v(effect, pattern)
    WHERE strpos(t.tree, ':funcid 2') + strpos(t.tree, ':funcid 3036 ') > 0 AND t.tree ~ v.pattern),
hidden AS (SELECT * FROM found UNION SELECT u.kind, u.oid, h.effect
  FROM hidden h JOIN uses u ON u.of_kind = h.kind AND u.of_oid = h.oid)
SELECT 's', ''::name, ''::name, 0 WHERE EXISTS (SELECT FROM code WHERE
      strpos(body, 'currval') + strpos(body, 'lastval') > 0 AND body ~ $re$\m(curr|last)val\s*\($re$
      OR tree ~ $re$:funcid (1575|2559) $re$)
  OR EXISTS (SELECT FROM pg_attrdef WHERE adbin::text ~ $re$:funcid (1575|2559) $re$)
  OR EXISTS (SELECT FROM pg_constraint WHERE contype = 'c'
      AND conbin::text ~ $re$:funcid (1575|2559) $re$)
  OR EXISTS (SELECT FROM pg_rewrite WHERE ev_class >= 16384 AND pg_column_size(ev_action) < 100000
      AND ev_action::text ~ $re$:funcid (1575|2559) $re$)
UNION ALL (SELECT h.kind, n.nspname, h.name, bit_or(h.effect)
FROM (SELECT a.kind, coalesce(f.namespace, t.namespace) AS namespace,
    coalesce(f.proname, t.relname) AS name, a.effect
  FROM hidden a LEFT JOIN code f ON a.kind = 'f' AND f.oid = a.oid
    LEFT JOIN relation t ON a.kind <> 'f' AND t.oid = a.oid) h
  JOIN pg_namespace n ON n.oid = h.namespace
WHERE n.nspname !~ '^pg_(temp|toast)' AND (h.kind <> 'f' OR NOT EXISTS (
  SELECT FROM pg_proc p WHERE p.proname = h.name AND p.pronamespace = 'pg_catalog'::regnamespace))
GROUP BY 1, 2, 3 ORDER BY bit_or(h.effect) & 6 DESC LIMIT 10001))sql";

}  // namespace

Bytes EffectsQuestion::text() noexcept {
  return kEffectsQuestion;
}

EffectsQuestion::Heard EffectsQuestion::hear(Bytes bytes, std::size_t& consumed,
                                             Welcome& reported) {
  consumed = 0;
  while (bytes.size() - consumed >= kQuestionHeaderSize) {
    const Bytes rest = bytes.substr(consumed);
    const std::size_t length = pg::Reader(rest.substr(1)).u32();
    if (length < 4 || length > kMessageMax) return Heard::broken;
    if (rest.size() < 1 + length) return Heard::more;
    consumed += 1 + length;
    const Heard heard =
        hear_one(rest.front(), rest.substr(kQuestionHeaderSize, length - 4), reported);
    if (heard != Heard::more) return heard;
  }
  return Heard::more;
}

EffectsQuestion::Heard EffectsQuestion::hear_one(char type, Bytes body, Welcome& reported) {
  switch (static_cast<pg::Backend>(type)) {
    case pg::Backend::DataRow:
      if (error_.empty() && effects_.size() >= kRowsMax) {
        error_ = "more than " + std::to_string(kRowsMax) + " functions and tables do";
      } else if (error_.empty() && !read_row(body)) {
        error_ = "an answer that is none";
      }
      // A server that goes on for ever is not listened to for that long.
      return ++rows_ > 2 * kRowsMax ? Heard::broken : Heard::more;
    case pg::Backend::ErrorResponse: {
      const auto fields = pg::backend::Fields::parse(body);
      if (fields.fatal()) return Heard::broken;
      error_.assign(fields.message);
      return Heard::more;
    }
    case pg::Backend::ParameterStatus: {
      const auto status = pg::backend::ParameterStatus::parse(body);
      return status && reported.set(status->name, status->value) ? Heard::more : Heard::broken;
    }
    case pg::Backend::RowDescription:
    case pg::Backend::CommandComplete:
    case pg::Backend::EmptyQueryResponse:
    case pg::Backend::NoticeResponse:
    case pg::Backend::NotificationResponse:
      return Heard::more;
    case pg::Backend::ReadyForQuery:
      return body == "I" ? Heard::all : Heard::broken;
    default:
      return Heard::broken;
  }
}

bool EffectsQuestion::read_row(Bytes body) {
  const auto row = pg::backend::DataRow::parse(body);
  const auto values = row ? row->decode() : std::nullopt;
  if (!values || values->size() != 4) return false;
  for (const auto& value : *values) {
    if (!value || value->size() > kNameMax) return false;
  }
  unsigned effects = 0;
  const Bytes number = *values->at(3);
  const auto parsed = std::from_chars(number.data(), number.data() + number.size(), effects);
  const Bytes kind = *values->at(0);
  if (kind == "s") return asks_sequences_ = true;
  if (parsed.ec != std::errc() || effects > (kMayLeave | kMaySet | kMayStay | kMayNotify) ||
      (kind != "f" && kind != "r" && kind != "w")) {
    return false;
  }
  using Of = SideEffect::Of;
  effects_.push_back({kind == "f"   ? Of::function
                      : kind == "r" ? Of::use
                                    : Of::write,
                      static_cast<Effects>(effects), std::string(*values->at(1)),
                      std::string(*values->at(2))});
  return true;
}

}  // namespace forebay::core
