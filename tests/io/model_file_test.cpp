#include "io/model_file/model_file.hpp"

#include <fcntl.h>
#include <hdf5.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <thread>

#include "core/base/error.hpp"
#include "io/bytes/checksum.hpp"
#include "io/model_file/model_file_parts.hpp"
#include "tests/io/expect_error.hpp"
#include "tests/io/in_child.hpp"
#include "tests/io/temporary_folder.hpp"
#include "tests/io/tiny_model.hpp"

namespace strandline {
namespace {

using testing::bytes_of;
using ::testing::HasSubstr;
using testing::message_of;
using testing::put_bytes;
using testing::same_tensors;
using testing::TemporaryFolder;
using testing::tensor_of;
using testing::tiny_model;

std::string refusal_of(const std::string& path) {
  return message_of<DataError>([&] { read_model_file(path); });
}

// Gives damaged bytes a header that fits them, as someone with bad intentions would. Only the manifest may not move.
std::string resealed(std::string bytes) {
  constexpr auto kHeader = static_cast<std::size_t>(model_file::kHeaderBytes);
  const auto number_after = [&](const std::string& key, int base) {
    return std::stoll(bytes.substr(bytes.find(key) + key.size(), 20), nullptr, base);
  };
  model_file::Header header{.file_bytes = static_cast<std::int64_t>(bytes.size()),
                            .body_checksum = crc32c(bytes.data() + kHeader, bytes.size() - kHeader),
                            .manifest_offset = number_after("manifest-offset ", 10),
                            .manifest_bytes = number_after("manifest-bytes ", 10)};
  header.manifest_checksum =
      crc32c(bytes.data() + header.manifest_offset, static_cast<std::size_t>(header.manifest_bytes));
  const auto block = model_file::encode(header);
  return bytes.replace(0, kHeader, block.data(), kHeader);
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, text.npos);
  return text.replace(at, to.size(), to);
}

std::string numbered(std::string name, int i) { return name.append(std::to_string(i)); }

// Root may write anywhere; nobody may not. Root again at the end, for LeakSanitizer.
class AsNobody {
 public:
  AsNobody() {
    if (was_root_ && ::seteuid(65534) != 0) throw IoError("test", "become nobody", errno);
  }
  ~AsNobody() {
    if (was_root_ && ::seteuid(0) == 0) ::prctl(PR_SET_DUMPABLE, 1);
  }
  AsNobody(const AsNobody&) = delete;
  AsNobody& operator=(const AsNobody&) = delete;

 private:
  bool was_root_ = ::geteuid() == 0;
};

class ModelFileTest : public ::testing::Test {
 protected:
  std::string tiny_bytes() {
    write_model_file(path_, tiny_model());
    return bytes_of(path_);
  }

  TemporaryFolder folder_;
  std::string path_ = folder_ / "model.h5";
};

TEST_F(ModelFileTest, GivesBackWhatWasWritten) {
  write_model_file(path_, tiny_model());
  const ModelFile read = read_model_file(path_);
  EXPECT_EQ(read.format_version, kModelFormatVersion);
  EXPECT_EQ(read.config_json, tiny_model().config_json);
  EXPECT_EQ(read.metadata_json, tiny_model().metadata_json);
  EXPECT_TRUE(same_tensors(read.tensors, tiny_model().tensors));
  EXPECT_EQ(content_sha256(read), content_sha256(tiny_model()));
  EXPECT_EQ(folder_.entries(), 1U);
}

TEST_F(ModelFileTest, HoldsNothingAtAllAndManyTensors) {
  write_model_file(path_, {});
  EXPECT_TRUE(read_model_file(path_).tensors.empty());
  ModelFile many;
  for (int i = 0; i < 2000; ++i) many.tensors.push_back(tensor_of<float>(numbered("t", i), {1}, {1.0F * i}));
  write_model_file(path_, many);
  EXPECT_TRUE(same_tensors(read_model_file(path_).tensors, many.tensors));
}

TEST_F(ModelFileTest, GivesTheSameBytesWheneverItIsWritten) {
  const std::string first = tiny_bytes();
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));  // HDF5 counts times in seconds
  EXPECT_EQ(tiny_bytes(), first);
}

TEST_F(ModelFileTest, KeepsTheOptimiserApart) {
  ModelFile state = tiny_model();
  state.kind = ModelFileKind::optimizer;
  write_model_file(path_, state);
  EXPECT_EQ(read_model_file(path_, ModelFileKind::optimizer).kind, ModelFileKind::optimizer);
  EXPECT_THAT(refusal_of(path_), HasSubstr("model.h5: a file of kind 'optimizer', not 'model'"));
}

TEST_F(ModelFileTest, NamesContentNotMetadataByItsHash) {
  ModelFile model = tiny_model();
  const std::string hash = content_sha256(model);
  model.metadata_json = "{}";
  EXPECT_EQ(content_sha256(model), hash);
  model.tensors[0].data[0] ^= std::byte{1};
  EXPECT_NE(content_sha256(model), hash);
  std::swap(model.tensors[0].shape[0], model.tensors[0].shape[1]);
  EXPECT_EQ(hash.size(), 64U);
}

TEST_F(ModelFileTest, RefusesToWriteWhatIsNotFiniteAndKeepsTheOldFile) {
  const std::string old = tiny_bytes();
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
    ModelFile model = tiny_model();
    model.tensors.push_back(tensor_of<float>("bad", {3}, {1, bad, 1}));
    EXPECT_THAT(message_of<NumericError>([&] { write_model_file(path_, model); }),
                HasSubstr("'bad' is not finite at element 1"));
    model.tensors.back() = tensor_of<Bf16>("bad", {1}, {to_bf16(bad)});
    EXPECT_THROW(write_model_file(path_, model), NumericError);
  }
  EXPECT_EQ(bytes_of(path_), old);
  EXPECT_EQ(folder_.entries(), 1U);
}

TEST_F(ModelFileTest, RefusesToWriteWhatBreaksTheContract) {
  const auto refused = [&](auto change) {
    ModelFile model = tiny_model();
    change(model);
    return message_of<ContractError>([&] { write_model_file(path_, model); });
  };
  EXPECT_THAT(refused([](ModelFile& m) { m.tensors[0].data.pop_back(); }),
              HasSubstr("23 bytes of data; its shape and type ask for 24"));
  EXPECT_THAT(refused([](ModelFile& m) { m.tensors[0].shape[0] = -2; }), HasSubstr("negative size"));
  EXPECT_THAT(refused([](ModelFile& m) { m.tensors[0].shape = {1LL << 40, 1LL << 40}; }), HasSubstr("does not fit"));
  EXPECT_THAT(refused([](ModelFile& m) { m.tensors[1].name = m.tensors[0].name; }), HasSubstr("is there twice"));
  EXPECT_THAT(refused([](ModelFile& m) { m.format_version = 2; }), HasSubstr("writes format version 1, not 2"));
  EXPECT_THAT(refused([](ModelFile& m) { m.tensors[1].shape.resize(9, 1); }), HasSubstr("too many axes"));
  for (const char* name : {"", ".", "a/b", "a\tb", "a\nb"}) {
    EXPECT_THAT(refused([&](ModelFile& m) { m.tensors[0].name = name; }), HasSubstr("cannot be a tensor's name"))
        << name;
  }
  EXPECT_EQ(folder_.entries(), 0U);
}

TEST_F(ModelFileTest, RefusesForeignFilesByName) {
  const std::string good = tiny_bytes();
  const auto refused = [&](const std::string& bytes) {
    put_bytes(path_, bytes);
    return refusal_of(path_);
  };
  EXPECT_THAT(refused(""), HasSubstr("model.h5: the file is empty, not a model file"));
  EXPECT_THAT(refused("hello"), HasSubstr("not a model file: it is not HDF5"));
  EXPECT_THAT(refused(std::string(5000, 'x')), HasSubstr("not a model file: it is not HDF5"));
  EXPECT_THAT(refused(std::string(512, 'x') + good.substr(512)),
              HasSubstr("an HDF5 file, but not one that this program wrote"));
  EXPECT_THAT(refused(good.substr(512)), HasSubstr("an HDF5 file, but not one that this program wrote"));
  EXPECT_THAT(refused(good.substr(0, 100)), HasSubstr("truncated within its header"));
  EXPECT_THAT(refused(good + "x"), HasSubstr("foreign bytes at its end"));
  EXPECT_THAT(message_of<IoError>([&] { read_model_file(folder_ / "none.h5"); }), HasSubstr("none.h5: cannot open"));
  EXPECT_THAT(message_of<IoError>([&] { read_model_file(folder_.path().string()); }), HasSubstr("Is a directory"));
}

TEST_F(ModelFileTest, RefusesOtherVersionsAndKinds) {
  const std::string good = tiny_bytes();
  const auto with_header = [&](const model_file::Header& header) {
    const auto block = model_file::encode(header);
    put_bytes(path_, std::string(block.data(), block.size()) + good.substr(512));
    return refusal_of(path_);
  };
  const auto size = static_cast<std::int64_t>(good.size());
  EXPECT_THAT(with_header({.version = 2, .file_bytes = size}),
              HasSubstr("format version 2; this program reads up to 1"));
  EXPECT_THAT(with_header({.version = 0, .file_bytes = size}), HasSubstr("names no version"));
  EXPECT_THAT(with_header({.file_bytes = size}), HasSubstr("is not a manifest"));
}

TEST_F(ModelFileTest, RefusesEveryTruncation) {
  const std::string good = tiny_bytes();
  for (std::size_t size = 513; size < good.size(); size += 97) {
    put_bytes(path_, good.substr(0, size));
    EXPECT_THAT(refusal_of(path_), HasSubstr("is truncated: " + std::to_string(size) + " bytes instead of"));
  }
}

TEST_F(ModelFileTest, RefusesEveryChangedByte) {
  const std::string good = tiny_bytes();
  std::mt19937 random(1);
  for (int i = 0; i < 1000; ++i) {
    std::string damaged = good;
    const std::size_t at = random() % (i < 300 ? 512 : good.size());
    damaged[at] = static_cast<char>(damaged[at] ^ (1 + random() % 255));
    put_bytes(path_, damaged);
    EXPECT_THROW(read_model_file(path_), DataError) << "byte " << at;
  }
}

// With the checksums of header and manifest forged to fit, damage reaches what reads the manifest.
TEST_F(ModelFileTest, NeitherCrashesNorHangsOnForgedManifests) {
  const std::string good = tiny_bytes();
  const std::size_t begin = good.find("dataset\ttype");
  const std::size_t end = good.find('\0', begin);
  std::mt19937 random(2);
  for (int i = 0; i < 1000; ++i) {
    std::string damaged = good;
    for (unsigned k = 0; k < 1 + random() % 4; ++k) {
      damaged[begin + random() % (end - begin)] = "0123456789abcdefxtensors/-\t\n"[random() % 28];
    }
    put_bytes(path_, resealed(damaged));
    try {
      EXPECT_EQ(read_model_file(path_).tensors.size(), tiny_model().tensors.size());
    } catch (const DataError&) {
    }
  }
}

TEST_F(ModelFileTest, NamesTheTensorWhoseChecksumDiffers) {
  const std::string bytes = tiny_bytes();
  const float value = 3.5F;
  put_bytes(path_, replaced(bytes, {reinterpret_cast<const char*>(&value), 4}, std::string_view("\0\0\0\0", 4)));
  EXPECT_THAT(refusal_of(path_),
              HasSubstr("the dataset 'tensors/backbone.layers.0.mixer.in_proj.weight' does not match its checksum"));
  put_bytes(path_, replaced(bytes, "d_model", "D_MODEL"));
  EXPECT_THAT(refusal_of(path_), HasSubstr("the dataset 'config' does not match its checksum"));
  put_bytes(path_, replaced(bytes, "config\tu8", "konfig\tu8"));
  EXPECT_THAT(refusal_of(path_), HasSubstr("the dataset 'manifest' does not match its checksum"));
  put_bytes(path_, replaced(bytes, "\x89HDF", "\x89hdf"));
  EXPECT_THAT(refusal_of(path_), HasSubstr("damaged outside of its datasets"));
}

TEST_F(ModelFileTest, RefusesManifestsThatDoNotFitTheFile) {
  const std::string bytes = tiny_bytes();
  const auto refused = [&](std::string_view from, std::string_view to) {
    put_bytes(path_, resealed(replaced(bytes, from, to)));
    return refusal_of(path_);
  };
  EXPECT_THAT(refused("c.i32\ti32\t2", "c.i32\ti32\t1"), HasSubstr("'tensors/c.i32' does not match its checksum"));
  EXPECT_THAT(refused("none\tf32\t0x5", "none\tf32\t9x9"), HasSubstr("'tensors/none' does not match its checksum"));
  EXPECT_THAT(refused("d.i64\ti64\t1x1x2\t", "d.i64\ti64\t9999999"),
              HasSubstr("line 8: the row has 4 fields, the header 5"));
  EXPECT_THAT(refused("d.i64\ti64\t1x1x2\t", "d.i64\ti64\t99999\t"),
              HasSubstr("'tensors/d.i64' does not lie within the file"));
  EXPECT_THAT(refused("tensors/c.i32", "tensors/a.f64"), HasSubstr("repeated name 'tensors/a.f64'"));
  EXPECT_THAT(refused("tensors/c.i32", "Tensors/c.i32"), HasSubstr("unusable or repeated name"));
  EXPECT_THAT(refused("tensors/c.i32\ti32", "tensors/c.i32\tx32"), HasSubstr("line 7: the manifest"));
  EXPECT_THAT(refused("dataset\t", "dataSet\t"), HasSubstr("is not a manifest"));
  EXPECT_THAT(refused("config\tu8", "konfig\tu8"), HasSubstr("lacks config or metadata"));
  EXPECT_THAT(refused("config\tu8", "config\ti8"), HasSubstr("line 2: the manifest"));
}

// What h5py sees is what we see.
TEST_F(ModelFileTest, IsAnOrdinaryHdf5File) {
  tiny_bytes();
  const hid_t file = H5Fopen(path_.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
  ASSERT_GE(file, 0);
  for (const NamedTensor& tensor : tiny_model().tensors) {
    const hid_t dataset = H5Dopen2(file, ("/tensors/" + tensor.name).c_str(), H5P_DEFAULT);
    ASSERT_GE(dataset, 0) << tensor.name;
    const hid_t type = H5Dget_type(dataset);
    const hid_t space = H5Dget_space(dataset);
    EXPECT_EQ(H5Tget_size(type), size_of(tensor.dtype));
    EXPECT_EQ(H5Sget_simple_extent_ndims(space), static_cast<int>(tensor.shape.size()));
    EXPECT_EQ(H5Sget_simple_extent_npoints(space), element_count(tensor));
    std::vector<std::byte> data(tensor.data.size());
    if (!data.empty()) {
      EXPECT_GE(H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data.data()), 0);
    }
    EXPECT_EQ(data, tensor.data) << tensor.name;
    H5Sclose(space);
    H5Tclose(type);
    H5Dclose(dataset);
  }
  EXPECT_GE(H5Fclose(file), 0);
}

TEST_F(ModelFileTest, NeedsNoLocks) {
  const std::string good = tiny_bytes();
  const int other = ::open(path_.c_str(), O_RDWR);
  ASSERT_EQ(::flock(other, LOCK_EX), 0);
  EXPECT_TRUE(same_tensors(read_model_file(path_).tensors, tiny_model().tensors));
  EXPECT_EQ(tiny_bytes(), good);
  ::close(other);
}

// At every size a disk can be full, the old file stays, nothing is left behind, and the process ends in order.
TEST_F(ModelFileTest, SurvivesAFullDisk) {
  const std::string old = tiny_bytes();
  ModelFile larger = tiny_model();
  for (int i = 0; i < 200; ++i) {
    larger.tensors.push_back(tensor_of<float>(numbered("large", i), {2500}, std::vector<float>(2500, 1.0F)));
  }
  for (const rlim_t limit : {0, 400, 600, 5000, 100000, 300000, 1000000, 2000000}) {
    const auto result = testing::in_child_with_file_limit(limit, [&] { write_model_file(path_, larger); });
    EXPECT_EQ(result.exit_status, 1) << limit;
    EXPECT_THAT(result.message, HasSubstr("model.h5: cannot write: File too large")) << limit;
    EXPECT_EQ(bytes_of(path_), old);
    EXPECT_EQ(folder_.entries(), 1U);
  }
  EXPECT_EQ(testing::in_child_with_file_limit(10000000, [&] { write_model_file(path_, larger); }).exit_status, 0);
  EXPECT_EQ(read_model_file(path_).tensors.size(), larger.tensors.size());
}

TEST_F(ModelFileTest, GoesOnAfterAFullDisk) {
  const auto result = testing::in_child_with_file_limit(10000, [&] {
    ModelFile larger = tiny_model();
    larger.tensors.push_back(tensor_of<float>("large", {5000}, std::vector<float>(5000, 1.0F)));
    for (int i = 0; i < 3; ++i) EXPECT_THROW(write_model_file(path_, larger), IoError);
    write_model_file(path_, {});
    if (!read_model_file(path_).tensors.empty()) throw ContractError("another model");
  });
  EXPECT_EQ(result.exit_status, 0) << result.message;
}

TEST_F(ModelFileTest, NamesTheFolderItCannotWriteTo) {
  EXPECT_THAT(message_of<IoError>([&] { write_model_file(folder_ / "none" + "/m.h5", tiny_model()); }),
              HasSubstr("none/m.h5: cannot create a file in"));
  EXPECT_THAT(message_of<IoError>([&] { write_model_file("-", tiny_model()); }), HasSubstr("standard output"));
  // Read-only for root, too.
  EXPECT_THAT(message_of<IoError>([&] { write_model_file("/proc/m.h5", tiny_model()); }),
              HasSubstr("/proc/m.h5: cannot create"));
  ::chmod(folder_.path().c_str(), 0555);
  const auto result = testing::in_child_with_file_limit(RLIM_INFINITY, [&] {
    const AsNobody nobody;
    write_model_file(path_, tiny_model());
  });
  ::chmod(folder_.path().c_str(), 0700);
  EXPECT_EQ(result.exit_status, 1);
  EXPECT_THAT(result.message, HasSubstr("model.h5: cannot create a file in"));
  EXPECT_THAT(result.message, HasSubstr("Permission denied"));
}

}  // namespace
}  // namespace strandline
