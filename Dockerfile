# The server with the starter model: serving dependencies only, no torch, not root.
FROM python:3.11-slim

RUN useradd --create-home hipsono
WORKDIR /app
COPY pyproject.toml constraints.txt README.md hipsono.py ./
RUN pip install --no-cache-dir -c constraints.txt -e .
COPY model model
COPY datasets datasets
COPY serving serving

USER hipsono
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=3s --start-period=10s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/readyz', timeout=2)"]
CMD ["hipsono", "serve", "--host", "0.0.0.0"]
