#include <zlib.h>

#include <clocale>
#include <limits>
#include <string>
#include <vector>

#include "core/base/error.hpp"
#include "io/tables/table_reader.hpp"
#include "io/tables/tsv_writer.hpp"
#include "tests/io/expect_error.hpp"
#include "tests/io/temporary_folder.hpp"

namespace strandline {
namespace {

using testing::bytes_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::message_of;
using testing::put_bytes;
using testing::TemporaryFolder;

using Rows = std::vector<std::vector<std::string>>;

Rows rows_of(TableReader reader) {
  Rows rows = {reader.header()};
  std::vector<std::string> fields;
  while (reader.next(fields)) rows.push_back(fields);
  return rows;
}

Rows rows_of(std::string_view text) { return rows_of(TableReader(text, "t")); }

std::string refusal_of(std::string_view text) {
  return message_of<DataError>([&] { rows_of(text); });
}

std::string gzip(std::string_view text) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 16 + 15, 8, Z_DEFAULT_STRATEGY);
  std::string out(text.size() + 1000, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

TEST(TableReader, FindsTheDelimiterByTheHeader) {
  EXPECT_THAT(rows_of("a\tb,c\n1\t2,3\n"), ElementsAre(ElementsAre("a", "b,c"), ElementsAre("1", "2,3")));
  EXPECT_THAT(rows_of("a,b\n1,2\n"), ElementsAre(ElementsAre("a", "b"), ElementsAre("1", "2")));
  EXPECT_THAT(rows_of("a\n1,2\n"), ElementsAre(ElementsAre("a"), ElementsAre("1,2")));
  const std::string text = "a,b\n1,2\n";
  EXPECT_THAT(TableReader(text, "t", {.delimiter = '\t'}).header(), ElementsAre("a,b"));
}

TEST(TableReader, ReadsQuotesOfCsvOnly) {
  EXPECT_THAT(rows_of("a,b\n\"x, \"\"y\"\"\nz\",\"\"\n"),
              ElementsAre(ElementsAre("a", "b"), ElementsAre("x, \"y\"\nz", "")));
  EXPECT_THAT(rows_of("a\tb\n\"x\t5\" y\n"), ElementsAre(ElementsAre("a", "b"), ElementsAre("\"x", "5\" y")));
}

TEST(TableReader, AcceptsCarriageReturnsBlankLinesByteOrderMarksAndNoLastLineEnd) {
  EXPECT_THAT(rows_of("\xef\xbb\xbf\r\na,b\r\n\r\n1,\"2\"\r\n\n3,4"),
              ElementsAre(ElementsAre("a", "b"), ElementsAre("1", "2"), ElementsAre("3", "4")));
  EXPECT_THAT(rows_of("a\tb\r\n1\t\r\n"), ElementsAre(ElementsAre("a", "b"), ElementsAre("1", "")));
  EXPECT_THAT(rows_of("a\n\"\"\n"), ElementsAre(ElementsAre("a"), ElementsAre("\"\"")));
}

TEST(TableReader, ReadsFieldsOfMillionsOfLetters) {
  const std::string long_field(5'000'000, 'A');
  const Rows rows = rows_of("sequence\tlabel\n" + long_field + "\tx\nC\ty\n");
  EXPECT_EQ(rows.at(1).at(0), long_field);
  EXPECT_THAT(rows.at(2), ElementsAre("C", "y"));
}

TEST(TableReader, KnowsColumnsByName) {
  TableReader reader("sequence\tlabel\nA\tx\n", "t.tsv");
  EXPECT_EQ(reader.column("label"), 1U);
  EXPECT_FALSE(reader.find_column("split"));
  EXPECT_EQ(message_of<DataError>([&] { reader.column("split"); }),
            "t.tsv: there is no column 'split'. The columns are 'sequence', 'label'");
}

TEST(TableReader, SaysWhereARowIs) {
  TableReader reader("a,b\n\n\"1\n1\",2\n3,4\n", "t.csv");
  std::vector<std::string> fields;
  ASSERT_TRUE(reader.next(fields));
  EXPECT_EQ(to_string(reader.location(1)), "t.csv: line 3, column 'b'");
  ASSERT_TRUE(reader.next(fields));
  EXPECT_EQ(to_string(reader.location()), "t.csv: line 5");
}

TEST(TableReader, RefusesWhatIsNotATable) {
  EXPECT_THAT(refusal_of(""), HasSubstr("t: the table is empty"));
  EXPECT_THAT(refusal_of("\n\r\n"), HasSubstr("the table is empty"));
  EXPECT_THAT(refusal_of("a\ta\n"), HasSubstr("line 1: the column 'a' is there twice"));
  EXPECT_THAT(refusal_of("a\tb\n1\t2\n1\n"), HasSubstr("line 3: the row has 1 fields, the header 2"));
  EXPECT_THAT(refusal_of("a\tb\n1\t2\t3\t4\n"), HasSubstr("line 2: the row has 4 fields, the header 2"));
  EXPECT_THAT(refusal_of(std::string_view("a\tb\n1\t\0\n", 9)), HasSubstr("line 2: a NUL byte"));
  EXPECT_THAT(refusal_of("a,b\n1,\"2\n3,4\n"), HasSubstr("line 2: the quote that opens here is never closed"));
  EXPECT_THAT(refusal_of("a,b\n\"1\"x,2\n"), HasSubstr("line 2: text after the closing quote"));
  EXPECT_THAT(refusal_of("a,b\n\"1\"\rx,2\n"), HasSubstr("line 2: a carriage return"));
  EXPECT_THAT(refusal_of("a,b\n1\",2\n"), HasSubstr("line 2: a double quote inside a field"));
  EXPECT_THAT(message_of<IoError>([] { TableReader("/nonexistent/t.tsv"); }),
              HasSubstr("/nonexistent/t.tsv: cannot open"));
  EXPECT_THAT(message_of<IoError>([] { TableReader("/"); }), HasSubstr("/: cannot read"));
}

TEST(TableReader, InflatesByContentAndReadsEveryMember) {
  const TemporaryFolder folder;
  put_bytes(folder / "t.csv", gzip("a,b\n1,2\n") + gzip("3,4\n"));
  EXPECT_THAT(rows_of(TableReader(folder / "t.csv")),
              ElementsAre(ElementsAre("a", "b"), ElementsAre("1", "2"), ElementsAre("3", "4")));
}

TEST(TableReader, RefusesDamagedCompressionAtEveryCut) {
  std::string text = "a\tb\n";
  for (int i = 0; i < 1000; ++i) text += std::to_string(i * i) + "\tx\n";
  const std::string whole = gzip(text);
  // Up to two bytes are not yet gzip, and read as text.
  for (std::size_t size = 3; size < whole.size(); ++size) {
    EXPECT_THAT(refusal_of(whole.substr(0, size)), HasSubstr("the compressed data end in the middle")) << size;
  }
  EXPECT_THAT(refusal_of(whole + "tail"), HasSubstr("damaged"));
  std::string damaged = whole;
  damaged[whole.size() - 5] ^= 1;
  EXPECT_THAT(refusal_of(damaged), HasSubstr("damaged"));
}

TEST(TableReader, RefusesBgzfWithoutItsEndMarker) {
  const std::string end_marker("\x1f\x8b\x08\x04\0\0\0\0\0\xff\x06\0\x42\x43\x02\0\x1b\0\x03\0\0\0\0\0\0\0\0\0", 28);
  std::string block = gzip("a\tb\n1\t2\n");
  // A BGZF block is a gzip member with an extra field that holds its own size.
  block[3] = 4;
  const auto size = static_cast<unsigned>(block.size() + 8 - 1);
  block.insert(10, std::string("\x06\0BC\x02\0", 6) + static_cast<char>(size & 255U) + static_cast<char>(size >> 8U));
  EXPECT_EQ(rows_of(block + end_marker).size(), 2U);
  EXPECT_THAT(refusal_of(block), HasSubstr("end marker is missing"));
}

TEST(Formatting, IsTheShortestThatReadsBack) {
  EXPECT_EQ(format_shortest(0.1), "0.1");
  EXPECT_EQ(format_shortest(0.1F), "0.1");
  EXPECT_EQ(format_shortest(1.0), "1");
  EXPECT_EQ(format_shortest(-0.0), "-0");
  EXPECT_EQ(format_shortest(1e300), "1e+300");
  EXPECT_EQ(format_shortest(std::numeric_limits<double>::quiet_NaN()), "NA");
  EXPECT_EQ(format_shortest(-std::numeric_limits<double>::infinity()), "-inf");
  EXPECT_EQ(std::stod(format_shortest(1.0 / 3)), 1.0 / 3);
}

TEST(Formatting, HasFixedDigitsAndNoNegativeZero) {
  EXPECT_EQ(format_fixed(0.12345, 3), "0.123");
  EXPECT_EQ(format_fixed(2.0, 4), "2.0000");
  EXPECT_EQ(format_fixed(-0.0001, 2), "0.00");
  EXPECT_EQ(format_fixed(-0.0, 0), "0");
  EXPECT_EQ(format_fixed(-1.5, 1), "-1.5");
  EXPECT_EQ(format_fixed(-1e308, 0).size(), 310U);
  EXPECT_EQ(format_fixed(std::numeric_limits<double>::quiet_NaN(), 2), "NA");
}

TEST(TsvWriter, WritesWhatTheReaderReads) {
  const TemporaryFolder folder;
  TsvWriter writer(folder / "t.tsv", {"id", "n", "score", "note"});
  writer.field("a\tb\nc").field(std::int64_t{-3}).field(0.5, 4).missing().end_row();
  EXPECT_FALSE(std::filesystem::exists(folder / "t.tsv"));
  writer.commit();
  EXPECT_EQ(bytes_of(folder / "t.tsv"), "id\tn\tscore\tnote\na b c\t-3\t0.5000\tNA\n");
  EXPECT_EQ(rows_of(TableReader(folder / "t.tsv")).size(), 2U);
}

TEST(TsvWriter, LeavesOutTheHeaderOfALaterShard) {
  const TemporaryFolder folder;
  TsvWriter writer(folder / "t.tsv", {"id"}, TsvWriter::Header::leave_out);
  writer.field("a").end_row();
  writer.commit();
  EXPECT_EQ(bytes_of(folder / "t.tsv"), "a\n");
}

TEST(TsvWriter, RefusesRowsOfAnotherWidth) {
  const TemporaryFolder folder;
  TsvWriter writer(folder / "t.tsv", {"id", "n"});
  writer.field("a");
  EXPECT_THAT(message_of<ContractError>([&] { writer.end_row(); }),
              HasSubstr("a row of 1 fields in a table of 2 columns"));
  EXPECT_THROW(writer.commit(), ContractError);
  EXPECT_THROW(TsvWriter(folder / "u.tsv", {"a\tb"}), ContractError);
}

}  // namespace
}  // namespace strandline
