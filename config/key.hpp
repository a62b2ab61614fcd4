#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/document.hpp"
#include "config/reading.hpp"

namespace forebay::config {

/// One key of the file: what it is called, where it goes in the model, and what to tell people
/// about it. Reading, checking, suggestions and the sample are all driven by lists of these; the
/// default is whatever a default-constructed `Owner` shows.
template <class Owner>
struct Key {
  std::string_view section;  ///< "tls.client"; empty where the owner's kind says it all
  std::string_view name;
  std::string_view documentation;
  std::string hint;          ///< permitted values, for the sample; may be empty
  std::string_view example;  ///< shown in the sample without "#", where the key is needed
  /// Puts the value into the owner, or complains and leaves the owner alone.
  std::function<void(const Value&, Reading&, Owner&)> read;
  /// The owner's value as TOML; empty if it has none of its own.
  std::function<std::string(const Owner&)> show;
};

template <class Owner>
using Keys = std::vector<Key<Owner>>;

/// A key that stands for one member of its owner.
template <class Owner, class Type>
Key<Owner> key(std::string_view section, std::string_view name, typename Type::Held Owner::*member,
               Type type, std::string_view documentation) {
  return {section,
          name,
          documentation,
          type.hint(),
          {},
          [member, type](const Value& value, Reading& reading, Owner& owner) {
            if (auto held = type.read(value, reading)) owner.*member = std::move(*held);
          },
          [member, type](const Owner& owner) { return type.show(owner.*member); }};
}

/// The keys of a part of the owner as the owner's own keys.
template <class Owner, class Part>
Keys<Owner> within(std::string_view section, Part Owner::*part, const Keys<Part>& keys) {
  Keys<Owner> result;
  for (const Key<Part>& inner : keys) {
    result.push_back(
        {section, inner.name, inner.documentation, inner.hint, inner.example,
         [part, read = inner.read](const Value& value, Reading& reading, Owner& owner) {
           read(value, reading, owner.*part);
         },
         [part, show = inner.show](const Owner& owner) { return show(owner.*part); }});
  }
  return result;
}

}  // namespace forebay::config
