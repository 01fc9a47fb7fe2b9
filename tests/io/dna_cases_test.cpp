// The broken inputs of tests/cases (see its README), opened as `strandline dna predict` would.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.hpp"
#include "io/dna/sequence_stream.hpp"
#include "tests/io/temporary_folder.hpp"

namespace strandline {
namespace {

namespace fs = std::filesystem;

struct BrokenInput {
  std::string name;
  std::vector<std::string> arguments;  // behind "dna predict"
  int exit_code = 0;
  std::string message;

  friend std::ostream& operator<<(std::ostream& out, const BrokenInput& each) { return out << each.name; }
};

std::string first_line(const fs::path& file) {
  std::ifstream stream(file);
  std::string line;
  std::getline(stream, line);
  return line;
}

std::vector<std::string> lines_of(const fs::path& file, const std::string& folder) {
  std::ifstream stream(file);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) {
    if (const auto at = line.find("{dir}"); at != std::string::npos) line.replace(at, 5, folder);
    lines.push_back(line);
  }
  return lines;
}

// The folders whose fault lies in the input of the readers.
constexpr std::string_view kFormats[] = {"bam", "bgzf", "cram", "fasta", "fastq", "gzip", "other", "path", "sam"};

std::vector<BrokenInput> find_cases() {
  std::vector<BrokenInput> cases;
  for (const auto& entry : fs::recursive_directory_iterator(STRANDLINE_CASES)) {
    if (entry.path().filename() != "args") continue;
    const fs::path folder = entry.path().parent_path();
    const std::string format = folder.parent_path().filename().string();
    if (std::find(std::begin(kFormats), std::end(kFormats), format) == std::end(kFormats)) continue;
    std::vector<std::string> arguments = lines_of(entry.path(), folder.string());
    arguments.erase(arguments.begin(), arguments.begin() + 2);
    cases.push_back({fs::relative(folder, STRANDLINE_CASES).string(), arguments, std::stoi(first_line(folder / "exit")),
                     first_line(folder / "stderr")});
  }
  std::sort(cases.begin(), cases.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return cases;
}

// The reader's share of the command line.
std::string parse_arguments(const std::vector<std::string>& arguments, ReadOptions& options) {
  std::string path;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& name = arguments[i];
    if (name == "--allow-truncated") {
      options.allow_truncated = true;
    } else if (!name.starts_with("-")) {
      path = name;
    } else {
      const std::string& value = arguments.at(++i);
      if (name == "--reference") options.reference = value;
      if (name == "-r") options.regions.push_back(value);
      if (name == "-L") options.bed_file = value;
      if (name == "-q") options.min_mapq = std::stoi(value);
    }
  }
  return path;
}

void read_all(const std::string& path, const ReadOptions& options) {
  const auto stream = open_sequences(path, options);
  SequencePiece piece;
  while (stream->next(piece)) {
  }
}

class DnaCases : public ::testing::TestWithParam<BrokenInput> {};

TEST_P(DnaCases, AreRefusedWithTheKindAndTheWordsThatTheySay) {
  const BrokenInput& broken = GetParam();
  for (const int threads : {1, 3}) {
    SCOPED_TRACE(threads);
    ReadOptions options;
    options.decode_threads = threads;
    const std::string path = parse_arguments(broken.arguments, options);
    int exit_code = 0;
    std::string message;
    try {
      read_all(path, options);
    } catch (const DataError& error) {
      exit_code = 65;
      message = error.what();
    } catch (const IoError& error) {
      exit_code = 74;
      message = error.what();
    }
    EXPECT_EQ(exit_code, broken.exit_code) << message;
    EXPECT_THAT(message, ::testing::ContainsRegex(broken.message));
  }
}

std::string gtest_name(const ::testing::TestParamInfo<BrokenInput>& info) {
  std::string name = info.param.name;
  std::replace_if(
      name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Readers, DnaCases, ::testing::ValuesIn(find_cases()), gtest_name);

TEST(DnaCasesFolder, IsNotEmpty) { EXPECT_GE(find_cases().size(), 40U); }

}  // namespace
}  // namespace strandline
