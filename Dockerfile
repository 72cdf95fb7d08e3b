# Two images: `api`, which has no torch and also migrates the database, and `worker`.
#
#   docker build --target api .
#   docker build --target worker .
#   docker run --rm -e OT3L_DATABASE_URL=postgresql://... IMAGE_OF_API alembic upgrade head
#
# The base is pinned by tag. Pin it by digest as your own registry's policy asks, with the digest that your registry
# shows: --build-arg PYTHON_IMAGE=python:3.11-slim-trixie@sha256:...
ARG PYTHON_IMAGE=python:3.11-slim-trixie

# --- Tools that no final image keeps.
FROM ${PYTHON_IMAGE} AS builder
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore \
    UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_PYTHON_DOWNLOADS=never \
    VIRTUAL_ENV=/opt/venv
WORKDIR /build
COPY .locks/uv.txt .locks/
RUN pip install --no-cache-dir --require-hashes -r .locks/uv.txt && uv venv "$VIRTUAL_ENV"

# --- Dependencies: rebuilt only when a lock changes. Wheels only, so that nothing of theirs runs here.
FROM builder AS api-packages
COPY .locks/api.txt .locks/
RUN --mount=type=cache,target=/root/.cache/uv uv pip sync --require-hashes --no-build .locks/api.txt

FROM builder AS worker-packages
COPY .locks/worker.txt .locks/
RUN --mount=type=cache,target=/root/.cache/uv uv pip sync --require-hashes --no-build .locks/worker.txt

# --- OT3L itself, installed from a wheel for the sake of its metadata. The migrations lie beside the packages, where
# app.store.migrations and pyproject.toml look for them; their folder has no __init__.py, so `import alembic` still
# finds the library.
FROM builder AS source
COPY .locks/dev.txt .locks/
COPY LICENSE README.md pyproject.toml ./
COPY app app
COPY ot3l_core ot3l_core
COPY worker worker
RUN --mount=type=cache,target=/root/.cache/uv \
    uv build --wheel --require-hashes --build-constraint .locks/dev.txt --out-dir dist . \
    && uv pip install --no-deps --target /srv/ot3l dist/*.whl
COPY pyproject.toml /srv/ot3l/
COPY alembic /srv/ot3l/alembic

# --- What both images have in common.
FROM ${PYTHON_IMAGE} AS runtime
RUN groupadd --gid 10001 ot3l \
    && useradd --uid 10001 --gid ot3l --home-dir /var/lib/ot3l --no-create-home --shell /usr/sbin/nologin ot3l \
    && install --directory --owner=ot3l --group=ot3l /var/lib/ot3l
ENV OT3L_DATA_DIR=/var/lib/ot3l \
    PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONPATH=/srv/ot3l \
    PYTHONUNBUFFERED=1
WORKDIR /srv/ot3l

FROM runtime AS worker
# What is compiled or downloaded on the way.
ENV MPLCONFIGDIR=/var/lib/ot3l/matplotlib \
    NUMBA_CACHE_DIR=/var/lib/ot3l/numba \
    TORCH_HOME=/var/lib/ot3l/torch
COPY --from=worker-packages /opt/venv /opt/venv
COPY --from=source /srv/ot3l /srv/ot3l
USER 10001:10001
# Its metrics, where OT3L_METRICS_PORT says so.
EXPOSE 9100
# Told to stop (SIGTERM), it hands its work over within OT3L_DRAIN_SECONDS: give it ten more before it is killed.
# The worker answers through the broker, so this also fails while the broker is down: report it, do not kill for it.
HEALTHCHECK --interval=60s --timeout=20s --start-period=60s --retries=3 CMD ["python", "-c", "import socket; from app.queue import build_celery; from app.settings import read_settings; raise SystemExit(not build_celery(read_settings()).control.ping([f'celery@{socket.gethostname()}'], timeout=5))"]
CMD ["celery", "-A", "worker.main", "worker", "--pool=prefork", "--concurrency=1", "--loglevel=INFO", "--without-gossip", "--without-mingle"]

FROM runtime AS api
# Beyond loopback it asks for a key; make the first one by `python -m app.cli keys create --direct` (docs/operations.md)
ENV OT3L_HOST=0.0.0.0 \
    OT3L_PORT=8000
COPY --from=api-packages /opt/venv /opt/venv
COPY --from=source /srv/ot3l /srv/ot3l
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 CMD ["python", "-c", "from http.client import HTTPConnection; from os import environ; api = HTTPConnection('127.0.0.1', int(environ['OT3L_PORT']), timeout=3); api.request('GET', '/health/live'); raise SystemExit(api.getresponse().status != 200)"]
# Told to stop, it lets running requests end, within 15 seconds.
CMD ["python", "-m", "app.serve"]
