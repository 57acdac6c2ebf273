#!/bin/bash
# A search on one node that continues by itself. Two minutes before its time is up, Slurm signals
# the job; tunecli saves its running trials, and the job returns to the queue.
#
#   sbatch studies/clusters/slurm.sh
#   sbatch --cpus-per-task=32 --gpus=4 --time=12:00:00 studies/clusters/slurm.sh
#
#SBATCH --job-name=tunecli
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=8
#SBATCH --time=04:00:00
#SBATCH --signal=B:USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=tunecli-%j.log

source .venv/bin/activate         # <- change: the environment in which tunecli is installed
study=studies/digits.yaml         # <- change: the study file

# USR1 is the notice of the time limit. TERM comes with scancel, or when the job is preempted;
# then Slurm itself decides whether to requeue it.
requeue=false
trap 'requeue=true; kill -TERM "$search"' USR1
trap 'kill -TERM "$search"' TERM

tunecli search "$study" --grace 90 &
search=$!

while :; do # `wait` also returns at each signal
    wait "$search"
    code=$?
    kill -0 "$search" 2>/dev/null || break
done

if [ "$requeue" = true ] && [ "$code" = 143 ]; then # it was interrupted, so trials are left
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
