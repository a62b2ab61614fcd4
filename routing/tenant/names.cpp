#include "routing/tenant/names.hpp"

#include <algorithm>
#include <array>

namespace forebay::tenant {
namespace {

/// Beginnings of names.
constexpr std::array<Bytes, 21> kFamilies = {
    "dblink",        "lo_",           "pg_ls_",
    "pg_file_",      "pg_logical_",   "pg_stat_get_",
    "crosstab",      "xpath_table",   "query_to_xml",
    "table_to_xml",  "schema_to_xml", "database_to_xml",
    "cursor_to_xml", "pg_read_",      "pg_replication_",
    "postgres_fdw_", "heap_page_",    "pg_walinspect",
    "pg_get_wal_",   "pg_create_",    "pg_stat_statements"};
constexpr std::array<Bytes, 20> kFunctions = {"connectby",
                                              "get_raw_page",
                                              "loread",
                                              "lowrite",
                                              "pg_cancel_backend",
                                              "pg_cursor",
                                              "pg_drop_replication_slot",
                                              "pg_export_snapshot",
                                              "pg_logdir_ls",
                                              "pg_mcv_list_items",
                                              "pg_prepared_statement",
                                              "pg_prepared_xact",
                                              "pg_reload_conf",
                                              "pg_rotate_logfile",
                                              "pg_stat_file",
                                              "pg_stat_reset",
                                              "pg_terminate_backend",
                                              "ts_rewrite",
                                              "ts_stat",
                                              "pg_promote"};
constexpr std::array<Bytes, 17> kRelations = {"pg_authid",
                                              "pg_cursors",
                                              "pg_file_settings",
                                              "pg_hba_file_rules",
                                              "pg_largeobject",
                                              "pg_prepared_statements",
                                              "pg_prepared_xacts",
                                              "pg_replication_slots",
                                              "pg_shadow",
                                              "pg_stat_activity",
                                              "pg_stat_statements",
                                              "pg_statistic",
                                              "pg_statistic_ext_data",
                                              "pg_stats",
                                              "pg_stats_ext",
                                              "pg_stats_ext_exprs",
                                              "pg_user_mappings"};

}  // namespace

bool hides_what_it_reads(Bytes function) noexcept {
  return std::find(kFunctions.begin(), kFunctions.end(), function) != kFunctions.end() ||
         std::any_of(kFamilies.begin(), kFamilies.end(),
                     [&](Bytes family) { return function.starts_with(family); });
}

bool shows_others(Bytes relation) noexcept {
  return std::find(kRelations.begin(), kRelations.end(), relation) != kRelations.end();
}

}  // namespace forebay::tenant
