#include "pipelines/run/train_report.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "pipelines/run/svg_plot.hpp"

namespace strandline {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TrainReport report() {
  Predictions predictions{2, {0, 0, 1, 1}, {0.9, 0.1, 0.6, 0.4, 0.3, 0.7, 0.8, 0.2}};
  TrainReport out;
  out.title = "two <classes> & more";
  out.classes = {{"a<b", 1, 1000, 1, 100, "a contig"}, {"\"q\"", 2, 2000, 1, 100, "a file"}};
  out.judgements = {{"Mamba-2", 1024, false, evaluate(predictions, {.resamples = 20})},
                    {"3-mer logistic regression", 1024, true, evaluate(predictions, {.resamples = 20})}};
  out.history.losses = {{1, 0.7, 0.5, 1e-3, 1.0}, {2, 0.6, 0.6, 1e-3, 1.0}};
  out.history.validations = {{2, 0.65, 0.5}};
  out.manifest.command_line = {"strandline", "dna", "train", "--class", "it's=a b.fa"};
  out.manifest.inputs = {{"a b.fa", 12345, std::string(64, 'f')}};
  out.notes = {"a note"};
  return out;
}

// Every tag that is opened is closed, in order: enough of a parser for the markup that we write.
std::string first_unbalanced_tag(const std::string& html) {
  std::vector<std::string> open;
  for (std::size_t at = html.find('<'); at != std::string::npos; at = html.find('<', at + 1)) {
    const std::size_t end = html.find('>', at);
    const std::string tag = html.substr(at + 1, end - at - 1);
    if (tag.starts_with("!") || tag.ends_with("/") || tag.starts_with("meta") || tag == "br") continue;
    const std::string name = tag.substr(tag.starts_with("/") ? 1 : 0, tag.find(' ') - (tag.starts_with("/") ? 1 : 0));
    if (!tag.starts_with("/")) {
      open.push_back(name);
    } else if (open.empty() || open.back() != name) {
      return tag;
    } else {
      open.pop_back();
    }
  }
  return open.empty() ? "" : open.back();
}

TEST(TrainReport, IsWellFormedAndSelfContained) {
  const std::string html = to_html(report());

  EXPECT_EQ(first_unbalanced_tag(html), "");
  EXPECT_THAT(html, Not(HasSubstr("<script")));
  EXPECT_THAT(html, Not(HasSubstr("src=")));
  EXPECT_THAT(html, Not(HasSubstr("href=")));
  EXPECT_THAT(html, Not(HasSubstr("nan")));
}

TEST(TrainReport, EscapesWhatUsersWrote) {
  const std::string html = to_html(report());

  EXPECT_THAT(html, HasSubstr("two &lt;classes&gt; &amp; more"));
  EXPECT_THAT(html, HasSubstr("a&lt;b"));
  EXPECT_THAT(html, HasSubstr("--class &#39;it&#39;\\&#39;&#39;s=a b.fa&#39;"));
  EXPECT_EQ(xml_escape("a\x01\"b"), "a &quot;b");
}

TEST(TrainReport, ShowsModelAndBaselineWithIntervals) {
  const std::string html = to_html(report());

  EXPECT_THAT(html, HasSubstr("Mamba-2, 1,024 bases"));
  EXPECT_THAT(html, HasSubstr("3-mer logistic regression, 1,024 bases"));
  EXPECT_THAT(html, HasSubstr("0.7500"));
  EXPECT_THAT(html, HasSubstr(std::string(64, 'f')));
}

TEST(TrainReport, PlotsWithoutAnyFinitePoint) {
  EXPECT_THAT(svg_of(LinePlot{"empty", {"x"}, {"y"}, {{"none", {}}}}), HasSubstr("</svg>"));
  EXPECT_THAT(svg_of(MatrixPlot{"empty", {}, {}}), HasSubstr("</svg>"));
}

TEST(Judgement, GivesMetricsAsJson) {
  const auto json = nlohmann::json::parse(to_json(report().judgements, {"a<b", "\"q\""}));

  EXPECT_EQ(json["class_names"][1], "\"q\"");
  ASSERT_EQ(json["judgements"].size(), 2U);
  EXPECT_DOUBLE_EQ(json["judgements"][0]["scores"]["accuracy"]["value"], 0.75);
  EXPECT_EQ(json["judgements"][0]["confusion"], nlohmann::json::parse("[[2,0],[1,1]]"));
  EXPECT_TRUE(json["judgements"][1]["baseline"].get<bool>());
}

TEST(Judgement, WritesNumbersWithThousands) {
  EXPECT_EQ(with_thousands(0), "0");
  EXPECT_EQ(with_thousands(999), "999");
  EXPECT_EQ(with_thousands(-1234567), "-1,234,567");
}

}  // namespace
}  // namespace strandline
