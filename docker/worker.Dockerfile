# A worker: supervisor and engine. TORCH=cuda builds for GPUs, the default for CPUs.
FROM python:3.11-slim
ARG TORCH=cpu
RUN useradd --create-home --uid 10001 tiltscope
WORKDIR /app
COPY constraints constraints
COPY pyproject.toml README.md LICENSE ./
COPY api_schemas api_schemas
COPY ledger ledger
COPY service service
COPY workers workers
RUN if [ "$TORCH" = cuda ]; then extra='worker,gpu,postgres'; constraint=''; \
    else extra='worker,postgres'; constraint='-c constraints/cpu.txt'; fi; \
    pip install --no-cache-dir $constraint ".[$extra]"
USER tiltscope
ENV TILTSCOPE_HOME=/data OMP_NUM_THREADS=1
STOPSIGNAL SIGTERM
CMD ["celery", "-A", "workers.celery_app", "worker", "-P", "threads", "-c", "1", "--loglevel", "WARNING"]
