# A worker: supervisor and engine. TORCH=cuda builds for GPUs, the default for CPUs.
FROM python:3.11-slim
ARG TORCH=cpu
# A volume that is first mounted at /data belongs to whoever owns the folder in the image.
RUN useradd --create-home --uid 10001 tiltscope && install -d -o 10001 -g 10001 /data
# Kernels for a GPU are compiled where they run; without a compiler the engine is slower, and right.
# hadolint ignore=DL3008
RUN if [ "$TORCH" = cuda ]; then apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*; fi
WORKDIR /app
COPY constraints constraints
COPY pyproject.toml README.md LICENSE ./
COPY api_schemas api_schemas
COPY ledger ledger
COPY service service
COPY workers workers
# What is installed is this project, with the versions of pyproject.toml.
# hadolint ignore=DL3013
RUN if [ "$TORCH" = cuda ]; then pip install --no-cache-dir '.[worker,gpu,postgres,s3]'; \
    else pip install --no-cache-dir -c constraints/cpu.txt '.[worker,postgres,s3]'; fi
USER 10001
ENV TILTSCOPE_HOME=/data OMP_NUM_THREADS=1
# A worker gives its shard back and leaves; see stop_grace_period in the compose file.
STOPSIGNAL SIGTERM
CMD ["celery", "-A", "workers.celery_app", "worker", "-P", "threads", "-c", "1", "--loglevel", "WARNING"]
