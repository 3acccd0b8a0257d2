#!/usr/bin/env bash
# On a machine with a GPU: what it is, one run of each family twice, figures of speed.  scripts/gpu.sh [device] [scale]
# `scripts/gpu.sh cpu 0.02` rehearses it, one family after another.
# Logs and figures are written below $OUT; docs/gpu.md keeps what was seen.
set -uo pipefail
device=${1:-cuda} scale=${2:-1} out=${OUT:-build/gpu}
mkdir -p "$out" && export OUT=$out
python=${PYTHON:-python3}

[ "${NO_BENCH:-}" ] || $python -m benchmarks.gpu "$device" "$scale" 2>&1 | tee "$out/benchmark.txt"

smoke() {  # a family, beside the others where there is a GPU
  if [ "$device" = cpu ]; then twice "$@"; else twice "$@" & fi
}
twice() {  # name, then what to run: twice, to see whether a repeat gives the same rows
  name=$1; shift
  for again in 0 1; do
    $python -m recretrain run "$@" data.source=synthetic trainer.device="$device" trainer.threads=1 \
      paths.outputs="$out/smoke/$name$again" > "$out/smoke.$name.$again.txt" 2>&1 &
    running[again]=$!
  done
  failed=
  for again in 0 1; do
    wait "${running[again]}" || { failed=1; echo "$name: failed"; tail -n 5 "$out/smoke.$name.$again.txt"; }
  done
  [ -z "$failed" ] || return
  same=equal
  (cd "$out/smoke/${name}0" && find . -name rows.csv) | while read -r rows; do
    cmp -s "$out/smoke/${name}0/$rows" "$out/smoke/${name}1/$rows" || echo differ
  done | grep -q differ && same='not equal'
  echo "$name: $(find "$out/smoke/${name}0" -name rows.csv 2>/dev/null | wc -l) tasks; rows of the repeat are $same"
}
short=(schedule.last_test=2 method.learner.epochs=2)
smoke fine_tune experiment=demo data=yelp method=fine_tune
smoke sml experiment=demo data=yelp method=sml
smoke gru4rec experiment=demo data=yelp method=gru4rec method.learner.epochs=1 schedule.last_test=15
smoke ader data=diginetica method=ader "${short[@]}"
smoke melu data=movielens method=melu method.learner.epochs=2
smoke sml_gate experiment=demo data=yelp method=sml_gate
smoke recent experiment=demo data=yelp method=recent
few=(data.generator.reviews=2000 data.domains.core.min_item=2 data.domains.core.min_user=2)
smoke catn experiment=catn_small data=amazon_pair "${few[@]}" method.learner.stopping.epochs=2
smoke peterrec data=qq method=peterrec method.pretraining.epochs=1 method.learner.stopping.epochs=2
wait
rm -rf "$out/smoke"
