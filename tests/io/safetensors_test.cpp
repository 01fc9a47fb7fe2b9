#include "io/model_file/safetensors.hpp"

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>

#include "core/base/error.hpp"
#include "io/model_file/half.hpp"
#include "tests/io/expect_error.hpp"
#include "tests/io/in_child.hpp"
#include "tests/io/temporary_folder.hpp"
#include "tests/io/tiny_model.hpp"

namespace strandline {
namespace {

using testing::bytes_of;
using ::testing::HasSubstr;
using testing::message_of;
using testing::same_tensors;
using testing::TemporaryFolder;
using testing::tensor_of;

std::string file_of(const std::string& header, std::size_t data_bytes) {
  const std::uint64_t length = header.size();
  std::string bytes(reinterpret_cast<const char*>(&length), sizeof(length));
  return bytes + header + std::string(data_bytes, '\1');
}

SafetensorsFile read(const std::string& bytes, const SafetensorsOptions& options = {}) {
  return read_safetensors(std::as_bytes(std::span(bytes)), "s", options);
}

std::string refusal_of(const std::string& bytes) {
  return message_of<DataError>([&] { read(bytes); });
}

// One header, so many data bytes.
std::string refusal_of(const std::string& header, std::size_t data_bytes) {
  return refusal_of(file_of(header, data_bytes));
}

std::vector<float> floats_of(const NamedTensor& tensor) {
  std::vector<float> values(tensor.data.size() / sizeof(float));
  if (!values.empty()) std::memcpy(values.data(), tensor.data.data(), tensor.data.size());
  return values;
}

SafetensorsFile tiny_file() {
  SafetensorsFile file{.metadata = {{"format", "pt"}}, .tensors = testing::tiny_model().tensors};
  std::sort(file.tensors.begin(), file.tensors.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return file;
}

TEST(Safetensors, GivesBackWhatWasWritten) {
  const TemporaryFolder folder;
  write_safetensors(folder / "m.safetensors", tiny_file());
  const SafetensorsFile file = read_safetensors(folder / "m.safetensors", {.floats_to_f32 = false});
  EXPECT_EQ(file.metadata, tiny_file().metadata);
  EXPECT_TRUE(same_tensors(file.tensors, tiny_file().tensors));
  const std::string bytes = bytes_of(folder / "m.safetensors");
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof(length));
  EXPECT_EQ(length % 8, 0U);
  EXPECT_EQ(folder.entries(), 1U);
}

TEST(Safetensors, HoldsNothingAtAll) {
  EXPECT_TRUE(read(file_of("{}", 0)).tensors.empty());
  EXPECT_TRUE(read(file_of("{\"__metadata__\":{}}  ", 0)).tensors.empty());
}

TEST(Safetensors, ConvertsFloatingPointToF32) {
  const std::uint16_t halves[] = {0x3c00, 0xc100, 0x0001, 0x7bff, 0x8000, 0x7c00};
  std::string bytes = file_of("{\"h\":{\"dtype\":\"F16\",\"shape\":[2,3],\"data_offsets\":[0,12]}}", 0);
  bytes.append(reinterpret_cast<const char*>(halves), sizeof(halves));
  const SafetensorsFile file = read(bytes, {.floats_to_f32 = false});
  EXPECT_EQ(file.tensors.at(0).dtype, DType::f32);
  EXPECT_EQ(floats_of(file.tensors[0]), (std::vector<float>{1, -2.5F, 0x1p-24F, 65504, -0.0F, INFINITY}));

  const TemporaryFolder folder;
  write_safetensors(folder / "m",
                    {.metadata = {},
                     .tensors = {tensor_of<double>("d", {2}, {0.1, -3}), tensor_of<Bf16>("b", {1}, {to_bf16(1.5F)})}});
  const SafetensorsFile converted = read_safetensors(folder / "m");
  EXPECT_EQ(floats_of(converted.tensors[0]), (std::vector<float>{1.5F}));
  EXPECT_EQ(floats_of(converted.tensors[1]), (std::vector<float>{0.1F, -3}));
}

// Against the arithmetic of the format: (1 + m / 1024) * 2^(e - 15), and m * 2^-24 when e is 0.
TEST(Safetensors, KnowsEveryHalf) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float value = half_to_float(static_cast<std::uint16_t>(bits));
    const int exponent = static_cast<int>((bits >> 10U) & 31U);
    const auto mantissa = static_cast<float>(bits & 1023U);
    if (exponent == 31) {
      EXPECT_EQ(std::isnan(value), mantissa != 0);
      EXPECT_EQ(std::isinf(value), mantissa == 0);
    } else {
      const float magnitude =
          exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1 + mantissa / 1024, exponent - 15);
      EXPECT_EQ(value, (bits & 0x8000U) != 0 ? -magnitude : magnitude) << bits;
    }
    EXPECT_EQ(std::signbit(value), (bits & 0x8000U) != 0);
  }
}

TEST(Safetensors, RefusesWhatIsNotSafetensors) {
  EXPECT_THAT(refusal_of(""), HasSubstr("s: byte 0: not a safetensors file: it is shorter than 8 bytes"));
  EXPECT_THAT(refusal_of(std::string(8, '\xff')), HasSubstr("its header would have 18446744073709551615 bytes"));
  EXPECT_THAT(refusal_of(std::string("\0\xe1\xf5\5\0\0\0\0", 8)),
              HasSubstr("the file ends within its safetensors header"));
  EXPECT_THAT(refusal_of(std::string("\1\xe1\xf5\5\0\0\0\0", 8)), HasSubstr("100,000,000 are allowed"));
  EXPECT_THAT(refusal_of("", 0), HasSubstr("does not begin with '{'"));
  EXPECT_THAT(refusal_of(" {}", 0), HasSubstr("does not begin with '{'"));
  EXPECT_THAT(refusal_of("{", 0), HasSubstr("not valid JSON"));
  EXPECT_THAT(refusal_of("{}x", 0), HasSubstr("not valid JSON"));
  EXPECT_THAT(refusal_of("{\"\xff\":1}", 0), HasSubstr("not valid JSON"));
  EXPECT_THROW(read_safetensors("/nonexistent"), IoError);
}

TEST(Safetensors, RefusesHeadersThatAreNotAsTheFormatSays) {
  const auto with = [](const std::string& entry) { return refusal_of("{\"t\":" + entry + "}", 4); };
  EXPECT_THAT(with("1"), HasSubstr("record 't': safetensors header: a number where there should be none"));
  EXPECT_THAT(with("null"), HasSubstr("null where"));
  EXPECT_THAT(with("[]"), HasSubstr("a list where"));
  EXPECT_THAT(with("{}"), HasSubstr("dtype, shape or data_offsets is missing"));
  EXPECT_THAT(with("{\"dtype\":\"F32\",\"shape\":[1]}"), HasSubstr("is missing"));
  EXPECT_THAT(with("{\"dtype\":\"F32\",\"dtype\":\"F32\"}"), HasSubstr("the field 'dtype' is there twice"));
  EXPECT_THAT(with("{\"type\":1}"), HasSubstr("there is no field 'type'"));
  EXPECT_THAT(with("{\"dtype\":{}}"), HasSubstr("an object where"));
  EXPECT_THAT(with("{\"dtype\":\"F33\"}"), HasSubstr("there is no type 'F33'"));
  EXPECT_THAT(with("{\"shape\":[[1]]}"), HasSubstr("a list where"));
  EXPECT_THAT(with("{\"shape\":[-1]}"), HasSubstr("a negative number where"));
  EXPECT_THAT(with("{\"shape\":[1.5]}"), HasSubstr("not a whole one"));
  EXPECT_THAT(with("{\"shape\":[99999999999999999999999]}"), HasSubstr("not a whole one, or too large"));
  EXPECT_THAT(with("{\"shape\":[18446744073709551615]}"), HasSubstr("does not fit in 63 bits"));
  EXPECT_THAT(with("{\"shape\":[true]}"), HasSubstr("true or false where"));
  EXPECT_THAT(with("{\"shape\":[1,1,1,1,1,1,1,1,1]}"), HasSubstr("more than 8 axes"));
  EXPECT_THAT(with("{\"shape\":\"x\"}"), HasSubstr("text where"));
  EXPECT_THAT(with("{\"data_offsets\":[0]}"), HasSubstr("data_offsets must be two numbers"));
  EXPECT_THAT(with("{\"data_offsets\":[0,1,2]}"), HasSubstr("data_offsets must be two numbers"));
  EXPECT_THAT(refusal_of("{\"\":{}}", 0), HasSubstr("a tensor without a name"));
  EXPECT_THAT(refusal_of("{\"__metadata__\":{\"a\":1}}", 0), HasSubstr("a number where"));
  EXPECT_THAT(refusal_of("{\"__metadata__\":{\"a\":\"\",\"a\":\"\"}}", 0),
              HasSubstr("the metadata key 'a' is there twice"));
  EXPECT_THAT(refusal_of("{\"__metadata__\":{\"a\":{}}}", 0), HasSubstr("an object where"));
  EXPECT_THAT(refusal_of("{\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]},\"a\":{}}", 0),
              HasSubstr("the name 'a' is there twice"));
  EXPECT_THAT(refusal_of("{\"a\":" + std::string(100000, '['), 0), HasSubstr("a list where"));
  EXPECT_THAT(refusal_of("{\"a\":{\"dtype\":\"BOOL\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1),
              HasSubstr("record 'a': tensors of type BOOL cannot be used"));
}

TEST(Safetensors, RefusesDataThatTheTensorsDoNotCoverExactly) {
  const auto entry = [](const char* name, int begin, int end) {
    std::string text = "\"";
    text.append(name).append("\":{\"dtype\":\"U8\",\"shape\":[").append(std::to_string(end - begin));
    return text.append("],\"data_offsets\":[")
        .append(std::to_string(begin))
        .append(",")
        .append(std::to_string(end))
        .append("]}");
  };
  const std::string both = "{" + entry("a", 0, 4) + "," + entry("b", 4, 6) + "}";
  EXPECT_EQ(read(file_of(both, 6)).tensors.size(), 2U);
  EXPECT_THAT(refusal_of(both, 7), HasSubstr("1 bytes after its last tensor"));
  EXPECT_THAT(refusal_of(both, 5), HasSubstr("truncated: 1 bytes"));
  EXPECT_THAT(refusal_of("{" + entry("a", 1, 4) + "}", 4),
              HasSubstr("record 'a': safetensors header: the data have a hole before byte 1"));
  EXPECT_THAT(refusal_of("{" + entry("a", 0, 3) + "," + entry("b", 4, 6) + "}", 6),
              HasSubstr("record 'b': safetensors header: the data have a hole"));
  EXPECT_THAT(refusal_of("{" + entry("a", 0, 4) + "," + entry("b", 3, 6) + "}", 6),
              HasSubstr("an overlap before byte 4"));
  EXPECT_THAT(refusal_of("{" + entry("a", 0, 4) + "," + entry("b", 0, 4) + "}", 4), HasSubstr("an overlap"));
  const auto shaped = [](const std::string& shape, const std::string& offsets) {
    return refusal_of("{\"a\":{\"dtype\":\"F32\",\"shape\":" + shape + ",\"data_offsets\":" + offsets + "}}", 4);
  };
  EXPECT_THAT(shaped("[2]", "[0,4]"), HasSubstr("type and shape ask for 8 bytes, data_offsets are 0 and 4"));
  EXPECT_THAT(shaped("[1]", "[4,0]"), HasSubstr("data_offsets are 4 and 0"));
  EXPECT_THAT(shaped("[4611686018427387904,4]", "[0,4]"), HasSubstr("the shape does not fit in 63 bits"));
  EXPECT_THAT(shaped("[9223372036854775807,0]", "[0,4]"), HasSubstr("ask for 0 bytes"));
}

TEST(Safetensors, RefusesMoreTensorsThanAnyModelHas) {
  std::string header = "{";
  for (int i = 0; i < 100002; ++i) {
    header.append("\"").append(std::to_string(i)).append("\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]},");
  }
  header.back() = '}';
  EXPECT_THAT(refusal_of(header, 0), HasSubstr("more than 100,000 tensors"));
}

TEST(Safetensors, NeitherCrashesNorHangsOnDamage) {
  const TemporaryFolder folder;
  write_safetensors(folder / "m", tiny_file());
  const std::string good = bytes_of(folder / "m");
  const std::size_t header_end = good.find("  ") == good.npos ? 700 : good.find("  ");
  std::mt19937 random(3);
  int refused = 0;
  for (int i = 0; i < 2000; ++i) {
    std::string damaged = good;
    for (unsigned k = 0; k < 1 + random() % 3; ++k) {
      const std::size_t at = random() % (random() % 4 == 0 ? good.size() : header_end);
      damaged[at] = random() % 2 == 0 ? static_cast<char>(random()) : "0123456789{}[],:\"-e."[random() % 20];
    }
    if (random() % 8 == 0) damaged.resize(random() % good.size());
    try {
      read(damaged);
    } catch (const DataError&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 1000);
}

TEST(Safetensors, RefusesToWriteWhatCannotBeRead) {
  const TemporaryFolder folder;
  const auto refused = [&](NamedTensor tensor) {
    return message_of<ContractError>([&] {
      write_safetensors(folder / "m",
                        {.metadata = {}, .tensors = {tensor_of<float>("a", {1}, {1}), std::move(tensor)}});
    });
  };
  EXPECT_THAT(refused(tensor_of<float>("a", {1}, {1})), HasSubstr("'a' is empty, reserved or there twice"));
  EXPECT_THAT(refused(tensor_of<float>("__metadata__", {1}, {1})), HasSubstr("reserved"));
  EXPECT_THAT(refused(tensor_of<float>("b", {2}, {1})), HasSubstr("4 bytes of data; its shape and type ask for 8"));
  EXPECT_THAT(refused(tensor_of<float>("\xff", {1}, {1})), HasSubstr("not UTF-8"));
  EXPECT_THROW(write_safetensors(folder / "m", {.metadata = {}, .tensors = {tensor_of<float>("n", {1}, {NAN})}}),
               NumericError);
  EXPECT_EQ(folder.entries(), 0U);
}

TEST(Safetensors, KeepsTheOldFileWhenTheDiskIsFull) {
  const TemporaryFolder folder;
  testing::put_bytes(folder / "m", "old");
  const auto result = testing::in_child_with_file_limit(1000, [&] {
    write_safetensors(folder / "m",
                      {.metadata = {}, .tensors = {tensor_of<float>("a", {50000}, std::vector<float>(50000, 1.0F))}});
  });
  EXPECT_EQ(result.exit_status, 1);
  EXPECT_THAT(result.message, HasSubstr("m: cannot write: File too large"));
  EXPECT_EQ(bytes_of(folder / "m"), "old");
  EXPECT_EQ(folder.entries(), 1U);
}

}  // namespace
}  // namespace strandline
