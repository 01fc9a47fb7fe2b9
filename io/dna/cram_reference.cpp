#include "io/dna/cram_reference.hpp"

#include <htslib/bgzf.h>
#include <htslib/cram.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "core/base/error.hpp"
#include "io/bytes/hts_input.hpp"

namespace strandline {
namespace {

constexpr hts_pos_t kFetchBases = hts_pos_t{1} << 22;

struct FreeKstring {
  kstring_t text = KS_INITIALIZE;
  ~FreeKstring() { ks_free(&text); }
};

// The value of a tag of the @SQ line of a contig; empty when there is none.
std::string sq_tag(const sam_hdr_t& header, const char* contig, const char* tag) {
  FreeKstring value;
  const int status = sam_hdr_find_tag_id(const_cast<sam_hdr_t*>(&header), "SQ", "SN", contig, tag, &value.text);
  return status == 0 ? std::string(value.text.s, value.text.l) : std::string();
}

}  // namespace

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

const std::string& TemporaryDirectory::path() {
  if (!path_.empty()) return path_;
  std::string pattern = std::filesystem::temp_directory_path().string() + "/strandline-XXXXXX";
  if (::mkdtemp(pattern.data()) == nullptr) throw IoError(pattern, "create a temporary directory", errno);
  path_ = pattern;
  return path_;
}

CramReference::CramReference(const std::string& path) : path_(path), indexed_path_(path) {
  const HtsInput input = open_hts_input(path);  // for its errors: missing, empty, a network address
  if (input.head_text.find('>') == std::string::npos)
    throw DataError({path}, "the reference is no FASTA", "Give the genome that the reads were aligned to");
  const bool indexed =
      std::filesystem::exists(path + ".fai") && (!input.compressed || std::filesystem::exists(path + ".gzi"));
  if (!indexed) make_index();
  index_.reset(fai_load3(indexed_path_.c_str(), nullptr, nullptr, 0));
  if (!index_)
    throw DataError({path}, "the index of the reference cannot be read", "Make it again with samtools faidx");
}

void CramReference::make_index() {
  const std::filesystem::path target = std::filesystem::absolute(path_);
  const std::filesystem::path link = directory_.path() + "/" + target.filename().string();
  std::filesystem::create_symlink(target, link);
  indexed_path_ = link.string();
  if (fai_build3(indexed_path_.c_str(), nullptr, nullptr) != 0) {
    throw DataError({path_}, "the reference cannot be indexed",
                    "It must be plain FASTA with lines of equal length, or compressed with bgzip (not gzip)");
  }
}

void CramReference::check_contig(const sam_hdr_t& header, int tid, const std::string& alignment_name) {
  if (checked_.empty()) checked_.resize(static_cast<std::size_t>(sam_hdr_nref(&header)));
  if (tid < 0 || static_cast<std::size_t>(tid) >= checked_.size() || checked_[static_cast<std::size_t>(tid)]) return;
  const char* contig = sam_hdr_tid2name(&header, tid);
  const auto refuse = [&](const std::string& problem) {
    throw DataError({alignment_name}, "contig '" + std::string(contig) + "' " + problem + " '" + path_ + "'",
                    "Give with --reference the very genome that this CRAM was written with");
  };
  if (faidx_has_seq(index_.get(), contig) == 0) refuse("is not in the reference");
  const hts_pos_t expected_length = sam_hdr_tid2len(&header, tid);
  const hts_pos_t length = faidx_seq_len(index_.get(), contig);
  if (length != expected_length) {
    refuse("has " + std::to_string(expected_length) + " bases here and " + std::to_string(length) +
           " in the reference");
  }
  const std::string expected = sq_tag(header, contig, "M5");
  if (!expected.empty()) {
    const std::string found = md5_of(contig, length);
    if (found != expected) refuse("has MD5 " + expected + " here and " + found + " in the reference");
  }
  checked_[static_cast<std::size_t>(tid)] = true;
}

void CramReference::check_all(const sam_hdr_t& header, const std::string& alignment_name) {
  // First the contigs that are there: one that is missing may simply not be used.
  for (const bool present : {true, false}) {
    for (int tid = 0; tid < sam_hdr_nref(&header); ++tid) {
      if ((faidx_has_seq(index_.get(), sam_hdr_tid2name(&header, tid)) != 0) == present)
        check_contig(header, tid, alignment_name);
    }
  }
}

// MD5 of the upper-case bases, as the SAM specification defines M5.
std::string CramReference::md5_of(const std::string& contig, hts_pos_t length) const {
  const std::unique_ptr<hts_md5_context, DestroyWith<hts_md5_destroy>> md5(hts_md5_init());
  if (!md5) throw std::bad_alloc();
  for (hts_pos_t begin = 0; begin < length; begin += kFetchBases) {
    hts_pos_t count = 0;
    const hts_pos_t last = std::min(begin + kFetchBases, length) - 1;
    const std::unique_ptr<char, DestroyWith<std::free>> bases(
        faidx_fetch_seq64(index_.get(), contig.c_str(), begin, last, &count));
    if (!bases || count != last - begin + 1) {
      throw DataError({.file = path_, .record = contig}, "the reference cannot be read",
                      "Its index may be out of date: make it again with samtools faidx");
    }
    std::transform(bases.get(), bases.get() + count, bases.get(),
                   [](char c) { return static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c); });
    hts_md5_update(md5.get(), bases.get(), static_cast<unsigned long>(count));
  }
  unsigned char digest[16];
  char hex[33];
  hts_md5_final(digest, md5.get());
  hts_md5_hex(hex, digest);
  return std::string(hex, 32);
}

void forbid_reference_lookup(htsFile& cram) {
  sam_hdr_t* header = cram_fd_get_header(cram.fp.cram);
  if (header == nullptr) return;
  for (int tid = 0; tid < sam_hdr_nref(header); ++tid) {
    for (const char* tag : {"M5", "UR"}) {
      // -1 for an error, 0 when it was not there, 1 when it is gone
      if (sam_hdr_remove_tag_id(header, "SQ", "SN", sam_hdr_tid2name(header, tid), tag) < 0) throw std::bad_alloc();
    }
  }
}

}  // namespace strandline
