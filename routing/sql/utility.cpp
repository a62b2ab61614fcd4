#include <strings.h>

#include <utility>

#include "routing/sql/analysis.hpp"
#include "routing/sql/tokens.hpp"

namespace forebay::sql {
namespace {

/// The last names of a qualified one.
Table named(List* name) {
  Table table;
  const int parts = list_length(name);
  if (parts > 0) table.name = strVal(list_nth(name, parts - 1));
  if (parts > 1) table.schema = strVal(list_nth(name, parts - 2));
  table.use = Table::Use::write;
  return table;
}

bool names_relations(ObjectType type) noexcept {
  return type == OBJECT_TABLE || type == OBJECT_VIEW || type == OBJECT_MATVIEW ||
         type == OBJECT_SEQUENCE || type == OBJECT_INDEX || type == OBJECT_FOREIGN_TABLE;
}

bool is_about_roles(Node* node) {
  switch (nodeTag(node)) {
    case T_CreateRoleStmt:
    case T_AlterRoleStmt:
    case T_AlterRoleSetStmt:
    case T_DropRoleStmt:
    case T_GrantRoleStmt:
    case T_GrantStmt:
    case T_AlterDefaultPrivilegesStmt:
    case T_AlterOwnerStmt:
    case T_DropOwnedStmt:
    case T_ReassignOwnedStmt:
    case T_CreateUserMappingStmt:
    case T_AlterUserMappingStmt:
    case T_DropUserMappingStmt:
    case T_CreatePolicyStmt:
    case T_AlterPolicyStmt:
      return true;
    case T_RenameStmt:
      return as<RenameStmt>(node)->renameType == OBJECT_ROLE;
    default:
      return false;
  }
}

}  // namespace

void Analysis::utility(Node* node) {
  if (!session_statement(node) && !object_statement(node)) definition(node);
}

void Analysis::session_only(Kind kind, const char* name) {
  facts_.kind = kind;
  facts_.name = bytes_or_empty(name);
  facts_.may_write = facts_.hidden_code = false;
}

/// Statements about the session: they change no data.
bool Analysis::session_statement(Node* node) {
  switch (nodeTag(node)) {
    case T_TransactionStmt:
      transaction(as<TransactionStmt>(node));
      return true;
    case T_VariableSetStmt:
      session_only(Kind::set, nullptr);
      set(as<VariableSetStmt>(node));
      return true;
    case T_VariableShowStmt:
      session_only(Kind::show, as<VariableShowStmt>(node)->name);
      facts_.all = facts_.name == "all";
      facts_.plain_read = true;
      return true;
    case T_DiscardStmt:
      discard(as<DiscardStmt>(node));
      return true;
    case T_PrepareStmt:
      session_only(Kind::prepare, as<PrepareStmt>(node)->name);
      inner(as<PrepareStmt>(node)->query);
      return true;
    case T_DeallocateStmt:
      session_only(Kind::deallocate, as<DeallocateStmt>(node)->name);
      facts_.all = as<DeallocateStmt>(node)->name == nullptr;
      return true;
    case T_ClosePortalStmt:
      session_only(Kind::close, as<ClosePortalStmt>(node)->portalname);
      facts_.all = as<ClosePortalStmt>(node)->portalname == nullptr;
      return true;
    case T_ListenStmt:
      session_only(Kind::listen, as<ListenStmt>(node)->conditionname);
      return true;
    case T_UnlistenStmt:
      session_only(Kind::unlisten, as<UnlistenStmt>(node)->conditionname);
      facts_.all = as<UnlistenStmt>(node)->conditionname == nullptr;
      return true;
    case T_NotifyStmt:
      session_only(Kind::notify, as<NotifyStmt>(node)->conditionname);
      if (as<NotifyStmt>(node)->payload != nullptr) facts_.argument = first_literal();
      return true;
    case T_DeclareCursorStmt:
      cursor(as<DeclareCursorStmt>(node));
      return true;
    case T_ConstraintsSetStmt:
      // SET CONSTRAINTS ... IMMEDIATE runs the triggers that have waited.
      facts_.kind = Kind::set_constraints;
      return true;
    default:
      return false;
  }
}

/// Statements that run something or change data.
bool Analysis::object_statement(Node* node) {
  switch (nodeTag(node)) {
    case T_CopyStmt:
      copy(as<CopyStmt>(node));
      return true;
    case T_ExplainStmt:
      explain(as<ExplainStmt>(node));
      return true;
    case T_ExecuteStmt:
      facts_.kind = Kind::execute;
      facts_.name = bytes_or_empty(as<ExecuteStmt>(node)->name);
      push(as<ExecuteStmt>(node)->params, nullptr);
      return true;
    case T_FetchStmt:
      facts_.kind = Kind::fetch;
      facts_.name = bytes_or_empty(as<FetchStmt>(node)->portalname);
      return true;
    case T_CallStmt:
      facts_.kind = Kind::call;
      push(as<CallStmt>(node)->funccall, nullptr);
      return true;
    case T_DoStmt:
      facts_.kind = Kind::do_block;
      all_seen_ = false;
      return true;
    case T_LoadStmt:
      facts_.kind = Kind::load;
      facts_.argument = first_literal();
      return true;
    case T_LockStmt:
      facts_.kind = Kind::lock;
      facts_.hidden_code = false;
      written(as<LockStmt>(node)->relations);
      return true;
    case T_TruncateStmt:
      facts_.kind = Kind::ddl;
      written(as<TruncateStmt>(node)->relations);
      return true;
    case T_CreateTableAsStmt:
      create_as(as<CreateTableAsStmt>(node));
      return true;
    case T_VacuumStmt: {
      facts_.kind = Kind::utility;
      List* relations = as<VacuumStmt>(node)->rels;
      for (int i = 0; i < list_length(relations); ++i) {
        auto* relation = static_cast<VacuumRelation*>(list_nth(relations, i));
        if (relation->relation != nullptr) table(relation->relation, Table::Use::write);
      }
      return true;
    }
    case T_ClusterStmt:
      facts_.kind = Kind::utility;
      if (as<ClusterStmt>(node)->relation != nullptr) {
        table(as<ClusterStmt>(node)->relation, Table::Use::write);
      }
      return true;
    case T_CheckPointStmt:
      facts_.kind = Kind::utility;
      facts_.hidden_code = false;
      return true;
    default:
      return false;
  }
}

/// The rest is DDL. Expressions in it are not looked at, so it is never complete, except where
/// there are none; but what it makes for the session only is noticed.
void Analysis::definition(Node* node) {
  facts_.kind = Kind::ddl;
  facts_.roles = is_about_roles(node);
  if (facts_.roles) renamed_roles(node);
  all_seen_ = false;
  // Expressions are not looked at: what a new column's default calls is called at once.
  if (shape_.key().find("set_config") != Bytes::npos) any_setting();
  switch (nodeTag(node)) {
    case T_CreateStmt:
    case T_CreateForeignTableStmt:
      created(as<CreateStmt>(node)->relation);
      facts_.until_commit = as<CreateStmt>(node)->oncommit == ONCOMMIT_DROP;
      break;
    case T_ViewStmt:
      created(as<ViewStmt>(node)->view);
      push(as<ViewStmt>(node)->query, nullptr);
      break;
    case T_CreateSeqStmt:
      created(as<CreateSeqStmt>(node)->sequence);
      break;
    case T_CompositeTypeStmt:
      created(as<CompositeTypeStmt>(node)->typevar);
      break;
    case T_AlterTableStmt:
      table(as<AlterTableStmt>(node)->relation, Table::Use::write);
      break;
    case T_IndexStmt:
      table(as<IndexStmt>(node)->relation, Table::Use::write);
      break;
    case T_RefreshMatViewStmt:
      table(as<RefreshMatViewStmt>(node)->relation, Table::Use::write);
      break;
    case T_CreateTrigStmt:
      table(as<CreateTrigStmt>(node)->relation, Table::Use::write);
      break;
    case T_RuleStmt:
      table(as<RuleStmt>(node)->relation, Table::Use::write);
      break;
    case T_CreatePolicyStmt:
      table(as<CreatePolicyStmt>(node)->table, Table::Use::write);
      break;
    case T_AlterSeqStmt:
      table(as<AlterSeqStmt>(node)->sequence, Table::Use::write);
      break;
    case T_DropStmt:
      drop(as<DropStmt>(node));
      all_seen_ = true;
      break;
    default:
      named_definition(node);
  }
}

/// Of what makes a role's name another's.
void Analysis::renamed_roles(Node* node) {
  const auto add = [this](const char* name) {
    facts_.renamed_roles.emplace_back(bytes_or_empty(name));
  };
  if (nodeTag(node) == T_CreateRoleStmt) add(as<CreateRoleStmt>(node)->role);
  if (nodeTag(node) == T_RenameStmt) {
    add(as<RenameStmt>(node)->subname);
    add(as<RenameStmt>(node)->newname);
  }
  if (nodeTag(node) != T_DropRoleStmt) return;
  List* roles = as<DropRoleStmt>(node)->roles;
  for (int i = 0; i < list_length(roles); ++i) {
    add(static_cast<RoleSpec*>(list_nth(roles, i))->rolename);
  }
}

void Analysis::named_definition(Node* node) {
  switch (nodeTag(node)) {
    case T_CreateFunctionStmt:
      created_name(as<CreateFunctionStmt>(node)->funcname);
      facts_.makes_function = named(as<CreateFunctionStmt>(node)->funcname).name;
      break;
    case T_DefineStmt:
      created_name(as<DefineStmt>(node)->defnames);
      break;
    case T_CreateStatsStmt:
      created_name(as<CreateStatsStmt>(node)->defnames);
      break;
    case T_CreateConversionStmt:
      created_name(as<CreateConversionStmt>(node)->conversion_name);
      break;
    case T_CreateOpClassStmt:
      created_name(as<CreateOpClassStmt>(node)->opclassname);
      break;
    case T_CreateOpFamilyStmt:
      created_name(as<CreateOpFamilyStmt>(node)->opfamilyname);
      break;
    case T_CreateDomainStmt:
      created_name(as<CreateDomainStmt>(node)->domainname);
      break;
    case T_CreateEnumStmt:
      created_name(as<CreateEnumStmt>(node)->typeName);
      break;
    case T_CreateRangeStmt:
      created_name(as<CreateRangeStmt>(node)->typeName);
      break;
    case T_RenameStmt:
      if (as<RenameStmt>(node)->relation != nullptr) {
        table(as<RenameStmt>(node)->relation, Table::Use::write);
      }
      if (as<RenameStmt>(node)->renameType == OBJECT_DATABASE) {
        facts_.name = bytes_or_empty(as<RenameStmt>(node)->subname);
      }
      break;
    case T_DropdbStmt:
      facts_.name = bytes_or_empty(as<DropdbStmt>(node)->dbname);
      break;
    case T_CreatedbStmt:
      facts_.name = template_of(as<CreatedbStmt>(node)->options);
      break;
    case T_AlterDatabaseStmt:
      for (int i = 0; i < list_length(as<AlterDatabaseStmt>(node)->options); ++i) {
        auto* option = static_cast<DefElem*>(list_nth(as<AlterDatabaseStmt>(node)->options, i));
        if (Bytes(option->defname) == "tablespace") {
          facts_.name = bytes_or_empty(as<AlterDatabaseStmt>(node)->dbname);
        }
      }
      break;
    case T_AlterObjectSchemaStmt: {
      auto* statement = as<AlterObjectSchemaStmt>(node);
      if (statement->relation != nullptr) table(statement->relation, Table::Use::write);
      if (is_temporary_schema(statement->newschema)) {
        facts_.creates_temporary = facts_.names_temporary = true;
      }
      break;
    }
    default:
      break;
  }
}

void Analysis::transaction(TransactionStmt* statement) {
  const auto simple = [this](Kind kind, const char* name = nullptr) { session_only(kind, name); };
  facts_.chain = statement->chain;
  switch (statement->kind) {
    case TRANS_STMT_BEGIN:
    case TRANS_STMT_START:
      simple(Kind::begin);
      modes(statement->options);
      return;
    case TRANS_STMT_COMMIT:
      // Deferred triggers run now.
      simple(Kind::commit);
      return;
    case TRANS_STMT_ROLLBACK:
      simple(Kind::rollback);
      return;
    case TRANS_STMT_SAVEPOINT:
      simple(Kind::savepoint, statement->savepoint_name);
      return;
    case TRANS_STMT_RELEASE:
      simple(Kind::release, statement->savepoint_name);
      return;
    case TRANS_STMT_ROLLBACK_TO:
      simple(Kind::rollback_to, statement->savepoint_name);
      return;
    case TRANS_STMT_PREPARE:
      simple(Kind::prepare_transaction);
      break;
    case TRANS_STMT_COMMIT_PREPARED:
      simple(Kind::commit_prepared);
      break;
    case TRANS_STMT_ROLLBACK_PREPARED:
      simple(Kind::rollback_prepared);
      break;
  }
  facts_.may_write = true;
  facts_.argument = first_literal();
}

void Analysis::discard(DiscardStmt* statement) noexcept {
  session_only(Kind::discard, nullptr);
  switch (statement->target) {
    case DISCARD_ALL:
      facts_.discard = DiscardWhat::all;
      break;
    case DISCARD_PLANS:
      facts_.discard = DiscardWhat::plans;
      break;
    case DISCARD_SEQUENCES:
      facts_.discard = DiscardWhat::sequences;
      break;
    case DISCARD_TEMP:
      facts_.discard = DiscardWhat::temporary;
      break;
  }
}

void Analysis::cursor(DeclareCursorStmt* statement) {
  session_only(Kind::declare_cursor, statement->portalname);
  facts_.hold = (statement->options & CURSOR_OPT_HOLD) != 0;
  push(statement->query, nullptr);
}

void Analysis::copy(CopyStmt* statement) {
  facts_.kind = statement->is_from ? Kind::copy_in : Kind::copy_out;
  facts_.copy = statement->is_program            ? CopySource::program
                : statement->filename != nullptr ? CopySource::file
                                                 : CopySource::client;
  // COPY FROM fires triggers, as INSERT does.
  facts_.hidden_code = false;
  if (statement->relation != nullptr) {
    table(statement->relation, statement->is_from ? Table::Use::write : Table::Use::read);
  }
  push(statement->query, nullptr);
  push(statement->whereClause, nullptr);
}

/// Whether EXPLAIN (ANALYZE x) runs the statement. A literal may be another one in the next text
/// of the same shape, so any counts as on.
bool Analysis::option_is_on(DefElem* option) const noexcept {
  if (option->arg == nullptr || nodeTag(option->arg) != T_String || option->location < 0) {
    return true;
  }
  const char* const end = text_.data() + text_.size();
  const char* at = text_.data() + option->location;
  while (at < end && folded(*at) != 0) ++at;
  at = blank_end(at, end);
  if (at == nullptr || at >= end) return true;
  const Class kind = class_of(*at);
  if (kind != Class::word && (kind != Class::prefix || string_begins(at, end))) return true;
  const char* const value = strVal(option->arg);
  return strcasecmp(value, "off") != 0 && strcasecmp(value, "false") != 0;
}

/// What CREATE DATABASE copies; empty where a literal says it.
std::string Analysis::template_of(List* options) const {
  for (int i = 0; i < list_length(options); ++i) {
    auto* option = static_cast<DefElem*>(list_nth(options, i));
    if (Bytes(option->defname) != "template") continue;
    if (option->arg == nullptr || nodeTag(option->arg) != T_String || option->location < 0) {
      return {};
    }
    const char* const end = text_.data() + text_.size();
    const char* at = text_.data() + option->location;
    while (at < end && folded(*at) != 0) ++at;
    at = blank_end(at, end);
    if (at != nullptr && at < end && *at == '=') at = blank_end(at + 1, end);
    if (at == nullptr || at >= end) return {};
    const Class kind = class_of(*at);
    const bool prefix = kind == Class::prefix && !string_begins(at, end);
    return kind == Class::word || prefix || *at == '"' ? strVal(option->arg) : std::string();
  }
  return "template1";
}

void Analysis::explain(ExplainStmt* statement) {
  facts_.kind = Kind::explain;
  for (int i = 0; i < list_length(statement->options); ++i) {
    auto* option = static_cast<DefElem*>(list_nth(statement->options, i));
    if (Bytes(option->defname) == "analyze" && option_is_on(option)) facts_.analyze = true;
  }
  inner(statement->query);
  if (!facts_.analyze) return;
  const Statement& query = facts_.inner.front();
  facts_.tables = query.tables;
  facts_.functions = query.functions;
  facts_.settings = query.settings;
  for (Setting& setting : facts_.settings) setting.sure = false;
  for (Function& function : facts_.functions) function.sure = false;
  facts_.creates_temporary = query.creates_temporary;
  facts_.until_commit = query.until_commit;
  facts_.locking = query.locking;
  facts_.writing_cte = query.writing_cte;
}

void Analysis::inner(Node* node) {
  facts_.inner.push_back(Analysis(text_, shape_, where_).run(node));
  all_seen_ = facts_.inner.front().complete;
  facts_.parameters = facts_.inner.front().parameters;
  facts_.names_temporary = facts_.inner.front().names_temporary;
}

void Analysis::create_as(CreateTableAsStmt* statement) {
  facts_.kind = Kind::create_table_as;
  facts_.hidden_code = false;
  select_into(statement->into);
  if (nodeTag(statement->query) == T_ExecuteStmt) {
    facts_.hidden_code = true;
    facts_.name = bytes_or_empty(as<ExecuteStmt>(statement->query)->name);
    push(as<ExecuteStmt>(statement->query)->params, nullptr);
    return;
  }
  push(statement->query, nullptr);
}

void Analysis::drop(DropStmt* statement) {
  facts_.drops = names_relations(statement->removeType);
  for (int i = 0; i < list_length(statement->objects); ++i) {
    auto* object = static_cast<Node*>(list_nth(statement->objects, i));
    if (nodeTag(object) != T_List || !names_relations(statement->removeType)) continue;
    facts_.tables.push_back(named(as<List>(object)));
    if (is_temporary_schema(facts_.tables.back().schema.c_str())) facts_.names_temporary = true;
  }
}

void Analysis::created(RangeVar* range) {
  if (range == nullptr) return;
  table(range, Table::Use::write);
  if (range->relpersistence == RELPERSISTENCE_TEMP || is_temporary_schema(range->schemaname)) {
    facts_.creates_temporary = true;
  }
}

void Analysis::created_name(List* name) {
  if (list_length(name) > 1 && is_temporary_schema(strVal(list_nth(name, list_length(name) - 2)))) {
    facts_.creates_temporary = facts_.names_temporary = true;
  }
}

void Analysis::written(List* ranges) {
  for (int i = 0; i < list_length(ranges); ++i) {
    table(static_cast<RangeVar*>(list_nth(ranges, i)), Table::Use::write);
  }
}

}  // namespace forebay::sql
