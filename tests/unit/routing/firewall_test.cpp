#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "forebay/routing/sql/facts_cache.hpp"
#include "forebay/routing/tenant/check.hpp"

// The corpus has one statement a line: "+" for one that tenant 1 may send, "-" for one that is
// refused, "~" for one that PostgreSQL itself would refuse. "?" runs when $1 is the tenant.

namespace forebay::tenant {
namespace {

struct Line {
  char sign;
  std::string text;
  int number;
};

std::vector<Line> lines(const char* path) {
  std::ifstream file(path);
  std::vector<Line> all;
  int number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    if (line.size() > 2 && line[1] == ' ' && Bytes("+-?").find(line[0]) != Bytes::npos) {
      all.push_back({line[0], line.substr(2), number});
    }
  }
  return all;
}

std::shared_ptr<Policy> policy() {
  auto policy = std::make_shared<Policy>();
  policy->column = "tenant_id";
  policy->type = ColumnType::integer;
  policy->firewall = Mode::enforce;
  policy->tables = {"*", "orders", "items", "notes"};
  policy->shared_tables = {"countries", "public.plans"};
  policy->setting = "app.tenant_id";
  return policy;
}

class Firewall : public testing::Test {
 protected:
  explicit Firewall(std::shared_ptr<Policy> rules = policy()) : policy_(std::move(rules)) {
    cache_.set_policy(policy_);
  }

  std::optional<Violation> check(Bytes text, Bytes tenant = "1") {
    const sql::Facts& facts = cache_.facts(text, sql::StandardStrings::on, shape_);
    auto found =
        check_text(*policy_, tenant, text, sql::StandardStrings::on, facts, shape_, parameters_);
    if (!found && !parameters_.empty()) {
      found = check_types(*policy_, facts, text, parameters_, {});
    }
    return found;
  }
  std::string why(Bytes text, Bytes tenant = "1") {
    const auto found = check(text, tenant);
    return found ? found->message : std::string();
  }
  bool bind(Bytes text, Bytes values, Bytes tenant = "1") {
    if (check(text, tenant)) return false;
    const sql::Facts& facts = cache_.facts(text, sql::StandardStrings::on, shape_);
    return !check_values(*policy_, tenant, facts, parameters_, values);
  }

  std::shared_ptr<Policy> policy_;
  sql::FactsCache cache_{1 << 20, {1, 2}};
  sql::Shape shape_;
  std::vector<std::uint32_t> parameters_;
};

TEST_F(Firewall, Corpus) {
  int honest = 0;
  int attacks = 0;
  for (const Line& line : lines(FOREBAY_FIREWALL_CORPUS)) {
    const auto found = check(line.text);
    if (line.sign == '-') {
      ++attacks;
      EXPECT_TRUE(found && found->mode == Mode::enforce) << line.number << ": " << line.text;
    } else {
      ++honest;
      EXPECT_FALSE(found) << line.number << ": " << line.text << "\n" << found->message;
      EXPECT_EQ(line.sign == '?', !parameters_.empty()) << line.number << ": " << line.text;
    }
  }
  EXPECT_GE(honest, 200);
  EXPECT_GE(attacks, 300);
}

/// What libraries and people say: behind ";;" are the parameters.
TEST_F(Firewall, HonestLists) {
  int honest = 0;
  for (const Line& line : lines(FOREBAY_HONEST_CORPUS)) {
    ++honest;
    const auto found = check(Bytes(line.text).substr(0, line.text.find(" ;; ")));
    EXPECT_FALSE(found) << line.number << ": " << line.text << "\n" << found->message;
    EXPECT_EQ(line.sign == '?', !parameters_.empty()) << line.number << ": " << line.text;
  }
  EXPECT_GE(honest, 350);
}

/// Whatever text of a shape came first, the verdict is that of the text at hand.
TEST_F(Firewall, VerdictsAreOfTheShape) {
  EXPECT_TRUE(check("SELECT * FROM orders WHERE tenant_id = 2"));
  EXPECT_FALSE(check("SELECT * FROM orders WHERE tenant_id = 1"));
  EXPECT_TRUE(check("SELECT * FROM orders WHERE tenant_id = 2"));
  EXPECT_TRUE(check("INSERT INTO orders (tenant_id, id) VALUES (DEFAULT, 1)"));
  EXPECT_FALSE(check("INSERT INTO orders (tenant_id, id) VALUES (1, 1)"));
  EXPECT_FALSE(check("INSERT INTO orders (tenant_id, id) VALUES (1, 1), (1, NULL)"));
  EXPECT_TRUE(check("INSERT INTO orders (tenant_id, id) VALUES (1, 1), (2, 1)"));
  EXPECT_TRUE(check("INSERT INTO orders (tenant_id, id) VALUES (1, 1), (NULL, 1)"));
  EXPECT_EQ(cache_.counters().misses.value(), 2U);
}

TEST_F(Firewall, SaysWhichTableAndWhy) {
  EXPECT_EQ(why("SELECT * FROM orders"),
            "table \"orders\" refused for tenants: it is not restricted to the tenant by "
            "\"tenant_id\" = value, joined by AND, in WHERE or ON");
  EXPECT_EQ(why("SELECT * FROM orders WHERE tenant_id = 2"),
            "table \"orders\" refused for tenants: a value for \"tenant_id\" is not the session's "
            "tenant");
  EXPECT_EQ(why("DO 'x'"),
            "statement refused for tenants: statements such as DDL, DO and CALL hide what they do, "
            "and are not for tenants");
}

// ---------------------------------------------------------------- parameters

std::string bytes(std::initializer_list<int> all) {
  std::string text;
  for (const int each : all) text += static_cast<char>(each);
  return text;
}

TEST_F(Firewall, ParametersInTextFormat) {
  const Bytes text = "SELECT * FROM orders WHERE id = $1 AND tenant_id = $2";
  EXPECT_TRUE(bind(text, bytes({0, 0, 0, 2, 0, 0, 0, 1, '7', 0, 0, 0, 1, '1', 0, 0})));
  EXPECT_FALSE(bind(text, bytes({0, 0, 0, 2, 0, 0, 0, 1, '1', 0, 0, 0, 1, '2', 0, 0})));
  EXPECT_FALSE(bind(text, bytes({0, 0, 0, 2, 0, 0, 0, 1, '1', 255, 255, 255, 255, 0, 0})));
  EXPECT_FALSE(bind(text, bytes({0, 0, 0, 1, 0, 0, 0, 1, '1', 0, 0})));
  EXPECT_FALSE(bind(text, bytes({0, 0, 0, 2, 0, 0, 0, 1, '1', 0, 0, 0, 9, '1'})));
  EXPECT_FALSE(bind(text, {}));
}

TEST_F(Firewall, ParametersInBinaryFormat) {
  const Bytes text = "SELECT * FROM orders WHERE tenant_id = $1";
  EXPECT_TRUE(bind(text, bytes({0, 1, 0, 1, 0, 1, 0, 0, 0, 2, 0, 1, 0, 0})));
  EXPECT_TRUE(bind(text, bytes({0, 1, 0, 1, 0, 1, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0})));
  EXPECT_TRUE(bind(text, bytes({0, 1, 0, 1, 0, 1, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0})));
  EXPECT_FALSE(bind(text, bytes({0, 1, 0, 1, 0, 1, 0, 0, 0, 4, 0, 0, 0, 2, 0, 0})));
  EXPECT_FALSE(bind(text, bytes({0, 1, 0, 1, 0, 1, 0, 0, 0, 1, '1', 0, 0})));
  EXPECT_TRUE(bind(text, bytes({0, 1, 0, 1, 0, 1, 0, 0, 0, 2, 255, 254, 0, 0}), "-2"));
}

TEST_F(Firewall, ParametersThatAreArrays) {
  const Bytes text = "SELECT * FROM orders WHERE tenant_id = ANY ($1)";
  const auto written = [&](const std::string& value) {
    std::string all = bytes({0, 0, 0, 1, 0, 0, 0, static_cast<int>(value.size())}) + value;
    return bind(text, all + bytes({0, 0}));
  };
  for (const char* right : {"{1}", "{1,1}", "{\"1\",1}", "{}"})
    EXPECT_TRUE(written(right)) << right;
  for (const char* wrong : {"{2}", "{1,2}", "{1,NULL,2}", "1", "{ 1}", "{1,}", "[0:0]={1}", "{01}",
                            "{{1}}", "", "{", "{1"}) {
    EXPECT_FALSE(written(wrong)) << wrong;
  }
  // Dimensions, flags, type, and of each dimension its size and lower bound.
  const auto binary = [&](int dimensions, int type, std::initializer_list<int> elements) {
    std::string value = bytes({0, 0, 0, dimensions, 0, 0, 0, 0, 0, 0, 0, type});
    if (dimensions > 0) {
      value += bytes({0, 0, 0, static_cast<int>(elements.size()), 0, 0, 0, 1});
      for (const int each : elements) value += bytes({0, 0, 0, 4, 0, 0, 0, each});
    }
    std::string all = bytes({0, 1, 0, 1, 0, 1, 0, 0, 0, static_cast<int>(value.size())}) + value;
    return bind(text, all + bytes({0, 0}));
  };
  EXPECT_TRUE(binary(1, 23, {1, 1}));
  EXPECT_TRUE(binary(0, 23, {}));
  EXPECT_FALSE(binary(1, 23, {1, 2}));
  EXPECT_FALSE(binary(1, 25, {1}));
  EXPECT_FALSE(binary(2, 23, {1}));
  const sql::Facts& facts = cache_.facts(text, sql::StandardStrings::on, shape_);
  ASSERT_FALSE(check(text));
  EXPECT_FALSE(check_types(*policy_, facts, text, parameters_, bytes({0, 0, 3, 239})));  // int4[]
  EXPECT_TRUE(check_types(*policy_, facts, text, parameters_, bytes({0, 0, 0, 23})));
}

/// In VALUES in FROM a parameter without a declared type is a text: "12" is 12594 in binary.
TEST_F(Firewall, ParametersThatAreTexts) {
  const std::string from =
      "INSERT INTO orders (tenant_id, id) SELECT p0::INTEGER, 5 FROM (VALUES (";
  const std::string bare = from + "$1)) AS v (p0)";
  const std::string cast = from + "$1::INTEGER)) AS v (p0)";
  const std::string digits = bytes({0, 1, 0, 1, 0, 1, 0, 0, 0, 2, '1', '2', 0, 0});
  const std::string written = bytes({0, 0, 0, 1, 0, 0, 0, 5, '1', '2', '5', '9', '4', 0, 0});
  EXPECT_FALSE(bind(bare, digits, "12594"));
  EXPECT_TRUE(bind(bare, written, "12594"));
  EXPECT_TRUE(bind(cast, digits, "12594"));
}

TEST_F(Firewall, ParametersInListsAreFound) {
  EXPECT_FALSE(check("INSERT INTO orders (id, tenant_id) VALUES ($1, $2), ($3, $4)"));
  EXPECT_EQ(parameters_, (std::vector<std::uint32_t>{2, 4}));
  EXPECT_FALSE(check("INSERT INTO orders (id, tenant_id) VALUES ($1, 1), ($3, $4)"));
  EXPECT_EQ(parameters_, (std::vector<std::uint32_t>{4}));
}

TEST_F(Firewall, AParameterThatServesForMoreNeedsAType) {
  const Bytes text = "SELECT $1, id FROM orders WHERE tenant_id = $1";
  EXPECT_TRUE(check(text));
  const sql::Facts& facts = cache_.facts(text, sql::StandardStrings::on, shape_);
  EXPECT_FALSE(check_types(*policy_, facts, text, {1}, bytes({0, 0, 0, 23})));
  EXPECT_TRUE(check_types(*policy_, facts, text, {1}, bytes({0, 0, 2, 189})));  // float8
  EXPECT_FALSE(check("SELECT id, '$1', \"$1\" FROM orders -- $1\n WHERE tenant_id = $1"));
}

// ---------------------------------------------------------------- other policies

class TextFirewall : public Firewall {
 protected:
  static std::shared_ptr<Policy> rules(ColumnType type) {
    auto rules = policy();
    rules->type = type;
    return rules;
  }
  TextFirewall() : Firewall(rules(ColumnType::text)) {}
};

TEST_F(TextFirewall, ValuesAreTheirBytes) {
  EXPECT_FALSE(check("SELECT * FROM orders WHERE tenant_id = 'acme'", "acme"));
  EXPECT_FALSE(check("SELECT * FROM orders WHERE tenant_id = E'ac\\x6de'", "acme"));
  EXPECT_FALSE(check("SELECT * FROM orders WHERE tenant_id = U&'ac\\006de'", "acme"));
  EXPECT_FALSE(check("SELECT * FROM orders WHERE tenant_id = $$acme$$::text", "acme"));
  EXPECT_FALSE(check("SELECT * FROM orders WHERE tenant_id = 'o''x'", "o'x"));
  for (const char* value : {"'ACME'", "'acme '", "'acm'", "'acme'::\"char\"", "'acme'::varchar(1)",
                            "'acme'::char(1)", "'acme'::name", "'acme'::citext", "'a' 'cme'",
                            "'acme' COLLATE x", "lower('ACME')", "'ac' || 'me'"}) {
    EXPECT_TRUE(check("SELECT * FROM orders WHERE tenant_id = " + std::string(value), "acme"))
        << value;
  }
}

/// The server writes a number in its own way.
TEST_F(TextFirewall, NumbersAreNoTexts) {
  EXPECT_TRUE(check("INSERT INTO orders (tenant_id, id) VALUES (007, 5)", "007"));
  EXPECT_TRUE(check("INSERT INTO orders (tenant_id, id) VALUES (1_0, 5)", "1_0"));
  EXPECT_TRUE(check("INSERT INTO orders (tenant_id, id) VALUES (1e2, 5)", "1e2"));
  EXPECT_TRUE(check("INSERT INTO orders (tenant_id, id) VALUES (7.0, 5)", "7.0"));
  EXPECT_FALSE(check("INSERT INTO orders (tenant_id, id) VALUES (7, 5)", "7"));
  EXPECT_FALSE(check("INSERT INTO orders (tenant_id, id) VALUES ('007', 5)", "007"));
}

TEST_F(TextFirewall, ElementsOfArraysNeedNoUnderstanding) {
  EXPECT_FALSE(check("SELECT * FROM orders WHERE tenant_id = ANY ('{acme,\"acme\"}')", "acme"));
  for (const auto& [array, tenant] : {std::pair{"{a,b}", "a,b"},
                                      {"{\"a,b\"}", "a,b"},
                                      {"{null}", "null"},
                                      {"{a b}", "a b"},
                                      {"{a\\b}", "a\\b"},
                                      {"{acme,}", "acme"},
                                      {"{{acme}}", "acme"},
                                      {"acme", "acme"}}) {
    EXPECT_TRUE(check("SELECT * FROM orders WHERE tenant_id = ANY ($$" + std::string(array) + "$$)",
                      tenant))
        << array;
  }
}

class UuidFirewall : public Firewall {
 protected:
  static std::shared_ptr<Policy> rules() {
    auto rules = policy();
    rules->type = ColumnType::uuid;
    return rules;
  }
  UuidFirewall() : Firewall(rules()) {}
};

TEST_F(UuidFirewall, LettersHaveNoCase) {
  const auto tenant = normal_value(ColumnType::uuid, "0000000A-0000-0000-0000-00000000000b");
  ASSERT_TRUE(tenant);
  EXPECT_FALSE(
      check("SELECT * FROM t WHERE tenant_id = '0000000a-0000-0000-0000-00000000000B'", *tenant));
  EXPECT_TRUE(
      check("SELECT * FROM t WHERE tenant_id = '0000000a-0000-0000-0000-00000000000c'", *tenant));
  const Bytes text = "SELECT * FROM t WHERE tenant_id = $1";
  const std::string head = bytes({0, 1, 0, 1, 0, 1, 0, 0, 0, 16});
  EXPECT_TRUE(
      bind(text, head + bytes({0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 11}), *tenant));
  EXPECT_FALSE(
      bind(text, head + bytes({0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12}), *tenant));
}

class ReportingFirewall : public Firewall {
 protected:
  static std::shared_ptr<Policy> rules() {
    auto rules = policy();
    rules->tables = {"orders", "app.items"};
    rules->report_tables = {"notes"};
    return rules;
  }
  ReportingFirewall() : Firewall(rules()) {}
};

TEST_F(ReportingFirewall, TablesHaveTheirModes) {
  ASSERT_TRUE(check("SELECT * FROM notes"));
  EXPECT_EQ(check("SELECT * FROM notes")->mode, Mode::report);
  EXPECT_EQ(check("SELECT * FROM notes, orders")->mode, Mode::enforce);
  EXPECT_EQ(check("SELECT * FROM x.orders")->mode, Mode::enforce);
  EXPECT_TRUE(check("SELECT * FROM app.items"));
  EXPECT_TRUE(check("SELECT * FROM items"));
  EXPECT_FALSE(check("SELECT * FROM other.items"));
  EXPECT_FALSE(check("SELECT * FROM anything"));
  // A value that another table's rows depend on is as strict as that table.
  EXPECT_EQ(check("SELECT * FROM notes n JOIN orders o ON o.tenant_id = n.tenant_id "
                  "WHERE n.tenant_id = 2")
                ->mode,
            Mode::enforce);
}

class WholeReportingFirewall : public Firewall {
 protected:
  static std::shared_ptr<Policy> rules() {
    auto rules = policy();
    rules->firewall = Mode::report;
    return rules;
  }
  WholeReportingFirewall() : Firewall(rules()) {}
};

/// Also with a setting, whose rules are not only reported.
TEST_F(WholeReportingFirewall, ValuesAreOnlyReported) {
  for (const char* text :
       {"SELECT * FROM orders WHERE tenant_id = 2",
        "SELECT * FROM orders WHERE tenant_id = ANY ('{2}')",
        "INSERT INTO orders (tenant_id) SELECT p0::int FROM (VALUES (2)) AS v (p0)"}) {
    const auto found = check(text);
    ASSERT_TRUE(found) << text;
    EXPECT_EQ(found->mode, Mode::report) << text;
    EXPECT_EQ(
        found->message,
        "table \"orders\" refused for tenants: a value for \"tenant_id\" is not the session's "
        "tenant");
  }
  EXPECT_EQ(check("SELECT set_config('app.tenant_id', '2', false)")->mode, Mode::enforce);
}

class CatalogFirewall : public Firewall {
 protected:
  using Shows = CatalogTables::Shows;
  static std::shared_ptr<Policy> rules() {
    auto rules = policy();
    rules->tables.clear();
    rules->shared_tables = {"countries"};
    rules->tables_with_column = true;
    rules->catalog = std::make_shared<CatalogTables>(
        "tenant_id", std::vector<CatalogTables::Relation>{{"orders", "public", Shows::column},
                                                          {"items", "public", Shows::column},
                                                          {"notes", "public", Shows::column},
                                                          {"notes", "apart", Shows::nothing},
                                                          {"view", "public", Shows::rows},
                                                          {"countries", "public", Shows::column},
                                                          {"plans", "public", Shows::nothing},
                                                          {"Mixed", "public", Shows::nothing}});
    return rules;
  }
  CatalogFirewall() : Firewall(rules()) {}
};

TEST_F(CatalogFirewall, AttacksOnTheListAreRefused) {
  for (const Line& line : lines(FOREBAY_FIREWALL_CORPUS)) {
    // Which is not what they are about.
    if (line.text.find("plans") != std::string::npos) continue;
    if (line.sign != '-') continue;
    EXPECT_TRUE(check(line.text)) << line.number << ": " << line.text;
  }
}

TEST_F(CatalogFirewall, NamesAreThoseOfTheCatalog) {
  for (const char* text :
       {"SELECT * FROM orders", "SELECT * FROM view", "SELECT * FROM newer", "SELECT * FROM notes",
        "SELECT * FROM x.plans", "SELECT * FROM apart.orders", "SELECT * FROM ORDERS",
        "SELECT * FROM view, orders WHERE tenant_id = 1",
        "SELECT * FROM notes, orders WHERE tenant_id = 1"}) {
    EXPECT_TRUE(check(text)) << text;
  }
  for (const char* text :
       {"SELECT * FROM plans", "SELECT * FROM public.plans", "SELECT * FROM \"Mixed\"",
        "SELECT * FROM apart.notes", "SELECT * FROM countries", "SELECT * FROM pg_class",
        "SELECT * FROM newer n WHERE n.tenant_id = 1",
        "SELECT * FROM plans, orders WHERE tenant_id = 1",
        "SELECT * FROM public.notes n JOIN orders USING (tenant_id) WHERE n.tenant_id = 1"}) {
    EXPECT_EQ(why(text), "") << text;
  }
}

/// Two policies share a cache: none is given what the other says.
TEST_F(CatalogFirewall, OfTwoDatabasesInTurn) {
  auto other = rules();
  other->catalog = nullptr;
  const auto first = policy_;
  for (int i = 0; i < 3; ++i) {
    policy_ = first;
    cache_.set_policy(policy_);
    EXPECT_FALSE(check("SELECT * FROM plans"));
    const auto size = cache_.size();
    policy_ = other;
    cache_.set_policy(policy_);
    EXPECT_THAT(why("SELECT * FROM plans"), testing::HasSubstr("is not known now"));
    if (i > 0) {
      EXPECT_EQ(cache_.size(), size);
    }
  }
  EXPECT_TRUE(cache_.consistent());
}

class SchemaFirewall : public Firewall {
 protected:
  static std::shared_ptr<Policy> rules(std::vector<std::string> tables) {
    auto rules = policy();
    rules->tables = std::move(tables);
    rules->report_tables = {"archive.orders", "notes"};
    rules->shared_tables = {"public.plans"};
    return rules;
  }
  SchemaFirewall() : Firewall(rules({"*"})) {}
};

/// Exceptions hold for certain tables only; what search_path finds may be another one.
TEST_F(SchemaFirewall, NamesWithoutSchemaAreNoExceptions) {
  EXPECT_EQ(check("SELECT * FROM archive.orders")->mode, Mode::report);
  EXPECT_EQ(check("SELECT * FROM orders")->mode, Mode::enforce);
  EXPECT_EQ(check("SELECT * FROM notes")->mode, Mode::report);
  EXPECT_EQ(check("SELECT * FROM x.notes")->mode, Mode::report);
  EXPECT_FALSE(check("SELECT * FROM public.plans"));
  EXPECT_EQ(check("SELECT * FROM plans")->mode, Mode::enforce);
  EXPECT_EQ(check("SELECT * FROM shop.plans")->mode, Mode::enforce);
  const auto listed = rules({});
  EXPECT_EQ(listed->mode_of("", "orders"), Mode::report);
  EXPECT_EQ(listed->mode_of("shop", "orders"), Mode::off);
}

TEST(Tenant, IsOfTheFirstThatSaysIt) {
  config::TenantSettings settings;
  settings.users = {{"lisa", "listed"}};
  settings.certificate_pattern = "{tenant}.c";
  settings.user_pattern = "u.{tenant}";
  settings.database_pattern = "d_{tenant}";
  settings.server_name_pattern = "{tenant}.db.test";
  settings.startup_parameter = "app.tenant";
  const std::vector<std::string> fields{"x", "certified.c"};
  const std::vector<std::string> others{"x"};
  const std::vector<std::string> two{"a.c", "b.c"};
  const std::vector<std::string> twice{"a.c", "a.c"};
  const auto of = [&](const Claims& claims) {
    return tenant_of(settings, claims).value_or("nobody");
  };
  EXPECT_EQ(of({"lisa", "d_b", "p", "s.db.test", &fields}), "listed");
  EXPECT_EQ(of({"u.b", "d_b", "p", "s.db.test", &fields}), "certified");
  EXPECT_EQ(of({"u.b", "d_b", "p", "s.db.test", &others}), "b");
  EXPECT_EQ(of({"v", "d_b", "p", "s.db.test", nullptr}), "b");
  EXPECT_EQ(of({"v", "d", "p", "S.DB.Test.", nullptr}), "s");
  EXPECT_EQ(of({"v", "d", "p", "db.test", nullptr}), "p");
  EXPECT_EQ(of({"v", "d", "p", ".db.test", nullptr}), "p");
  EXPECT_EQ(of({"v", "d", "", "", nullptr}), "nobody");
  // Whoever shows two is not taken at another's word.
  EXPECT_EQ(of({"u.b", "d_b", "p", "", &two}), "nobody");
  EXPECT_EQ(of({"u.b", "d_b", "p", "", &twice}), "a");
}

TEST(Tenant, NormalValues) {
  EXPECT_FALSE(normal_value(ColumnType::text, "caf\xc3\xa9"));
  EXPECT_EQ(normal_value(ColumnType::integer, "12"), "12");
  EXPECT_EQ(normal_value(ColumnType::integer, "-3"), "-3");
  EXPECT_EQ(normal_value(ColumnType::integer, "0"), "0");
  for (const char* wrong : {"", "1a", "01", "-", "-0", "+1", " 1", "9223372036854775808"}) {
    EXPECT_FALSE(normal_value(ColumnType::integer, wrong)) << wrong;
  }
  EXPECT_FALSE(normal_value(ColumnType::text, std::string(64, 'x')));
  EXPECT_FALSE(normal_value(ColumnType::uuid, "12"));
}

}  // namespace
}  // namespace forebay::tenant
