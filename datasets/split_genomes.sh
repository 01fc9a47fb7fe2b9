#!/usr/bin/env bash
# Cuts genomes into what trains and what is held out, as a table says, one FASTA file per species and part.
#   datasets/split_genomes.sh SPLIT GENOMES FOLDER      writes FOLDER/train/<species>.fa and FOLDER/held/<species>.fa
# SPLIT has the columns species, part, file, records (a shell pattern on the first word of the name), begin, end (0-based,
# half-open; "end" for the whole rest). A record that is cut is named name:begin-end.
set -euo pipefail
[ $# = 3 ] || { echo "usage: $0 SPLIT GENOMES FOLDER" >&2; exit 2; }
split=$1
genomes=$2
folder=$3

# Prints [begin, end) of the records whose name matches a pattern; names "gi|1|gb|ACCESSION.1|" become "ACCESSION.1".
cut_records() {  # file pattern begin end
  local expression
  expression=$(sed -e 's/[.+(){}|^$\\]/\\&/g' -e 's/\*/.*/g' -e 's/?/./g' <<<"$2")
  gzip -dcf "$1" | awk -v pattern="^$expression\$" -v begin="$3" -v end="$4" '
    function flush() { if (row != "") { print row; row = "" } }
    /^>/ {
      flush()
      name = substr($1, 2)
      if (split(name, part, "|") >= 4) name = part[4]
      wanted = name ~ pattern
      position = 0
      if (wanted) print ">" name (begin > 0 || end != "end" ? ":" begin "-" end : "")
      next
    }
    wanted {
      from = begin > position ? begin - position + 1 : 1
      count = length($0) - from + 1
      if (end != "end" && position + length($0) > end + 0) count = end - position - from + 1
      if (count > 0) row = row substr($0, from, count)
      position += length($0)
      if (length(row) >= 5000) flush()
    }
    END { flush() }'
}

work=$folder/.splitting
rm -rf "$work"
mkdir -p "$work/train" "$work/held"
while IFS=$'\t' read -r species part file records begin end _; do
  before=$(stat -c %s "$work/$part/$species.fa" 2>/dev/null || echo 0)
  cut_records "$genomes/$file" "$records" "$begin" "$end" >>"$work/$part/$species.fa"
  [ "$(stat -c %s "$work/$part/$species.fa")" -gt "$before" ] || {
    echo "$0: no record of $file matches '$records'" >&2
    exit 65
  }
done < <(tail -n +2 "$split")
rm -rf "$folder/train" "$folder/held"
mv "$work/train" "$work/held" "$folder"
rmdir "$work"
