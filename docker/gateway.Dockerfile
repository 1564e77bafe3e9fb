# The gateway and the reconciler: no torch, no NumPy.
FROM python:3.11-slim
RUN useradd --create-home --uid 10001 tiltscope
WORKDIR /app
COPY pyproject.toml README.md LICENSE ./
COPY api_schemas api_schemas
COPY ledger ledger
COPY service service
COPY workers workers
RUN pip install --no-cache-dir '.[gateway,postgres]'
USER tiltscope
ENV TILTSCOPE_HOME=/data TILTSCOPE_HOST=0.0.0.0 TILTSCOPE_PORT=8000
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/readyz', timeout=2)"]
CMD ["python", "-m", "service.main"]
