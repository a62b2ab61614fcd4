#include "routing/tenant/names.hpp"

#include <algorithm>
#include <array>

namespace forebay::tenant {
namespace {

/// Beginnings of names.
constexpr std::array<Bytes, 36> kFamilies = {"dblink",
                                             "lo_",
                                             "pg_ls_",
                                             "pg_file_",
                                             "pg_logical_",
                                             "pg_stat_get_",
                                             "crosstab",
                                             "xpath_table",
                                             "query_to_xml",
                                             "table_to_xml",
                                             "schema_to_xml",
                                             "database_to_xml",
                                             "cursor_to_xml",
                                             "pg_read_",
                                             "pg_replication_",
                                             "postgres_fdw_",
                                             "heap_page_",
                                             "pg_walinspect",
                                             "pg_get_wal_",
                                             "pg_create_",
                                             "pg_stat_statements",
                                             "bt_metap",
                                             "bt_page_",
                                             "bt_multi_page",
                                             "pg_get_backend_memory",
                                             "pg_get_process_memory",
                                             "pg_qualstats",
                                             "pg_show_plans",
                                             "pg_stat_monitor",
                                             "pg_store_plans",
                                             "pgrowlocks",
                                             "pg_buffercache",
                                             "pg_query_state",
                                             "pg_stat_kcache",
                                             "pg_wait_sampling",
                                             "pgstat"};
constexpr std::array<Bytes, 29> kFunctions = {"connectby",
                                              "get_raw_page",
                                              "loread",
                                              "lowrite",
                                              "pg_blocking_pids",
                                              "pg_cancel_backend",
                                              "pg_cursor",
                                              "pg_drop_replication_slot",
                                              "pg_export_snapshot",
                                              "pg_get_aios",
                                              "pg_hba_file_rules",
                                              "pg_ident_file_mappings",
                                              "pg_isolation_test_session_is_blocked",
                                              "pg_lock_status",
                                              "pg_logdir_ls",
                                              "pg_mcv_list_items",
                                              "pg_prepared_statement",
                                              "pg_prepared_xact",
                                              "pg_reload_conf",
                                              "pg_rotate_logfile",
                                              "pg_safe_snapshot_blocking_pids",
                                              "pg_show_all_file_settings",
                                              "pg_stat_file",
                                              "pg_stat_reset",
                                              "pg_terminate_backend",
                                              "ts_rewrite",
                                              "ts_stat",
                                              "pg_promote",
                                              "pg_get_replication_slots"};
/// The same of those that leave something behind which can be seen later, or delay who calls them.
/// Those that only tell (random, clock_timestamp, currval, pg_table_size) are VOLATILE, too.
constexpr std::array<Bytes, 14> kEffectFamilies = {
    "binary_upgrade_", "brin_",     "gin_clean_",    "pg_advisory_",   "pg_backup_",
    "pg_clear_",       "pg_copy_",  "pg_restore_",   "pg_set_",        "pg_sleep",
    "pg_stat_",        "pg_start_", "pg_wal_replay", "pg_try_advisory"};
constexpr std::array<Bytes, 18> kEffects = {"nextval",
                                            "pg_current_xact_id",
                                            "pg_extension_config_dump",
                                            "pg_import_system_collations",
                                            "pg_log_backend_memory_contexts",
                                            "pg_log_standby_snapshot",
                                            "pg_nextoid",
                                            "pg_notify",
                                            "pg_rotate_logfile_old",
                                            "pg_stop_backup",
                                            "pg_stop_making_pinned_objects",
                                            "pg_switch_wal",
                                            "pg_switch_xlog",
                                            "pg_sync_replication_slots",
                                            "set_config",
                                            "setseed",
                                            "setval",
                                            "txid_current"};
constexpr std::array<Bytes, 21> kRelations = {"_pg_user_mappings",
                                              "pg_aios",
                                              "pg_authid",
                                              "pg_backend_memory_contexts",
                                              "pg_cursors",
                                              "pg_file_settings",
                                              "pg_hba_file_rules",
                                              "pg_ident_file_mappings",
                                              "pg_largeobject",
                                              "pg_locks",
                                              "pg_prepared_statements",
                                              "pg_prepared_xacts",
                                              "pg_replication_slots",
                                              "pg_shadow",
                                              "pg_statistic",
                                              "pg_statistic_ext_data",
                                              "pg_stats",
                                              "pg_stats_ext",
                                              "pg_stats_ext_exprs",
                                              "pg_user_mapping",
                                              "pg_user_mappings"};

/// Beginnings of the names of those that have other sessions' statements, or how far they are. What
/// PostgreSQL itself counts of tables and functions is also of rows that conditions have dropped.
constexpr std::array<Bytes, 8> kRelationFamilies = {"pg_active_session_history",
                                                    "pg_buffercache",
                                                    "pg_qualstats",
                                                    "pg_show_plans",
                                                    "pg_stat_",
                                                    "pg_statio_",
                                                    "pg_store_plans",
                                                    "pg_wait_sampling"};

}  // namespace

bool hides_what_it_reads(Bytes function) noexcept {
  return std::find(kFunctions.begin(), kFunctions.end(), function) != kFunctions.end() ||
         std::any_of(kFamilies.begin(), kFamilies.end(),
                     [&](Bytes family) { return function.starts_with(family); });
}

bool leaves_something(Bytes function) noexcept {
  return std::find(kEffects.begin(), kEffects.end(), function) != kEffects.end() ||
         std::any_of(kEffectFamilies.begin(), kEffectFamilies.end(),
                     [&](Bytes family) { return function.starts_with(family); });
}

bool shows_others(Bytes relation) noexcept {
  return std::find(kRelations.begin(), kRelations.end(), relation) != kRelations.end() ||
         std::any_of(kRelationFamilies.begin(), kRelationFamilies.end(),
                     [&](Bytes family) { return relation.starts_with(family); });
}

}  // namespace forebay::tenant
