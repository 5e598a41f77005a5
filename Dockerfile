# The node's image: built in one stage, run from another without compilers, as user 1000, its root file system unwritten.
#   docker build -t crypto-data:0.1.0 .
#   docker build --build-arg EXTRAS=[models] -t crypto-data:0.1.0-models .   # CryptoBERT and FinBERT need torch
# The embedded model comes with the packages. Weights of the others are mounted, or baked in by a stage of your own:
#   FROM crypto-data:0.1.0-models
#   COPY --chown=0:0 weights /models/     with the folders cryptobert and finbert in it, and CRYPTO_DATA_SENTIMENT=/models
# Pin both images by digest in your registry: --build-arg PYTHON=python:3.11.14-slim-bookworm@sha256:...
ARG PYTHON=python:3.11.14-slim-bookworm

FROM ${PYTHON} AS build
ARG EXTRAS=""
RUN apt-get update && apt-get install -y --no-install-recommends build-essential && rm -rf /var/lib/apt/lists/*
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
# constraints.txt holds every version that the tests ran with, so that two builds are the same.
COPY pyproject.toml README.md LICENSE constraints.txt ./
COPY ray_app ray_app
RUN pip install --constraint constraints.txt ".${EXTRAS}"

FROM ${PYTHON}
# KubeRay starts Ray through bash and asks through wget whether it lives.
RUN apt-get update && apt-get install -y --no-install-recommends bash wget ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 1000 node && useradd --uid 1000 --gid 1000 --no-create-home --home-dir /tmp node
COPY --from=build /opt/venv /opt/venv
WORKDIR /app
COPY serve_config.yaml ./
COPY jobs jobs
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
USER 1000:1000
# KubeRay brings its own command; alone the image says what it can do.
CMD ["crypto-data", "--help"]
