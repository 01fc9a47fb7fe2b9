#include "pipelines/dna/holdout.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>

#include "core/base/error.hpp"
#include "pipelines/run/random_order.hpp"

namespace strandline {
namespace {

// Contigs of one class, split by what the rule names outright.
struct ClassContigs {
  std::vector<std::int64_t> open;
  std::vector<std::int64_t> named;
};

std::int64_t length_of(const GenomeStore& store, std::int64_t contig) {
  return store.contigs()[static_cast<std::size_t>(contig)].length;
}

Region whole(const GenomeStore& store, std::int64_t contig) { return {contig, 0, length_of(store, contig)}; }

bool is_named(const Contig& contig, const HoldoutRule& rule) {
  if (std::ranges::find(rule.files, contig.file) != rule.files.end()) return true;
  return std::ranges::any_of(rule.contig_patterns,
                             [&](const std::string& pattern) { return matches_pattern(contig.name, pattern); });
}

void require_patterns_match(const GenomeStore& store, const HoldoutRule& rule) {
  for (const std::string& pattern : rule.contig_patterns) {
    const bool used = std::ranges::any_of(store.contigs(),
                                          [&](const Contig& contig) { return matches_pattern(contig.name, pattern); });
    if (used) continue;
    std::vector<std::string> some;
    for (const Contig& contig : store.contigs().first(std::min<std::size_t>(5, store.contigs().size())))
      some.push_back(contig.name);
    throw DataError({}, fmt::format("no contig is called '{}', which should be held out", pattern),
                    fmt::format("Contigs are called {}, ...; '*' stands for any letters", fmt::join(some, ", ")));
  }
}

std::vector<ClassContigs> sort_by_class(const GenomeStore& store, std::size_t classes, const HoldoutRule& rule) {
  std::vector<ClassContigs> sorted(classes);
  for (std::size_t index = 0; index < store.contigs().size(); ++index) {
    const Contig& contig = store.contigs()[index];
    if (contig.length < rule.shortest_bases) continue;
    ClassContigs& of_class = sorted[static_cast<std::size_t>(contig.class_id)];
    (is_named(contig, rule) ? of_class.named : of_class.open).push_back(static_cast<std::int64_t>(index));
  }
  return sorted;
}

// The end of a contig is held out, then comes a gap, and the rest trains: both parts hold a shortest contig.
void cut(const GenomeStore& store, std::int64_t contig, std::int64_t held_out_bases, const HoldoutRule& rule,
         ClassRegions& out) {
  const std::int64_t length = length_of(store, contig);
  const std::int64_t most = length - rule.window_bases - rule.shortest_bases;
  const std::int64_t begin = length - std::clamp(held_out_bases, rule.shortest_bases, most);
  out.held_out.push_back({contig, begin, length});
  out.training.push_back({contig, 0, begin - rule.window_bases});
}

ClassRegions hold_out_fraction(const GenomeStore& store, std::vector<std::int64_t> contigs, const HoldoutRule& rule,
                               std::uint64_t class_seed) {
  ClassRegions out;
  const std::int64_t total =
      std::accumulate(contigs.begin(), contigs.end(), std::int64_t{0},
                      [&](std::int64_t sum, std::int64_t contig) { return sum + length_of(store, contig); });
  const auto wanted = static_cast<std::int64_t>(static_cast<double>(total) * rule.fraction);
  std::vector<std::int64_t> remaining;
  std::int64_t held = 0;
  const auto count = static_cast<std::int64_t>(contigs.size());
  for (std::int64_t position = 0; position < count; ++position) {
    const std::int64_t contig = contigs[static_cast<std::size_t>(permuted(class_seed, 0, count, position))];
    if (held + length_of(store, contig) <= wanted) {
      held += length_of(store, contig);
      out.held_out.push_back(whole(store, contig));
    } else {
      remaining.push_back(contig);
    }
  }
  const std::size_t whole_contigs = out.held_out.size();
  if (held < wanted / 2 && !remaining.empty()) {
    const auto longest =
        std::ranges::max_element(remaining, {}, [&](std::int64_t contig) { return length_of(store, contig); });
    const std::int64_t contig = *longest;
    if (length_of(store, contig) >= 2 * rule.shortest_bases + rule.window_bases) {
      remaining.erase(longest);
      cut(store, contig, wanted - held, rule, out);
    }
  }
  for (const std::int64_t contig : remaining) out.training.push_back(whole(store, contig));
  out.how = fmt::format("{} of {} contigs{}", whole_contigs, count,
                        out.held_out.size() > whole_contigs ? " and the end of the longest other" : "");
  return out;
}

void order_by_place(std::vector<Region>& regions) {
  std::ranges::sort(regions, [](const Region& a, const Region& b) {
    return std::pair(a.contig, a.begin) < std::pair(b.contig, b.begin);
  });
}

void require_both_parts(const ClassRegions& regions, const std::string& class_name, const HoldoutRule& rule) {
  const auto usable = [&](const std::vector<Region>& part) {
    return std::ranges::any_of(part, [&](const Region& region) { return region.length() >= rule.shortest_bases; });
  };
  if (!usable(regions.training)) {
    throw DataError(
        {},
        fmt::format("class '{}' has nothing left to train on: every contig of at least {} bases is held out",
                    class_name, rule.shortest_bases),
        "Hold out less, give more sequence, or take shorter windows");
  }
  if (rule.fraction > 0 && !usable(regions.held_out)) {
    throw DataError(
        {}, fmt::format("class '{}' is too short to hold out a window of {} bases", class_name, rule.shortest_bases),
        "Give a file of its own to hold out, more sequence, or shorter windows");
  }
}

}  // namespace

bool matches_pattern(std::string_view text, std::string_view pattern) {
  // Greedy with one point of return: the last '*'.
  std::size_t t = 0;
  std::size_t p = 0;
  std::size_t star = std::string_view::npos;
  std::size_t after_star = 0;
  while (t < text.size()) {
    if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t]) && pattern[p] != '*') {
      ++t;
      ++p;
    } else if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      after_star = t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++after_star;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

std::vector<ClassRegions> plan_holdout(const GenomeStore& store, const std::vector<std::string>& class_names,
                                       const HoldoutRule& rule) {
  require_patterns_match(store, rule);
  const std::vector<ClassContigs> sorted = sort_by_class(store, class_names.size(), rule);
  std::vector<ClassRegions> plan;
  for (std::size_t class_id = 0; class_id < class_names.size(); ++class_id) {
    const ClassContigs& contigs = sorted[class_id];
    if (contigs.open.empty() && contigs.named.empty()) {
      throw DataError(
          {},
          fmt::format("class '{}' has no sequence of at least {} bases", class_names[class_id], rule.shortest_bases),
          "Give longer sequences, or take a smaller --length");
    }
    ClassRegions regions;
    if (contigs.named.empty() && rule.fraction > 0) {
      regions = hold_out_fraction(store, contigs.open, rule, rule.seed + class_id);
    } else {
      for (const std::int64_t contig : contigs.open) regions.training.push_back(whole(store, contig));
      for (const std::int64_t contig : contigs.named) regions.held_out.push_back(whole(store, contig));
      regions.how = fmt::format("{} of {} contigs, by name or file", contigs.named.size(),
                                contigs.named.size() + contigs.open.size());
    }
    order_by_place(regions.training);
    order_by_place(regions.held_out);
    require_both_parts(regions, class_names[class_id], rule);
    plan.push_back(std::move(regions));
  }
  return plan;
}

}  // namespace strandline
