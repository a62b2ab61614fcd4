#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/document.hpp"
#include "config/reading.hpp"
#include "forebay/config/difference.hpp"

namespace forebay::config {

/// One key of the file: what it is called, where it goes in the model, and what to tell people
/// about it. Reading, checking, suggestions and the sample are all driven by lists of these; the
/// default is whatever a default-constructed `Owner` shows.
template <class Owner>
struct Key {
  std::string_view section;  ///< "tls.client"; empty where the owner's kind says it all
  std::string_view name;
  Effect effect;  ///< what a changed value does when the configuration is reloaded
  std::string_view documentation;
  std::string hint;          ///< permitted values, for the sample; may be empty
  std::string_view example;  ///< shown in the sample without "#", where the key is needed
  /// Puts the value into the owner, or complains and leaves the owner alone.
  std::function<void(const Value&, Reading&, Owner&)> read;
  /// The owner's value as TOML; empty if it has none of its own.
  std::function<std::string(const Owner&)> show;
  /// The same, but empty where the owner leaves it to somebody else to say.
  std::function<std::string(const Owner&)> say;
  std::function<bool(const Owner&, const Owner&)> same;
  /// Makes the second as the first.
  std::function<void(const Owner&, Owner&)> copy;
  bool secret = false;  ///< its values are never shown
};

template <class Owner>
using Keys = std::vector<Key<Owner>>;

/// A key that stands for one member of its owner.
template <class Owner, class Type>
Key<Owner> key(std::string_view section, std::string_view name, Effect effect,
               typename Type::Held Owner::*member, Type type, std::string_view documentation) {
  return {section,
          name,
          effect,
          documentation,
          type.hint(),
          {},
          [member, type](const Value& value, Reading& reading, Owner& owner) {
            if (auto held = type.read(value, reading)) owner.*member = std::move(*held);
          },
          [member, type](const Owner& owner) { return type.show(owner.*member); },
          [member, type](const Owner& owner) { return type.show(owner.*member); },
          [member](const Owner& a, const Owner& b) { return a.*member == b.*member; },
          [member](const Owner& from, Owner& to) { to.*member = from.*member; }};
}

/// The keys of a part of the owner as the owner's own keys.
template <class Owner, class Part>
Keys<Owner> within(std::string_view section, Part Owner::*part, const Keys<Part>& keys) {
  Keys<Owner> result;
  for (const Key<Part>& inner : keys) {
    result.push_back(
        {section, inner.name, inner.effect, inner.documentation, inner.hint, inner.example,
         [part, read = inner.read](const Value& value, Reading& reading, Owner& owner) {
           read(value, reading, owner.*part);
         },
         [part, show = inner.show](const Owner& owner) { return show(owner.*part); },
         [part, say = inner.say](const Owner& owner) { return say(owner.*part); },
         [part, same = inner.same](const Owner& a, const Owner& b) {
           return same(a.*part, b.*part);
         },
         [part, copy = inner.copy](const Owner& from, Owner& to) { copy(from.*part, to.*part); },
         inner.secret});
  }
  return result;
}

}  // namespace forebay::config
