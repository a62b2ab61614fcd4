#include "routing/sql/tree_walk.hpp"

namespace forebay::sql {

bool walker_knows(NodeTag tag) noexcept {
  switch (tag) {
    case T_GroupingFunc:
    case T_SubLink:
    case T_CaseExpr:
    case T_RowExpr:
    case T_CoalesceExpr:
    case T_MinMaxExpr:
    case T_XmlExpr:
    case T_NullTest:
    case T_BooleanTest:
    case T_JoinExpr:
    case T_List:
    case T_InsertStmt:
    case T_DeleteStmt:
    case T_UpdateStmt:
    case T_MergeStmt:
    case T_MergeWhenClause:
    case T_SelectStmt:
    case T_A_Expr:
    case T_BoolExpr:
    case T_FuncCall:
    case T_NamedArgExpr:
    case T_A_Indices:
    case T_A_Indirection:
    case T_A_ArrayExpr:
    case T_ResTarget:
    case T_MultiAssignRef:
    case T_TypeCast:
    case T_CollateClause:
    case T_SortBy:
    case T_WindowDef:
    case T_RangeSubselect:
    case T_RangeFunction:
    case T_RangeTableSample:
    case T_RangeTableFunc:
    case T_RangeTableFuncCol:
    case T_ColumnDef:
    case T_IndexElem:
    case T_GroupingSet:
    case T_XmlSerialize:
    case T_InferClause:
    case T_OnConflictClause:
      return true;
    default:
      return false;
  }
}

bool is_leaf(NodeTag tag) noexcept {
  switch (tag) {
    case T_SetToDefault:
    case T_CurrentOfExpr:
    case T_SQLValueFunction:
    case T_Integer:
    case T_Float:
    case T_Boolean:
    case T_String:
    case T_BitString:
    case T_A_Const:
    case T_A_Star:
    case T_Alias:
    case T_ColumnRef:
    case T_LockingClause:  // names of what FROM has
      return true;
    default:
      return false;
  }
}

}  // namespace forebay::sql
