#include "forebay/auth/key.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <new>
#include <thread>
#include <vector>

#include "auth/crypto.hpp"
#include "helpers.hpp"

namespace forebay::auth {
namespace {

std::string hex(Bytes bytes) {
  std::string text;
  for (const unsigned char byte : bytes) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

TEST(Key, takes_exactly_32_bytes) {
  EXPECT_TRUE(Key::from(std::string(32, 'k')));
  EXPECT_FALSE(Key::from(std::string(31, 'k')));
  EXPECT_FALSE(Key::from(std::string(33, 'k')));
  EXPECT_FALSE(Key::from(""));
}

TEST(Key, is_equal_only_when_every_bit_is) {
  const Key key = *Key::from(std::string(32, 'k'));
  for (std::size_t i = 0; i < Key::kSize; ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      Key other = key;
      other.data()[i] = static_cast<char>(other.data()[i] ^ (1 << bit));
      EXPECT_NE(key, other);
    }
  }
  EXPECT_EQ(key ^ key, Key());
  EXPECT_EQ(key ^ Key(), key);
}

TEST(Key, wipes_its_memory_when_it_goes) {
  alignas(Key) std::array<char, sizeof(Key)> memory;
  auto* key = new (memory.data()) Key(*Key::from(std::string(32, 'k')));
  EXPECT_EQ(std::ranges::count(memory, 'k'), 32);
  key->~Key();
  // Through a pointer of which the compiler knows nothing: it may not assume what is there.
  const char* volatile bytes = memory.data();
  EXPECT_EQ(std::count(bytes, bytes + memory.size(), 'k'), 0);
}

TEST(Key, wiping_a_text_reaches_its_unused_capacity) {
  std::string text(100, 's');
  text.resize(40);
  const char* bytes = text.data();
  wipe(text);
  EXPECT_TRUE(text.empty());
  ASSERT_EQ(bytes, text.data());
  text.resize(text.capacity(), 'x');
  EXPECT_EQ(text.find('s'), std::string::npos);
}

TEST(Crypto, agrees_with_published_vectors) {
  // FIPS 180-4; RFC 4231, cases 1, 2 and 6; RFC 7914, section 11; RFC 1321.
  EXPECT_EQ(hex(crypto::sha256("abc").bytes()),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hex(crypto::hmac_sha256(std::string(20, '\x0b'), {"Hi ", "", "There"}).bytes()),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(hex(crypto::hmac_sha256("Jefe", {"what do ya want ", "for nothing?"}).bytes()),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(hex(crypto::hmac_sha256(std::string(131, '\xaa'),
                                    {"Test Using Larger Than Block-Size Key - Hash Key First"})
                    .bytes()),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
  EXPECT_EQ(hex(crypto::pbkdf2_sha256("passwd", "salt", 1).bytes()),
            "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc");
  std::array<unsigned char, 16> digest;
  ASSERT_TRUE(crypto::md5({"message", " ", "digest"}, digest));
  EXPECT_EQ(hex({reinterpret_cast<char*>(digest.data()), digest.size()}),
            "f96b697d7cb7938d525a2f31aaf161d0");
}

TEST(Crypto, is_shared_by_threads) {
  const Key expected = crypto::hmac_sha256("key", {"text"});
  std::vector<std::jthread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&] {
      for (int i = 0; i < 2000; ++i) {
        ASSERT_EQ(crypto::hmac_sha256("key", {"te", "xt"}), expected);
      }
    });
  }
}

}  // namespace
}  // namespace forebay::auth
