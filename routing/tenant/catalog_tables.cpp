#include "forebay/routing/tenant/catalog_tables.hpp"

#include <algorithm>
#include <utility>

namespace forebay::tenant {

CatalogTables::CatalogTables(std::string column, std::vector<Relation> relations)
    : column_(std::move(column)), relations_(std::move(relations)) {
  std::sort(relations_.begin(), relations_.end());
  const auto beyond = [](const std::string& text) {
    return std::any_of(text.begin(), text.end(), [](char c) { return (c & 0x80) != 0; });
  };
  beyond_ascii_ = beyond(column_) ||
                  std::any_of(relations_.begin(), relations_.end(), [&](const Relation& each) {
                    return beyond(each.name) || beyond(each.schema);
                  });
}

CatalogTables::Known CatalogTables::find(Bytes schema, Bytes name) const noexcept {
  Known known;
  auto at = std::lower_bound(relations_.begin(), relations_.end(), name,
                             [](const Relation& each, Bytes wanted) { return each.name < wanted; });
  for (; at != relations_.end() && at->name == name; ++at) {
    if (!schema.empty() && at->schema != schema) continue;
    known.every_column = (known.every_column || !known.there) && at->shows == Shows::column;
    known.there = true;
    known.shows = known.shows || at->shows != Shows::nothing;
  }
  return known;
}

}  // namespace forebay::tenant
