// The broken models, safetensors files and tables of tests/cases (see its README), read without the program.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/base/error.hpp"
#include "io/model_file/model_file.hpp"
#include "io/model_file/safetensors.hpp"
#include "io/tables/table_reader.hpp"
#include "tests/io/expect_error.hpp"

namespace strandline {
namespace {

namespace fs = std::filesystem;

void read_table(const std::string& path) {
  TableReader reader(path);
  reader.column("sequence");
  std::vector<std::string> fields;
  while (reader.next(fields)) {
  }
}

// The name of the input says what reads it.
const std::map<std::string, std::function<void(const std::string&)>>& readers() {
  static const std::map<std::string, std::function<void(const std::string&)>> known = {
      {"model/model.h5", [](const std::string& path) { read_model_file(path); }},
      {"safetensors/model.safetensors", [](const std::string& path) { read_safetensors(path); }},
      {"table/train.tsv", read_table}};
  return known;
}

std::string first_line(const fs::path& file) {
  std::ifstream stream(file);
  std::string line;
  std::getline(stream, line);
  return line;
}

TEST(FileCases, AreRefusedByTheNameOfTheFault) {
  int cases = 0;
  for (const auto& [input, read] : readers()) {
    const fs::path format = fs::path(STRANDLINE_CASES) / fs::path(input).parent_path();
    for (const auto& entry : fs::directory_iterator(format)) {
      SCOPED_TRACE(entry.path().string());
      const std::string path = (entry.path() / fs::path(input).filename()).string();
      const auto action = [&] { read(path); };
      const std::string message = first_line(entry.path() / "exit") == "74" ? testing::message_of<IoError>(action)
                                                                            : testing::message_of<DataError>(action);
      const std::string wanted = first_line(entry.path() / "stderr");
      EXPECT_THAT(message, ::testing::ContainsRegex(wanted)) << message << "\nwanted: " << wanted;
      ++cases;
    }
  }
  EXPECT_GE(cases, 35);
}

}  // namespace
}  // namespace strandline
