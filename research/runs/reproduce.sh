#!/usr/bin/env bash
# Runs everything that makes the committed result files, in order: bash research/runs/reproduce.sh
#
#   FORCE=1     do again what is there already (a result file that exists is otherwise left alone)
#   SEEDS=3     trainings of each arm of the ablations
#   DATA=...    the training data of the ablations, drawn here if they are not there
#   BUILD=...   a finished build of the mini family (`plvm mini build`: hours); without one its arms are not compared
#   PHOTOS=...  photographs, PHOTOS/<person>/*.jpg, and FAMILY=... a photo family (default: the package's); without them theirs is left out
#   THINGS=...  photographs of pets and things, THINGS/<thing>/*.jpg; PAPER=... an Aligner of the form `paper` on that family,
#   trained if need be on ALBUM=..., the pictures that a build of the family was trained on
#   PYTHON=...  the Python to use (default: .venv/bin/python)
#
# A script that was stopped goes on where it was, if it says so in its docstring. Times are estimates for one free core of a
# laptop's CPU; without the ablations it takes about 8 hours, most of it for systems that learn people one by one.
set -euo pipefail
cd "$(dirname "$0")/../.."
PYTHON=${PYTHON:-.venv/bin/python}
DATA=${DATA:-data/portraits}
BUILD=${BUILD:-build/mini}
PHOTOS=${PHOTOS:-build/lfw}
THINGS=${THINGS:-build/things}
FAMILY=${FAMILY:-src/plvm/families/photo}
ALBUM=${ALBUM:-build/photo/people}
PAPER=${PAPER:-build/photo/paper}
SEEDS=${SEEDS:-3}
FORCE=${FORCE:-}

plvm() { "$PYTHON" -c 'from plvm.cli.main import app; app(prog_name="plvm")' "$@"; }

# make FILE COMMAND...: run the command, unless the file that it writes is there. The marker tells a finished file from one
# that a stopped script wrote in between.
make() {
  local file=$1 marker=build/reproduced/${1//\//_}
  shift
  if [[ -z $FORCE && -f $file && ! -f $marker.begun ]]; then
    echo "there: $file" >&2
    return
  fi
  echo "== $file: $*" >&2
  mkdir -p build/reproduced
  touch "$marker.begun"
  "$@"
  [[ -f $file ]] || { echo "$file was not written" >&2; exit 1; }
  rm "$marker.begun"
}

# ---- what was shipped
make research/results/portraits/summary.json plvm eval --suite portraits --system plvm --out research/results/portraits           # 4 minutes
make research/results/five_seeds.json "$PYTHON" research/benchmarks/five_seeds.py                                                 # 20 minutes
make research/results/descriptions.json "$PYTHON" research/benchmarks/descriptions.py                                             # 1 minute
make research/results/dialogues.json "$PYTHON" research/benchmarks/dialogues.py --choose                                           # 10 minutes
make research/results/start_up.json "$PYTHON" research/benchmarks/start_up.py --repeat 8                                                 # 2 minutes
make research/results/everyday_inputs.json "$PYTHON" research/benchmarks/manners.py                                                     # 3 minutes
make research/results/unlike_training.json "$PYTHON" research/runs/unlike_training.py                                                 # 5 minutes
if [[ -d $PHOTOS && -d $FAMILY ]]; then
  make research/results/face_references.json "$PYTHON" research/benchmarks/face_references.py --model "$FAMILY/aligner" --photos "$PHOTOS"  # 2 minutes
  make research/results/photo_reading.json "$PYTHON" research/benchmarks/photo_reading.py --model "$FAMILY/aligner" --photos "$PHOTOS"  # 5 minutes
  make research/results/photo_captions.json "$PYTHON" research/benchmarks/photo_captions.py --model "$FAMILY/aligner" --photos "$PHOTOS"  # half an hour
  people() { plvm eval --suite lfw --seed 15 --photos "$PHOTOS" --model "$FAMILY/aligner" "$@"; }
  make research/results/lfw/plvm/summary.json people --system plvm --out research/results/lfw/plvm                                     # 1 hour
  make research/results/lfw/face-codes/summary.json people --system face-codes --out research/results/lfw/face-codes                   # 20 minutes
  make research/results/photo_seeds.json "$PYTHON" research/benchmarks/photo_seeds.py --model "$FAMILY/aligner" --photos "$PHOTOS"     # 95 minutes
  make research/results/number_formats.json "$PYTHON" research/benchmarks/number_formats.py --photos "$PHOTOS"                        # 20 minutes
  make research/results/photo_dialogues.json "$PYTHON" research/benchmarks/photo_dialogues.py --model "$FAMILY/aligner" --photos "$PHOTOS" --choose  # 20 minutes
  make research/results/photo_inputs.json "$PYTHON" research/benchmarks/photo_manners.py --model "$FAMILY/aligner" --photos "$PHOTOS"  # 30 minutes
  [[ -d $PAPER ]] || plvm train "$ALBUM" --model "$FAMILY/aligner" --out "$PAPER" aligner.architecture=paper aligner.K=1 aligner.blocks=2 data.attribute=0 data.distractors=0.5 train.steps=60 train.warmup=20 train.w=4  # half an hour
  make research/results/table_photo.json "$PYTHON" research/runs/table_photo.py --model "$FAMILY/aligner" --paper "$PAPER" --photos "$PHOTOS" --identities 8 --rows 10  # 90 minutes
else
  echo "no photographs and their family: face_references.json, lfw/, number_formats.json, photo_*.json and table_photo.json are left out" >&2
fi
if [[ -d $PHOTOS && -d $FAMILY && -d $THINGS ]]; then
  things() { plvm eval --suite things --photos "$THINGS" --people "$PHOTOS" --model "$FAMILY/aligner" "$@"; }
  make research/results/things/plvm/summary.json things --system plvm --out research/results/things/plvm                               # 20 minutes
  make research/results/things/thing-codes/summary.json things --system thing-codes --out research/results/things/thing-codes          # 5 minutes
else
  echo "no photographs of things: research/results/things/ is left out" >&2
fi
make research/results/store_faults.json "$PYTHON" research/benchmarks/store_faults.py                                                 # 6 minutes
make research/results/serving_load.json "$PYTHON" research/benchmarks/serving_load.py                                                 # 12 minutes
make research/results/serving_memory.json "$PYTHON" research/benchmarks/serving_memory.py                                             # 11 minutes
make research/results/serving_kills.json "$PYTHON" research/benchmarks/serving_kills.py                                               # 6 minutes
make research/results/household.json "$PYTHON" research/benchmarks/household.py                                                       # 1 minute
make research/results/store_scale.json "$PYTHON" research/benchmarks/store_scale.py                                                 # 15 minutes
make research/results/spelled_names.json "$PYTHON" research/benchmarks/spelled_names.py                                           # 2 minutes
make research/results/enroll.json "$PYTHON" research/benchmarks/enroll.py                                                         # 10 s
make research/results/enrolled.json "$PYTHON" research/benchmarks/enrolled.py                                                     # 10 minutes
make research/results/in_context.json "$PYTHON" research/runs/in_context.py                                                     # 20 minutes
make research/results/roll_call.json "$PYTHON" research/runs/roll_call.py                                                       # 15 minutes
make research/results/references.json "$PYTHON" research/benchmarks/references.py                                                 # 4 minutes
make research/results/speed_start.json "$PYTHON" research/benchmarks/speed.py start                                                # 1 minute
make research/results/speed_enroll.json "$PYTHON" research/benchmarks/speed.py enroll                                              # 2 minutes
make research/results/speed_score.json "$PYTHON" research/benchmarks/speed.py score                                                # 4 minutes
make research/results/speed_chat.json "$PYTHON" research/benchmarks/speed.py chat                                                  # 3 minutes
make research/results/speed_generate.json "$PYTHON" research/benchmarks/speed.py generate                                          # 4 minutes
make research/results/speed_serve.json "$PYTHON" research/benchmarks/speed.py serve                                                # 30 s
make research/results/growth_curves.json "$PYTHON" research/benchmarks/growth.py                                                   # 4 minutes
make research/results/bench_train.json plvm bench train --device cpu --json --out research/results/bench_train.json               # 3 minutes
make research/results/planted.json "$PYTHON" research/benchmarks/planted.py                                                       # 2 minutes
make research/results/synth.json "$PYTHON" research/benchmarks/synth.py                                                           # 4 minutes
make research/results/synth_answers.json "$PYTHON" research/benchmarks/synth.py --answers                                         # 1 minute
if [[ -d $BUILD ]]; then
  make research/results/arms.json "$PYTHON" research/benchmarks/arms.py "$BUILD"                                                  # 16 minutes
else
  echo "no $BUILD: research/results/arms.json is left out" >&2
fi
if command -v nvidia-smi > /dev/null; then
  make research/results/full_size.json "$PYTHON" research/benchmarks/full_size.py                                                 # 2 minutes
  make research/results/gpu_checks.json "$PYTHON" research/benchmarks/gpu.py                                                      # 8 minutes
  make research/results/bench_train_gpu.json plvm bench train --json --out research/results/bench_train_gpu.json                  # 10 s
else
  echo "no GPU: research/results/full_size.json, gpu_checks.json and bench_train_gpu.json are left out" >&2
fi

# ---- tables and figures of the paper
make research/results/yollava_budget.json "$PYTHON" research/runs/yollava_budget.py                                               # 30 minutes
make research/results/table1.json "$PYTHON" research/runs/table1.py                                                               # 3 hours
recognition() { plvm eval --suite portraits --system "$1" --part recognition --out "research/results/recognition/$1"; }  # for ROC curves
make research/results/recognition/embedding/summary.json recognition embedding                                           # 2 minutes
make research/results/recognition/llava/summary.json recognition llava                                                   # 2 minutes
make research/results/recognition/llava-prompt/summary.json recognition llava-prompt                                     # 2 minutes
make research/results/recognition/llava-prompt-true/summary.json recognition llava-prompt-true                           # 2 minutes
make research/results/recognition/llava-prompt-true-16/summary.json recognition llava-prompt-true-16                     # 2 minutes
make research/results/recognition/in-context/summary.json recognition in-context                                         # 5 minutes
make research/results/recognition/myvlm/summary.json recognition myvlm                                                   # 5 minutes
make research/results/recognition/yollava/summary.json recognition yollava                                               # 15 minutes
make research/results/all/systems.json plvm eval --suite portraits --system all --out research/results/all                        # 3.5 hours
make research/results/table6.json "$PYTHON" research/runs/table6.py                                                               # 5 minutes
make research/results/table7.json "$PYTHON" research/runs/table7.py                                                               # 10 s
make research/results/table8.json "$PYTHON" research/runs/table8.py                                                               # 6 minutes
make research/results/table9.json "$PYTHON" research/runs/table9.py                                                               # 30 s
make research/results/figure4/figure4.json "$PYTHON" research/runs/figure4.py --systems plvm llava llava-prompt in-context yollava    # 2 minutes
make research/results/figure5/figure5.json "$PYTHON" research/runs/figure5.py                                                     # 10 s

# ---- ablations: trainings on drawn people, about 4 minutes for an arm and seed, and encoders that have to be made first
[[ -d $DATA ]] || plvm synth --identities 6000 --per-identity 3 --people 1-4 --no-filters --size 160 --workers 2 --out "$DATA"  # 5 minutes
make research/results/table2_w.json "$PYTHON" research/runs/table2_w.py "$DATA" --seeds "$SEEDS"                                  # 20 minutes a seed
make research/results/table3_k.json "$PYTHON" research/runs/table3_k.py "$DATA" --seeds "$SEEDS"                                  # 12 minutes a seed
make research/results/table5_p.json "$PYTHON" research/runs/table5_p.py "$DATA" --seeds "$SEEDS"                                  # 12 minutes a seed
make research/results/distractors.json "$PYTHON" research/runs/distractors.py "$DATA" --seeds "$SEEDS"                            # 10 minutes a seed
make research/results/crossing.json "$PYTHON" research/runs/crossing.py "$DATA" --steps 1200 --seeds "$SEEDS" --repeat anchored-grounded-told,bounded-grounded  # 100 minutes
[[ -d build/encoders ]] || "$PYTHON" research/runs/encoders.py "$DATA" --out build/encoders                              # 1 hour
make research/results/table4_encoders.json "$PYTHON" research/runs/table4_encoders.py "$DATA" --seeds "$SEEDS"                    # 16 minutes a seed
make research/results/position.json "$PYTHON" research/runs/position.py "$DATA" --seeds "$SEEDS"                                  # 15 minutes a seed

plvm report research/results --out report                                                                                # 10 s
