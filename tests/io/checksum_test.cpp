#include "io/bytes/checksum.hpp"

#include <string>

#include "core/base/error.hpp"
#include "io/bytes/input_file.hpp"
#include "tests/io/expect_error.hpp"
#include "tests/io/temporary_folder.hpp"

namespace strandline {
namespace {

using ::testing::HasSubstr;
using testing::message_of;

std::string sha256_of(std::string_view text) { return sha256(text.data(), text.size()); }

// RFC 3720, B.4, and the usual check value.
TEST(Checksum, Crc32cGivesThePublishedValues) {
  EXPECT_EQ(crc32c("123456789", 9), 0xe3069283U);
  EXPECT_EQ(crc32c(std::string(32, '\0').data(), 32), 0x8a9136aaU);
  EXPECT_EQ(crc32c(std::string(32, '\xff').data(), 32), 0x62a8ab43U);
  EXPECT_EQ(crc32c("", 0), 0U);
}

TEST(Checksum, Crc32cIsTheSameInPieces) {
  Crc32c crc;
  crc.update("1234", 4);
  crc.update("", 0);
  crc.update("56789", 5);
  EXPECT_EQ(crc.value(), 0xe3069283U);
}

// FIPS 180-4 examples (NIST CSRC).
TEST(Checksum, Sha256GivesThePublishedValues) {
  EXPECT_EQ(sha256_of(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_of("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(sha256_of(std::string(1'000'000, 'a')), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Checksum, Sha256IsTheSameForAnyPieces) {
  std::string text;
  for (int i = 0; i < 300; ++i) text += static_cast<char>(i * 7);
  for (std::size_t size = 0; size < 200; ++size) {
    Sha256 hash;
    hash.update(text.data(), size);
    EXPECT_EQ(hash.hex_digest(), sha256_of(text.substr(0, size)));
    hash.update(text.data() + size, text.size() - size);
    EXPECT_EQ(hash.hex_digest(), sha256_of(text)) << size;
  }
}

TEST(Checksum, Sha256ReadsFiles) {
  const testing::TemporaryFolder folder;
  testing::put_bytes(folder / "f", std::string(3'000'000, 'a'));
  EXPECT_EQ(sha256_of_file(folder / "f"), sha256_of(std::string(3'000'000, 'a')));
  EXPECT_THROW(sha256_of_file(folder / "g"), IoError);
}

TEST(InputFile, RefusesWhatHasNoSizeAndWhatEndsEarly) {
  const testing::TemporaryFolder folder;
  EXPECT_THAT(message_of<IoError>([&] { InputFile(folder.path().string()); }), HasSubstr("Is a directory"));
  EXPECT_THAT(message_of<IoError>([] { InputFile("/dev/null"); }), HasSubstr("regular file"));
  testing::put_bytes(folder / "f", "abc");
  const InputFile file(folder / "f");
  char bytes[4];
  EXPECT_THAT(message_of<DataError>([&] { file.read_at(1, bytes, 4); }),
              HasSubstr("byte 3: the file ends here, too early"));
}

}  // namespace
}  // namespace strandline
