#!/usr/bin/env bash
# From nothing to a trained species classifier: installs what is missing (Debian 12; root or sudo), builds, brings real
# genomes out of Debian packages, trains on ten species, judges on stretches that training never saw, beside a k-mer
# baseline, and classifies a FASTA of contigs and a BAM of reads.
#   bash apps/quickstart.sh
# Everything stays under build/quickstart; a second run reuses what is there. Delete that folder to start over.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# = 0 ] || { echo "usage: bash apps/quickstart.sh" >&2; exit 2; }

work=build/quickstart
results=$work/results
strandline=$work/build/apps/cli/strandline
mkdir -p "$results"

began=$SECONDS
step() { printf '\n[%d:%02d] %s\n' $(((SECONDS - began) / 60)) $(((SECONDS - began) % 60)) "$*"; }

# Makes a file by a command that writes to standard output, under its final name only when it is whole.
make_file() {  # file command...
  local file=$1
  shift
  "$@" >"$file.part"
  mv "$file.part" "$file"
}

contigs_of_unseen_strains() {
  local species
  for species in hpylori_SJM180 saureus_USA300 vcholerae_H1; do
    gzip -dcf "$work/genomes/${species}_contigs.fa.gz" | awk -v strain="$species" '/^>/ { $0 = ">" strain "_" substr($1, 2) } { print }'
  done
  gzip -dcf "$work/genomes/lambda.fa.gz" | awk '/^>/ { $0 = ">lambda_phage (no species of the model)" } { print }'
}

reads_of_held_out_stretches() {
  local species
  printf '@HD\tVN:1.6\tSO:unsorted\n@CO\tsimulated: datasets/make_reads.awk, 3 %% substitutions\n'
  for species in "${species_names[@]}"; do
    awk -v species="$species" -v count=200 -v shortest=800 -v longest=6000 -v errors=0.03 -v seed=1 \
      -f datasets/make_reads.awk "$work/data/held/$species.fa"
  done
}

# How many records of a table have the label that their name begins with.
judge() {  # calls.tsv
  awk -F '\t' '
    NR == 1 { for (at = 1; at <= NF; at++) column[$at] = at; next }
    { split($column["seq_id"], part, "_"); truth = part[1]; if (truth == "lambda") next
      all[truth]++; bases[truth] += $column["length"]
      if ($column["label"] == "NA") none[truth]++
      if ($column["label"] == truth) { right[truth]++; right_bases[truth] += $column["length"] } }
    END { printf "  %-15s %8s %8s %8s %10s\n", "species", "records", "right", "no call", "of bases"
          for (name in all) printf "  %-15s %8d %8d %8d %9.1f%%\n", name, all[name], right[name], none[name], 100 * right_bases[name] / bases[name] | "sort" }' "$1"
}

step "packages"
bash apps/install_packages.sh

step "building"
cmake --preset release -B "$work/build" -DSTRANDLINE_BUILD_TESTS=OFF >"$work/configure.log" || { cat "$work/configure.log" >&2; exit 1; }
cmake --build "$work/build" --target strandline --parallel "$(nproc)"

step "genomes"
bash datasets/fetch_genomes.sh datasets/quickstart_genomes.tsv "$work/genomes"
[ "$work/data/.done" -nt datasets/quickstart_split.tsv ] || {
  bash datasets/split_genomes.sh datasets/quickstart_split.tsv "$work/genomes" "$work/data"
  touch "$work/data/.done"
}
mapfile -t species_names < <(tail -n +2 datasets/quickstart_split.tsv | cut -f1 | uniq)
[ -f "$work/reads.bam" ] || make_file "$work/reads.sam" reads_of_held_out_stretches
[ -f "$work/reads.bam" ] || make_file "$work/reads.bam" samtools view -b --no-PG "$work/reads.sam"
[ -f "$work/contigs.fa" ] || make_file "$work/contigs.fa" contigs_of_unseen_strains

step "training on ${#species_names[@]} species"
classes=()
for species in "${species_names[@]}"; do
  classes+=(--class "$species=$work/data/train/$species.fa" --val-class "$species=$work/data/held/$species.fa")
done
[ -f "$results/species.h5" ] || "$strandline" dna train "${classes[@]}" \
  --length 1024 --steps 2400 --eval-length 1024,4096 --baseline kmer --seed 1 \
  --report "$results/report.html" --metrics "$results/metrics.json" -o "$results/species.h5"

step "classifying contigs of strains that training never saw"
"$strandline" dna predict -m "$results/species.h5" "$work/contigs.fa" >"$results/contigs.tsv"
judge "$results/contigs.tsv"
grep lambda "$results/contigs.tsv" | cut -f1-4

step "classifying reads of the held-out stretches"
"$strandline" dna predict -m "$results/species.h5" "$work/reads.bam" >"$results/reads.tsv"
judge "$results/reads.tsv"

step "done"
cat <<END
report:      $PWD/$results/report.html
model:       $PWD/$results/species.h5
contigs:     $PWD/$results/contigs.tsv
reads:       $PWD/$results/reads.tsv
program:     $PWD/$strandline
END
