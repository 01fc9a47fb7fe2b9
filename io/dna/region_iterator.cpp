#include "io/dna/region_iterator.hpp"

#include <algorithm>
#include <tuple>

#include "core/base/error.hpp"

namespace strandline {
namespace {

std::string display_name(const std::string& path) { return path == "-" ? "standard input" : path; }

}  // namespace

RegionIterator::RegionIterator(htsFile& file, const sam_hdr_t& header, const std::string& path,
                               const std::vector<std::string>& regions)
    : file_(file), header_(header) {
  const std::string name = display_name(path);
  for (const std::string& region : regions) regions_.push_back(parse(region, name));
  merge();
  if (path != "-") index_.reset(sam_index_load3(&file_, path.c_str(), nullptr, HTS_IDX_SILENT_FAIL));
  if (index_) return;
  const bool indexable = path != "-" && (file_.is_cram || file_.is_bgzf);
  throw DataError({name},
                  std::string("regions need an index (") + (file_.is_cram ? ".crai" : ".bai or .csi") +
                      "), and there is none that can be read",
                  indexable
                      ? "Make it with samtools index, or filter with a BED file (-L), which needs no index"
                      : "Give a sorted and indexed BAM file, or filter with a BED file (-L), which needs no index");
}

RegionIterator::Region RegionIterator::parse(const std::string& region, const std::string& name) const {
  if (region == "*") return {.tid = HTS_IDX_NOCOOR, .begin = 0, .end = HTS_POS_MAX};
  Region parsed;
  auto* header = const_cast<sam_hdr_t*>(&header_);  // HTSlib fills its look-up tables lazily
  const char* rest = sam_parse_region(header, region.c_str(), &parsed.tid, &parsed.begin, &parsed.end, 0);
  if (rest != nullptr && *rest == '\0' && parsed.begin < parsed.end) return parsed;
  const std::string contig = region.substr(0, region.rfind(':'));
  const bool known = sam_hdr_name2tid(header, region.c_str()) >= 0 || sam_hdr_name2tid(header, contig.c_str()) >= 0;
  if (known) {
    throw DataError({name}, "the region '" + region + "' cannot be understood",
                    "Write contig, contig:begin or contig:begin-end, counting from 1");
  }
  throw DataError({name}, "the region '" + region + "' is on no contig of this file", contig_list(header_));
}

// Sorted by contig and begin; none touches the next. Reads without a place come last, as in the file.
void RegionIterator::merge() {
  const auto rank = [](int tid) { return static_cast<unsigned>(tid); };  // HTS_IDX_NOCOOR is negative
  std::sort(regions_.begin(), regions_.end(), [&](const Region& a, const Region& b) {
    return std::tuple(rank(a.tid), a.begin) < std::tuple(rank(b.tid), b.begin);
  });
  std::size_t kept = 0;
  for (const Region& region : regions_) {
    if (kept > 0 && regions_[kept - 1].tid == region.tid && region.begin <= regions_[kept - 1].end) {
      regions_[kept - 1].end = std::max(regions_[kept - 1].end, region.end);
    } else {
      regions_[kept++] = region;
    }
  }
  regions_.resize(kept);
}

int RegionIterator::next(bam1_t& record) {
  while (current_ < regions_.size()) {
    const Region& region = regions_[current_];
    if (!iterator_) iterator_.reset(sam_itr_queryi(index_.get(), region.tid, region.begin, region.end));
    if (!iterator_) return -2;
    const int status = sam_itr_next(&file_, iterator_.get(), &record);
    if (status < -1) return status;
    if (status == -1) {
      iterator_.reset();
      ++current_;
      continue;
    }
    // A record of this region that begins before the end of the region before touches that one too, and was given
    // there.
    const bool given =
        current_ > 0 && regions_[current_ - 1].tid == region.tid && record.core.pos < regions_[current_ - 1].end;
    if (!given) return status;
  }
  return -1;
}

std::string contig_list(const sam_hdr_t& header) {
  constexpr int kShown = 8;
  const int count = sam_hdr_nref(&header);
  if (count == 0) return "The file has no contigs";
  std::string list = "Its contigs are ";
  for (int tid = 0; tid < std::min(count, kShown); ++tid) {
    list += (tid > 0 ? ", '" : "'") + std::string(sam_hdr_tid2name(&header, tid)) + "'";
  }
  if (count > kShown) list += ", ... (" + std::to_string(count) + " in all)";
  return list;
}

}  // namespace strandline
