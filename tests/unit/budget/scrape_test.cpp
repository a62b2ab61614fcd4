#include <gtest/gtest.h>

#include <string>

#include "core/engine/mail.hpp"
#include "core/engine/shared.hpp"
#include "metrics/metrics.hpp"
#include "support/list_journal.hpp"

/// What a scrape asks of the workers: nothing. It reads what they have counted.
namespace forebay::test {
namespace {

class CountingCourier final : public core::Courier {
 public:
  void send(core::WorkerId, core::Mail) override { ++letters; }
  std::size_t letters = 0;
};

TEST(Scrape, asks_no_worker_for_anything) {
  ListJournal journal;
  core::Shared shared(2, journal);
  CountingCourier courier;
  shared.courier = &courier;
  for (int i = 0; i < 5'000; ++i) {
    shared.tenants.find_or_make(std::to_string(i))->of(core::WorkerId(1)).statements.add();
  }
  const std::string first = metrics::render(shared, {});
  EXPECT_EQ(courier.letters, 0u);
  EXPECT_NE(first.find("forebay_tenant_statements_total{tenant=\"other\"} 4950"),
            std::string::npos);
  EXPECT_LT(first.size(), 100'000u);
}

TEST(Scrape, every_label_is_utf8) {
  ListJournal journal;
  core::Shared shared(1, journal);
  shared.tenants.find_or_make("a\xff\"\xc3\xa9\xc3")->of(core::WorkerId(0)).statements.add();
  const std::string line = "tenant_statements_total{tenant=\"a\\\\xff\\\"\xc3\xa9\\\\xc3\"} 1\n";
  EXPECT_NE(metrics::render(shared, {}).find(line), std::string::npos);
}

}  // namespace
}  // namespace forebay::test
