#include "pipelines/run/checkpoint_store.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <limits>
#include <optional>

#include "core/base/error.hpp"
#include "pipelines/run/run_lock.hpp"
#include "tests/io/expect_error.hpp"
#include "tests/io/temporary_folder.hpp"

namespace strandline {
namespace {

namespace fs = std::filesystem;
using ::testing::ContainsRegex;
using testing::message_of;

std::vector<NamedTensor> tensors(float value) {
  NamedTensor tensor{"w", DType::f32, {1}, std::vector<std::byte>(sizeof value)};
  std::memcpy(tensor.data.data(), &value, sizeof value);
  return {tensor};
}

Checkpoint checkpoint(std::int64_t step, float value) {
  return {step, R"({"n":1})", tensors(value), tensors(value + 0.25F), tensors(value + 0.5F)};
}

class CheckpointStoreTest : public ::testing::Test {
 protected:
  testing::TemporaryFolder folder_;
  std::string path_ = folder_ / "ckpt";
};

TEST_F(CheckpointStoreTest, GivesBackTheNewestAndKeepsTwo) {
  const CheckpointStore store(path_, R"({"a":1})");
  EXPECT_FALSE(store.load().has_value());

  for (const std::int64_t step : {2, 9, 10}) store.save(checkpoint(step, static_cast<float>(step)));

  const auto loaded = store.load();
  ASSERT_TRUE(loaded.has_value());
  EXPECT_EQ(loaded->step, 10);
  EXPECT_EQ(loaded->state_json, R"({"n":1})");
  EXPECT_EQ(loaded->weights[0].data, tensors(10)[0].data);
  EXPECT_EQ(loaded->optimizer[0].data, tensors(10.25F)[0].data);
  EXPECT_EQ(loaded->best[0].data, tensors(10.5F)[0].data);
  EXPECT_FALSE(fs::exists(path_ + "/step-2"));
  EXPECT_TRUE(fs::exists(path_ + "/step-9"));
  EXPECT_EQ(testing::bytes_of(path_ + "/LATEST"), "step-10\n");
}

TEST_F(CheckpointStoreTest, TellsTheConfigurationOfTheNewestWholeOne) {
  EXPECT_EQ(CheckpointStore::newest_config(path_), "");  // no such folder
  const CheckpointStore store(path_, R"({"segment_tokens":4096})");
  EXPECT_EQ(CheckpointStore::newest_config(path_), "");

  store.save(checkpoint(1, 1));
  CheckpointStore(path_, R"({"segment_tokens":64})").save(checkpoint(2, 2));
  EXPECT_EQ(CheckpointStore::newest_config(path_), R"({"segment_tokens":64})");

  fs::remove(path_ + "/step-2/MANIFEST.json");
  EXPECT_EQ(CheckpointStore::newest_config(path_), R"({"segment_tokens":4096})");
}

TEST_F(CheckpointStoreTest, PassesOverADamagedOne) {
  const CheckpointStore store(path_, "{}");
  store.save(checkpoint(1, 1));
  store.save(checkpoint(2, 2));

  const std::string file = path_ + "/step-2/weights.h5";
  std::string bytes = testing::bytes_of(file);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  testing::put_bytes(file, bytes);
  EXPECT_EQ(store.load()->step, 1);

  fs::remove(path_ + "/step-1/MANIFEST.json");
  EXPECT_FALSE(store.load().has_value());
}

TEST_F(CheckpointStoreTest, OverwritesADamagedOneOfTheSameStep) {
  const CheckpointStore store(path_, "{}");
  store.save(checkpoint(1, 1));
  fs::remove(path_ + "/step-1/state.json");

  store.save(checkpoint(1, 3));

  EXPECT_EQ(store.load()->weights[0].data, tensors(3)[0].data);
}

TEST_F(CheckpointStoreTest, ClearsAwayWhatAKilledWriterLeft) {
  fs::create_directories(path_ + "/step-7.tmp-123");
  testing::put_bytes(path_ + "/step-7.tmp-123/weights.h5", "half");

  const CheckpointStore store(path_, "{}");

  EXPECT_FALSE(fs::exists(path_ + "/step-7.tmp-123"));
}

TEST_F(CheckpointStoreTest, RefusesAnotherConfigurationAndNamesTheDifference) {
  CheckpointStore(path_, R"({"training":{"lr":0.1,"steps":5}})").save(checkpoint(1, 1));
  const CheckpointStore other(path_, R"({"training":{"lr":0.2,"steps":5}})");

  EXPECT_THAT(message_of<DataError>([&] { other.load(); }),
              ContainsRegex("training/lr: 0.1 there, 0.2 here.*--restart"));

  other.clear();
  EXPECT_FALSE(other.load().has_value());
}

TEST_F(CheckpointStoreTest, NeverRotatesAGoodOneAwayForOneThatIsNotFinite) {
  const CheckpointStore store(path_, "{}");
  store.save(checkpoint(1, 1));

  EXPECT_THROW(store.save(checkpoint(2, std::numeric_limits<float>::quiet_NaN())), NumericError);

  EXPECT_EQ(store.load()->step, 1);
  EXPECT_FALSE(fs::exists(path_ + "/step-2"));
}

TEST_F(CheckpointStoreTest, ReportsAFolderThatCannotBeMade) {
  testing::put_bytes(folder_ / "file", "x");
  EXPECT_THROW(CheckpointStore((folder_ / "file") + "/ckpt", "{}"), IoError);
}

// Tries to take the lock in another process: locks of one process do not exclude each other.
bool other_process_can_lock(const std::string& path) {
  const pid_t child = ::fork();
  if (child == 0) {
    try {
      const RunLock lock(path, "it");
      ::_exit(0);
    } catch (const Error&) {
      ::_exit(1);
    }
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST_F(CheckpointStoreTest, LocksOutASecondProcess) {
  const std::string path = folder_ / "lock";
  std::optional<RunLock> lock(std::in_place, path, "the model");
  EXPECT_FALSE(other_process_can_lock(path));

  lock.reset();
  EXPECT_TRUE(other_process_can_lock(path));
}

}  // namespace
}  // namespace strandline
