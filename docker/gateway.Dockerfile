# The gateway and the reconciler: no torch, no NumPy.
FROM python:3.11-slim
# A volume that is first mounted at /data belongs to whoever owns the folder in the image.
RUN useradd --create-home --uid 10001 tiltscope && install -d -o 10001 -g 10001 /data
WORKDIR /app
COPY pyproject.toml README.md LICENSE ./
COPY api_schemas api_schemas
COPY ledger ledger
COPY service service
COPY workers workers
# What is installed is this project, with the versions of pyproject.toml.
# hadolint ignore=DL3013
RUN pip install --no-cache-dir '.[gateway,postgres,s3]'
USER 10001
ENV TILTSCOPE_HOME=/data TILTSCOPE_HOST=0.0.0.0 TILTSCOPE_PORT=8000
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/readyz', timeout=2)"]
CMD ["python", "-m", "service.main"]
