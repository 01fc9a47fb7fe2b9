// Any bytes, as a table: rows or a DataError, in time and memory that follow from the size of the input.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.hpp"
#include "io/tables/table_reader.hpp"

// The first byte chooses the delimiter.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  constexpr char kDelimiters[] = {'\0', '\t', ','};
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  try {
    strandline::TableReader reader(text, "fuzz", {.delimiter = kDelimiters[data[0] % 3]});
    std::vector<std::string> fields;
    while (reader.next(fields)) {
      if (fields.size() != reader.header().size() || reader.location().line < 1) std::abort();
    }
  } catch (const strandline::DataError&) {
  }
  return 0;
}
