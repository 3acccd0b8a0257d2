#!/usr/bin/env bash
# The search behind REPRODUCTION.md: every setting that was tried, on choosing periods only. Repeating it runs what is missing.
#   RECRETRAIN_DATA=/path/to/raw scripts/search.sh        then: recretrain report search --test choosing
set -eu
run() { recretrain run -m hydra.launcher.n_jobs=1 trainer.threads=1 paths.outputs=search data.source=raw "$@"; }

# yelp2019 in 40 periods ---------------------------------------------------------------------------------------------
yelp() { run data=yelp2019 schedule=next_period schedule.last_test=32 "$@"; }
start=(backbone.init_std=0.1 pretraining@method.pretraining=regularised)
block="method.pretraining.batch_size=1024"

run data=yelp2019 schedule.last_test=31 method=fine_tune,sml  # everything as published
yelp method=popularity method.decay=1,0.9,0.7,0.5
# how strong a start: the pre-training, judged by the model that is then left alone
yelp method=frozen $block method.pretraining.epochs=10 method.pretraining.reg=1e-7,1e-5,1e-4 backbone.init_std=1,0.1,0.01
yelp method=frozen $block method.pretraining.epochs=10,20 method.pretraining.reg=2e-4,4e-4 backbone.init_std=0.1
yelp "${start[@]}" method=fine_tune method.learner.batch_size=64,1024 method.learner.epochs=1,5 method.learner.learning_rate=0.01,0.001
yelp "${start[@]}" method=fine_tune method.learner.batch_size=1024 method.learner.epochs=1,5,10 method.learner.learning_rate=0.001,0.003,0.01 method.learner.reg=1e-4
yelp "${start[@]}" method=fine_tune method.learner.batch_size=64 method.learner.epochs=10,20 method.learner.learning_rate=0.001
yelp "${start[@]}" method=fine_tune method.learner.batch_size=64 method.learner.epochs=5,10 method.learner.learning_rate=0.0003
yelp "${start[@]}" method=fine_tune method.learner.batch_size=64 method.learner.epochs=10 method.learner.learning_rate=0.001 method.learner.reg=1e-4
yelp "${start[@]}" method=fine_tune method.learner.batch_size=64 method.learner.epochs=10 method.learner.learning_rate=0.001 method.learner.negatives=met
yelp "${start[@]}" method=spmf method.learner.batch_size=64 method.learner.epochs=5,10 method.learner.learning_rate=0.001
yelp "${start[@]}" method=full_retrain method.learner.batch_size=1024 method.learner.epochs=1,5,10 method.learner.reg=1e-4
# SML: how What continues, which rows are blended, and how long and how fast the transfer is taught
yelp "${start[@]}" method=sml method.loops=5 method.inactive_rows=kept
yelp "${start[@]}" method=sml method.loops=5 method.inactive_rows=kept schedule.warm_up=22
yelp "${start[@]}" method=sml method.loops=5 method.transfer.batch_size=64 method.continues_from=own,transferred
yelp "${start[@]}" method=sml method.loops=5 method.transfer.batch_size=64 method.continues_from=own method.fresh.learning_rate=0.001
yelp "${start[@]}" method=sml method.loops=5 method.transfer.batch_size=64 method.continues_from=own schedule.warm_up=20
yelp "${start[@]}" method=sml method.loops=2,5 method.continues_from=own method.transfer.learning_rate=0.003
yelp "${start[@]}" method=sml method.loops=10 method.transfer.batch_size=64 method.continues_from=own method.transfer.learning_rate=0.003 schedule.warm_up=20
yelp "${start[@]}" method=sml method.loops=5 method.continues_from=own method.transfer.learning_rate=0.003 method.transfer.weight_decay=1e-3,1e-5,0
yelp "${start[@]}" method=sml method.loops=5 method.continues_from=own method.transfer.learning_rate=0.003 method.transfer.weight_decay=1e-5 method.transfer.negatives=stored
yelp "${start[@]}" method=sml method.loops=10
yelp "${start[@]}" method=sml method.loops=5 method.continues_from=own method.transfer.learning_rate=0.003 method.fresh.reg=1e-4

# A second search, from both starts: as many trials for each method, negatives of all items met for each
rates() { for batch in "64 0.001 0" "256 0.003 0" "256 0.003 3e-5"; do
  set -- "$batch" "$@"; read -r size rate reg <<< "$1"; shift
  yelp "${start[@]}" "$@" method.learner.batch_size=$size method.learner.learning_rate=$rate method.learner.reg=$reg method.learner.epochs=5,10
done; }
quick=(method.fresh.batch_size=256 method.fresh.learning_rate=0.003 method.fresh.reg=3e-5)
fair=(schedule.warm_up=tests method.lessons_from=20)
for begin in tests start; do rates method=fine_tune method.learner.negatives=met schedule.warm_up=$begin; done
rates method=spmf schedule.warm_up=tests
for fit in "" "${quick[*]}"; do for begin in "schedule.warm_up=start" "${fair[*]}"; do  # shellcheck disable=SC2086
  yelp "${start[@]}" method=sml_gate $fit $begin method.transfer.learning_rate=0.001,0.003 method.transfer.epochs=5
  yelp "${start[@]}" method=sml_gate $fit $begin method.transfer.learning_rate=0.003 method.transfer.epochs=10
  yelp "${start[@]}" method=sml_fresh_start $fit $begin method.transfer.learning_rate=0.0003,0.001 method.transfer.epochs=5
  yelp "${start[@]}" method=sml_fresh_start $fit $begin method.transfer.learning_rate=0.001 method.transfer.epochs=10
done; done

# yelp2019 in 12 months ----------------------------------------------------------------------------------------------
months() { run data=yelp2019 schedule=months cut@data.cut=months schedule.last_test=7 "$@"; }
months method=popularity method.decay=1,0.9,0.7,0.5
months "${start[@]}" method=frozen
months "${start[@]}" method=fine_tune method.learner.batch_size=64 method.learner.epochs=5,10 method.learner.learning_rate=0.001
months "${start[@]}" method=fine_tune method.learner.batch_size=64 method.learner.epochs=10 method.learner.learning_rate=0.001 method.learner.negatives=met
months "${start[@]}" method=spmf method.learner.batch_size=64 method.learner.epochs=5,10 method.learner.learning_rate=0.001
months "${start[@]}" method=full_retrain method.learner.batch_size=1024 method.learner.epochs=5,10 method.learner.reg=1e-4
months "${start[@]}" method=sml method.loops=5
months "${start[@]}" method=sml method.loops=5 method.continues_from=own method.transfer.learning_rate=0.003
run data=yelp2019 schedule=months cut@data.cut=months schedule.last_test=6 "${start[@]}" method=sml method.loops=15 method.continues_from=own method.transfer.learning_rate=0.003 method.transfer.weight_decay=0

# Other optimisers and the loss of BPR
tuned=(method=fine_tune method.learner.epochs=10 method.learner.negatives=met)
yelp "${start[@]}" "${tuned[@]}" method.learner.optimizer=rows method.learner.learning_rate=0.001,0.003,0.01
yelp "${start[@]}" "${tuned[@]}" method.learner.loss=bpr method.learner.learning_rate=0.001
yelp "${start[@]}" method=fine_tune_bpr method.learner.learning_rate=1,5,20,40,80
yelp "${start[@]}" method=fine_tune_bpr method.learner.loss=log method.learner.learning_rate=1,5,20,40
yelp "${start[@]}" method=full_retrain_bpr method.learner.learning_rate=5,20
yelp "${start[@]}" method=fine_tune_bpr schedule.warm_up=start method.learner.learning_rate=5,10,20,30,40,60,80
# Gates over BPR, from both starts
over=("${start[@]}" method=sml_gate_bpr)
lessons=(schedule.warm_up=tests method.lessons_from=20)
yelp "${over[@]}" "${lessons[@]}" method.transfer.learning_rate=0.001,0.003,0.01
yelp "${over[@]}" "${lessons[@]}" method.transfer.epochs=1,10
yelp "${over[@]}" "${lessons[@]}" method.learner.learning_rate=10,40,80
yelp "${over[@]}" "${lessons[@]}" method.transfer.network.bound=3,5,10
yelp "${over[@]}" "${lessons[@]}" transfer@method.transfer.network=per_dimension method.transfer.learning_rate=0.003,0.01
yelp "${over[@]}" "${lessons[@]}" transfer@method.transfer.network=fresh_start method.transfer.learning_rate=0.001,0.003
yelp "${over[@]}" schedule.warm_up=start method.transfer.learning_rate=0.001,0.003
yelp "${over[@]}" schedule.warm_up=start method.learner.learning_rate=40,80
yelp "${over[@]}" schedule.warm_up=start method.learner.learning_rate=5,10 method.transfer.learning_rate=0.001,0.003
# A penalty and longer steps, as many trials for full-retrain, fine-tune and the gate
grid=(method.learner.learning_rate=20,60 method.learner.reg=1e-4,2e-4,5e-4)
for method in full_retrain_bpr fine_tune_bpr "sml_gate_bpr schedule.warm_up=tests"; do  # shellcheck disable=SC2086
  case $method in sml*) later="method.lessons_from=20" month="method.lessons_from=2";; *) later="" month="";; esac
  yelp "${start[@]}" method=$method $later method.learner.learning_rate=20
  yelp "${start[@]}" method=$method $later "${grid[@]}"
  months "${start[@]}" method=$method $month method.learner.learning_rate=20
  months "${start[@]}" method=$method $month "${grid[@]}"
done

# globo in 48 slots --------------------------------------------------------------------------------------------------
globo() { run data=globo schedule=globo_slots schedule.last_test=39 "$@"; }
start+=(method.pretraining.epochs=5)
globo method=popularity method.decay=0.5,0.2,0
globo "${start[@]}" method=frozen
globo "${start[@]}" method=fine_tune method.learner.batch_size=1024 method.learner.epochs=5 method.learner.learning_rate=0.01,0.001
globo "${start[@]}" method=fine_tune method.learner.batch_size=256 method.learner.epochs=5 method.learner.learning_rate=0.003,0.001
globo "${start[@]}" method=fine_tune method.learner.batch_size=1024 method.learner.epochs=20 method.learner.learning_rate=0.01 method.learner.reg=1e-4
globo "${start[@]}" method=fine_tune method.learner.batch_size=64 method.learner.epochs=5 method.learner.learning_rate=0.01
globo "${start[@]}" method=fine_tune method.learner.batch_size=256 method.learner.epochs=10 method.learner.learning_rate=0.01
globo "${start[@]}" method=spmf method.learner.batch_size=256 method.learner.epochs=5 method.learner.learning_rate=0.01,0.003
globo "${start[@]}" method=full_retrain method.learner.batch_size=1024 method.learner.epochs=1,5 method.learner.reg=1e-4
globo "${start[@]}" method=fine_tune method.learner.batch_size=256 method.learner.epochs=5 method.learner.learning_rate=0.01,0.003 method.learner.negatives=met
globo "${start[@]}" method=sml method.loops=5 method.transfer.negatives=period,stored
globo "${start[@]}" method=sml method.loops=5 method.continues_from=own

# A second search, as that of yelp2019
small=(method.fresh.batch_size=256 method.fresh.epochs=5)
fair=(schedule.warm_up=tests method.lessons_from=24)
for begin in tests start; do
  globo "${start[@]}" method=fine_tune method.learner.negatives=met schedule.warm_up=$begin method.learner.batch_size=256 method.learner.learning_rate=0.003,0.01 method.learner.epochs=5,10
  globo "${start[@]}" method=fine_tune method.learner.negatives=met schedule.warm_up=$begin method.learner.batch_size=1024 method.learner.learning_rate=0.01 method.learner.epochs=5,10
done
for begin in "schedule.warm_up=start" "${fair[*]}"; do  # shellcheck disable=SC2086
  globo "${start[@]}" method=sml_gate $begin "${small[@]}" method.fresh.learning_rate=0.003,0.01 method.transfer.learning_rate=0.001 method.transfer.epochs=1,5
  globo "${start[@]}" method=sml_gate $begin "${small[@]}" method.fresh.learning_rate=0.003,0.01 method.transfer.learning_rate=0.003 method.transfer.epochs=1
done
globo "${start[@]}" method=sml_fresh_start "${fair[@]}" "${small[@]}" method.fresh.learning_rate=0.003,0.01 method.transfer.learning_rate=0.0003,0.001 method.transfer.epochs=1
globo "${start[@]}" method=sml_fresh_start "${fair[@]}" "${small[@]}" method.fresh.learning_rate=0.003,0.01 method.transfer.learning_rate=0.0003 method.transfer.epochs=5

# Other optimisers and the loss of BPR
globo "${start[@]}" "${tuned[@]}" method.learner.batch_size=256 method.learner.optimizer=rows method.learner.learning_rate=0.003,0.01,0.03
globo "${start[@]}" method=fine_tune_bpr method.learner.learning_rate=5,20,40,80,160,320
