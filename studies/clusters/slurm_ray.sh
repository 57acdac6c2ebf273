#!/bin/bash
# A search on several nodes: starts Ray on them for the time of this job, and searches there. Two
# minutes before its time is up, Slurm signals the job; tunecli saves its running trials, and the
# job returns to the queue and continues by itself. Needs: pip install 'tunecli[ray]'
#
#   sbatch studies/clusters/slurm_ray.sh
#   sbatch --nodes=16 --gpus-per-node=4 studies/clusters/slurm_ray.sh
#
#SBATCH --job-name=tunecli
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --time=04:00:00
#SBATCH --signal=B:USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=tunecli-%j.log

source .venv/bin/activate         # <- change: the environment in which tunecli is installed
study=studies/digits.yaml         # <- change: the study file

# Only processes with this token may use the cluster; without one, everybody who reaches a node
# could run code as you.
RAY_AUTH_TOKEN=$(python -c 'import secrets; print(secrets.token_hex(32))')
export RAY_AUTH_TOKEN RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0

ip=$(hostname --ip-address | cut -d ' ' -f 1)
port=$((20000 + SLURM_JOB_ID % 10000))
trap 'kill $(jobs -p) 2>/dev/null' EXIT

# This script runs on the first node, next to the head of the cluster.
ray start --head --node-ip-address="$ip" --port="$port" --num-cpus="$SLURM_CPUS_PER_TASK" \
    --include-dashboard=false --block >/dev/null &
head=$!
until (: <>"/dev/tcp/$ip/$port") 2>/dev/null; do
    kill -0 "$head" || exit 1
    sleep 1
done

others=$((SLURM_JOB_NUM_NODES - 1))
if [ "$others" -gt 0 ]; then
    srun --nodes="$others" --ntasks="$others" --cpus-per-task="$SLURM_CPUS_PER_TASK" \
        --exclude="$SLURMD_NODENAME" \
        ray start --address="$ip:$port" --num-cpus="$SLURM_CPUS_PER_TASK" --block >/dev/null &
fi

# USR1 is the notice of the time limit. TERM comes with scancel, or when the job is preempted;
# then Slurm itself decides whether to requeue it.
requeue=false
trap 'requeue=true; kill -TERM "$search"' USR1
trap 'kill -TERM "$search"' TERM

tunecli search "$study" --ray "$ip:$port" --grace 90 &
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
