#include "pipelines/dna/table_dataset.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <map>
#include <optional>
#include <set>

#include "core/base/error.hpp"
#include "core/base/philox.hpp"
#include "core/vocab/dna.hpp"
#include "io/tables/table_reader.hpp"
#include "pipelines/run/random_order.hpp"

namespace strandline {
namespace {

struct RawRow {
  std::string sequence;
  std::string label;
  Split split;
};

std::optional<Split> parse_split(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
  if (text == "train" || text == "training") return Split::train;
  if (text == "valid" || text == "validation" || text == "val" || text == "dev") return Split::validation;
  if (text == "test") return Split::test;
  return std::nullopt;
}

void require_nucleotides(const std::string& sequence, const FileLocation& place) {
  if (sequence.empty()) throw DataError(place, "the sequence is empty", "Remove the row");
  const auto wrong = std::ranges::find_if_not(sequence, dna::is_nucleotide);
  if (wrong == sequence.end()) return;
  throw DataError(
      place,
      fmt::format("letter {} of the sequence is '{}', which is no nucleotide", wrong - sequence.begin() + 1, *wrong),
      "Use A, C, G, T and IUPAC codes; unknown bases are N");
}

std::vector<RawRow> read_rows(const std::string& path, const TableColumns& columns, bool& has_split) {
  TableReader reader(path);
  const std::size_t sequence = reader.column(columns.sequence);
  const std::size_t label = reader.column(columns.label);
  const std::optional<std::size_t> split = reader.find_column(columns.split);
  has_split = split.has_value();
  std::vector<RawRow> rows;
  std::vector<std::string> fields;
  while (reader.next(fields)) {
    require_nucleotides(fields[sequence], reader.location(sequence));
    if (fields[label].empty())
      throw DataError(reader.location(label), "the label is empty", "Name the class of every row");
    Split part = Split::train;
    if (split) {
      const auto parsed = parse_split(fields[*split]);
      if (!parsed)
        throw DataError(reader.location(*split), "the split is '" + fields[*split] + "'",
                        "Use train, validation or test");
      part = *parsed;
    }
    rows.push_back({std::move(fields[sequence]), std::move(fields[label]), part});
  }
  return rows;
}

std::optional<long long> as_integer(const std::string& text) {
  long long value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::vector<std::string> sorted_labels(const std::vector<RawRow>& rows) {
  std::set<std::string> distinct;
  for (const RawRow& row : rows) distinct.insert(row.label);
  std::vector<std::string> labels(distinct.begin(), distinct.end());
  if (std::ranges::all_of(labels, [](const std::string& label) { return as_integer(label).has_value(); })) {
    std::ranges::stable_sort(labels, {}, [](const std::string& label) { return *as_integer(label); });
  }
  return labels;
}

// Letters [begin, begin + length) of a row as tokens.
void tokenize_part(const TableRow& row, std::int64_t begin, std::int64_t length, std::vector<std::int32_t>& ids) {
  ids.resize(static_cast<std::size_t>(length));
  dna::tokenize(
      std::string_view(row.sequence).substr(static_cast<std::size_t>(begin), static_cast<std::size_t>(length)),
      ids.data());
}

std::int64_t length_given(const TableRow& row, std::int64_t max_length) {
  const auto length = static_cast<std::int64_t>(row.sequence.size());
  return max_length > 0 ? std::min(length, max_length) : length;
}

}  // namespace

std::vector<std::int64_t> TableDataset::rows_of(Split split) const {
  std::vector<std::int64_t> chosen;
  for (std::size_t index = 0; index < rows.size(); ++index) {
    if (rows[index].split == split) chosen.push_back(static_cast<std::int64_t>(index));
  }
  return chosen;
}

TableDataset read_table_dataset(const std::string& path, const TableColumns& columns) {
  TableDataset table;
  std::vector<RawRow> raw = read_rows(path, columns, table.has_split);
  table.class_names = sorted_labels(raw);
  if (table.class_names.size() < 2) {
    throw DataError(
        {path}, raw.empty() ? "the table has no rows" : "every row has the label '" + table.class_names.front() + "'",
        "A classifier needs at least two classes");
  }
  std::map<std::string, std::int32_t> class_of;
  for (const std::string& name : table.class_names) class_of.emplace(name, static_cast<std::int32_t>(class_of.size()));
  std::vector<bool> in_training(table.class_names.size());
  for (RawRow& row : raw) {
    const std::int32_t label = class_of.at(row.label);
    if (row.split == Split::train) in_training[static_cast<std::size_t>(label)] = true;
    table.has_test = table.has_test || row.split == Split::test;
    table.rows.push_back({std::move(row.sequence), label, row.split});
  }
  const auto missing = std::ranges::find(in_training, false);
  if (missing != in_training.end()) {
    throw DataError({path},
                    "class '" + table.class_names[static_cast<std::size_t>(missing - in_training.begin())] +
                        "' has no row to train on",
                    "Give every class rows with the split 'train'");
  }
  return table;
}

void hold_out_rows(TableDataset& table, double fraction, std::uint64_t seed) {
  for (std::size_t class_id = 0; class_id < table.class_names.size(); ++class_id) {
    std::vector<std::size_t> rows;
    for (std::size_t index = 0; index < table.rows.size(); ++index) {
      const TableRow& row = table.rows[index];
      if (row.split == Split::train && row.label == static_cast<std::int32_t>(class_id)) rows.push_back(index);
    }
    const auto count = static_cast<std::int64_t>(rows.size());
    if (count < 2) {
      throw DataError({}, fmt::format("class '{}' has a single row: none can be held out", table.class_names[class_id]),
                      "Give more rows of the class");
    }
    const std::int64_t held =
        std::clamp<std::int64_t>(static_cast<std::int64_t>(static_cast<double>(count) * fraction), 1, count - 1);
    for (std::int64_t position = 0; position < held; ++position) {
      table.rows[rows[static_cast<std::size_t>(permuted(seed + class_id, 0, count, position))]].split =
          Split::validation;
    }
  }
}

RowSampler::RowSampler(const TableDataset& table, std::vector<std::int64_t> rows, const RowOptions& options)
    : table_(table), rows_(std::move(rows)), options_(options) {}

std::int32_t RowSampler::example(std::int64_t index, std::vector<std::int32_t>& ids) const {
  const std::int64_t chosen =
      permuted(seed_for(options_.seed, RandomUse::row_order), index / rows(), rows(), index % rows());
  const TableRow& row = table_.rows[static_cast<std::size_t>(rows_[static_cast<std::size_t>(chosen)])];
  RandomStream random(seed_for(options_.seed, RandomUse::row_crop), static_cast<std::uint64_t>(index));
  const std::int64_t length = length_given(row, options_.max_length);
  const auto spare = static_cast<std::uint64_t>(static_cast<std::int64_t>(row.sequence.size()) - length);
  const auto begin = static_cast<std::int64_t>(random.below(spare + 1));
  tokenize_part(row, begin, length, ids);
  if (options_.both_strands && (random.next_u64() & 1U) != 0)
    dna::reverse_complement(ids.data(), ids.data() + ids.size());
  return row.label;
}

RowList::RowList(const TableDataset& table, std::vector<std::int64_t> rows, const RowOptions& options)
    : table_(table), rows_(std::move(rows)), options_(options) {}

std::int32_t RowList::example(std::int64_t index, std::vector<std::int32_t>& ids) const {
  const TableRow& row = table_.rows[static_cast<std::size_t>(rows_[static_cast<std::size_t>(index)])];
  const std::int64_t length = length_given(row, options_.max_length);
  tokenize_part(row, (static_cast<std::int64_t>(row.sequence.size()) - length) / 2, length, ids);
  return row.label;
}

double mean_row_length(const TableDataset& table, const std::vector<std::int64_t>& rows, std::int64_t max_length) {
  double sum = 0;
  for (const std::int64_t row : rows)
    sum += static_cast<double>(length_given(table.rows[static_cast<std::size_t>(row)], max_length));
  return rows.empty() ? 0 : sum / static_cast<double>(rows.size());
}

}  // namespace strandline
