#include "io/features/embedding_file.hpp"

#include <sys/resource.h>

#include <cmath>
#include <cstdlib>
#include <string>
#include <vector>

#include "core/base/error.hpp"
#include "io/model_file/model_file.hpp"
#include "tests/io/expect_error.hpp"
#include "tests/io/in_child.hpp"
#include "tests/io/temporary_folder.hpp"
#include "tests/io/tiny_model.hpp"

extern "C" __attribute__((weak)) void __asan_init();

namespace strandline {
namespace {

using testing::bytes_of;
using ::testing::HasSubstr;
using testing::message_of;
using testing::TemporaryFolder;

const EmbeddingInfo kInfo{.width = 3, .model_hash = "abc", .pooling = "mean", .program_version = "0.1.0"};

std::string numbered(std::string name, int i) { return name.append(std::to_string(i)); }

void write_rows(const std::string& path, int rows) {
  const auto writer = make_embedding_writer(path, kInfo);
  for (int i = 0; i < rows; ++i) {
    const auto value = static_cast<float>(i);
    const std::vector<float> row = {value, -value, value / 2};
    writer->append(numbered(i % 2 == 0 ? "read" : "lés", i), row);
  }
  writer->commit();
}

// Debian's own Python, whose h5py and numpy are packages; another one in the path may lack them.
int python(const std::string& code) {
  const std::string command = "/usr/bin/python3 -c '" + code + "' 2>&1";
  return std::system(command.c_str());
}

bool has_python_module(const std::string& name) { return python("import " + name) == 0; }

TEST(EmbeddingFile, IsReadByH5py) {
  if (!has_python_module("h5py")) GTEST_SKIP() << "python3-h5py is not installed";
  const TemporaryFolder folder;
  for (const int rows : {0, 1, 70000}) {
    write_rows(folder / "e.h5", rows);
    const std::string code = "import h5py, numpy as np\nn = " + std::to_string(rows) + R"(
f = h5py.File(")" + (folder / "e.h5") +
                             R"(", "r")
e = f["embeddings"]
assert e.shape == (n, 3) and e.dtype == np.float32, e
a = np.arange(n, dtype=np.float32)
assert (e[:] == np.stack([a, -a, a / 2], 1)).all()
ids = [x.decode() for x in f["ids"][:]]
assert ids == [("l\u00e9s" if i % 2 else "read") + str(i) for i in range(n)], ids[:5]
assert f["ids"].asstr()[:2].tolist() == ids[:2]
text = lambda x: x.decode() if isinstance(x, bytes) else x
assert [text(f.attrs[k]) for k in ("model_hash", "pooling", "program_version")] == ["abc", "mean", "0.1.0"]
)";
    EXPECT_EQ(python(code), 0) << rows;
  }
  EXPECT_EQ(folder.entries(), 1U);
}

TEST(EmbeddingFile, IsReadByNumpy) {
  if (!has_python_module("numpy")) GTEST_SKIP() << "python3-numpy is not installed";
  const TemporaryFolder folder;
  for (const int rows : {0, 1, 70000}) {
    write_rows(folder / "e.npy", rows);
    const std::string code = "import numpy as np\nn = " + std::to_string(rows) + R"(
p = ")" + (folder / "e.npy") +
                             R"("
e = np.load(p)
assert e.shape == (n, 3) and e.dtype == np.float32, e
a = np.arange(n, dtype=np.float32)
assert (e == np.stack([a, -a, a / 2], 1)).all()
ids = open(p + ".ids.txt", encoding="utf-8").read().split("\n")[:-1]
assert ids == [("l\u00e9s" if i % 2 else "read") + str(i) for i in range(n)], ids[:5]
)";
    EXPECT_EQ(python(code), 0) << rows;
  }
  EXPECT_EQ(folder.entries(), 2U);
}

TEST(EmbeddingFile, ModelFilesAreReadByH5pyToo) {
  if (!has_python_module("h5py")) GTEST_SKIP() << "python3-h5py is not installed";
  const TemporaryFolder folder;
  write_model_file(folder / "m.h5", testing::tiny_model());
  const std::string code = R"(import h5py, json
f = h5py.File(")" + (folder / "m.h5") +
                           R"(", "r")
assert json.loads(bytes(f["config"][:])) == {"d_model": 2}
assert bytes(f["manifest"][:]).decode().split("\n")[0].split("\t") == ["dataset", "type", "shape", "offset", "crc32c"]
t = f["tensors"]
assert t["b.bf16"][:2].tolist() == [1.0, -2.5], t["b.bf16"][:]
assert t["backbone.layers.0.mixer.in_proj.weight"][:].tolist()[0] == [1.0, -2.0, 3.5]
assert t["step"][()] == 17 and t["none"].shape == (0, 5) and t["d.i64"][0, 0, 1] == 1 << 60
)";
  EXPECT_EQ(python(code), 0);
}

TEST(EmbeddingFile, GivesTheSameBytesForTheSameRows) {
  const TemporaryFolder folder;
  write_rows(folder / "a.h5", 1000);
  write_rows(folder / "b.h5", 1000);
  EXPECT_EQ(bytes_of(folder / "a.h5"), bytes_of(folder / "b.h5"));
}

TEST(EmbeddingFile, RefusesIdsThatNoReaderCouldGiveBack) {
  const TemporaryFolder folder;
  const std::vector<float> row(3);
  for (const char* name : {"e.h5", "e.npy"}) {
    const auto writer = make_embedding_writer(folder / name, kInfo);
    EXPECT_THAT(message_of<DataError>([&] { writer->append("a\nb", row); }), HasSubstr("the id holds a line end"));
    EXPECT_THAT(message_of<DataError>([&] { writer->append({"a\0b", 3}, row); }), HasSubstr("NUL"));
    EXPECT_THAT(message_of<DataError>([&] { writer->append(std::string(65536, 'x'), row); }),
                HasSubstr("longer than 65,535 bytes"));
    EXPECT_THROW(writer->append("a", std::vector<float>(2)), ContractError);
  }
  EXPECT_EQ(folder.entries(), 0U);
  EXPECT_THROW(make_embedding_writer(folder / "e.h5", {}), ContractError);
  EXPECT_THROW(make_embedding_writer("-", kInfo), IoError);
}

// At every size a disk can be full: an error with the file's name, the old file, nothing left over, and an exit in
// order.
TEST(EmbeddingFile, SurvivesAFullDisk) {
  for (const std::string name : {"e.h5", "e.npy"}) {
    const TemporaryFolder folder;
    write_rows(folder / name, 1);
    const std::string old = bytes_of(folder / name);
    const std::size_t entries = folder.entries();
    for (const rlim_t limit : {0, 100, 3000, 100000, 300000, 500000, 900000}) {
      const auto result = testing::in_child_with_file_limit(limit, [&] { write_rows(folder / name, 100000); });
      EXPECT_EQ(result.exit_status, 1) << limit;
      EXPECT_THAT(result.message, HasSubstr(name)) << limit;
      EXPECT_THAT(result.message, HasSubstr("File too large")) << limit;
      EXPECT_EQ(bytes_of(folder / name), old);
      EXPECT_EQ(folder.entries(), entries);
    }
  }
}

long peak_kilobytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

TEST(EmbeddingFile, TakesConstantMemory) {
  // AddressSanitizer keeps 256 MiB of freed memory back, and pads what there is: the bound has a meaning without it.
  const long allowed_kilobytes = __asan_init != nullptr ? 400 * 1024 : 8 * 1024;
  const TemporaryFolder folder;
  const auto result = testing::in_child_with_file_limit(RLIM_INFINITY, [&] {
    write_rows(folder / "e.h5", 100000);
    const long before = peak_kilobytes();
    write_rows(folder / "e.h5", 2000000);
    if (peak_kilobytes() - before > allowed_kilobytes) {
      throw ContractError(std::to_string(peak_kilobytes() - before) + " KiB more");
    }
  });
  EXPECT_EQ(result.exit_status, 0) << result.message;
}

}  // namespace
}  // namespace strandline
